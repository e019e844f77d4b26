/* Writing an outcome. What an answer says is hostile: it may be huge, cut, or of any type. */
#ifndef DRAY_OUTCOME_H
#define DRAY_OUTCOME_H

#include "dray/json.h"
#include "dray/verdict.h"

/* Makes `out` an UNKNOWN without code, message, order and ids. */
void outcome_clear(struct outcome *out, long http_status);

/* Sets `code` to `text`, other characters than [A-Za-z0-9_.:/-] as '?', cut where it is too long.
 */
void outcome_code(struct outcome *out, struct span text);

/* Sets `message`, cut at a whole UTF-8 sequence; a NUL becomes a space. */
void outcome_message(struct outcome *out, struct span text);

/* The same with a JSON value: a string decoded, another as it stands; JSON_NONE and null do
 * nothing. */
void outcome_message_node(struct outcome *out, const struct json_doc *doc, uint32_t node);

/* Verdict, and dray's own code and words, in one. */
void outcome_set(struct outcome *out, enum verdict verdict, const char *code, const char *message);

/* Code and words of an error answer as most APIs call them: "code", and "message", "error" or "errors", at
 * the root. */
void outcome_read_error(struct outcome *out, const struct json_doc *doc);

/* A scalar's text, to serve as a code: a string's inner bytes, another's raw bytes. Absent for
 * null, arrays, objects and JSON_NONE. */
struct span json_scalar(const struct json_doc *doc, uint32_t node);

#endif
