/* Outages: the providers are out for three hours, in one way after the other, at the defaults of the shipped
 * configuration, the breaker included. Each account has one order then. When it is over, the order must have been created
 * exactly once, without anyone's help; or be a dead letter `unknown_outcome`, where nothing proves what became of it
 * and dray therefore does not send it again.
 *
 * An order of each account is created before: an exact look-up is believed only where it finds a control. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

#include "dray/outcome.h"
#include "queue/gate.h"

#define MINUTE    (60 * SECOND)
#define OUTAGE    (180 * MINUTE)
#define AFTER_MAX (24 * 60 * MINUTE)
#define BEFORE    (20 * MINUTE) /* so that the control is as old as it must be */
#define CONTROL   0             /* the keys */
#define LONE      1

/* As few settings as there can be. Exact look-ups: VU's and the first http-json's, which is told to take its word for it (VU is by
 * default); the last two accounts have none. */
const char outage_settings[] =
    "[worker]\nname = sim\nspool_dir = %s/spool\n"
    "[queue qa]\n[queue qb]\n"
    "[account a0]\nqueue = qa\nprovider = kakaclo-v2\ntoken = t\nbase_url = http://a0.test\n"
    "[account a1]\nqueue = qa\nprovider = vu\nkey = k\nsecret = s\nbase_url = http://a1.test\n"
    "[account a2]\nqueue = qa\nprovider = http-json\nbase_url = http://a2.test\ncreate_path = /orders\nauth "
    "= none\n"
    "key_pointer = /ref\nid_pointer = /id\nlookup_path = /orders/{key}\nlookup_key_pointer = /ref\n"
    "lookup_id_pointer = /id\nlookup_absent_pointer = /message\nlookup_exact = yes\non_absent = retry\n"
    "[account a3]\nqueue = qb\nprovider = s2\ntoken = t\norganization = o\nbase_url = http://a3.test\n"
    "[account a4]\nqueue = qb\nprovider = kakaclo-custom\ntoken = t\nbase_url = http://a4.test\n"
    "[account a5]\nqueue = qb\nprovider = http-json\nbase_url = http://a5.test\ncreate_path = /orders\nauth "
    "= none\n"
    "key_pointer = /ref\nid_pointer = /id\n";

#define PAGE "<html><body><h1>We'll be back soon</h1></body></html>"

#define ALL(number) .status = (number), .look_status = (number)
#define WAITS(letter)                                                                                        \
    .want = "ccc", .free = true, .gate = (letter) /* it goes through, and no attempt was burned */
#define TRIES(letter) .want = "ccc", .gate = (letter)
#define UNCLEAR       .want = "cuu" /* whether it exists must be proved, or it stays unknown */
#define MADE          .want = "ccu", .makes = true

static const struct outage outages[] = {
    /* nothing of the order leaves */
    {"the name is not found", WAITS('b'), .phase = "resolve"},
    {"the connection is refused", WAITS('b'), .phase = "connect"},
    {"TLS fails", WAITS('b'), .phase = "tls"},
    {"the connection times out", WAITS('b'), .phase = "timeout"},
    {"our proxy: 407 to CONNECT", WAITS('h'), .phase = "connect", .proxy_status = 407},
    {"our proxy: 502 to CONNECT", WAITS('h'), .phase = "connect", .proxy_status = 502},
    {"our proxy: 407", WAITS('h'), ALL(407)},
    /* the peer says that the order did not get through, or shall come later */
    {"421", WAITS('b'), ALL(421)},
    {"511", WAITS('b'), ALL(511)},
    {"521", WAITS('b'), ALL(521)},
    {"522", WAITS('b'), ALL(522)},
    {"525", WAITS('b'), ALL(525)},
    {"429", WAITS('p'), ALL(429)},
    {"429, Retry-After: 30", WAITS('p'), ALL(429), .retry_after = "30"},
    {"429, Retry-After: 3.5", WAITS('p'), ALL(429), .retry_after = "3.5"},
    {"429, Retry-After: 9999", WAITS(0), ALL(429), .retry_after = "9999"},
    {"404", TRIES('b'), ALL(404)},
    {"425", TRIES('b'), ALL(425)},
    {"503", TRIES('b'), ALL(503)},
    {"503, Retry-After: 120", TRIES(0), ALL(503), .retry_after = "120"},
    {"503, Retry-After: 0.5", TRIES(0), ALL(503), .retry_after = "0.5"},
    /* the account is refused: held, and a probe from time to time */
    {"401", WAITS('h'), ALL(401)},
    {"403", WAITS('h'), ALL(403)},
    /* whether the order exists is unknown */
    {"500", UNCLEAR, ALL(500)},
    {"502", UNCLEAR, ALL(502)},
    {"504", UNCLEAR, ALL(504)},
    {"520", UNCLEAR, ALL(520)},
    {"408", UNCLEAR, ALL(408)},
    {"hangs up", UNCLEAR, ALL(0)},
    {"no answer", UNCLEAR, ALL(-1)},
    {"500, look-ups 429", UNCLEAR, .status = 500, .look_status = 429},
    {"500, look-ups 401", UNCLEAR, .status = 500, .look_status = 401},
    {"500, created", MADE, ALL(500)},
    {"504, created", MADE, ALL(504)},
    {"303, created", MADE, .status = 303, .look_status = 500},
    {"hangs up, created", MADE, ALL(0)},
    {"no answer, created", MADE, ALL(-1)},
    {"500, created, look-ups 429", MADE, .status = 500, .look_status = 429},
    /* what it takes to prove that an order does not exist is missing: another order of the account that does */
    {"500, the first order ever", .want = "uuu", ALL(500), .first = true},
    /* look-ups are answered, but not by the provider: six of them, and nobody knows. And a yes that is none */
    {"502, look-ups a router's 404", .want = "uuu", .status = 502, .look_status = 404},
    {"a web page, 200", .want = "uuu", ALL(200), .body = PAGE},
};

bool outage_bars(const struct http_call *c, struct http_exchange *x) {
    const struct outage *o = world.outage;
    if (o != NULL)
        world.asked[c->account][c->post]++;
    if (o == NULL || o->phase == NULL)
        return false;
    x->phase = o->phase;
    x->error = o->name;
    x->proxy_status = o->proxy_status;
    return true;
}

bool outage_answers(struct http_call *c) {
    const struct outage *o = world.outage;
    if (o == NULL)
        return false;
    long status = c->post ? o->status : o->look_status;
    if (c->post && o->makes)
        provider_creates(c);
    c->status = status;
    if (o->body != NULL)
        buf_add_str(&c->answer, o->body);
    if (o->retry_after != NULL)
        snprintf(c->retry_after, sizeof(c->retry_after), "%s", o->retry_after);
    if (status < 0)
        c->land_until_ns = 0;
    else
        c->state = status == 0 ? CALL_BROKEN : CALL_ANSWERED;
    return true;
}

static char kind_of(unsigned account) {
    enum lookup_kind kind = provider_lookup_kind(world.config->accounts[account]);
    return kind == LOOKUP_EXACT ? 0 : kind == LOOKUP_NONE ? 2 : 1;
}

/* The lone order's job: the last that was pushed for the account. */
static const struct sim_job *job_of(unsigned account) {
    return &world.jobs[world.job_count - ACCOUNTS + account];
}

static bool waits(unsigned account) {
    return job_of(account)->place[0] != 'r' && job_of(account)->place[0] != 'd';
}

static void play(uint64_t until_ns) {
    while (!world.failed && world.now_ns < until_ns)
        if (!step() && !advance_to_next_event())
            sim_fail("nothing moves");
}

/* Returns how long it took until the last order was created. */
static uint64_t play_to_rest(void) {
    uint64_t began = world.now_ns, last = began;
    unsigned made = 0;
    while (!world.failed && world.now_ns < began + AFTER_MAX && !at_rest()) {
        unsigned n = 0;
        if (!step() && !advance_to_next_event())
            sim_fail("nothing moves");
        for (unsigned a = 0; a < ACCOUNTS; a++)
            n += strcmp(job_of(a)->place, "r") == 0;
        if (n > made)
            made = n, last = world.now_ns;
    }
    if (!at_rest())
        sim_fail("not at rest a day after it");
    return last - began;
}

static void push_everywhere(unsigned key) {
    for (unsigned a = 0; a < ACCOUNTS; a++)
        job_push(a, key);
}

static char gate_mode(unsigned account) {
    char key[64];
    struct gate gate;
    job_queue_key(queue_names[account_queue(account)], "accounts", key, sizeof(key));
    redisReply *r = server_command("HGET %s a%u", key, account);
    bool there = r->type == REDIS_REPLY_STRING;
    gate_read(there ? (struct span){r->str, r->len} : (struct span){NULL, 0}, &gate);
    freeReplyObject(r);
    return gate.mode;
}

static bool says_one_attempt(unsigned account) {
    char key[64], mark[16];
    bool one = false;
    job_queue_key(queue_names[account_queue(account)], "results", key, sizeof(key));
    snprintf(mark, sizeof(mark), "~%u~", (unsigned)(job_of(account) - world.jobs));
    redisReply *r = server_command("LRANGE %s 0 -1", key);
    for (size_t i = 0; i < r->elements; i++)
        one |=
            strstr(r->element[i]->str, mark) != NULL && strstr(r->element[i]->str, "\"attempts\":1,") != NULL;
    freeReplyObject(r);
    return one;
}

static void check_outage(const struct outage *o) {
    for (unsigned a = 0; a < ACCOUNTS; a++) {
        if (o->want[(int)kind_of(a)] == 'c' && !waits(a))
            sim_fail("a%u's order ended in the midst of it", a);
        if (o->gate != 0 && gate_mode(a) != o->gate)
            sim_fail("a%u's gate is '%c', not '%c'", a, gate_mode(a), o->gate);
    }
}

/* Against the provider's own ledger. */
static void check_end(const struct outage *o) {
    for (unsigned a = 0; a < ACCOUNTS; a++) {
        char want = o->want[(int)kind_of(a)], key[64];
        const struct sim_job *j = job_of(a);
        unsigned made = world.made[a][LONE].count;
        bool created = strcmp(j->place, "r") == 0;
        if (made != (want == 'c' || o->makes ? 1u : 0u))
            sim_fail("a%u's order was created %u times", a, made);
        if (created != (want == 'c'))
            sim_fail("a%u's order is in '%s'", a, j->place);
        if (o->free && !says_one_attempt(a))
            sim_fail("a%u's order burned attempts", a);
        job_queue_key(queue_names[account_queue(a)], "dead:entries", key, sizeof(key));
        redisReply *r = server_command("HVALS %s", key);
        for (size_t i = 0; i < r->elements; i++)
            if (strstr(r->element[i]->str, "\"reason\":\"unknown_outcome\"") == NULL)
                sim_fail("a dead letter of another reason: %.300s", r->element[i]->str);
        freeReplyObject(r);
    }
    audit_at_rest();
}

/* Requests during the outage, and how long after it the last order was created. */
static void tell(const struct outage *o, uint64_t after_ns) {
    printf("%-30s", o->name);
    for (unsigned a = 0; a < ACCOUNTS; a++)
        printf(" %4u+%-4u%c", world.asked[a][true], world.asked[a][false], o->want[(int)kind_of(a)]);
    printf(" %5llu min\n", (unsigned long long)(after_ns / MINUTE));
}

static void run(const struct outage *o, uint64_t seed) {
    world_begin(seed);
    world.settling = true; /* no other faults */
    worker_start();
    while (!world.failed && !all_running())
        if (!step())
            advance_to_next_event();
    if (!o->first)
        push_everywhere(CONTROL);
    play(BEFORE);
    note("the outage begins: %s", o->name);
    world.outage = o;
    push_everywhere(LONE);
    uint64_t until = world.now_ns + OUTAGE;
    play(until);
    check_outage(o);
    note("the outage is over");
    world.outage = NULL;
    uint64_t after_ns = play_to_rest();
    if (!world.failed)
        check_end(o);
    tell(o, after_ns);
    world_end();
}

bool outages_run(void) {
    bool held = true;
    printf("%-30s", "orders and look-ups sent in it");
    for (unsigned a = 0; a < ACCOUNTS; a++)
        printf(" %-10.10s", world.config->accounts[a]->provider->name);
    printf(" created after\n");
    for (size_t i = 0; i < sizeof(outages) / sizeof(outages[0]); i++) {
        run(&outages[i], 1000 + i);
        if (!world.failed)
            continue;
        trace_print();
        printf("%s FAILS: %s\n", outages[i].name, world.failure);
        held = false;
    }
    return held;
}
