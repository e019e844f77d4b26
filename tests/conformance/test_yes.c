/* A yes is never followed by a second POST by dray itself: each provider, each 2xx with every kind of body, and then every
 * kind of look-up, by the code that the worker runs: classify, life, and the record in Redis between two steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "said.h"
#include "worker/life.h"

#define STEPS_MAX 60
#define HELD_MS   480000 /* between two probes of an account that is held */

/* -- who is asked: every provider, with every kind of look-up that it can have ---------------------------------- */

static void exact(struct rig *r) {
    r->account.lookup = LOOKUP_YES; /* of what was withdrawn */
}

static void none(struct rig *r) {
    r->account.lookup = LOOKUP_NO;
}

static void list(struct rig *r) {
    r->account.http_json.lookup_items_pointer = "/items";
    r->account.http_json.lookup_exact = false;
}

static void exact_list(struct rig *r) {
    list(r);
    r->account.http_json.lookup_exact = true;
}

static void exact_pages(struct rig *r) {
    exact_list(r);
    r->account.http_json.lookup_page_param = "page";
}

static void any_json(struct rig *r) {
    r->account.http_json.success_pointer = r->account.http_json.success_value = NULL;
    r->account.http_json.answer_key_pointer = "/result/ref";
}

static const struct {
    const char *provider;
    rig_fn configure;
} asked[] = {
    {"kakaclo-v2", exact},
    {"kakaclo-v1", exact},
    {"kakaclo-custom", exact},
    {"kakaclo-custom", none},
    {"s2", exact},
    {"s2", none},
    {"vu", exact},
    {"vu", none},
    {"http-json", exact},
    {"http-json", list},
    {"http-json", exact_list},
    {"http-json", exact_pages},
    {"http-json", any_json},
    {"http-json", none},
};

static struct account policy(const struct account *a, enum on_unknown on_unknown, enum on_absent on_absent) {
    struct account with = *a;
    with.max_attempts = 25;
    with.backoff_cap_ms = 1800000;
    with.max_age_ms = 6 * 3600000; /* so that what waits for it ends soon */
    with.request_timeout_ms = 30000;
    with.lookup_delay_ms = 5000;
    with.lookup_attempts = 6;
    with.absent_window_ms = 120000;
    with.on_unknown = on_unknown;
    with.on_absent = on_absent;
    return with;
}

/* -- what look-ups are answered --------------------------------------------------------------------------------- */

/* What the order's look-ups and its control's are answered, over and over; LOOKS: drawn each time. */
static const struct {
    enum look order, control;
} looks[] = {
    {FOUND, FOUND},    {ABSENT, FOUND},      {ABSENT, ABSENT}, {ABSENT, DOWN}, {ABSENT, NOT_REACHED},
    {HTML, FOUND},     {ROUTER, FOUND},      {DOWN, FOUND},    {BUSY, FOUND},  {REFUSED, FOUND},
    {HANGS_UP, FOUND}, {NOT_REACHED, FOUND}, {LOOKS, LOOKS},   {LOOKS, FOUND}, {LOOKS, ABSENT},
};

/* -- an order's life --------------------------------------------------------------------------------------------- */

struct life {
    struct rig *r;
    struct account account;
    struct record_header header;
    struct decision d;
    struct buf record, body;
    struct json_doc doc;
    struct rng rng;
    uint64_t now_ms;
    unsigned controls;
};

/* Into Redis and out of it. */
static void park(struct life *l) {
    struct span raw;
    buf_reset(&l->body);
    record_header_write(&l->d.header, &l->body);
    buf_reset(&l->record);
    buf_addf(&l->record, "%u", l->d.header.recoveries);
    buf_add_span(&l->record, buf_span(&l->body));
    buf_add_str(&l->record, "\n{}");
    assert_int_equal(record_header_parse(&l->header, false, buf_span(&l->record), &l->doc, &raw), 0);
    l->now_ms += l->d.op == SETTLE_WAIT && l->d.gate == 'h' ? HELD_MS : l->d.due_ms + l->d.gate_ms + 1;
}

static enum look one_of(struct life *l, enum look look) {
    return look == LOOKS ? (enum look)rng_below(&l->rng, LOOKS) : look;
}

static void look_control_up(struct life *l, enum look look) {
    struct rig *r = l->r;
    struct envelope e = r->envelope;
    struct lookup_cursor cursor = {.window_to_ms = l->now_ms};
    e.provider_key = e.order_key = SPAN_LIT("known");
    struct http_exchange x = look_answer(r, e.provider_key, look);
    bool more = classify_lookup(&l->account, &e, &x, l->now_ms, &r->doc, &cursor, &r->out);
    if (more)
        r->out.verdict = VERDICT_RETRY;
    life_controlled(&l->header, &l->account, 25, &r->out, l->now_ms, &l->rng, &l->d);
    l->controls++;
}

static void look_up(struct life *l, enum look look) {
    struct rig *r = l->r;
    struct lookup_cursor cursor = {.page = l->header.page, .seen = l->header.seen, .window_to_ms = l->now_ms};
    struct http_exchange x = look_answer(r, r->envelope.provider_key, look);
    if (classify_lookup(&l->account, &r->envelope, &x, l->now_ms, &r->doc, &cursor, &r->out))
        life_next_page(&l->header, cursor.page, cursor.seen, cursor.window_to_ms, &l->d);
    else
        life_looked_up(&l->header, &l->account, 25, &r->out, l->now_ms, &l->rng, &l->d);
}

/* Meanwhile the configuration may have changed, or a worker died with the look-up under way. */
static void meanwhile(struct life *l) {
    l->account.on_unknown = (enum on_unknown)rng_below(&l->rng, 3);
    l->account.on_absent = (enum on_absent)rng_below(&l->rng, 2);
    l->header.recoveries += rng_below(&l->rng, 20) == 0;
}

static bool goes_on(const struct life *l) {
    return l->d.op == SETTLE_RETRY || l->d.op == SETTLE_WAIT || l->d.op == SETTLE_BACK;
}

static bool would_post(const struct life *l) {
    return goes_on(l) && l->d.header.phase == PHASE_SEND;
}

/* From the answer to the order's end, or until it is clear that it only waits. */
static void live(struct life *l, const struct http_exchange *x, size_t script) {
    struct rig *r = l->r;
    bool drawn = looks[script].order == LOOKS;
    judge(r, *x);
    life_answered(&l->header, &l->account, 25, x, &r->out, l->now_ms, &l->rng, &l->d);
    for (int i = 0; i < STEPS_MAX && goes_on(l) && !would_post(l); i++) {
        park(l);
        if (drawn)
            meanwhile(l);
        struct admission a = {
            .header = &l->header, .envelope = &r->envelope, .account = &l->account, .now_ms = l->now_ms};
        if (!life_admit(&a, &l->rng, &l->d))
            continue;
        if (l->header.control_ms > 0)
            look_control_up(l, one_of(l, looks[script].control));
        else
            look_up(l, one_of(l, looks[script].order));
    }
}

static void life_open(struct life *l, struct rig *r, struct account account) {
    *l = (struct life){
        .r = r, .account = account, .header = {.phase = PHASE_SEND, .history = SPAN_LIT("")}, .now_ms = NOW};
    json_init(&l->doc, UINT32_MAX);
    buf_init(&l->record, 1 << 20);
    buf_init(&l->body, 1 << 20);
    rng_seed(&l->rng, 7);
}

static void life_close(struct life *l) {
    json_deinit(&l->doc);
    buf_deinit(&l->record);
    buf_deinit(&l->body);
}

static unsigned long lives;

/* What the provider said in so many words is its own: its success, its refusal. All else is never sent again, and no key is
 * given free for a new order. */
static void check_life(struct rig *r, const struct http_exchange *x, size_t script,
                       enum on_unknown on_unknown) {
    struct life l;
    life_open(&l, r, policy(&r->account, on_unknown, ON_ABSENT_RETRY));
    bool refused = judge(r, *x) == VERDICT_REJECTED;
    live(&l, x, script);
    const char *what = would_post(&l)                                                   ? "is sent again"
                       : l.d.op == SETTLE_DEAD && !refused && l.d.ledger == LEDGER_DROP ? "gives its key free"
                                                                                        : NULL;
    if (what != NULL)
        fail_msg("%s, look-up %d: HTTP %ld %s %.*s, look-ups %zu, on_unknown %d: the order %s",
                 r->account.provider->name, (int)provider_lookup_kind(&l.account), x->status, x->error,
                 (int)x->body.len, x->body.ptr, script, (int)on_unknown, what);
    lives++;
    life_close(&l);
}

static void open_asked(struct rig *r, size_t i) {
    rig_open(r, provider_find(asked[i].provider));
    asked[i].configure(r);
    assert_non_null(r->envelope.provider_key.ptr);
}

static void test_a_yes_is_never_followed_by_a_second_post(void **state) {
    static const long statuses[] = {200, 201, 202, 204};
    (void)state;
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        struct rig r;
        struct bodies b;
        open_asked(&r, i);
        make_bodies(&b, &r);
        for (unsigned k = 0; k < 4 * b.count; k++) {
            struct http_exchange x = b.of[k / 4];
            x.status = statuses[k % 4];
            for (size_t s = 0; s < sizeof(looks) / sizeof(looks[0]); s++)
                for (int u = x.status == 200 ? 0 : ON_UNKNOWN_RESEND; u <= ON_UNKNOWN_RESEND; u++)
                    check_life(&r, &x, s, (enum on_unknown)u);
        }
        for (unsigned k = 0; k < b.count; k++)
            free(b.text[k]);
        rig_close(&r);
    }
    print_message("%lu lives of an order behind a 2xx\n", lives);
}

/* The same look-ups behind a 500 prove absence, and the order is sent again: what is tested above could be seen. */
static void test_a_500_is_followed_by_one_where_absence_is_proved(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        struct rig r;
        struct life l;
        struct http_exchange x = answer(500, "");
        open_asked(&r, i);
        bool proves = provider_lookup_kind(&r.account) == LOOKUP_EXACT;
        life_open(&l, &r, policy(&r.account, ON_UNKNOWN_LOOKUP, ON_ABSENT_RETRY));
        live(&l, &x, 1);
        assert_int_equal(l.controls, proves ? 1 : 0);
        if (proves)
            assert_true(would_post(&l));
        life_close(&l);
        life_open(&l, &r, policy(&r.account, ON_UNKNOWN_RESEND, ON_ABSENT_RETRY));
        live(&l, &x, 0);
        assert_true(would_post(&l));
        life_close(&l);
        rig_close(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_yes_is_never_followed_by_a_second_post),
        cmocka_unit_test(test_a_500_is_followed_by_one_where_absence_is_proved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
