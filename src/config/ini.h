/* Splits INI text into headings and pairs, in place.
 *
 * Own code, since inih as distributions build it cuts lines at 197 bytes and section names at 49
 * (tokens and account names are longer), does not tell of empty sections, and names only the first
 * faulty line. The grammar is inih's: `[section]`, `name = value` or `name: value`, comments with
 * `;` or `#` at the start of a line and ` ;` after a value. Indentation means nothing. */
#ifndef DRAY_CONFIG_INI_H
#define DRAY_CONFIG_INI_H

#include <stddef.h>
#include <stdint.h>

#define INI_LINE_MAX 8192 /* bytes */

enum ini_kind { INI_SECTION, INI_PAIR, INI_BAD };

struct ini_item {
    enum ini_kind kind;
    uint32_t line;       /* from 1 on */
    const char *name;    /* the section's text between the brackets, or the key */
    const char *value;   /* INI_PAIR */
    const char *problem; /* INI_BAD: which rule the line breaks; never quotes the line */
};

typedef void (*ini_fn)(void *arg, const struct ini_item *item);

/* Calls `fn` for every line that means something. `text` is overwritten; text[len] must be
 * writable. */
void ini_scan(char *text, size_t len, ini_fn fn, void *arg);

#endif
