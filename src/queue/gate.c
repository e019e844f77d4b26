#include "queue/gate.h"

#include <stdio.h>
#include <string.h>

#define PACKED_SIZE 25 /* QUIET in gate.lua: a byte 1, two doubles, two 32-bit numbers, little-endian */
#define TEXT_MAX    256

static uint64_t little_endian(const char *bytes, size_t n) {
    uint64_t v = 0;
    while (n-- > 0)
        v = v << 8 | (unsigned char)bytes[n];
    return v;
}

static double double_at(const char *bytes) {
    uint64_t bits = little_endian(bytes, 8);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static bool read_packed(const char *p, struct gate *gate) {
    gate->tokens = double_at(p + 1);
    gate->at_ms = (uint64_t)double_at(p + 9);
    gate->concurrency = little_endian(p + 17, 4);
    gate->failures = little_endian(p + 21, 4);
    return true;
}

static bool read_text(struct span stored, struct gate *gate) {
    char text[TEXT_MAX];
    unsigned long long concurrency, failures;
    double at, until;
    if (stored.len >= sizeof(text))
        return false;
    memcpy(text, stored.ptr, stored.len);
    text[stored.len] = '\0';
    unsigned long long refused = 0;
    int n = sscanf(text, "%lf %lf %llu %llu %c %lf %*s %*s %llu %63s", &gate->tokens, &at, &concurrency,
                   &failures, &gate->mode, &until, &refused, gate->code);
    if (n < 6)
        return false;
    if (n < 8 || strcmp(gate->code, "-") == 0)
        gate->code[0] = '\0';
    gate->refused = refused;
    gate->at_ms = (uint64_t)at;
    gate->concurrency = concurrency;
    gate->failures = failures;
    gate->until_ms = (uint64_t)until;
    return true;
}

bool gate_read(struct span stored, struct gate *gate) {
    *gate = (struct gate){.mode = 'n'};
    bool ok =
        stored.ptr != NULL && (stored.len == PACKED_SIZE && stored.ptr[0] == 1 ? read_packed(stored.ptr, gate)
                                                                               : read_text(stored, gate));
    if (!ok)
        *gate = (struct gate){.mode = 'n'};
    return ok;
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
