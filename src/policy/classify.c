/* What an exchange means (docs/protocol.md, "What an answer means"). Pure. The default table stands
 * here and nowhere else; a module reads only the body of a 2xx answer, and an error's code and
 * words.
 *
 * The order of judgement: was anything sent; is there a whole answer; its status by the table; the
 * module's reading of a 2xx; the account's unknown_codes, reject_codes and retry_codes. Whatever leaves it unclear
 * whether the order exists is UNKNOWN, never RETRY. */
#include "dray/provider.h"

#include <stdio.h>
#include <string.h>

#include "dray/outcome.h"
#include "dray/timefmt.h"

/* The first row that holds the status counts. */
static const struct status_row {
    short first, last;
    enum verdict verdict;
} status_table[] = {
    {200, 299, VERDICT_CREATED},  /* the module decides */
    {300, 399, VERDICT_REJECTED}, /* a POST is never redirected */
    {401, 401, VERDICT_HOLD},     {403, 403, VERDICT_HOLD},
    {404, 404, VERDICT_RETRY}, /* "could be available again in the future" (VU) */
    {408, 408, VERDICT_RETRY},    {409, 409, VERDICT_LOOKUP},
    {425, 425, VERDICT_RETRY},    {429, 429, VERDICT_PAUSE},
    {400, 499, VERDICT_REJECTED}, {500, 599, VERDICT_RETRY},
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

/* True where the exchange ended without a whole answer; `out` is then complete. */
static bool judge_transport(const struct http_exchange *x, struct outcome *out) {
    const char *error = x->error != NULL ? x->error : "";
    if (x->guard_refused)
        outcome_set(out, VERDICT_RETRY, "lease_lost",
                    "the lease ran out before the order was sent");
    else if (x->early && x->sent)
        outcome_set(out, VERDICT_UNKNOWN, "early_answer",
                    "an answer came before the provider had the whole order: it may be another one's");
    else if (x->answered)
        return false;
    else if (!x->sent)
        outcome_set(out, VERDICT_RETRY, unsent_code(x), error);
    else
        outcome_set(out, VERDICT_UNKNOWN, unanswered_code(x), error);
    return true;
}

static enum verdict status_verdict(long status) {
    for (size_t i = 0; i < sizeof(status_table) / sizeof(status_table[0]); i++)
        if (status >= status_table[i].first && status <= status_table[i].last)
            return status_table[i].verdict;
    return VERDICT_UNKNOWN;
}

/* How long the account pauses: Retry-After, capped; where there is none (or it cannot be read) one
 * backoff_base, on top of which each job backs off by itself. */
static uint64_t pause_ms(const struct account *account, const struct http_exchange *x,
                         uint64_t now_unix_ms) {
    uint64_t ms;
    if (x->retry_after.ptr == NULL || retry_after_parse(x->retry_after, now_unix_ms, &ms) != 0)
        ms = account->backoff_base_ms;
    return ms < account->retry_after_cap_ms ? ms : account->retry_after_cap_ms;
}

static bool listed(code_list codes, const char *code) {
    if (code[0] == '\0')
        return false;
    for (size_t i = 0; codes != NULL && codes[i] != NULL; i++)
        if (strcmp(codes[i], code) == 0)
            return true;
    return false;
}

/* The account's word on one code; true if it has one. A pause stays a pause: it is a retry. */
static bool override(const struct account *account, const char *code, struct outcome *out) {
    if (listed(account->unknown_codes, code))
        out->verdict = VERDICT_UNKNOWN;
    else if (listed(account->reject_codes, code))
        out->verdict = VERDICT_REJECTED;
    else if (!listed(account->retry_codes, code))
        return false;
    else if (out->verdict != VERDICT_PAUSE)
        out->verdict = VERDICT_RETRY;
    return true;
}

/* Code and words of an error answer: the module's reading, or what most APIs call them. */
static void read_error(const struct account *account, const struct json_doc *doc,
                       struct outcome *out) {
    if (account->provider->read_error != NULL)
        account->provider->read_error(account, doc, out);
    else
        outcome_read_error(out, doc);
}

static bool parse_body(const struct http_exchange *x, struct json_doc *doc, struct err *err) {
    return json_parse(doc, x->body.ptr != NULL ? x->body.ptr : "", x->body.len, err) == 0;
}

static void judge_success(const struct account *account, const struct envelope *envelope,
                          const struct http_exchange *x, struct json_doc *doc,
                          struct outcome *out) {
    const struct provider *p = account->provider;
    struct err err = {""};
    bool parsed = parse_body(x, doc, &err);
    if (!parsed && !p->reads_no_json) {
        outcome_set(out, VERDICT_UNKNOWN, "unreadable_answer", "");
        snprintf(out->message, sizeof(out->message), "HTTP %ld, but the answer is not JSON: %s",
                 x->status, err.text);
        return;
    }
    p->read_success(account, envelope, parsed ? doc : NULL, out);
    if (out->verdict == VERDICT_REJECTED)
        override(account, out->code, out);
    if (out->verdict != VERDICT_CREATED) {
        out->id_count = 0;
        out->order = (struct span){NULL, 0};
    }
}

/* Verdict, code and message of an answer that is no 2xx. */
static void judge_error(const struct account *account, const struct http_exchange *x,
                        uint64_t now_unix_ms, struct json_doc *doc, struct outcome *out) {
    char http_code[32];
    out->verdict = status_verdict(x->status);
    if (x->status == 503 && x->retry_after.ptr != NULL)
        out->verdict = VERDICT_PAUSE;
    out->exists = x->status == 409;
    if (out->verdict == VERDICT_RETRY && provider_lookup_kind(account) == LOOKUP_EXACT)
        out->verdict = VERDICT_LOOKUP;
    if (parse_body(x, doc, NULL))
        read_error(account, doc, out);
    snprintf(http_code, sizeof(http_code), "http:%ld", x->status);
    if (!override(account, out->code, out))
        override(account, http_code, out);
    if (x->status >= 300 && x->status <= 399)
        outcome_code(out, SPAN_LIT("redirect"));
    else if (out->code[0] == '\0')
        snprintf(out->code, sizeof(out->code), "http_%ld", x->status);
    if (out->message[0] == '\0')
        snprintf(out->message, sizeof(out->message), "HTTP %ld", x->status);
    if (out->verdict == VERDICT_PAUSE)
        out->retry_after_ms = pause_ms(account, x, now_unix_ms);
}

void classify_create(const struct account *account, const struct envelope *envelope,
                     const struct http_exchange *exchange, uint64_t now_unix_ms,
                     struct json_doc *doc, struct outcome *out) {
    outcome_clear(out, exchange->status);
    if (judge_transport(exchange, out))
        return;
    if (exchange->status / 100 == 2)
        judge_success(account, envelope, exchange, doc, out);
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

bool classify_lookup(const struct account *account, const struct envelope *envelope,
                     const struct http_exchange *exchange, uint64_t now_unix_ms,
                     struct json_doc *doc, struct lookup_cursor *cursor, struct outcome *out) {
    const struct provider *p = account->provider;
    long status = exchange->status;
    outcome_clear(out, status);
    if (judge_transport(exchange, out)) {
        out->verdict = VERDICT_RETRY; /* a GET that failed is asked again */
        return false;
    }
    if (p->read_lookup == NULL) {
        outcome_set(out, VERDICT_UNKNOWN, "no_lookup", "the provider has no look-up");
        return false;
    }
    if (status / 100 == 2 || (status == 404 && !is_html(exchange)))
        return p->read_lookup(account, envelope, status,
                              parse_body(exchange, doc, NULL) ? doc : NULL, cursor, out);
    judge_error(account, exchange, now_unix_ms, doc, out);
    if (out->verdict != VERDICT_HOLD && out->verdict != VERDICT_PAUSE)
        out->verdict = VERDICT_RETRY;
    return false;
}
