/* HTTP/2: orders that the peer surely did nothing with, and that may be sent again: a stream that it refuses
 * (RST_STREAM with REFUSED_STREAM), and a stream above the last one that its GOAWAY names (RFC 9113, 6.8 and
 * 8.7).
 *
 * libcurl has no code for either. A refused stream it sends again by itself, which is stopped for a POST
 * (`is_replay`). It also does so when the connection died; when it calls the stream broken, it says so in the
 * error buffer. So a replay is a refused stream if the connection still stands, the error buffer is empty and
 * no GOAWAY came. Retries, GOAWAYs and the numbers of streams are read from libcurl's verbose text, which is
 * asked for on HTTP/2 connections only.
 *
 * Failure modes: a libcurl with other words: then nothing is certain, and the order is unknown, as after any
 * lost answer. */
#include <stdlib.h>
#include <string.h>

#include "io/http_internal.h"

static bool number_behind(const char *text, size_t n, const char *mark, uint32_t *number) {
    const char *at = memmem(text, n, mark, strlen(mark));
    if (at == NULL)
        return false;
    at += strlen(mark);
    uint64_t value = 0;
    const char *p = at;
    for (; p < text + n && *p >= '0' && *p <= '9' && value <= UINT32_MAX; p++)
        value = value * 10 + (uint64_t)(*p - '0');
    *number = (uint32_t)value;
    return p > at && value <= UINT32_MAX;
}

static int on_text(CURL *easy, curl_infotype type, char *text, size_t n, void *arg) {
    struct http_call *c = arg;
    uint32_t number;
    (void)easy;
    if (type != CURLINFO_TEXT)
        return 0;
    if (memmem(text, n, "GOAWAY", 6) != NULL && number_behind(text, n, "last_stream=", &number) &&
        http_conn_holds(c)) {
        c->conn->goaway = true;
        c->conn->last_stream = number;
    } else if (number_behind(text, n, "Using Stream ID: ", &number) ||
               (memmem(text, n, "OPENED stream", 13) != NULL &&
                number_behind(text, n, "[HTTP/2] [", &number))) {
        c->stream = number;
    } else if (memmem(text, n, "retrying a fresh connect", 24) != NULL) {
        c->stood = http_conn_holds(c) && http_silence(c->conn) != LOOK_CLOSED; /* libcurl closes it next */
    }
    return 0;
}

void http_refused_listen(struct http_call *c) {
    c->stream = 0;
    c->stood = false;
    if (c->listens)
        return;
    curl_easy_setopt(c->easy, CURLOPT_DEBUGFUNCTION, on_text);
    curl_easy_setopt(c->easy, CURLOPT_DEBUGDATA, c);
    curl_easy_setopt(c->easy, CURLOPT_VERBOSE, 1L);
    c->listens = true;
}

/* The connection of the call, though libcurl may just have closed it. */
static const struct http_conn *conn_of(const struct http_call *c) {
    const struct http_conn *k = c->conn;
    bool gone = k != NULL && !k->bound && k->serial == c->conn_serial + 1;
    return k != NULL && k->multiplexed && (gone || http_conn_holds(c)) ? k : NULL;
}

void http_refused_replay(struct http_call *c) {
    const struct http_conn *k = conn_of(c);
    c->refused = k != NULL && !k->goaway && c->stood && c->error[0] == '\0';
}

bool http_refused_above(const struct http_call *c) {
    const struct http_conn *k = conn_of(c);
    return k != NULL && k->goaway && c->stream > k->last_stream;
}
