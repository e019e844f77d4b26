/* The life of a job without I/O: what is decided for each verdict, within which bounds; backoff; the
 * header of a record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "policy/backoff.h"
#include "worker/life.h"

#define NOW 1795448588803ull

static struct rng rng;
static struct account account;
static struct envelope envelope;

static int set_up(void **state) {
    (void)state;
    rng_seed(&rng, 7);
    account = (struct account){.provider = provider_find("kakaclo-v2"),
                               .max_attempts = 3,
                               .backoff_base_ms = 1000,
                               .backoff_cap_ms = 5000,
                               .max_age_ms = 60000,
                               .request_timeout_ms = 30000,
                               .lookup_delay_ms = 600000,
                               .lookup_attempts = 2,
                               .on_absent = ON_ABSENT_HOLD};
    envelope = (struct envelope){.id = SPAN_LIT("a")};
    return 0;
}

static struct record_header fresh(void) {
    return (struct record_header){.phase = PHASE_SEND, .history = SPAN_LIT("")};
}

static struct decision answer(struct record_header header, enum verdict verdict, long status) {
    struct http_exchange x = {.sent = true, .answered = status > 0, .status = status};
    struct outcome o = {.verdict = verdict,
                        .http_status = status,
                        .code = "seen",
                        .retry_after_ms = 7000,
                        .retry_after_told = true};
    struct decision d;
    life_answered(&header, &account, account.max_attempts, &x, &o, NOW, &rng, &d);
    return d;
}

static struct decision look(struct record_header header, enum verdict verdict) {
    struct outcome o = {.verdict = verdict, .http_status = 200, .code = "seen"};
    struct decision d;
    life_looked_up(&header, &account, account.max_attempts, &o, NOW, &rng, &d);
    return d;
}

static struct decision admit(struct record_header header, bool expected) {
    struct admission a = {.header = &header, .envelope = &envelope, .account = &account, .now_ms = NOW};
    struct decision d;
    assert_int_equal(life_admit(&a, &rng, &d), expected);
    return d;
}

static void test_backoff_stays_in_its_bounds(void **state) {
    (void)state;
    uint64_t most = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        assert_true(backoff_ms(1000, 5000, 0, &rng) <= 1000);
        assert_true(backoff_ms(1000, 5000, 2, &rng) <= 4000);
        uint64_t capped = backoff_ms(1000, 5000, 200, &rng);
        assert_in_range(capped, 2500, 5000); /* so that the bound on attempts is one on time, too */
        most = capped > most ? capped : most;
    }
    assert_true(most > 4500); /* full jitter reaches up to the cap */
}

static void test_created_is_done_and_known(void **state) {
    (void)state;
    struct decision d = answer(fresh(), VERDICT_CREATED, 200);
    assert_int_equal(d.op, SETTLE_DONE);
    assert_int_equal(d.ledger, LEDGER_CREATED);
    assert_int_equal(d.result, RESULT_CREATED);
    assert_int_equal(d.header.attempts, 1);
}

static void test_retries_end_at_the_bound(void **state) {
    (void)state;
    struct record_header header = fresh();
    for (uint32_t i = 1; i < account.max_attempts; i++) {
        struct decision d = answer(header, VERDICT_RETRY, 500);
        assert_int_equal(d.op, SETTLE_RETRY);
        assert_int_equal(d.ledger, LEDGER_DROP);
        assert_int_equal(d.header.attempts, i);
        header = d.header;
    }
    struct decision d = answer(header, VERDICT_RETRY, 500);
    assert_int_equal(d.op, SETTLE_DEAD);
    assert_string_equal(d.reason, "exhausted");
}

static void test_retry_after_is_a_floor_and_pauses(void **state) {
    (void)state;
    struct decision d = answer(fresh(), VERDICT_PAUSE, 429);
    assert_int_equal(d.op, SETTLE_RETRY);
    assert_true(d.due_ms >= 7000);
    assert_int_equal(d.gate, 'p');
    assert_int_equal(d.gate_ms, 7000);
}

static void test_a_hold_burns_no_attempt(void **state) {
    (void)state;
    struct decision d = answer(fresh(), VERDICT_HOLD, 401);
    assert_int_equal(d.op, SETTLE_WAIT);
    assert_int_equal(d.gate, 'h');
    assert_int_equal(d.header.attempts, 0);
    assert_int_equal(d.ledger, LEDGER_DROP);
}

static void test_unknown_is_never_sent_again_unasked(void **state) {
    (void)state;
    account.on_unknown = ON_UNKNOWN_LOOKUP;
    struct decision d = answer(fresh(), VERDICT_UNKNOWN, 0);
    assert_int_equal(d.op, SETTLE_RETRY);
    assert_int_equal(d.header.phase, PHASE_LOOKUP);
    assert_int_equal(d.ledger, LEDGER_LOOKUP);
    assert_true(d.due_ms >= account.lookup_delay_ms);
    account.on_unknown = ON_UNKNOWN_HOLD;
    d = answer(fresh(), VERDICT_UNKNOWN, 0);
    assert_int_equal(d.op, SETTLE_DEAD);
    assert_string_equal(d.reason, "unknown_outcome");
    assert_int_equal(d.ledger, LEDGER_UNKNOWN);
    account.on_unknown = ON_UNKNOWN_RESEND;
    d = answer(fresh(), VERDICT_UNKNOWN, 0);
    assert_int_equal(d.op, SETTLE_RETRY);
    assert_int_equal(d.header.phase, PHASE_SEND);
    account.on_unknown = ON_UNKNOWN_LOOKUP;
    account.provider = provider_find("kakaclo-custom"); /* has no look-up */
    assert_int_equal(answer(fresh(), VERDICT_UNKNOWN, 0).op, SETTLE_DEAD);
}

static void test_an_inexact_look_up_proves_nothing(void **state) {
    (void)state;
    struct record_header header = {
        .phase = PHASE_LOOKUP, .attempts = 1, .first_ms = NOW, .history = SPAN_LIT("")};
    struct decision d = look(header, VERDICT_ABSENT);
    assert_int_equal(d.op, SETTLE_RETRY);
    assert_int_equal(d.header.phase, PHASE_LOOKUP);
    d = look(d.header, VERDICT_ABSENT); /* lookup_attempts are used up */
    assert_int_equal(d.op, SETTLE_DEAD);
    assert_string_equal(d.reason, "unknown_outcome");
    assert_int_equal(look(header, VERDICT_CREATED).result, RESULT_CREATED);
    header.phase = PHASE_LOOKUP_DUPLICATE;
    assert_int_equal(look(header, VERDICT_CREATED).result, RESULT_DUPLICATE);
}

static struct decision look_at(struct record_header header, enum verdict verdict, uint64_t at_ms) {
    struct outcome o = {.verdict = verdict, .http_status = 404, .code = "seen"};
    struct decision d;
    if (header.control_ms > 0)
        life_controlled(&header, &account, account.max_attempts, &o, at_ms, &rng, &d);
    else
        life_looked_up(&header, &account, account.max_attempts, &o, at_ms, &rng, &d);
    return d;
}

static struct record_header use_exact(enum phase phase) {
    account.provider = provider_find("vu");
    account.on_absent = ON_ABSENT_RETRY;
    account.absent_window_ms = 120000;
    account.max_age_ms = 86400000;
    return (struct record_header){.phase = phase, .attempts = 1, .first_ms = NOW, .history = SPAN_LIT("")};
}

/* Said absent twice, as far apart as it must be; the control is next. */
static struct decision absent_twice(struct record_header header) {
    struct decision d = look_at(header, VERDICT_ABSENT, NOW);
    assert_int_equal(d.op, SETTLE_RETRY);
    assert_int_equal(d.header.absent_ms, NOW);
    assert_int_equal(d.due_ms, 120000);
    d = look_at(d.header, VERDICT_ABSENT, NOW + 119000); /* another worker's clock is ahead */
    assert_int_equal(d.due_ms, 1000);
    d = look_at(d.header, VERDICT_ABSENT, NOW + 120000);
    assert_int_equal(d.op, SETTLE_WAIT);
    assert_int_equal(d.header.control_ms, NOW + 120000);
    assert_int_equal(d.header.lookups, 0);
    return d;
}

static void test_absence_is_proved_by_two_words_and_a_control(void **state) {
    (void)state;
    const enum phase phases[] = {PHASE_LOOKUP, PHASE_LOOKUP_RETRY};
    for (size_t i = 0; i < 2; i++) {
        struct decision d = absent_twice(use_exact(phases[i]));
        d = look_at(d.header, VERDICT_CREATED, NOW + 120100);
        assert_int_equal(d.op, SETTLE_RETRY);
        assert_int_equal(d.header.phase, PHASE_SEND);
        assert_int_equal(d.ledger, LEDGER_DROP);
        assert_int_equal(d.header.absent_ms, 0);
    }
    struct decision d = absent_twice(use_exact(PHASE_LOOKUP_DUPLICATE));
    d = look_at(d.header, VERDICT_CREATED, NOW + 120100);
    assert_string_equal(d.reason, "rejected");
}

static void test_without_its_control_nothing_is_absent(void **state) {
    (void)state;
    account.lookup_attempts = 3;
    struct decision d = absent_twice(use_exact(PHASE_LOOKUP));
    uint64_t now = NOW + 120000;
    uint32_t controls = 0;
    while (d.op != SETTLE_DEAD) {
        assert_int_not_equal(d.header.phase, PHASE_SEND);
        controls += d.header.control_ms > 0;
        now += d.due_ms + 1;
        d = look_at(d.header, VERDICT_ABSENT, now);
    }
    assert_int_equal(controls, 3);
    assert_string_equal(d.reason, "unknown_outcome");
    assert_true(now >= NOW + 3 * 120000);
    d = absent_twice(use_exact(PHASE_LOOKUP)); /* found, but much later: it says nothing of that time */
    d = look_at(d.header, VERDICT_CREATED, NOW + 120000 + 120001);
    assert_int_equal(d.op, SETTLE_RETRY);
    assert_int_equal(d.header.phase, PHASE_LOOKUP);
    assert_int_equal(d.header.control_ms, 0);
    d = look_at(d.header, VERDICT_CREATED, NOW + 300000); /* the order itself */
    assert_int_equal(d.result, RESULT_CREATED);
}

/* Its pages are read as long as it may count; then it was not found. */
static void test_a_controls_pages_are_read_in_time_or_not_at_all(void **state) {
    (void)state;
    struct decision d = absent_twice(use_exact(PHASE_LOOKUP));
    uint64_t asked = NOW + 120000;
    struct record_header header = d.header;
    life_next_page(&header, 3, 0, 0, &d);
    assert_int_equal(d.op, SETTLE_WAIT);
    assert_int_equal(d.header.control_ms, asked);
    assert_int_equal(d.header.page, 3);
    assert_true(life_control_in_time(&d.header, &account, asked + 120000));
    assert_false(life_control_in_time(&d.header, &account, asked + 120001));
    d = look_at(d.header, VERDICT_RETRY, asked + 120001);
    assert_int_equal(d.header.lookups, 1);
    assert_int_equal(d.header.control_ms, 0);
    assert_int_equal(d.header.page, 0);
    assert_int_equal(d.header.phase, PHASE_LOOKUP);
}

static void test_a_control_that_nobody_answers_burns_nothing(void **state) {
    (void)state;
    struct record_header header = absent_twice(use_exact(PHASE_LOOKUP)).header;
    struct outcome o = {.verdict = VERDICT_RETRY, .http_status = 503, .free = true};
    struct decision d;
    life_controlled(&header, &account, 3, &o, NOW + 120000, &rng, &d);
    assert_int_equal(d.op, SETTLE_RETRY);
    assert_int_equal(d.header.lookups, 0);
    assert_int_equal(d.header.control_ms, 0);
    o = (struct outcome){.verdict = VERDICT_HOLD, .http_status = 401};
    life_controlled(&header, &account, 3, &o, NOW + 120000, &rng, &d);
    assert_int_equal(d.op, SETTLE_WAIT);
    assert_int_equal(d.gate, 'h');
    assert_int_equal(d.header.lookups, 0);
}

static void test_what_was_never_sent_burns_no_attempt(void **state) {
    (void)state;
    struct record_header header = fresh();
    account.max_attempts = 1;
    for (uint32_t i = 1; i < 20; i++) {
        struct outcome o = {
            .verdict = i % 2 ? VERDICT_RETRY : VERDICT_PAUSE, .code = "connect", .free = true};
        struct http_exchange x = {.sent = false};
        struct decision d;
        life_answered(&header, &account, 1, &x, &o, NOW, &rng, &d);
        assert_int_equal(d.op, SETTLE_RETRY);
        assert_int_equal(d.ledger, LEDGER_DROP);
        assert_int_equal(d.header.attempts, 0);
        assert_int_equal(d.header.first_ms, NOW);
        assert_true(d.free);
        header = d.header;
    }
    struct outcome o = {.verdict = VERDICT_RETRY, .code = "connect", .free = true};
    struct decision d;
    life_answered(&header, &account, 1, &(struct http_exchange){.sent = false}, &o, NOW + account.max_age_ms,
                  &rng, &d);
    assert_string_equal(d.reason, "exhausted");
    assert_string_equal(d.code, "max_age");
}

static void test_a_503_with_retry_after_is_looked_up_first(void **state) {
    (void)state;
    struct outcome o = {.verdict = VERDICT_PAUSE,
                        .http_status = 503,
                        .code = "c",
                        .message = "HTTP 503",
                        .retry_after_ms = 700000,
                        .look_first = true};
    struct record_header header = fresh();
    struct decision d;
    account.provider = provider_find("vu");
    life_answered(&header, &account, 3, &(struct http_exchange){.sent = true, .answered = true}, &o, NOW,
                  &rng, &d);
    assert_int_equal(d.header.phase, PHASE_LOOKUP_RETRY);
    assert_int_equal(d.due_ms, 700000);
    assert_int_equal(d.gate, 'p');
    assert_int_equal(d.header.attempts, 1);
}

static void test_after_a_2xx_nothing_is_sent_again(void **state) {
    (void)state;
    account.provider = provider_find("vu");
    account.on_absent = ON_ABSENT_RETRY;
    account.on_unknown = ON_UNKNOWN_RESEND;
    struct decision d = answer(fresh(), VERDICT_UNKNOWN, 202);
    assert_true(d.header.yes);
    assert_int_equal(d.header.phase, PHASE_LOOKUP);
    while (d.op == SETTLE_RETRY) {
        assert_int_equal(d.header.phase, PHASE_LOOKUP);
        assert_int_equal(d.header.control_ms, 0);
        d = look(d.header, VERDICT_ABSENT);
    }
    assert_string_equal(d.reason, "unknown_outcome");
    assert_true(d.tell_said);
    assert_int_equal(d.ledger, LEDGER_UNKNOWN);
    account.on_unknown = ON_UNKNOWN_HOLD;
    assert_int_equal(answer(fresh(), VERDICT_UNKNOWN, 202).op, SETTLE_DEAD);
    account.on_unknown = ON_UNKNOWN_RESEND;
    account.provider = provider_find("kakaclo-custom"); /* has no look-up */
    assert_int_equal(answer(fresh(), VERDICT_UNKNOWN, 202).op, SETTLE_DEAD);
    assert_int_equal(answer(fresh(), VERDICT_UNKNOWN, 502).op, SETTLE_RETRY);
}

static void test_on_absent_hold_holds_whatever_led_to_the_look_up(void **state) {
    (void)state;
    account.provider = provider_find("vu");
    const enum phase phases[] = {PHASE_LOOKUP, PHASE_LOOKUP_RETRY};
    for (size_t i = 0; i < 2; i++) {
        struct record_header header = {
            .phase = phases[i], .attempts = 1, .first_ms = NOW, .history = SPAN_LIT("")};
        struct decision d = look(header, VERDICT_ABSENT);
        while (d.op == SETTLE_RETRY && d.header.phase != PHASE_SEND)
            d = look(d.header, VERDICT_ABSENT);
        assert_string_equal(d.reason, "unknown_outcome");
    }
}

static void test_a_look_up_that_nobody_answers_burns_none(void **state) {
    (void)state;
    struct record_header header = {
        .phase = PHASE_LOOKUP, .attempts = 1, .first_ms = NOW, .history = SPAN_LIT("")};
    struct outcome o = {.verdict = VERDICT_RETRY, .http_status = 500, .code = "http_500", .free = true};
    struct decision d;
    for (int i = 0; i < 20; i++) {
        life_looked_up(&header, &account, 3, &o, NOW, &rng, &d);
        assert_int_equal(d.op, SETTLE_RETRY);
        assert_int_equal(d.header.lookups, 0);
        header = d.header;
    }
    o = (struct outcome){
        .verdict = VERDICT_PAUSE, .http_status = 429, .retry_after_ms = 9000, .retry_after_told = true};
    life_looked_up(&header, &account, 3, &o, NOW, &rng, &d);
    assert_int_equal(d.header.lookups, 0);
    assert_true(d.due_ms >= 9000);
    o = (struct outcome){.verdict = VERDICT_RETRY, .http_status = 500, .free = true};
    life_looked_up(&header, &account, 3, &o, NOW + account.max_age_ms, &rng, &d);
    assert_string_equal(d.reason, "unknown_outcome");
}

static void test_what_is_admitted(void **state) {
    (void)state;
    admit(fresh(), true);
    envelope.expires_at_ms = NOW;
    assert_string_equal(admit(fresh(), false).reason, "expired");
    envelope.expires_at_ms = 0;
    envelope.not_before_ms = NOW + 500;
    struct decision d = admit(fresh(), false);
    assert_int_equal(d.op, SETTLE_RETRY);
    assert_int_equal(d.due_ms, 500);
    envelope.not_before_ms = 0;
    struct record_header old = {
        .phase = PHASE_SEND, .attempts = 1, .first_ms = NOW - 60001, .history = SPAN_LIT("")};
    assert_string_equal(admit(old, false).reason, "exhausted");
}

static void test_the_third_recovery_is_poison(void **state) {
    (void)state;
    account.on_unknown = ON_UNKNOWN_RESEND;
    struct record_header header = {.phase = PHASE_RECOVERED, .recoveries = 2, .history = SPAN_LIT("")};
    assert_int_equal(admit(header, false).op, SETTLE_RETRY);
    header.recoveries = 3;
    struct decision d = admit(header, false);
    assert_string_equal(d.reason, "poison");
    assert_int_equal(d.ledger, LEDGER_UNKNOWN);
}

static void test_a_record_is_read_as_it_was_written(void **state) {
    (void)state;
    struct record_header header = {
        .phase = PHASE_LOOKUP,
        .attempts = 2,
        .lookups = 1,
        .first_ms = NOW,
        .sent_ms = NOW + 5,
        .page = 3,
        .seen = 500,
        .window_to_ms = NOW + 9,
        .waits = 4,
        .absent_ms = NOW + 6,
        .control_ms = NOW + 7,
        .control_id = INT64_MAX,
        .yes = true,
        .said = SPAN_LIT("HTTP \"201\"\n, id \xc3\xb6\\"),
        .history = SPAN_LIT("{\"at\":1},{\"at\":7,\"times\":3,\"since\":2,\"lookup\":true,\"code\":\"c\"}")};
    struct record_header again;
    struct json_doc doc;
    struct span raw;
    struct buf record, body;
    json_init(&doc, 1000);
    buf_init(&record, 4096);
    buf_init(&body, 4096);
    record_header_write(&header, &body);
    buf_add_str(&record, "1");
    buf_add_char(&record, body.data[0]);
    buf_add(&record, body.data + 1, body.len - 1);
    buf_add_str(&record, "\n{\"id\":\n1}");
    assert_int_equal(record_header_parse(&again, false, buf_span(&record), &doc, &raw), 0);
    assert_true(span_is(raw, "{\"id\":\n1}"));
    assert_true(span_eq(again.history, header.history));
    assert_int_equal(again.recoveries, 1);
    assert_int_equal(again.phase, PHASE_LOOKUP);
    assert_int_equal(again.attempts, 2);
    assert_int_equal(again.lookups, 1);
    assert_int_equal(again.first_ms, NOW);
    assert_int_equal(again.sent_ms, NOW + 5);
    assert_int_equal(again.page, 3);
    assert_int_equal(again.waits, 4);
    assert_int_equal(again.absent_ms, NOW + 6);
    assert_int_equal(again.control_ms, NOW + 7);
    assert_int_equal(again.control_id, INT64_MAX);
    assert_true(again.yes);
    assert_true(span_is(again.said, "HTTP '201' , id \xc3\xb6'"));
    assert_true(span_is(again.last.code, "c") && again.last.lookup);
    assert_int_equal(again.last.times, 3);
    assert_int_equal(again.last.since_ms, 2);
    assert_ptr_equal(again.last.text.ptr, again.history.ptr + 9);
    assert_int_equal(record_header_parse(&again, false, SPAN_LIT("no header"), &doc, &raw), -1);
    assert_int_equal(record_header_parse(&again, true, SPAN_LIT("no header"), &doc, &raw), 0);
    assert_true(span_is(raw, "no header"));
    buf_deinit(&record);
    buf_deinit(&body);
    json_deinit(&doc);
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_backoff_stays_in_its_bounds),
        TEST(test_created_is_done_and_known),
        TEST(test_retries_end_at_the_bound),
        TEST(test_retry_after_is_a_floor_and_pauses),
        TEST(test_a_hold_burns_no_attempt),
        TEST(test_unknown_is_never_sent_again_unasked),
        TEST(test_an_inexact_look_up_proves_nothing),
        TEST(test_absence_is_proved_by_two_words_and_a_control),
        TEST(test_without_its_control_nothing_is_absent),
        TEST(test_a_controls_pages_are_read_in_time_or_not_at_all),
        TEST(test_a_control_that_nobody_answers_burns_nothing),
        TEST(test_what_was_never_sent_burns_no_attempt),
        TEST(test_a_503_with_retry_after_is_looked_up_first),
        TEST(test_after_a_2xx_nothing_is_sent_again),
        TEST(test_on_absent_hold_holds_whatever_led_to_the_look_up),
        TEST(test_a_look_up_that_nobody_answers_burns_none),
        TEST(test_what_is_admitted),
        TEST(test_the_third_recovery_is_poison),
        TEST(test_a_record_is_read_as_it_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
