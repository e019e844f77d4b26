/* Words for messages: a value in quotes; and the known word that is nearest to an unknown one. */
#include "config/table.h"

#include <stdio.h>
#include <string.h>

#define NEAREST_MAX 128 /* bytes; longer words are near to none */

const char *quoted(const char *text, char out[static QUOTED_SIZE]) {
    size_t n = strlen(text), shown = n > 48 ? 48 : n, at = 0;
    while (shown < n && shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80)
        shown--; /* no half of a UTF-8 sequence */
    out[at++] = '\'';
    for (size_t i = 0; i < shown; i++)
        out[at++] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
    snprintf(out + at, QUOTED_SIZE - at, "%s'", shown < n ? "..." : "");
    return out;
}

void nearest_init(struct nearest *n, const char *word) {
    size_t len = strlen(word);
    *n = (struct nearest){.word = word, .distance = len < 4 ? 2 : 3 + len / 8};
}

/* Edits (insert, delete, replace, swap of neighbours) between two words, without regard to case. */
static size_t edit_distance(const char *a, size_t na, const char *b, size_t nb) {
    uint8_t rows[3][NEAREST_MAX + 1];
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = (uint8_t)j;
    for (size_t i = 1; i <= na; i++) {
        uint8_t *now = rows[i % 3], *before = rows[(i + 2) % 3], *older = rows[(i + 1) % 3];
        now[0] = (uint8_t)i;
        for (size_t j = 1; j <= nb; j++) {
            bool same = (a[i - 1] | 0x20) == (b[j - 1] | 0x20);
            int best = before[j - 1] + !same;
            best = before[j] + 1 < best ? before[j] + 1 : best;
            best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && older[j - 2] + 1 < best)
                best = older[j - 2] + 1;
            now[j] = (uint8_t)best;
        }
    }
    return rows[na % 3][nb];
}

void nearest_try(struct nearest *n, const char *candidate) {
    size_t na = strlen(n->word), nb = strlen(candidate);
    size_t gap = na > nb ? na - nb : nb - na;
    if (na > NEAREST_MAX || nb > NEAREST_MAX || gap >= n->distance)
        return;
    size_t d = edit_distance(n->word, na, candidate, nb);
    if (d < n->distance) {
        n->distance = d;
        n->best = candidate;
    }
}

const char *nearest_hint(const struct nearest *n, char out[static 128]) {
    out[0] = '\0';
    if (n->best != NULL)
        snprintf(out, 128, " (did you mean '%s'?)", n->best);
    return out;
}
