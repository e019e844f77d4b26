/* `dray dead export` and `dray dead import`: letters as lines of JSON, for a move to another Redis,
 * for keeping, for `jq`. An export changes nothing; an import takes each letter once, however often
 * it is given. */
#include "cli/dead.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/json_tree.h"

#define LINE_MAX_BYTES (512u << 20)

static int export_batch(struct dead *d, const char *const *ids, const redisReply *letters, void *arg) {
    (void)ids, (void)arg;
    for (size_t i = 0; i < letters->elements; i++) {
        const redisReply *r = letters->element[i];
        if (r->type == REDIS_REPLY_STRING &&
            (fwrite(r->str, 1, r->len, stdout) != r->len || putchar('\n') == EOF)) {
            d->s.code = cli_fail(d->s.verb, "stdout: %s", strerror(errno));
            return -1;
        }
    }
    return 0;
}

int dead_export(struct dead *d) {
    if (dead_select(d) < 0 || dead_batches(d, "exporting", export_batch, NULL) < 0)
        return d->s.code;
    return fflush(stdout) == 0 ? EXIT_FINE : cli_fail(d->s.verb, "stdout: %s", strerror(errno));
}

struct import {
    struct buf keys, args, scratch;
    size_t n;
    uint64_t added, there;
};

static int send_import(struct dead *d, struct import *m) {
    static const enum queue_key fixed[] = {KEY_DEAD, KEY_DEAD_ENTRIES, KEY_STATS};
    struct session *s = &d->s;
    if (m->n == 0)
        return 0;
    session_begin(s, SCRIPT_DEAD_IMPORT, 3 + m->n, 4 * m->n);
    session_keys(s, fixed, 3);
    buf_add_span(&s->cmd, buf_span(&m->keys));
    buf_add_span(&s->cmd, buf_span(&m->args));
    if (!buf_ok(&m->keys) || !buf_ok(&m->args) || !buf_ok(&m->scratch))
        s->cmd.failed = true;
    redisReply *r = d->o.dry_run ? NULL : session_call(s, SCRIPT_DEAD_IMPORT);
    if (r == NULL && !d->o.dry_run)
        return -1;
    for (size_t i = 0; r != NULL && i < r->elements; i++)
        strcmp(r->element[i]->str, "OK") == 0 ? m->added++ : m->there++;
    m->added += d->o.dry_run ? m->n : 0;
    freeReplyObject(r);
    m->n = 0;
    buf_reset(&m->keys);
    buf_reset(&m->args);
    return 0;
}

/* If a letter's order may exist, its order key is closed on the new Redis too. */
static void add_ledger(struct dead *d, struct import *m, struct letter *l) {
    char hash[33];
    bool closes = letter_is_unknown(l) && letter_order_hash(l, hash);
    buf_reset(&m->scratch);
    letter_ledger_key(&d->s.keys, l, &m->scratch);
    redis_resp_arg(&m->keys, buf_span(&m->scratch));
    buf_reset(&m->scratch);
    if (closes) {
        buf_addf(&m->scratch, "U %s %" PRId64 " ", hash, l->died_at);
        buf_add_span(&m->scratch, l->id);
    }
    redis_resp_arg(&m->args, buf_span(&m->scratch));
}

static int add_line(struct dead *d, struct import *m, struct span line, uint64_t number) {
    struct letter *l = &d->letter;
    char id[128];
    letter_read(l, (struct span){NULL, 0}, line);
    uint32_t node = l->readable ? json_get(&l->doc, 0, "dead_id") : JSON_NONE;
    int n = node != JSON_NONE ? json_copy(&l->doc, node, id, sizeof(id)) : -1;
    if (n <= 0 || l->reason.ptr == NULL || l->died_at <= 0) {
        d->s.code =
            cli_fail(d->s.verb, "line %" PRIu64 " is no dead letter; %" PRIu64 " before it were taken in",
                     number, m->added + m->there + m->n);
        return -1;
    }
    l->id = (struct span){id, (size_t)n};
    redis_resp_arg(&m->args, l->id);
    redis_resp_u64(&m->args, (uint64_t)l->died_at);
    redis_resp_arg(&m->args, line);
    add_ledger(d, m, l);
    m->n++;
    return m->n == DEAD_BATCH || m->args.len > (8u << 20) ? send_import(d, m) : 0;
}

static int import_lines(struct dead *d, struct import *m, FILE *f) {
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    uint64_t number = 0;
    int rc = 0;
    while (rc == 0 && (n = getline(&line, &size, f)) >= 0) {
        number++;
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
            n--;
        if (n > 0)
            rc = add_line(d, m, (struct span){line, (size_t)n}, number);
    }
    if (rc < 0)
        send_import(d, m); /* what came before the bad line */
    else if (ferror(f))
        rc = -1, d->s.code = cli_fail(d->s.verb, "reading: %s", strerror(errno));
    else
        rc = send_import(d, m);
    free(line);
    return rc;
}

int dead_import(struct dead *d) {
    const char *path = d->o.id_count > 0 ? d->o.ids[0] : "-";
    struct import m = {.n = 0};
    if (d->o.id_count > 1)
        return cli_usage(d->s.verb, "import takes one FILE");
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (f == NULL)
        return cli_fail(d->s.verb, "%s: %s", path, strerror(errno));
    buf_init(&m.keys, LINE_MAX_BYTES);
    buf_init(&m.args, LINE_MAX_BYTES);
    buf_init(&m.scratch, LINE_MAX_BYTES);
    int rc = import_lines(d, &m, f);
    if (f != stdin)
        fclose(f);
    buf_deinit(&m.keys);
    buf_deinit(&m.args);
    buf_deinit(&m.scratch);
    if (!d->o.json) {
        printf("%" PRIu64 " imported, %" PRIu64 " were there already\n", m.added, m.there);
        return rc < 0 ? d->s.code : EXIT_FINE;
    }
    cJSON *o = cJSON_CreateObject();
    tree_add_text(o, "queue", span_str(d->o.queue));
    tree_add_u64(o, "imported", m.added);
    tree_add_u64(o, "there_already", m.there);
    int printed = cli_print_json(d->s.verb, o);
    return rc < 0 ? d->s.code : printed;
}
