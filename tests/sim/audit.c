/* What must hold after every step, and what at rest. The state is read by audit.lua in the same
 * round trip as the command that changed it, so that what the last audit saw is what the next
 * command met. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    bool lease_alive;
    bool held[CLAIMS_MAX];    /* of each job to begin: the token was this worker's */
    bool settles[CLAIMS_MAX]; /* … to settle */
    unsigned claims;
} before;

static uint64_t redis_now_ms(void) {
    return START_UNIX_MS + world.now_ns / MS;
}

static bool place_ok(const char *place, const struct sim_job *j) {
    static const char *const places[] = {"j", "t", "i", "p", "r", "df"};
    if (world.forgot && strcmp(place, "-") == 0)
        return true; /* pushed after what Redis came back with: jobs_push_lost */
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        if (strcmp(place, places[i]) == 0)
            return true;
    return j->kind == JOB_INVALID && strcmp(place, "d") == 0;
}

static void read_places(char *text) {
    char *save = NULL, *place = strtok_r(text, ",", &save);
    for (unsigned i = 0; i < world.job_count; i++, place = strtok_r(NULL, ",", &save)) {
        struct sim_job *j = &world.jobs[i];
        if (place == NULL || strlen(place) >= sizeof(j->place))
            sim_fail("G1: job %u is in too many places: %s", i, place != NULL ? place : "?");
        else if (!place_ok(place, j))
            sim_fail("G1: job %u is in '%s' (- nowhere, j jobs, t taken, i in flight, p parked, r "
                     "result, "
                     "d dead, f its result), was in '%s'",
                     i, place, j->place);
        if (place == NULL)
            return;
        if (strcmp(place, j->place) != 0)
            note("  job %u: %s -> %s", i, j->place, place);
        snprintf(j->place, sizeof(j->place), "%s", place);
    }
}

static void read_leases(char *text) {
    char *save = NULL;
    world.lease_count = 0;
    for (char *q = strtok_r(text, " ", &save); q != NULL; q = strtok_r(NULL, " ", &save)) {
        struct seen_lease *l = &world.leases[world.lease_count++];
        snprintf(l->queue, sizeof(l->queue), "%s", q);
        snprintf(l->worker, sizeof(l->worker), "%s", strtok_r(NULL, " ", &save));
        l->until_ms = strtoull(strtok_r(NULL, " ", &save), NULL, 10);
    }
}

static void read_claims(char *text) {
    char *save = NULL;
    world.claim_count = 0;
    for (char *w = strtok_r(text, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        struct seen_claim *c = &world.claims[world.claim_count++];
        snprintf(c->worker, sizeof(c->worker), "%s", w);
        snprintf(c->token, sizeof(c->token), "%s", strtok_r(NULL, " ", &save));
        c->begun = strtok_r(NULL, " ", &save)[0] == 'B';
    }
}

static void read_ledger(char *text) {
    char seen[ACCOUNTS][KEYS_PER_ACCOUNT] = {{0}};
    char *save = NULL;
    for (char *a = strtok_r(text, " ", &save); a != NULL; a = strtok_r(NULL, " ", &save)) {
        unsigned account = (unsigned)atoi(a + 1), key = (unsigned)atoi(strtok_r(NULL, " ", &save));
        seen[account][key] = strtok_r(NULL, " ", &save)[0];
    }
    for (unsigned a = 0; a < ACCOUNTS; a++)
        for (unsigned k = 0; k < KEYS_PER_ACCOUNT; k++) {
            if (world.ledger[a][k] == 'C' && seen[a][k] != 'C')
                sim_fail("the ledger knew that a%u key-%u was created, now it says '%c'", a, k, seen[a][k]);
            if (world.ledger[a][k] != seen[a][k])
                note("  ledger a%u key-%u: %c -> %c", a, k, world.ledger[a][k] ? world.ledger[a][k] : '-',
                     seen[a][k] ? seen[a][k] : '-');
        }
    memcpy(world.ledger, seen, sizeof(seen));
}

void audit_read(const redisReply *r) {
    if (r->type != REDIS_REPLY_ARRAY || r->elements != 5) {
        sim_fail("audit: %s", r->str != NULL ? r->str : "an unexpected reply");
        return;
    }
    read_places(r->element[0]->str);
    if (r->element[1]->len > 0)
        sim_fail("the books disagree: %s", r->element[1]->str);
    read_leases(r->element[2]->str);
    read_claims(r->element[3]->str);
    read_ledger(r->element[4]->str);
}

/* The queue's name out of one of its keys. */
static void queue_of(const char *key, char out[16]) {
    const char *from = strchr(key, '{') + 1;
    snprintf(out, 16, "%.*s", (int)strcspn(from, "}"), from);
}

static bool lease_alive(const char *key, const char *worker) {
    char queue[16];
    queue_of(key, queue);
    for (unsigned i = 0; i < world.lease_count; i++) {
        const struct seen_lease *l = &world.leases[i];
        if (strcmp(l->worker, worker) == 0 && strcmp(l->queue, queue) == 0)
            return l->until_ms > redis_now_ms();
    }
    return false;
}

static void renew_lease(const char *key, const char *worker, uint64_t ms) {
    char queue[16];
    unsigned i = 0;
    queue_of(key, queue);
    while (i < world.lease_count &&
           (strcmp(world.leases[i].worker, worker) != 0 || strcmp(world.leases[i].queue, queue) != 0))
        i++;
    struct seen_lease *l = &world.leases[i];
    world.lease_count += i == world.lease_count;
    snprintf(l->queue, sizeof(l->queue), "%s", queue);
    snprintf(l->worker, sizeof(l->worker), "%s", worker);
    l->until_ms = redis_now_ms() + ms;
}

static bool holds(const char *worker, const char *token) {
    for (unsigned i = 0; i < world.claim_count; i++)
        if (strcmp(world.claims[i].worker, worker) == 0 && strcmp(world.claims[i].token, token) == 0)
            return true;
    return false;
}

static const char *text_of(char **argv, const size_t *len, int i) {
    static char text[2][256];
    static unsigned turn;
    char *out = text[turn++ % 2];
    snprintf(out, sizeof(text[0]), "%.*s", (int)len[i], argv[i]);
    return out;
}

/* Where the arguments behind the keys start. */
static int args_at(char **argv) {
    return 3 + atoi(argv[2]);
}

/* A turn's jobs to begin and to settle; their arguments are columns (turn.lua), their claims stand in `places`. */
struct columns {
    int begins, settles, batches, ledgers; /* batches: the first one's argument; ledgers: the settlements' */
    const unsigned char *places;
    bool claims, picks; /* picks: the job that begins is claimed by the same turn */
    char worker[96];
};

static struct columns columns_of(char **argv, const size_t *len) {
    int a = args_at(argv);
    const unsigned char *numbers = (const unsigned char *)argv[a + 1]; /* NUMBERS of turn_call.lua */
    int n[7];
    for (int i = 0; i < 7; i++)
        n[i] = numbers[2 * i] | numbers[2 * i + 1] << 8;
    struct columns c = {
        .settles = n[0], .begins = n[2], .claims = (numbers[16] & 2) != 0, .picks = len[a + 5] > 0};
    c.places = (const unsigned char *)argv[a + 6];
    c.batches = a + 7 + n[4] + n[5];
    c.ledgers = c.batches + n[6] + n[1] + n[3] + c.begins + c.settles;
    snprintf(c.worker, sizeof(c.worker), "%s", text_of(argv, len, a));
    return c;
}

/* Of job i, those to be settled first: is its claim the worker's? */
static bool holds_of(const struct columns *c, char **argv, const size_t *len, int i) {
    const unsigned char *place = c->places + 3 * i;
    char token[32];
    snprintf(token, sizeof(token), "%.24s.%d", text_of(argv, len, c->batches + place[0] - 1),
             place[1] | place[2] << 8);
    return holds(c->worker, token);
}

static unsigned begun_of(const char *worker) {
    unsigned n = 0;
    for (unsigned i = 0; i < world.claim_count; i++)
        n += strcmp(world.claims[i].worker, worker) == 0;
    return n;
}

void audit_before(struct sim_worker *from, int script, char **argv, const size_t *len, int argc) {
    int a = args_at(argv);
    (void)argc;
    if (script == SCRIPT_TURN) {
        struct columns c = columns_of(argv, len);
        before.lease_alive = lease_alive(text_of(argv, len, 3), c.worker);
        for (int i = 0; i < c.begins; i++)
            before.held[i] = c.picks || holds_of(&c, argv, len, c.settles + i);
        for (int i = 0; i < c.settles; i++)
            before.settles[i] = holds_of(&c, argv, len, i);
    } else if (script == SCRIPT_RECOVER) {
        const char *dead = text_of(argv, len, a);
        before.lease_alive = lease_alive(text_of(argv, len, 3), dead);
        before.claims = begun_of(dead);
    }
    (void)from;
}

static void after_begin(struct sim_worker *from, const redisReply *begun) {
    for (size_t i = 0; i < begun->element[0]->len; i++) {
        char letter = begun->element[0]->str[i];
        if (letter == 'L')
            continue;
        if (!before.lease_alive)
            sim_fail("G3: w%u began a job (%c) without a lease", from->number, letter);
        if (!before.held[i])
            sim_fail("G3: w%u began a job (%c) whose claim it does not hold", from->number, letter);
    }
}

static void after_settle(struct sim_worker *from, char **argv, const size_t *len, const struct columns *c,
                         const redisReply *settled) {
    for (int i = 0; i < c->settles; i++) {
        bool lost = settled->element[0]->str[i] == 'L';
        if (!lost && !before.settles[i])
            sim_fail("G3: w%u settled a job whose claim it does not hold", from->number);
        unsigned account, key;
        const char *ledger_key = strstr(text_of(argv, len, 3 + 16 + i), ":order:");
        if (!lost || argv[c->ledgers + i][0] != 'C' || ledger_key == NULL ||
            sscanf(ledger_key, ":order:a%u:key-%u", &account, &key) != 2)
            continue;
        note("w%u lost the claim, but knows that a%u key-%u was created", from->number, account, key);
        if (world.ledger[account][key] != 'C')
            sim_fail("what a zombie learned is lost: a%u key-%u was created, the ledger says '%c'", account,
                     key, world.ledger[account][key]);
    }
}

bool claimed_any(const redisReply *claimed) {
    if (claimed->elements < 3 || strcmp(claimed->element[0]->str, "OK") != 0)
        return false;
    return claimed->elements == 3 || strcmp(claimed->element[2]->str, "0") != 0; /* pick.lua, claim.lua */
}

static void after_turn(struct sim_worker *from, char **argv, const size_t *len, const redisReply *reply) {
    struct columns c = columns_of(argv, len);
    const redisReply *claimed = reply->element[TURN_CLAIMED];
    if (c.begins > 0)
        after_begin(from, reply->element[TURN_BEGUN]);
    if (c.settles > 0)
        after_settle(from, argv, len, &c, reply->element[TURN_SETTLED]);
    if ((c.claims || c.picks) && claimed_any(claimed) && !before.lease_alive)
        sim_fail("G3: w%u claimed jobs without a lease", from->number);
}

static void after_recover(char **argv, const size_t *len, const redisReply *reply) {
    const char *dead = text_of(argv, len, args_at(argv));
    bool alive = strcmp(reply->element[0]->str, "ALIVE") == 0;
    if (text_of(argv, len, args_at(argv) + 2)[0] == '1')
        return; /* its own, which it does not know: Redis has forgotten their settlement */
    if (before.lease_alive && (!alive || begun_of(dead) != before.claims))
        sim_fail("G3: a worker whose lease is alive was recovered");
}

void audit_after(struct sim_worker *from, int script, char **argv, const size_t *len, int argc,
                 const redisReply *reply) {
    (void)argc;
    if (script == SCRIPT_TURN)
        after_turn(from, argv, len, reply);
    else if (script == SCRIPT_BEAT)
        renew_lease(text_of(argv, len, 3), text_of(argv, len, args_at(argv)),
                    strtoull(text_of(argv, len, args_at(argv) + 1), NULL, 10));
    else if (script == SCRIPT_RECOVER)
        after_recover(argv, len, reply);
}

/* The first byte of an order is about to leave. */
void audit_sending(const struct http_call *c) {
    const struct order *o = c->arg;
    const struct queue_keys *k = &o->consumer->keys;
    char key[64], token[TOKEN_SIZE];
    job_queue_key(k->queue, "workers", key, sizeof(key));
    claim_token(&o->claim, token);
    if (world.forgot)
        return; /* it may have begun under a lease and a claim that Redis does not know any more */
    if (!lease_alive(key, k->worker))
        sim_fail("G3: w%u sends an order without a lease (h%u)", c->owner->number, c->number);
    else if (!holds(k->worker, token))
        sim_fail("G3: w%u sends an order whose claim %s it lost (h%u)", c->owner->number, token, c->number);
}

bool all_jobs_ended(void) {
    for (unsigned i = 0; i < world.job_count; i++)
        if (world.jobs[i].place[0] != 'r' && world.jobs[i].place[0] != 'd')
            return false;
    return world.jobs_to_push == 0;
}

struct fates {
    unsigned refused, created, ended_well, unknown, jobs;
};

static void count_texts(const char *queue, const char *command, const char *suffix,
                        struct fates fates[ACCOUNTS][KEYS_PER_ACCOUNT]) {
    char key[64];
    job_queue_key(queue, suffix, key, sizeof(key));
    bool list = command[0] == 'L';
    redisReply *r = list ? server_command("LRANGE %s 0 -1", key) : server_command("HVALS %s", key);
    for (size_t i = 0; i < r->elements; i++) {
        const char *text = r->element[i]->str;
        const struct sim_job *j = &world.jobs[atoi(strchr(text, '~') + 1)];
        if (j->kind == JOB_INVALID)
            continue;
        struct fates *f = &fates[j->account][j->key];
        f->refused += !list && strstr(text, "\"reason\":\"rejected\"") != NULL &&
                      strstr(text, "not this one") != NULL && strstr(text, "\"key_conflict\"") == NULL;
        f->jobs += !list || strstr(text, "\"status\":\"failed\"") == NULL;
        f->created += list && strstr(text, "\"status\":\"created\"") != NULL;
        f->ended_well += list && strstr(text, "\"status\":\"failed\"") == NULL;
        f->unknown += !list && (strstr(text, "\"reason\":\"unknown_outcome\"") != NULL ||
                                strstr(text, "\"reason\":\"poison\"") != NULL);
    }
    freeReplyObject(r);
}

static void check_key(unsigned a, unsigned k, const struct fates *f) {
    const struct made_order *m = &world.made[a][k];
    char l = world.ledger[a][k];
    if (l == 'S' || l == 'L')
        sim_fail("at rest the ledger says '%c' of a%u key-%u", l, a, k);
    if (f->ended_well > 0 && m->count == 0 && !m->preexisting)
        sim_fail("a%u key-%u ended well, but was never created", a, k);
    if (m->count > 0 && f->ended_well == 0 && f->unknown == 0 && !world.resend_ok[a] && !world.forgot)
        sim_fail("a%u key-%u was created, and nobody was told or warned", a, k);
    if (f->created > 1 && !(world.forgot && f->created <= m->count)) /* each of them was */
        sim_fail("a%u key-%u: %u results say created", a, k, f->created);
}

/* Where all orders of an account are refused alike, by a 422 `reject_limit` of them are dead, by what is said of the account none,
 * and the others wait until it is mended. */
static void check_refused(unsigned a, const struct fates of[KEYS_PER_ACCOUNT]) {
    unsigned n = 0, most = world.refuses[a][0] == 422 ? world.config->accounts[a]->reject_limit : 0;
    for (unsigned k = 0; k < KEYS_PER_ACCOUNT; k++)
        n += of[k].refused;
    bool said_well = world.looked_up[a] && world.refuses[a][0] != 422;
    if (world.refuses_all[a] && n > most && !world.forgot && !said_well)
        sim_fail("%u orders of a%u are dead, all refused alike; %u may be", n, a, most);
}

void audit_at_rest(void) {
    struct fates fates[ACCOUNTS][KEYS_PER_ACCOUNT] = {{{0}}};
    for (unsigned q = 0; q < QUEUES; q++) {
        count_texts(queue_names[q], "LRANGE", "results", fates);
        count_texts(queue_names[q], "LRANGE", "results:own", fates);
        count_texts(queue_names[q], "HVALS", "dead:entries", fates);
    }
    if (world.claim_count > 0)
        sim_fail("at rest %s holds the claim %s", world.claims[0].worker, world.claims[0].token);
    for (unsigned a = 0; a < ACCOUNTS; a++)
        for (unsigned k = 0; k < KEYS_PER_ACCOUNT; k++)
            check_key(a, k, &fates[a][k]);
    for (unsigned a = 0; a < ACCOUNTS; a++)
        check_refused(a, fates[a]);
}
