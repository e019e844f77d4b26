/* One pass over the text, line by line; NULs are written where names and values end. */
#include "config/ini.h"

#include <stdbool.h>
#include <string.h>

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static char *trim(char *s) {
    while (is_blank(*s))
        s++;
    size_t n = strlen(s);
    while (n > 0 && is_blank(s[n - 1]))
        n--;
    s[n] = '\0';
    return s;
}

/* Cuts ` ; comment`. Returns false for ` #`, which some take for a comment and some for a value. */
static bool cut_comment(char *s) {
    for (char *p = s; *p != '\0'; p++) {
        if (p != s && !is_blank(p[-1]))
            continue;
        if (*p == ';') {
            *p = '\0';
            return true;
        }
        if (*p == '#')
            return false;
    }
    return true;
}

static void bad(struct ini_item *item, const char *problem) {
    item->kind = INI_BAD;
    item->problem = problem;
}

static void scan_heading(char *s, struct ini_item *item) {
    char *end = strchr(s, ']');
    if (end == NULL) {
        bad(item, "a section's heading ends with ']'");
        return;
    }
    *end = '\0';
    char *rest = end + 1;
    while (is_blank(*rest))
        rest++;
    if (*rest != '\0' && *rest != ';' && *rest != '#') {
        bad(item, "only a comment may follow a section's heading");
        return;
    }
    item->kind = INI_SECTION;
    item->name = trim(s + 1);
}

static void scan_pair(char *s, struct ini_item *item) {
    char *sign = s + strcspn(s, "=:");
    if (*sign == '\0') {
        bad(item, "expected [section] or key = value");
        return;
    }
    *sign = '\0';
    item->kind = INI_PAIR;
    item->name = trim(s);
    if (!cut_comment(sign + 1)) {
        bad(item, "' #' in a value: a comment at the end of a line starts with ' ;' (a secret that "
                  "holds ' #' or ' ;' goes into a file: the key's _file twin)");
        return;
    }
    item->value = trim(sign + 1);
    size_t n = strlen(item->value);
    if (*item->name == '\0')
        bad(item, "the key before '=' is missing");
    else if (n >= 2 && (item->value[0] == '"' || item->value[0] == '\'') &&
             item->value[n - 1] == item->value[0])
        bad(item, "values are written without quotes");
}

static void scan_line(char *s, size_t len, uint32_t number, ini_fn fn, void *arg) {
    struct ini_item item = {.line = number};
    if (len > 0 && s[len - 1] == '\r')
        s[--len] = '\0';
    if (memchr(s, '\0', len) != NULL) {
        bad(&item, "holds a NUL byte: is this a text file?");
    } else if (len > INI_LINE_MAX) {
        bad(&item, "is longer than 8192 bytes");
    } else {
        s = trim(s);
        if (*s == '\0' || *s == ';' || *s == '#')
            return;
        if (*s == '[')
            scan_heading(s, &item);
        else
            scan_pair(s, &item);
    }
    fn(arg, &item);
}

void ini_scan(char *text, size_t len, ini_fn fn, void *arg) {
    static const char bom[] = "\xef\xbb\xbf";
    char *end = text + len;
    if (len >= 3 && memcmp(text, bom, 3) == 0)
        text += 3;
    *end = '\0';
    for (uint32_t number = 1; text < end; number++) {
        char *stop = memchr(text, '\n', (size_t)(end - text));
        if (stop == NULL)
            stop = end;
        *stop = '\0';
        scan_line(text, (size_t)(stop - text), number, fn, arg);
        text = stop + 1;
    }
}
