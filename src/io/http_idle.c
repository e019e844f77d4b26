/* HTTP idle: how long a connection may have been idle and still carry a request. If the server closes it in
 * that moment, nobody knows what became of the order.
 *
 * Two times are known of a host: `kept_ms`, after which one of its connections was seen still open, and
 * `closed_ms`, after which it closed one. A connection
 * - carries no request after the target's own bound, nor after half of `closed_ms`;
 * - before that it does, if it was idle for no longer than FLOOR_MS and the server promised nothing;
 * - else it does as long as the host surely keeps it, less the time of the way there and back: by its Keep-Alive header, or
 *   because one was seen open after that time.
 * A connection that is too old for a request stays open for a while, so that its close can be learned from, and
 * the request takes a new one.
 *
 * Failure modes: a server that changes its mind. Its first close teaches; after minutes without another close
 * the limit grows again, step by step. */
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "io/http_internal.h"

#define FLOOR_MS      250
#define MARGIN_MS     50
#define RELAX_MS      60000 /* without a further close, `closed_ms` doubles */
#define CLOSED_MAX_MS 60000 /* above, it is forgotten */
#define LOOKED_AT     32    /* idle connections that one request looks at */

uint64_t http_now_ms(void) {
    return uv_hrtime() / 1000000;
}

static struct http_host *host_new(struct http_pool *pool, const char *name, size_t n) {
    struct http_host *h = calloc(1, sizeof(*h) + n + 1);
    if (h == NULL)
        return NULL;
    memcpy(h->name, name, n + 1);
    TAILQ_INIT(&h->idle);
    LIST_INSERT_HEAD(&pool->hosts, h, link);
    return h;
}

/* Few, because there is one for each place that targets lead to. They live as long as the pool. */
struct http_host *http_idle_host(struct http_pool *pool, const struct http_target *t) {
    struct http_host *h;
    struct buf name;
    buf_init(&name, 16u << 10);
    buf_addf(&name, "%s:%s", t->host, t->port);
    if (t->proxy != NULL)
        buf_addf(&name, " through a proxy");
    const char *text = buf_cstr(&name);
    LIST_FOREACH(h, &pool->hosts, link)
    if (strcmp(h->name, text) == 0)
        break;
    if (h == NULL && buf_ok(&name))
        h = host_new(pool, text, strlen(text));
    buf_deinit(&name);
    return h;
}

void http_idle_free(struct http_pool *pool) {
    struct http_host *h;
    while ((h = LIST_FIRST(&pool->hosts)) != NULL) {
        LIST_REMOVE(h, link);
        free(h);
    }
}

void http_idle_closed(struct http_host *h, uint64_t idle_ms) {
    if (h->kept_ms > idle_ms)
        h->kept_ms = idle_ms;
    if (h->closed_ms == 0 || h->closed_ms > idle_ms)
        h->closed_ms = idle_ms > 0 ? idle_ms : 1;
    h->closed_at_ms = http_now_ms();
}

static void relax(struct http_host *h, uint64_t now_ms) {
    while (h->closed_ms > 0 && now_ms - h->closed_at_ms >= RELAX_MS) {
        h->closed_at_ms += RELAX_MS;
        h->closed_ms = h->closed_ms * 2 < CLOSED_MAX_MS ? h->closed_ms * 2 : 0;
    }
}

/* A request that leaves now must arrive before the server gives the connection up, `kept` after its last
 * answer. The round trip that TCP measures may end at a proxy in front of the server, but no answer takes less
 * than the whole way. */
static uint64_t margin_ms(const struct http_conn *k, uint64_t kept) {
    struct tcp_info info = {0};
    socklen_t n = sizeof(info);
    if (getsockopt(k->fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0)
        return 1000;
    uint64_t way = (info.tcpi_rtt + 2ull * info.tcpi_rttvar) / 1000;
    /* of a slow answer most is not the way */
    uint64_t answer = k->answer_ms < kept / 2 ? k->answer_ms : kept / 2;
    return (way > answer ? way : answer) + MARGIN_MS;
}

static uint64_t less(uint64_t a, uint64_t b) {
    return a > b ? a - b : 0;
}

bool http_idle_allows(const struct http_conn *k, const struct http_target *t, uint64_t now_ms) {
    struct http_host *h = k->host;
    uint64_t idle = now_ms - k->idle_since_ms;
    relax(h, now_ms);
    if (idle > t->idle_reuse_ms || (h->closed_ms > 0 && idle > h->closed_ms / 2))
        return false;
    if (k->keep_ms == 0 && idle <= FLOOR_MS)
        return true;
    uint64_t kept = k->keep_ms > 0 ? k->keep_ms : h->kept_ms;
    return idle <= less(kept, margin_ms(k, kept));
}

/* It is still open after that time, so the host keeps connections at least that long. */
static void learn(struct http_conn *k, uint64_t idle_ms) {
    if (idle_ms > k->host->kept_ms && http_silence(k) == LOOK_SILENT)
        k->host->kept_ms = idle_ms;
}

/* A connection that is too old for its host's next request shows for a while how long the host keeps one. */
static uint64_t scout_ms(const struct http_target *t) {
    return 2 * t->idle_reuse_ms + 1000;
}

/* Whether one of the host's idle connections is the call's to use. */
static bool one_serves(const struct http_call *c, uint64_t now_ms) {
    struct http_conn *k, *older;
    int looked = 0;
    for (k = TAILQ_FIRST(&c->bound->where->idle); k != NULL; k = older) {
        older = TAILQ_NEXT(k, idle_link);
        if (++looked > LOOKED_AT)
            return true; /* whichever it is, it is looked at before anything is sent */
        if (k->multi != c->multi || !http_idle_allows(k, c->bound, now_ms))
            continue;
        if (!c->pool->looks_itself || http_silence(k) != LOOK_TALKS)
            return true;
        http_silence_stray(k);
    }
    return false;
}

/* Connections that are too old for this call's target, the oldest first. They stay to be learned from, and are
 * closed when they can teach nothing more. */
static void look_at_old(const struct http_call *c, uint64_t now_ms, bool spare) {
    const struct http_target *t = c->bound;
    struct http_conn *k, *newer;
    int looked = 0;
    for (k = TAILQ_LAST(&t->where->idle, http_idle_conns); k != NULL && looked++ < LOOKED_AT; k = newer) {
        newer = TAILQ_PREV(k, http_idle_conns, idle_link);
        if (spare && k->multi != c->multi)
            continue;
        uint64_t idle = now_ms - k->idle_since_ms;
        if (http_idle_allows(k, t, now_ms))
            return;
        learn(k, idle);
        if (spare || idle > scout_ms(t))
            http_conn_spoil(k); /* libcurl must not choose it */
    }
}

bool http_idle_none(const struct http_call *c, uint64_t now_ms) {
    if (c->bound->idle_reuse_ms == 0)
        return true;
    /* Each look asks the kernel: a burst of requests learns no more than its first. */
    if (c->bound->where->looked_ms != now_ms)
        look_at_old(c, now_ms, false);
    c->bound->where->looked_ms = now_ms;
    bool serves = one_serves(c, now_ms);
    if (serves)
        look_at_old(c, now_ms, true);
    return !serves;
}
