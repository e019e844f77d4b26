/* When an account's token ends: as configured, or as the token itself says, if it is a JWT. */
#include "provider/module.h"

#include <string.h>

#define PAYLOAD_MAX 8192 /* bytes of a JWT's claims, decoded */

static int base64url_value(char c) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/* Decodes up to the next '.', without padding (RFC 7515). The length, or -1. */
static int decode(const char *text, char out[static PAYLOAD_MAX]) {
    uint32_t bits = 0, have = 0;
    int n = 0;
    for (; *text != '.' && *text != '\0'; text++) {
        int value = base64url_value(*text);
        if (value < 0 || n == PAYLOAD_MAX)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        out[n++] = (char)(bits >> have & 0xff);
    }
    return *text == '.' ? n : -1;
}

/* The claim "exp" of RFC 7519 §4.1.4, seconds; 0 where there is none. */
static uint64_t jwt_expires_ms(const char *token) {
    char payload[PAYLOAD_MAX];
    struct json_doc doc;
    double seconds = 0;
    const char *dot = strchr(token, '.');
    int n = dot != NULL ? decode(dot + 1, payload) : -1;
    if (n < 0)
        return 0;
    json_init(&doc, 4096);
    bool told = json_parse(&doc, payload, (size_t)n, NULL) == 0 && json_type(&doc, 0) == JSON_OBJECT;
    uint32_t exp = told ? json_get(&doc, 0, "exp") : JSON_NONE;
    if (exp == JSON_NONE || !json_double(&doc, exp, &seconds) || seconds < 0 || seconds > 253402300799.0)
        seconds = 0;
    json_deinit(&doc);
    return (uint64_t)seconds * 1000;
}

uint64_t account_token_expires_ms(const struct account *account) {
    if (account->token_expires_at_ms > 0 || account->token == NULL)
        return account->token_expires_at_ms;
    return jwt_expires_ms(account->token);
}
