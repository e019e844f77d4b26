/* Functions that fill a struct outcome. What they take from an answer is not to be trusted: it may be huge, cut
 * short, or of any type. */
#ifndef DRAY_OUTCOME_H
#define DRAY_OUTCOME_H

#include "dray/json.h"
#include "dray/verdict.h"

/* Makes `out` an UNKNOWN without code, message, order and ids. */
void outcome_clear(struct outcome *out, long http_status);

/* Sets `code` to `text`, cut where it is too long. Characters other than [A-Za-z0-9_.:/-] become '?'. */
void outcome_code(struct outcome *out, struct span text);

/* Sets `message` to `text`, cut between two characters where it is too long. A NUL becomes a space. */
void outcome_message(struct outcome *out, struct span text);

/* Sets `message` to a JSON value: a string decoded, another value as it stands. JSON_NONE and null leave it as it
 * was. */
void outcome_message_node(struct outcome *out, const struct json_doc *doc, uint32_t node);

/* Sets the verdict, and a code and a message of dray's own. */
void outcome_set(struct outcome *out, enum verdict verdict, const char *code, const char *message);

/* Reads code and message of an error answer where most APIs have them: the root's member "code", and "message",
 * "error" or "errors". */
void outcome_read_error(struct outcome *out, const struct json_doc *doc);

/* The text of a string, a number or a boolean, for use as a code. A string's escapes stay as they are. Absent for
 * null, arrays, objects and JSON_NONE. */
struct span json_scalar(const struct json_doc *doc, uint32_t node);

#endif
