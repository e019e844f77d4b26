#include "worker/render.h"

#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX 1024 /* bytes: dray's own words and what was said */

/* ids as a JSON array of strings: a number's digits and a string's escapes stay as they were. */
static void add_ids(struct buf *out, const struct render_known *known) {
    if (known->ledger_entry.ptr != NULL) {
        struct span e = known->ledger_entry;
        const char *ids = memchr(e.ptr, '[', e.len);
        if (ids != NULL)
            buf_add(out, ids, e.len - (size_t)(ids - e.ptr));
        else
            buf_add_str(out, "[]");
        return;
    }
    buf_add_char(out, '[');
    for (uint32_t i = 0; known->outcome != NULL && i < known->outcome->id_count; i++) {
        buf_add_str(out, i > 0 ? ",\"" : "\"");
        buf_add_span(out, known->outcome->ids[i]);
        buf_add_char(out, '"');
    }
    buf_add_char(out, ']');
}

/* The first id, quotes and all, out of the array that starts at `from`; "null" where it is empty. */
static void add_first_id(struct buf *out, const struct render_known *known) {
    struct span first = {NULL, 0};
    if (known->ledger_entry.ptr != NULL) {
        const char *at = memchr(known->ledger_entry.ptr, '[', known->ledger_entry.len);
        const char *end = known->ledger_entry.ptr + known->ledger_entry.len;
        if (at != NULL && at + 2 < end && at[1] == '"') {
            const char *p = at + 2;
            while (p < end && *p != '"')
                p += *p == '\\' ? 2 : 1;
            if (p < end)
                first = (struct span){at + 2, (size_t)(p - at - 2)};
        }
    } else if (known->outcome != NULL && known->outcome->id_count > 0) {
        first = known->outcome->ids[0];
    }
    if (first.ptr == NULL) {
        buf_add_str(out, "null");
        return;
    }
    buf_add_char(out, '"');
    buf_add_span(out, first);
    buf_add_char(out, '"');
}

static void add_key(struct buf *out, struct span key) {
    if (key.ptr == NULL)
        buf_add_str(out, "null");
    else
        buf_add_json_str(out, key);
}

/* {"reason":…,"code":…,"message":…[,"faults":[…]][,"dead_id":…]} */
static void add_error(struct buf *out, const struct decision *d, const struct render_known *known,
                      const struct faults *faults, const char *dead_id) {
    const char *message = d->message;
    if (message == NULL && faults != NULL && faults->count > 0)
        message = NULL;
    else if (message == NULL)
        message = known->outcome != NULL ? known->outcome->message : "";
    buf_add_str(out, "{\"reason\":\"");
    buf_add_str(out, d->reason);
    buf_add_str(out, "\",\"code\":");
    buf_add_json_str(out, span_str(d->code));
    buf_add_str(out, ",\"message\":");
    char text[MESSAGE_MAX];
    if (message != NULL && d->tell_said && d->header.said.len > 0) {
        snprintf(text, sizeof(text), "%s: %.*s", message, (int)d->header.said.len, d->header.said.ptr);
        message = text;
    }
    buf_add_json_str(out, message != NULL ? span_str(message) : buf_span(&faults->first));
    if (faults != NULL && faults->count > 0) {
        buf_add_str(out, ",\"faults\":[");
        buf_add_span(out, buf_span(&faults->list));
        buf_add_char(out, ']');
    }
    if (dead_id != NULL) {
        buf_add_str(out, ",\"dead_id\":\"");
        buf_add_str(out, dead_id);
        buf_add_char(out, '"');
    }
    buf_add_char(out, '}');
}

void render_attempt(struct buf *out, const struct render_attempt *a) {
    const struct outcome *o = a->outcome;
    buf_add_str(out, "{\"at\":");
    buf_add_u64(out, a->at_ms);
    if (a->times > 1) {
        buf_addf(out, ",\"times\":%u,\"since\":", a->times);
        buf_add_u64(out, a->since_ms);
    }
    if (a->lookup)
        buf_add_str(out, a->control ? ",\"lookup\":true,\"control\":true" : ",\"lookup\":true");
    buf_add_str(out, ",\"http_status\":");
    buf_add_i64(out, o->http_status);
    buf_add_str(out, ",\"code\":");
    buf_add_json_str(out, span_str(o->code));
    buf_add_str(out, ",\"message\":");
    buf_add_json_str(out, span_str(o->message));
    buf_add_str(out, ",\"ms\":");
    buf_add_u64(out, a->ms);
    buf_add_str(out, ",\"answer\":");
    size_t kept = a->answer.len < ANSWER_KEPT ? a->answer.len : ANSWER_KEPT;
    buf_add_json_str(out, (struct span){a->answer.ptr != NULL ? a->answer.ptr : "", kept});
    buf_add_char(out, '}');
}

static const char *status_name(enum result_status s) {
    return s == RESULT_CREATED ? "created" : s == RESULT_DUPLICATE ? "duplicate" : "failed";
}

/* Of a split order, what the answer says of each: [{"order_id":…,"order":{…}},…]. */
static void add_parts(struct buf *out, const struct outcome *o) {
    buf_add_char(out, '[');
    for (uint32_t i = 0; o != NULL && o->part_count > 1 && i < o->part_count; i++) {
        buf_add_str(out, i > 0 ? ",{\"order_id\":\"" : "{\"order_id\":\"");
        buf_add_span(out, o->ids[i]);
        buf_add_str(out, "\",\"order\":");
        buf_add_span(out, o->parts[i]);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

static void add_known(struct buf *out, const struct render_known *known) {
    buf_add_str(out, ",\"order_id\":");
    add_first_id(out, known);
    buf_add_str(out, ",\"order_ids\":");
    add_ids(out, known);
    buf_add_str(out, ",\"order\":");
    if (known->outcome != NULL && known->outcome->order.ptr != NULL)
        buf_add_span(out, known->outcome->order);
    else
        buf_add_str(out, "null");
    buf_add_str(out, ",\"parts\":");
    add_parts(out, known->outcome);
}

void render_result(struct buf *out, const struct render_job *job, const struct decision *d,
                   const struct render_known *known, const struct faults *faults, const char *dead_id) {
    const struct envelope *e = job->envelope;
    buf_add_str(out, "{\"id\":\"");
    buf_add_span(out, e->id);
    buf_add_str(out, "\",\"status\":\"");
    buf_add_str(out, status_name(d->result));
    buf_add_str(out, "\",\"provider\":");
    add_key(out, job->account != NULL ? span_str(job->account->provider->name) : (struct span){NULL, 0});
    buf_add_str(out, ",\"account\":");
    add_key(out, job->account != NULL ? span_str(job->account->name) : (struct span){NULL, 0});
    buf_add_str(out, ",\"queue\":\"");
    buf_add_str(out, job->queue);
    buf_add_str(out, "\",\"order_key\":");
    add_key(out, e->order_key);
    add_known(out, known);
    buf_add_str(out, ",\"error\":");
    if (d->result == RESULT_FAILED)
        add_error(out, d, known, faults, dead_id);
    else
        buf_add_str(out, "null");
    buf_add_str(out, ",\"warnings\":[");
    if (job->warnings.len > 0)
        buf_add_span(out, job->warnings);
    buf_add_str(out, "],\"attempts\":");
    buf_add_u64(out, job->header->attempts);
    buf_add_str(out, ",\"http_status\":");
    if (known->outcome != NULL && known->outcome->http_status > 0)
        buf_add_i64(out, known->outcome->http_status);
    else
        buf_add_str(out, "null");
    buf_add_str(out, ",\"enqueued_at\":");
    if (e->enqueued_at_ms > 0)
        buf_add_u64(out, e->enqueued_at_ms);
    else
        buf_add_str(out, "null");
    buf_add_str(out, ",\"finished_at\":");
    buf_add_u64(out, job->now_ms);
    buf_add_str(out, ",\"duration_ms\":");
    buf_add_u64(out, job->now_ms > job->claimed_ms ? job->now_ms - job->claimed_ms : 0);
    buf_add_str(out, ",\"meta\":");
    if (e->meta.ptr != NULL)
        buf_add_span(out, e->meta);
    else
        buf_add_str(out, "null");
    buf_add_char(out, '}');
}

static void add_base64(struct buf *out, struct span s) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)s.ptr;
    buf_reserve(out, (s.len + 2) / 3 * 4);
    for (size_t i = 0; i < s.len; i += 3) {
        size_t n = s.len - i < 3 ? s.len - i : 3;
        uint32_t v = (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0u);
        char q[4] = {digits[v >> 18], digits[v >> 12 & 63], n > 1 ? digits[v >> 6 & 63] : '=',
                     n > 2 ? digits[v & 63] : '='};
        buf_add(out, q, sizeof(q));
    }
}

void render_dead(struct buf *out, const struct render_job *job, const struct decision *d,
                 const struct render_known *known, const struct faults *faults, struct span history,
                 const char *dead_id) {
    const struct envelope *e = job->envelope;
    bool text = utf8_valid(e->raw.ptr, e->raw.len);
    buf_add_str(out, "{\"dead_id\":\"");
    buf_add_str(out, dead_id);
    buf_add_str(out, "\",\"reason\":\"");
    buf_add_str(out, d->reason);
    buf_add_str(out, "\",\"queue\":\"");
    buf_add_str(out, job->queue);
    buf_add_str(out, "\",\"account\":");
    add_key(out, job->account != NULL ? span_str(job->account->name) : (struct span){NULL, 0});
    buf_add_str(out, ",\"order_key\":");
    add_key(out, e->order_key);
    buf_add_str(out, ",\"id\":");
    if (e->id.ptr != NULL) {
        buf_add_char(out, '"');
        buf_add_span(out, e->id);
        buf_add_char(out, '"');
    } else {
        buf_add_str(out, "null");
    }
    buf_add_str(out, ",\"died_at\":");
    buf_add_u64(out, job->now_ms);
    buf_add_str(out, ",\"worker\":");
    buf_add_json_str(out, span_str(job->worker));
    buf_add_str(out, ",\"error\":");
    add_error(out, d, known, faults, NULL);
    buf_add_str(out, ",\"attempts\":[");
    buf_add_span(out, history);
    buf_add_str(out, "],\"job\":");
    if (text) {
        buf_add_json_str(out, e->raw);
    } else {
        buf_add_str(out, "null,\"job_base64\":\"");
        add_base64(out, e->raw);
        buf_add_char(out, '"');
    }
    buf_add_char(out, '}');
}

void render_ledger(struct buf *out, enum ledger_change change, const char *hash,
                   const struct render_known *known, uint64_t now_ms, const char *dead_id) {
    static const char letters[] = {[LEDGER_CREATED] = 'C', [LEDGER_LOOKUP] = 'L', [LEDGER_UNKNOWN] = 'U'};
    if (change == LEDGER_KEEP)
        return;
    if (change == LEDGER_DROP) {
        buf_add_char(out, 'D');
        return;
    }
    buf_add_char(out, letters[change]);
    buf_add_char(out, ' ');
    buf_add_str(out, hash);
    buf_add_char(out, ' ');
    buf_add_u64(out, now_ms);
    if (change == LEDGER_CREATED) {
        buf_add_char(out, ' ');
        add_ids(out, known);
    } else if (change == LEDGER_UNKNOWN) {
        buf_add_char(out, ' ');
        buf_add_str(out, dead_id);
    }
}
