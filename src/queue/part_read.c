/* Reads settlements back out of a batch, which holds them as columns of RESP: what batch.c's
 * part_add_settlement wrote, item by item. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue/part.h"

const char *const settle_op_names[SETTLE_OPS] = {
    [SETTLE_DONE] = "done", [SETTLE_DEAD] = "dead", [SETTLE_RETRY] = "retry",
    [SETTLE_WAIT] = "wait", [SETTLE_BACK] = "back",
};

int settle_op_parse(struct span name) {
    for (int i = 0; i < SETTLE_OPS; i++)
        if (span_is(name, settle_op_names[i]))
            return i;
    return -1;
}

/* Takes the next bulk string; false at the end. */
static bool next_bulk(struct span *rest, struct span *bulk) {
    const char *line = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
    if (line == NULL || rest->ptr[0] != '$')
        return false;
    size_t len = strtoull(rest->ptr + 1, NULL, 10), head = (size_t)(line + 1 - rest->ptr);
    if (len > rest->len || head + len + 2 > rest->len)
        return false;
    *bulk = (struct span){rest->ptr + head, len};
    *rest = (struct span){rest->ptr + head + len + 2, rest->len - head - len - 2};
    return true;
}

static bool next_text(struct span *rest, char *out, size_t size) {
    struct span text;
    if (!next_bulk(rest, &text) || text.len >= size)
        return false;
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

static const char op_letters[] = "ODRWB"; /* in the order of enum settle_op */

/* "Oscreated", "Op:2:5000", which is cut into pieces. */
static bool read_op(struct part_reader *r, uint8_t place, struct settlement *s) {
    struct span text = distinct_text(&r->part->ops, place);
    char *op = r->op;
    if (text.len < 2 || text.len >= sizeof(r->op))
        return false;
    memcpy(op, text.ptr, text.len);
    op[text.len] = '\0';
    const char *letter = strchr(op_letters, op[0]);
    char *list = strchr(op + 2, ':'), *ms = list != NULL ? strchr(list + 1, ':') : NULL;
    if (letter == NULL || (list != NULL && ms == NULL))
        return false;
    s->op = (enum settle_op)(letter - op_letters);
    s->gate = op[1];
    s->gate_ms = ms != NULL && s->gate == 'p' ? strtoull(ms + 1, NULL, 10) : 0;
    s->gate_code = ms != NULL && s->gate != 'p' && ms[1] != '\0' ? ms + 1 : NULL;
    if (list != NULL && list + 1 != ms && !next_bulk(&r->lists, &s->results_key))
        return false;
    if (list != NULL)
        *list = '\0';
    s->counter = op[2] != '\0' ? op + 2 : NULL;
    return true;
}

/* What the next item shares with its run: account and op. */
static bool read_run(struct part_reader *r, struct settlement *s) {
    const struct part *b = r->part;
    if (r->run_left == 0) {
        if (r->run >= b->run_count || !next_text(&r->accounts, r->account, sizeof(r->account)))
            return false;
        r->run_left = b->runs[r->run++].count;
    }
    r->run_left--;
    s->account = r->account[0] != '\0' ? r->account : NULL;
    return read_op(r, b->runs[r->run - 1].what, s);
}

static bool read_claim(struct part_reader *r, struct claim *claim) {
    const struct part *b = r->part;
    if (r->at >= b->count)
        return false;
    const unsigned char *p = (const unsigned char *)b->places.data + 3 * (size_t)r->at++;
    struct span number = distinct_text(&b->batches, p[0]);
    *claim = (struct claim){.batch = strtoull(number.ptr, NULL, 10), .place = (uint16_t)(p[1] | p[2] << 8)};
    return true;
}

/* Due or dead_id, and body. */
static bool read_extras(struct part_reader *r, struct settlement *s) {
    if (s->op == SETTLE_DONE || s->op == SETTLE_BACK)
        return true;
    if (!next_text(&r->extras, r->dead_id, sizeof(r->dead_id)) || !next_bulk(&r->extras, &s->body))
        return false;
    s->dead_id = s->op == SETTLE_DEAD ? r->dead_id : NULL;
    s->due_ms = s->op == SETTLE_DEAD ? 0 : strtoull(r->dead_id, NULL, 10);
    return true;
}

void part_reader_init(struct part_reader *r, const struct part *b) {
    *r = (struct part_reader){.part = b,
                              .keys = buf_span(&b->keys),
                              .lists = buf_span(&b->more_keys),
                              .accounts = buf_span(&b->accounts),
                              .results = buf_span(&b->firsts),
                              .ledgers = buf_span(&b->ledgers),
                              .extras = buf_span(&b->extras)};
}

static struct span present(struct span s) {
    return s.len > 0 ? s : (struct span){NULL, 0};
}

bool part_read(struct part_reader *r, const struct queue_keys *k, struct settlement *s) {
    *s = (struct settlement){.op = SETTLE_DONE};
    if (!next_bulk(&r->keys, &s->ledger_key) || !read_claim(r, &s->claim) || !read_run(r, s) ||
        !next_bulk(&r->results, &s->result) || !next_bulk(&r->ledgers, &s->ledger) || !read_extras(r, s))
        return false;
    s->result = present(s->result);
    s->ledger = present(s->ledger);
    if (span_eq(s->ledger_key, k->key[KEY_JOBS]))
        s->ledger_key = (struct span){NULL, 0};
    return true;
}
