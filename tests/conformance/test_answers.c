/* What every provider's answers mean, over the registry: the seed's success is CREATED digit for
 * digit, nothing cut or foreign ever is, and each status has one verdict. Then what every provider
 * is asked with: URL, headers, credentials. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rig.h"

static void check_success(struct rig *r) {
    for (long status = 200; status <= 202; status++) {
        assert_int_equal(judge(r, answer(status, r->success)), VERDICT_CREATED);
        assert_int_equal(r->out.http_status, status);
        assert_int_equal(r->out.id_count, 1);
        assert_true(span_is(r->out.ids[0], r->id));
    }
    if (strncmp(r->account.provider->name, "kakaclo", 7) != 0) /* these answer with the id alone */
        assert_non_null(r->out.order.ptr);
}

/* An id beyond 2^53 and one that looks like a float keep their digits. */
static void check_digits(struct rig *r) {
    const char *ids[] = {"1853726451928473601", "18537264519284736011853726451928473601"};
    for (size_t i = 0; i < 2; i++) {
        char from[80], to[80], before = strstr(r->success, r->id)[-1];
        snprintf(from, sizeof(from), "%c%s", before, r->id); /* not VU's "ord-12345" */
        snprintf(to, sizeof(to), "%c%s", before, ids[i]);
        char *body = replaced(r->success, from, to);
        assert_int_equal(judge(r, answer(200, body)), VERDICT_CREATED);
        assert_true(span_is(r->out.ids[0], ids[i]));
        free(body);
    }
}

static void check_truncated(struct rig *r) {
    size_t len = strlen(r->success);
    while (r->success[len - 1] == '\n')
        len--;
    for (size_t n = 0; n < len; n++) {
        char *body = strndup(r->success, n); /* its own block, so that ASan sees its end */
        assert_int_equal(judge(r, answer(200, body)), VERDICT_UNKNOWN);
        assert_int_equal(r->out.id_count, 0);
        free(body);
    }
}

static void check_foreign(struct rig *r) {
    const char *bodies[] = {"",
                            "null",
                            "[]",
                            "{}",
                            "7",
                            "\"ok\"",
                            "<html>login</html>",
                            "{\"a\":1}",
                            "{\"code\":null}",
                            "{\"data\":5}",
                            "{\"order\":null}",
                            "{\"order\":[]}",
                            "{\"id\":null,\"channelOrderId\":\"test_order_id2\"}",
                            "{\"id\":\"\",\"channelOrderId\":\"test_order_id2\"}",
                            "{\"id\":\"x\",\"channelOrderId\":\"another\"}",
                            "{\"order\":{\"id\":5,\"order_number\":\"another\"}}"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        assert_int_equal(judge(r, answer(200, bodies[i])), VERDICT_UNKNOWN);
}

/* Whatever is in the body, an error status is never a success, and nothing runs over. */
static void check_damaged(struct rig *r) {
    struct rng rng;
    size_t len = strlen(r->success);
    rng_seed(&rng, 42);
    for (int round = 0; round < 2000; round++) {
        char *body = strdup(r->success);
        for (uint64_t n = 1 + rng_below(&rng, 8); n > 0; n--)
            body[rng_below(&rng, len)] = (char)(1 + rng_below(&rng, 255));
        judge(r, answer(200, body));
        assert_int_not_equal(judge(r, answer(422, body)), VERDICT_CREATED);
        free(body);
    }
}

/* The table of docs/protocol.md, as it reads there. EXACT marks what is looked up first where the
 * look-up is exact, FREE what burns no attempt. */
enum { EXACT = 1, FREE = 2 };
static const struct {
    long first, last;
    enum verdict verdict;
    int marks;
} rows[] = {
    {0, 0, VERDICT_UNKNOWN, 0},      {100, 103, VERDICT_UNKNOWN, 0},   {300, 306, VERDICT_UNKNOWN, 0},
    {307, 308, VERDICT_REJECTED, 0}, {309, 399, VERDICT_UNKNOWN, 0},   {400, 400, VERDICT_REJECTED, 0},
    {401, 401, VERDICT_HOLD, 0},     {402, 402, VERDICT_REJECTED, 0},  {403, 403, VERDICT_HOLD, 0},
    {404, 404, VERDICT_RETRY, 0},    {405, 406, VERDICT_REJECTED, 0},  {407, 407, VERDICT_HOLD, 0},
    {408, 408, VERDICT_UNKNOWN, 0},  {409, 409, VERDICT_LOOKUP, 0},    {410, 420, VERDICT_REJECTED, 0},
    {421, 421, VERDICT_RETRY, FREE}, {422, 424, VERDICT_REJECTED, 0},  {425, 425, VERDICT_RETRY, 0},
    {426, 428, VERDICT_REJECTED, 0}, {429, 429, VERDICT_PAUSE, FREE},  {430, 498, VERDICT_REJECTED, 0},
    {499, 502, VERDICT_UNKNOWN, 0},  {503, 503, VERDICT_RETRY, EXACT}, {504, 510, VERDICT_UNKNOWN, 0},
    {511, 511, VERDICT_RETRY, FREE}, {512, 520, VERDICT_UNKNOWN, 0},   {521, 523, VERDICT_RETRY, FREE},
    {524, 524, VERDICT_UNKNOWN, 0},  {525, 526, VERDICT_RETRY, FREE},  {527, 600, VERDICT_UNKNOWN, 0},
};

static void check_statuses(struct rig *r) {
    const char *bodies[] = {"", "<h1>oops</h1>", "{\"message\":\"no\"}", r->success};
    bool exact = provider_lookup_kind(&r->account) == LOOKUP_EXACT;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (long status = rows[i].first; status <= rows[i].last; status++)
            for (size_t k = 0; k < sizeof(bodies) / sizeof(bodies[0]); k++) {
                enum verdict want = exact && (rows[i].marks & EXACT) != 0 ? VERDICT_LOOKUP : rows[i].verdict;
                if (judge(r, answer(status, bodies[k])) != want)
                    fail_msg("%s: HTTP %ld is %s", r->account.provider->name, status,
                             verdict_name(r->out.verdict));
                if (r->out.free != ((rows[i].marks & FREE) != 0))
                    fail_msg("%s: HTTP %ld burns an attempt: %d", r->account.provider->name, status,
                             !r->out.free);
            }
}

static void check_urls(struct rig *r) {
    const struct provider *p = r->account.provider;
    const char *bases[] = {"https://api.test", "https://api.test/", "http://api.test:81/pre/fix",
                           "HTTPS://api.test/pre/fix//"};
    const char *wants[] = {"https://api.test", "https://api.test", "http://api.test:81/pre/fix",
                           "HTTPS://api.test/pre/fix"};
    for (size_t i = 0; i < 4; i++) {
        struct target_spec spec;
        struct err err = {""};
        char want[256];
        r->account.base_url = bases[i];
        snprintf(want, sizeof(want), "%s%s", wants[i], p->path != NULL ? p->path : "/create");
        assert_int_equal(target_spec_init(&spec, &r->account, HTTP_POST, NULL, &err), 0);
        assert_string_equal(spec.options.url, want);
        assert_string_equal(spec.options.headers[0], "Content-Type: application/json");
        target_spec_deinit(&spec);
    }
}

static bool has_credentials(const struct http_target_options *o) {
    return (o->bearer != NULL && strcmp(o->bearer, "tok-SECRET") == 0) ||
           (o->basic_user != NULL && strcmp(o->basic_user, "key-SECRET") == 0 &&
            strcmp(o->basic_password, "sec-SECRET") == 0);
}

/* Each setting in turn is unfit; the error names the account and never says what it holds. */
static void check_credentials(struct rig *r) {
    struct target_spec spec;
    struct err err = {""};
    assert_int_equal(target_spec_init(&spec, &r->account, HTTP_GET, "/find?key=1", &err), 0);
    assert_true(has_credentials(&spec.options));
    assert_string_equal(spec.options.url, "https://api.test/find?key=1");
    assert_string_equal(spec.options.headers[0], "Accept: application/json");
    target_spec_deinit(&spec);
    const char *bad_urls[] = {
        "ftp://x", "https://", "https://u:SECRET@h/", "https://h/?SECRET", "https://h/\nSECRET: 1", "h"};
    for (size_t i = 0; i < sizeof(bad_urls) / sizeof(bad_urls[0]); i++) {
        r->account.base_url = bad_urls[i];
        assert_int_equal(target_spec_init(&spec, &r->account, HTTP_POST, NULL, &err), -1);
        assert_non_null(strstr(err.text, "account shop: base_url"));
        assert_null(strstr(err.text, "SECRET"));
        target_spec_deinit(&spec);
    }
    r->account = test_account(r->account.provider);
    r->account.token = "tok-SECRET\r\nX: 1";
    r->account.key = "key-SECRET:colon";
    assert_int_equal(target_spec_init(&spec, &r->account, HTTP_POST, NULL, &err), -1);
    assert_null(strstr(err.text, "SECRET"));
    target_spec_deinit(&spec);
}

static void check_missing_credentials(struct rig *r) {
    struct err err = {""};
    const struct provider *p = r->account.provider;
    assert_int_equal(p->check_account(&r->account, &err), 0);
    r->account.token = r->account.key = r->account.secret = NULL;
    assert_int_equal(p->check_account(&r->account, &err), -1);
    assert_non_null(strstr(err.text, "account shop: "));
    r->account.token_file = r->account.key_file = r->account.secret_file = "/run/secrets/x";
    assert_int_equal(p->check_account(&r->account, &err), 0);
}

/* Neither noise nor trouble proves that an order exists or that it does not. */
static void check_lookup_noise(struct rig *r) {
    struct http_exchange noise[] = {answer(200, ""),
                                    answer(200, "{}"),
                                    answer(200, "[]"),
                                    answer(200, "{\"code\":10000,\"data\":null}"),
                                    answer(200, "{\"code\":500,\"data\":{\"list\":[]}}"),
                                    answer(200, "<html>login</html>"),
                                    answer(404, "<html>no such page</html>"),
                                    answer(400, "{\"message\":\"no\"}"),
                                    answer(302, ""),
                                    answer(500, "{\"items\":[],\"total\":0}"),
                                    answer(503, ""),
                                    answer(401, ""),
                                    answer(429, ""),
                                    {.sent = true, .phase = "receive", .error = "reset"},
                                    {.sent = false, .phase = "connect", .error = "refused"}};
    for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++) {
        struct lookup_cursor cursor = {.window_to_ms = NOW};
        memset(&r->out, 0xa5, sizeof(r->out));
        bool more = classify_lookup(&r->account, &r->envelope, &noise[i], NOW, &r->doc, &cursor, &r->out);
        assert_false(more);
        enum verdict v = r->out.verdict;
        if (v != VERDICT_RETRY && v != VERDICT_UNKNOWN && v != VERDICT_HOLD && v != VERDICT_PAUSE)
            fail_msg("%s: look-up answer %zu is %s", r->account.provider->name, i, verdict_name(v));
        assert_true(r->out.code[0] != '\0');
    }
}

#define EVERY(name, check)                                                                                   \
    static void name(void **state) {                                                                         \
        (void)state;                                                                                         \
        for_every_provider(check);                                                                           \
    }
EVERY(test_the_seeds_success_is_created, check_success)
EVERY(test_ids_keep_their_digits, check_digits)
EVERY(test_a_cut_answer_is_unknown_at_every_byte, check_truncated)
EVERY(test_a_foreign_answer_is_unknown, check_foreign)
EVERY(test_a_damaged_answer_breaks_nothing, check_damaged)
EVERY(test_each_status_has_its_verdict, check_statuses)
EVERY(test_urls_are_joined_with_one_slash, check_urls)
EVERY(test_credentials_go_out_but_not_into_errors, check_credentials)
EVERY(test_an_account_needs_its_credentials, check_missing_credentials)
EVERY(test_lookup_noise_proves_nothing, check_lookup_noise)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_seeds_success_is_created),
        cmocka_unit_test(test_ids_keep_their_digits),
        cmocka_unit_test(test_a_cut_answer_is_unknown_at_every_byte),
        cmocka_unit_test(test_a_foreign_answer_is_unknown),
        cmocka_unit_test(test_a_damaged_answer_breaks_nothing),
        cmocka_unit_test(test_each_status_has_its_verdict),
        cmocka_unit_test(test_urls_are_joined_with_one_slash),
        cmocka_unit_test(test_credentials_go_out_but_not_into_errors),
        cmocka_unit_test(test_an_account_needs_its_credentials),
        cmocka_unit_test(test_lookup_noise_proves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
