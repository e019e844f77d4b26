/* An order's spans. All claims of a job without a `traceparent` are one trace: its id is a hash of the job's id, so that
 * every worker makes the same, and samples the same. */
#include "worker/flow.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

static void random_id(struct worker *w, uint8_t id[8]) {
    uint64_t v = rng_u64(&w->rng);
    v += v == 0; /* W3C, OTLP: an id of zeros is none */
    memcpy(id, &v, 8);
}

static uint8_t nibble(char c) {
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static void read_hex(const char *hex, uint8_t *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
}

static void write_hex(const uint8_t *in, size_t n, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
}

/* The envelope's parser has checked its form: "00-<32 hex>-<16 hex>-<2 hex>". */
static void take_parent(struct trace_marks *m, const char *traceparent) {
    uint8_t flags;
    read_hex(traceparent + 3, m->trace, 16);
    read_hex(traceparent + 36, m->parent, 8);
    read_hex(traceparent + 53, &flags, 1);
    m->has_parent = true;
    m->flags = flags & 3; /* sampled, random: those that are defined */
    m->on = flags & 1;
}

static void make_trace(struct order *o, struct trace_marks *m) {
    const struct envelope *e = &o->envelope;
    struct worker *w = o->consumer->worker;
    const char *queue = o->consumer->keys.queue;
    uint64_t seed = XXH3_64bits(queue, strlen(queue)) ^ e->enqueued_at_ms, v;
    XXH128_canonical_t c;
    if (e->id.len > 0) {
        XXH128_canonicalFromHash(&c, XXH3_128bits_withSeed(e->id.ptr, e->id.len, seed));
        memcpy(m->trace, c.digest, 16);
    } else {
        random_id(w, m->trace);
        random_id(w, m->trace + 8);
    }
    m->trace[15] |= 1; /* never zeros */
    memcpy(&v, m->trace, 8);
    m->flags = 1;
    m->on = (double)(v >> 11) * 0x1p-53 < tracer_sample(w->tracer);
}

void trace_claimed(struct order *o) {
    struct trace_marks *m = &o->trace;
    memset(m, 0, sizeof(*m));
    if (o->envelope.traceparent.len >= TRACEPARENT_SIZE - 1)
        take_parent(m, o->envelope.traceparent.ptr);
    else
        make_trace(o, m);
    if (!m->on)
        return;
    random_id(o->consumer->worker, m->span);
    m->claimed_ns = clock_unix_ns();
    m->seen_before = o->header.first_ms > 0;
}

/* Zeros but for what all spans of an order share; NULL: dropped. */
static struct trace_span *child(struct order *o, enum trace_kind kind, uint64_t start_ns) {
    struct worker *w = o->consumer->worker;
    const struct trace_marks *m = &o->trace;
    struct trace_span *s = tracer_slot(w->tracer);
    if (s == NULL)
        return NULL;
    s->kind = kind;
    memcpy(s->trace, m->trace, sizeof(s->trace));
    memcpy(s->parent, m->span, sizeof(s->parent));
    if (kind == TRACE_ORDER)
        memcpy(s->id, m->span, sizeof(s->id));
    else
        random_id(w, s->id);
    s->start_ns = start_ns;
    s->end_ns = clock_unix_ns();
    if (s->end_ns < start_ns) /* the clock was set back */
        s->end_ns = start_ns;
    s->attempt = m->attempt;
    strcpy(s->queue, o->consumer->keys.queue);
    if (o->account == NULL)
        return s;
    strcpy(s->account, o->account->name);
    s->provider = o->account->provider->name;
    return s;
}

void trace_begins(struct order *o) {
    o->trace.begins_ns = clock_unix_ns();
}

void trace_admitted(struct order *o) {
    struct trace_marks *m = &o->trace;
    if (m->begins_ns == 0)
        return;
    if (child(o, TRACE_ADMISSION, m->begins_ns) != NULL)
        tracer_put(o->consumer->worker->tracer);
    m->begins_ns = 0;
}

void trace_sends(struct order *o, char out[static TRACEPARENT_SIZE]) {
    struct trace_marks *m = &o->trace;
    m->sent_ns = clock_unix_ns();
    random_id(o->consumer->worker, m->request);
    if (!o->looking_up)
        m->attempt = o->header.attempts + 1;
    memcpy(out, "00-", 3);
    write_hex(m->trace, 16, out + 3);
    out[35] = '-';
    write_hex(m->request, 8, out + 36);
    out[52] = '-';
    write_hex(&m->flags, 1, out + 53);
    out[55] = '\0';
}

/* Host and port of a base_url, which the configuration has checked. */
static void set_server(struct trace_span *s, const char *url) {
    const char *host = strstr(url, "://");
    bool tls = url[4] == 's' || url[4] == 'S';
    s->port = tls ? 443 : 80;
    if (host == NULL)
        return;
    host += 3;
    size_t n = strcspn(host, "/");
    bool v6 = host[0] == '[';
    const char *end = v6 ? memchr(host, ']', n) : memchr(host, ':', n);
    size_t len = end != NULL ? (size_t)(end - host) - v6 : n;
    if (len < sizeof(s->server))
        memcpy(s->server, host + v6, len);
    const char *colon = end != NULL && v6 ? end + 1 : end;
    if (colon != NULL && *colon == ':')
        s->port = (uint32_t)strtoul(colon + 1, NULL, 10);
}

static const char *error_of(const struct http_exchange *x, const char *verdict) {
    if (x->cancelled)
        return "cancelled";
    if (x->guard_refused)
        return "lease_lost";
    return x->answered ? verdict : x->phase;
}

static const char *method_of(const struct order *o) {
    if (o->looking_up)
        return o->account->provider->build_lookup_body != NULL ? "POST" : "GET";
    return request_method(o->account) == HTTP_PUT ? "PUT" : "POST";
}

void trace_answered(struct order *o, const struct http_exchange *x, const struct outcome *outcome) {
    struct trace_marks *m = &o->trace;
    if (m->sent_ns == 0)
        return; /* there was no token: nothing was sent */
    struct trace_span *s = child(o, o->looking_up ? TRACE_LOOKUP : TRACE_REQUEST, m->sent_ns);
    m->sent_ns = 0;
    if (s == NULL)
        return;
    memcpy(s->id, m->request, sizeof(s->id));
    bool fine = outcome == NULL && x->answered && x->status / 100 == 2; /* a page of a look-up */
    if (outcome != NULL) {
        enum verdict v = outcome->verdict;
        s->verdict = verdict_name(v);
        fine = v == VERDICT_CREATED || v == VERDICT_DUPLICATE || v == VERDICT_ABSENT;
    }
    s->method = method_of(o);
    s->status = x->status;
    s->failed = !fine;
    if (s->failed)
        s->error = error_of(x, s->verdict);
    set_server(s, o->account->base_url);
    tracer_put(o->consumer->worker->tracer);
}

void trace_decided(struct order *o, const struct decision *d) {
    static const char *const results[] = {[RESULT_NONE] = NULL,
                                          [RESULT_CREATED] = "created",
                                          [RESULT_DUPLICATE] = "duplicate",
                                          [RESULT_FAILED] = "failed"};
    struct trace_marks *m = &o->trace;
    m->decided_ns = clock_unix_ns();
    m->outcome = results[d->result] != NULL ? results[d->result] : settle_op_names[d->op];
    m->died = d->op == SETTLE_DEAD;
    m->reason = m->died ? d->reason : NULL;
}

/* An id with an escape or beyond ASCII is left out. */
static void set_job(struct trace_span *s, struct span id) {
    if (id.len >= sizeof(s->job))
        return;
    for (size_t i = 0; i < id.len; i++)
        if ((unsigned char)id.ptr[i] < 0x20 || (unsigned char)id.ptr[i] > 0x7e || id.ptr[i] == '\\')
            return;
    if (id.len > 0)
        memcpy(s->job, id.ptr, id.len);
}

static uint64_t pushed_ns(const struct order *o) {
    uint64_t pushed = o->envelope.enqueued_at_ms * 1000000u;
    return pushed > 0 && pushed < o->trace.claimed_ns ? pushed : o->trace.claimed_ns;
}

void trace_ended(struct order *o, const char *how) {
    struct trace_marks *m = &o->trace;
    struct tracer *t = o->consumer->worker->tracer;
    uint64_t start_ns = m->seen_before ? m->claimed_ns : pushed_ns(o);
    struct trace_span *s;
    if (m->decided_ns > 0 && child(o, TRACE_SETTLEMENT, m->decided_ns) != NULL)
        tracer_put(t);
    if (!m->seen_before && (s = child(o, TRACE_PICKUP, start_ns)) != NULL) {
        s->end_ns = m->claimed_ns;
        s->attempt = 0;
        tracer_put(t);
    }
    if ((s = child(o, TRACE_ORDER, start_ns)) != NULL) {
        s->root = !m->has_parent;
        s->remote = m->has_parent;
        memcpy(s->parent, m->parent, sizeof(s->parent));
        s->failed = m->died && how == NULL;
        s->outcome = how != NULL ? how : m->outcome;
        s->reason = how == NULL ? m->reason : NULL;
        set_job(s, o->envelope.id);
        tracer_put(t);
    }
    m->on = false;
}
