/* Judges what an exchange with a provider means (docs/protocol.md, "What an answer means"). Pure. The table for
 * all providers stands here and nowhere else. A module only reads the body of a 2xx answer, and code and
 * message of an error.
 *
 * The order of judgement: whether anything was sent; whether there is a whole answer; its status by the table;
 * the module's reading of a 2xx; the account's lists of codes, the provider's code before the status. Whatever
 * leaves it unclear whether the order exists is UNKNOWN, never RETRY. */
#include "dray/provider.h"

#include <stdio.h>
#include <string.h>

#include "dray/outcome.h"
#include "dray/timefmt.h"
#include "policy/codes.h"

/* The first row that holds the status counts. */
static const struct status_row {
    short first, last;
    enum verdict verdict;
    bool free;
} status_table[] = {
    {200, 299, VERDICT_CREATED, false},  /* the module decides */
    {307, 308, VERDICT_REJECTED, false}, /* "repeat it over there": a POST is never redirected */
    {401, 401, VERDICT_HOLD, false},
    {403, 403, VERDICT_HOLD, false},
    {404, 404, VERDICT_RETRY, false}, /* "could be available again in the future" (VU) */
    {407, 407, VERDICT_HOLD, false},
    {408, 408, VERDICT_UNKNOWN, false}, /* somebody gave up waiting, perhaps for a server behind */
    {409, 409, VERDICT_LOOKUP, false},
    {421, 421, VERDICT_RETRY, true}, /* not the server for this host */
    {425, 425, VERDICT_RETRY, false},
    {429, 429, VERDICT_PAUSE, true},
    {499, 499, VERDICT_UNKNOWN, false},
    {400, 499, VERDICT_REJECTED, false},
    {503, 503, VERDICT_RETRY, false},
    {511, 511, VERDICT_RETRY, true}, /* a captive portal */
    {521, 523, VERDICT_RETRY, true}, /* a proxy did not get through: refused, connect timeout, no route */
    {525, 526, VERDICT_RETRY, true}, /* nor here: TLS */
    /* Other 5xx: the one that answered gave up on a server behind it. 3xx: a created order is often answered
     * so. */
};

static bool phase_is(const struct http_exchange *x, const char *phase) {
    return x->phase != NULL && strcmp(x->phase, phase) == 0;
}

/* No byte of the body left us. */
static const char *unsent_code(const struct http_exchange *x) {
    if (phase_is(x, "resolve"))
        return "resolve";
    if (phase_is(x, "tls"))
        return "tls";
    if (phase_is(x, "timeout"))
        return "connect_timeout";
    return x->cancelled ? "cancelled" : "connect";
}

/* Bytes were sent, and no whole answer came. */
static const char *unanswered_code(const struct http_exchange *x) {
    if (x->replay_refused)
        return "replay_refused";
    if (x->too_large)
        return "answer_too_large";
    if (x->cancelled)
        return "cancelled";
    return phase_is(x, "timeout") ? "timeout" : "connection_lost";
}

/* Our own proxy refused: as its answer to CONNECT, or in place of the provider's answer. */
static void set_proxy_refuses(struct outcome *out, long status) {
    out->verdict = VERDICT_HOLD;
    snprintf(out->code, sizeof(out->code), "proxy_%ld", status);
    snprintf(out->message, sizeof(out->message), "the proxy refuses us (%ld)", status);
}

/* True where the exchange ended without a whole answer; `out` is then complete. */
static bool judge_transport(const struct http_exchange *x, struct outcome *out) {
    const char *error = x->error != NULL ? x->error : "";
    if (x->guard_refused)
        outcome_set(out, VERDICT_RETRY, "lease_lost", "the lease ran out before the order was sent");
    else if (x->early && x->sent)
        outcome_set(out, VERDICT_UNKNOWN, "early_answer",
                    "an answer came before the provider had the whole order: it may be another one's");
    else if (x->answered)
        return false;
    else if (x->proxy_status > 0)
        set_proxy_refuses(out, x->proxy_status);
    else if (x->unprocessed)
        outcome_set(out, VERDICT_RETRY, "unprocessed", "the server refused the request unread (HTTP/2)");
    else if (!x->sent)
        outcome_set(out, VERDICT_RETRY, unsent_code(x), error);
    else
        outcome_set(out, VERDICT_UNKNOWN, unanswered_code(x), error);
    out->free = out->verdict == VERDICT_RETRY;
    return true;
}

static void judge_status(long status, struct outcome *out) {
    out->verdict = VERDICT_UNKNOWN;
    for (size_t i = 0; i < sizeof(status_table) / sizeof(status_table[0]); i++) {
        if (status < status_table[i].first || status > status_table[i].last)
            continue;
        out->verdict = status_table[i].verdict;
        out->free = status_table[i].free;
        break;
    }
    out->exists = out->verdict == VERDICT_LOOKUP;
}

/* How long the account pauses: Retry-After, up to a cap. Without a readable one, backoff_base; the account's
 * gate doubles it while the answers go on. */
static void set_pause(const struct account *account, const struct http_exchange *x, uint64_t now_unix_ms,
                      struct outcome *out) {
    uint64_t ms;
    out->retry_after_told =
        x->retry_after.ptr != NULL && retry_after_parse(x->retry_after, now_unix_ms, &ms) == 0;
    if (!out->retry_after_told)
        ms = account->backoff_base_ms;
    out->retry_after_ms = ms < account->retry_after_cap_ms ? ms : account->retry_after_cap_ms;
}

/* Code and words of an error answer: the module's reading, or what most APIs call them. */
static void read_error(const struct account *account, const struct json_doc *doc, struct outcome *out) {
    if (account->provider->read_error != NULL)
        account->provider->read_error(account, doc, out);
    else
        outcome_read_error(out, doc);
}

/* If a name that was read stands twice, the body says nothing: the status alone counts. */
static void read_error_once(const struct account *account, struct json_doc *doc, struct outcome *out) {
    struct outcome before = *out;
    bool repeated = false;
    doc->repeated = &repeated;
    read_error(account, doc, out);
    doc->repeated = NULL;
    if (repeated)
        *out = before;
}

/* Some servers put a byte order mark before their JSON. */
static bool parse_body(const struct http_exchange *x, struct json_doc *doc, struct err *err) {
    struct span body = x->body.ptr != NULL ? x->body : SPAN_LIT("");
    if (body.len >= 3 && memcmp(body.ptr, "\xef\xbb\xbf", 3) == 0)
        body = (struct span){body.ptr + 3, body.len - 3};
    return json_parse(doc, body.ptr, body.len, err) == 0;
}

static void judge_success(const struct account *account, const struct envelope *envelope,
                          const struct http_exchange *x, uint64_t now_unix_ms, struct json_doc *doc,
                          struct outcome *out) {
    struct err err = {""};
    if (!parse_body(x, doc, &err)) {
        outcome_set(out, VERDICT_UNKNOWN, "unreadable_answer", "");
        snprintf(out->message, sizeof(out->message), "HTTP %ld, but the answer is not JSON: %s", x->status,
                 err.text);
        return;
    }
    bool repeated = false;
    doc->repeated = &repeated;
    account->provider->read_success(account, envelope, doc, out);
    doc->repeated = NULL;
    if (repeated) /* whichever of the two was meant */
        outcome_set(out, VERDICT_UNKNOWN, "unreadable_answer",
                    "a name that decides stands twice in the answer");
    if (out->verdict == VERDICT_REJECTED && !codes_apply(account, out->code, out) && out->contradicts)
        outcome_set(out, VERDICT_UNKNOWN, "contradictory_answer",
                    "the answer has an order id, and not the success_value that is configured");
    if (out->verdict == VERDICT_PAUSE)
        set_pause(account, x, now_unix_ms, out);
    if (out->verdict != VERDICT_CREATED) {
        out->id_count = 0;
        out->part_count = 0;
        out->order = (struct span){NULL, 0};
    }
}

/* A 503 is looked up before the order is sent again, where a look-up can prove something. */
static void judge_unavailable(const struct account *account, const struct http_exchange *x,
                              struct outcome *out) {
    bool exact = provider_lookup_kind(account) == LOOKUP_EXACT;
    if (x->retry_after.ptr != NULL) {
        out->verdict = VERDICT_PAUSE;
        out->look_first = exact;
    } else if (exact) {
        out->verdict = VERDICT_LOOKUP;
    }
}

/* Sets verdict, code and message for an answer that is no 2xx. */
static void judge_error(const struct account *account, const struct http_exchange *x, uint64_t now_unix_ms,
                        struct json_doc *doc, struct outcome *out) {
    char http_code[32];
    judge_status(x->status, out);
    if (x->status == 503)
        judge_unavailable(account, x, out);
    if (parse_body(x, doc, NULL))
        read_error_once(account, doc, out);
    snprintf(http_code, sizeof(http_code), "http:%ld", x->status);
    bool overruled = codes_apply(account, out->code, out) || codes_apply(account, http_code, out);
    if (x->status == 407 && !overruled)
        set_proxy_refuses(out, x->status);
    else if (x->status >= 300 && x->status <= 399)
        outcome_code(out, SPAN_LIT("redirect"));
    else if (out->code[0] == '\0')
        snprintf(out->code, sizeof(out->code), "http_%ld", x->status);
    if (out->message[0] == '\0')
        snprintf(out->message, sizeof(out->message), "HTTP %ld", x->status);
    if (out->verdict == VERDICT_PAUSE)
        set_pause(account, x, now_unix_ms, out);
}

void classify_create(const struct account *account, const struct envelope *envelope,
                     const struct http_exchange *exchange, uint64_t now_unix_ms, struct json_doc *doc,
                     struct outcome *out) {
    outcome_clear(out, exchange->status);
    if (judge_transport(exchange, out))
        return;
    if (exchange->status / 100 == 2)
        judge_success(account, envelope, exchange, now_unix_ms, doc, out);
    else
        judge_error(account, exchange, now_unix_ms, doc, out);
}

/* A web page under a 404 comes from a proxy or a wrong base_url: it proves nothing about an order.
 */
static bool is_html(const struct http_exchange *x) {
    for (size_t i = 0; i < x->body.len; i++)
        if (memchr(" \t\r\n", x->body.ptr[i], 4) == NULL)
            return x->body.ptr[i] == '<';
    return false;
}

/* A 2xx that is no answer to the look-up may still be the provider's word that the account must wait. */
static void read_lookup_error(const struct account *account, const struct http_exchange *x,
                              uint64_t now_unix_ms, struct json_doc *doc, struct outcome *out) {
    struct outcome told = *out;
    told.code[0] = '\0';
    read_error_once(account, doc, &told);
    if (!codes_apply(account, told.code, &told) ||
        (told.verdict != VERDICT_HOLD && told.verdict != VERDICT_PAUSE))
        return;
    *out = told;
    if (out->verdict == VERDICT_PAUSE)
        set_pause(account, x, now_unix_ms, out);
}

static bool read_lookup(const struct account *account, const struct envelope *envelope,
                        const struct http_exchange *x, uint64_t now_unix_ms, struct json_doc *doc,
                        struct lookup_cursor *cursor, struct outcome *out) {
    bool repeated = false, parsed = parse_body(x, doc, NULL);
    if (parsed)
        doc->repeated = &repeated;
    bool more =
        account->provider->read_lookup(account, envelope, x->status, parsed ? doc : NULL, cursor, out);
    doc->repeated = NULL;
    if (repeated) {
        outcome_set(out, VERDICT_RETRY, "lookup_unreadable",
                    "a name that decides stands twice in the answer");
        more = false;
    }
    if (out->verdict != VERDICT_CREATED) {
        out->id_count = 0;
        out->order = (struct span){NULL, 0};
    }
    if (parsed && !more && out->verdict == VERDICT_RETRY)
        read_lookup_error(account, x, now_unix_ms, doc, out);
    return more;
}

bool classify_lookup(const struct account *account, const struct envelope *envelope,
                     const struct http_exchange *exchange, uint64_t now_unix_ms, struct json_doc *doc,
                     struct lookup_cursor *cursor, struct outcome *out) {
    const struct provider *p = account->provider;
    long status = exchange->status;
    outcome_clear(out, status);
    if (judge_transport(exchange, out)) {
        if (out->verdict != VERDICT_HOLD)
            out->verdict = VERDICT_RETRY; /* a GET that failed is asked again */
        out->free = true;
        return false;
    }
    if (p->read_lookup == NULL) {
        outcome_set(out, VERDICT_UNKNOWN, "no_lookup", "the provider has no look-up");
        return false;
    }
    if (status / 100 == 2 || (status == 404 && !is_html(exchange)) ||
        status == (long)account->http_json.lookup_absent_status)
        return read_lookup(account, envelope, exchange, now_unix_ms, doc, cursor, out);
    judge_error(account, exchange, now_unix_ms, doc, out);
    out->free = out->free || status >= 500 || status == 408 || status == 425; /* nobody looked */
    if (out->verdict != VERDICT_HOLD && out->verdict != VERDICT_PAUSE)
        out->verdict = VERDICT_RETRY;
    return false;
}
