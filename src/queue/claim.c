#include "queue/claim.h"

#include <stdio.h>

#include "queue/packed.h"

#define HEADER 16 /* a double, four numbers of 16 bits */

void claim_token(const struct claim *claim, char out[TOKEN_SIZE]) {
    snprintf(out, TOKEN_SIZE, "%llu.%u", (unsigned long long)claim->batch, claim->place);
}

/* Digits up to `most`; -1: there are none, or the number is greater. */
static int take_number(struct span *text, uint64_t most, uint64_t *out) {
    size_t n = 0;
    for (*out = 0; n < text->len && text->ptr[n] >= '0' && text->ptr[n] <= '9'; n++) {
        *out = *out * 10 + (uint64_t)(text->ptr[n] - '0');
        if (*out > most)
            return -1;
    }
    *text = (struct span){text->ptr + n, text->len - n};
    return n > 0 ? 0 : -1;
}

int claim_parse(struct span token, struct claim *claim) {
    uint64_t batch, place;
    if (take_number(&token, 1ull << 53, &batch) != 0 || token.len == 0 || token.ptr[0] != '.')
        return -1;
    token = (struct span){token.ptr + 1, token.len - 1};
    if (take_number(&token, UINT16_MAX, &place) != 0 || token.len > 0)
        return -1;
    *claim = (struct claim){.batch = batch, .place = (uint16_t)place};
    return 0;
}

int batch_state_read(struct span packed, struct batch_state *out) {
    if (packed.len < HEADER)
        return -1;
    const char *p = packed.ptr;
    double first = packed_double(p);
    *out = (struct batch_state){.count = (uint16_t)packed_uint(p + 8, 2),
                                .due = (uint16_t)packed_uint(p + 10, 2),
                                .passed = (uint16_t)packed_uint(p + 12, 2),
                                .left = (uint16_t)packed_uint(p + 14, 2)};
    if (!(first >= 0 && first < 9007199254740992.0) || packed.len < HEADER + (size_t)out->count)
        return -1;
    out->first = (uint64_t)first;
    out->letters = (struct span){p + HEADER, out->count};
    out->begun = (struct span){p + HEADER + out->count, packed.len - HEADER - out->count};
    return 0;
}

bool batch_next_begun(struct batch_state *b, uint16_t *place, struct span *account_key) {
    if (b->begun.len < 4)
        return false;
    const char *p = b->begun.ptr;
    size_t len = packed_uint(p + 2, 2);
    *place = (uint16_t)packed_uint(p, 2);
    if (len > b->begun.len - 4 || *place >= b->count)
        return false;
    *account_key = (struct span){p + 4, len};
    b->begun = (struct span){p + 4 + len, b->begun.len - 4 - len};
    return true;
}
