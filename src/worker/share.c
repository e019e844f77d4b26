/* Who may take a slot: the accounts of a queue share its `concurrency`.
 *
 * No slot is idle while a job that may go waits: an account uses all of them as long as no other has work. But an account
 * that hangs may not take the last ones from others that have: as many are kept for these, up to half of all, as were seen
 * in the last RECENT and have nothing under way now. Only from an account that hangs: slots of one that is answered come free
 * soon enough. Where such requests hold all slots, the queue is looked through all the same, now and then: what may
 * not go is moved aside to its account's waiting list, so that the jobs behind it are seen, and the next slot is theirs. */
#include "worker/share.h"

#define RESERVE_SHARE 2 /* at most concurrency / this many slots are kept for others */
#define RECENT_NS     10000000000ull
#define SLOW_NS       1000000000ull /* an account whose last request took that long hangs */
#define QUICK_NS      100000000ull  /* none hangs before that */
#define LOOK_NS       250000000ull  /* between two looks through a queue whose slots are all taken */
#define LOOK_MORE_NS  25000000ull   /* the same, where there was more to see */
#define LOOK_MOST     64            /* jobs of one look */
#define NO_SLOT_MS    50  /* a job that found no slot is looked at again after this: a slot may come free */
#define KEPT_MS       250 /* the same where the free ones are kept for others */

static void unlist(struct port *port) {
    struct lane *lane = port->lane;
    if (!port->listed)
        return;
    *(port->older != NULL ? &port->older->newer : &lane->idle_first) = port->newer;
    *(port->newer != NULL ? &port->newer->older : &lane->idle_last) = port->older;
    port->older = port->newer = NULL;
    port->listed = false;
    lane->idle_recent--;
}

/* It had work just now, and has nothing under way. */
static void list(struct port *port, uint64_t now_ns) {
    struct lane *lane = port->lane;
    unlist(port);
    port->idle_ns = now_ns;
    port->older = lane->idle_last;
    *(lane->idle_last != NULL ? &lane->idle_last->newer : &lane->idle_first) = port;
    lane->idle_last = port;
    port->listed = true;
    lane->idle_recent++;
}

void share_forget(struct port *port) {
    unlist(port);
}

void share_began(struct port *port) {
    if (port->active++ > 0)
        return;
    unlist(port);
    port->stir_ns = clock_boot_ns();
}

void share_ended(struct port *port, uint64_t began_ns) {
    uint64_t now = clock_boot_ns();
    port->stir_ns = now;
    if (began_ns != 0)
        port->took_ns = now - began_ns;
    if (--port->active == 0 && port->current)
        list(port, now);
}

/* Nothing came for twice as long as its last request took, and for `least`; or that was long. */
static bool hangs(const struct port *port, uint64_t now_ns, uint64_t least) {
    uint64_t quiet = 2 * port->took_ns > least ? 2 * port->took_ns : least;
    return port->active > 0 && (port->took_ns >= SLOW_NS || now_ns - port->stir_ns >= quiet);
}

static uint32_t under_way(const struct lane *lane) {
    return lane->orders[ORDER_BEGINNING].count + lane->orders[ORDER_SENDING].count;
}

static uint32_t kept_for_others(struct lane *lane, uint64_t now_ns) {
    while (lane->idle_first != NULL && now_ns - lane->idle_first->idle_ns > RECENT_NS)
        unlist(lane->idle_first);
    uint32_t most = lane->config->concurrency / RESERVE_SHARE;
    return lane->idle_recent < most ? lane->idle_recent : most;
}

uint64_t share_wait_ms(struct port *port) {
    struct lane *lane = port->lane;
    const struct worker *w = lane->worker;
    uint64_t now = clock_boot_ns();
    uint32_t used = under_way(lane), all = lane->config->concurrency;
    if (used >= all || w->active >= w->boot->max_inflight) {
        if (port->active == 0 && port->current)
            list(port, now); /* the next slot may be its */
        return NO_SLOT_MS;
    }
    bool keeps = port->active > 0 && lane->idle_recent > 0 && hangs(port, now, QUICK_NS) &&
                 used + kept_for_others(lane, now) >= all;
    return keeps ? KEPT_MS : 0;
}

static bool one_hangs(const struct lane *lane, uint64_t now_ns) {
    for (uint32_t i = 0; i < lane->port_count; i++)
        if (hangs(lane->ports[i], now_ns, SLOW_NS))
            return true;
    return false;
}

uint32_t share_look_due(struct lane *lane, uint64_t now_ns) {
    if (lane->port_count < 2 || under_way(lane) < lane->config->concurrency) {
        lane->full_look_ns = 0;
        return 0;
    }
    if (lane->full_look_ns == 0)
        lane->full_look_ns = now_ns + LOOK_NS;
    if (now_ns < lane->full_look_ns)
        return 0;
    bool look = one_hangs(lane, now_ns);
    lane->full_look_ns = now_ns + (look && lane->more ? LOOK_MORE_NS : LOOK_NS);
    return look ? LOOK_MOST : 0;
}
