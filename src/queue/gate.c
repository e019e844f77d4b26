#include "queue/gate.h"

#include <stdio.h>
#include <string.h>

#include "queue/packed.h"

/* As gate.lua has them, little-endian: a byte 1, two doubles, two 32-bit numbers (HEAD); a letter, two doubles, a 32-bit
 * number (TAIL). */
#define HEAD_SIZE 25
#define TAIL_SIZE 21

/* Behind the head: mode, until, cool, refused, "<probe> <code>". */
static void read_tail(struct span tail, struct gate *gate) {
    const char *p = tail.ptr, *end = p + tail.len, *space = memchr(p + TAIL_SIZE, ' ', tail.len - TAIL_SIZE);
    gate->mode = p[0];
    gate->until_ms = (uint64_t)packed_double(p + 1);
    gate->refused = packed_uint(p + 17, 4);
    size_t n = space != NULL ? (size_t)(end - space - 1) : 0;
    if (n == 0 || n >= sizeof(gate->code) || (n == 1 && space[1] == '-'))
        return;
    memcpy(gate->code, space + 1, n);
    gate->code[n] = '\0';
}

bool gate_read(struct span stored, struct gate *gate) {
    *gate = (struct gate){.mode = 'n'};
    if (stored.ptr == NULL || stored.len < HEAD_SIZE || stored.ptr[0] != 1)
        return false;
    gate->tokens = packed_double(stored.ptr + 1);
    gate->at_ms = (uint64_t)packed_double(stored.ptr + 9);
    gate->concurrency = packed_uint(stored.ptr + 17, 4);
    gate->failures = packed_uint(stored.ptr + 21, 4);
    if (stored.len > HEAD_SIZE + TAIL_SIZE)
        read_tail((struct span){stored.ptr + HEAD_SIZE, stored.len - HEAD_SIZE}, gate);
    return true;
}

void gate_hold_reason(uint64_t refused, const char *code, char out[static GATE_REASON_MAX]) {
    static const char proxy[] = "proxy_"; /* classify.c's, before the status */
    if (refused > 0)
        snprintf(out, GATE_REASON_MAX, "refused with %s, %llu times", code, (unsigned long long)refused);
    else if (strncmp(code, proxy, sizeof(proxy) - 1) == 0)
        snprintf(out, GATE_REASON_MAX, "the proxy refuses us (%s)", code + sizeof(proxy) - 1);
    else if (code[0] != '\0')
        snprintf(out, GATE_REASON_MAX, "the provider refuses the credentials (%s)", code);
    else
        snprintf(out, GATE_REASON_MAX, "the provider refuses the credentials");
}
