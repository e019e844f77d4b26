/* The tables of docs/providers.md that say what an answer means and which list of codes wins, row by row, and that of
 * docs/protocol.md as far as it names statuses: what they say is tried, a row that nothing tries fails, and so does a status
 * that they say something else of than the code does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "doc_table.h"
#include "rig.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static struct rig rig;

static void use(const char *provider) {
    rig_open(&rig, provider_find(provider));
}

/* By the first word of what the page says. */
static enum verdict verdict_of(const char *words) {
    static const struct {
        const char *word;
        enum verdict verdict;
    } all[] = {{"created", VERDICT_CREATED},
               {"rejected", VERDICT_REJECTED},
               {"retry", VERDICT_RETRY},
               {"unknown", VERDICT_UNKNOWN},
               {"the account pauses", VERDICT_PAUSE},
               {"pause", VERDICT_PAUSE},
               {"hold", VERDICT_HOLD},
               {"look up", VERDICT_LOOKUP},
               {"the order exists", VERDICT_LOOKUP}};
    for (size_t i = 0; i < COUNT(all); i++)
        if (strncasecmp(words, all[i].word, strlen(all[i].word)) == 0)
            return all[i].verdict;
    fail_msg("what verdict is '%s'?", words);
    return VERDICT_UNKNOWN;
}

/* ---- what an answer means ---- */

static struct http_exchange none(const char *phase, bool sent) {
    return (struct http_exchange){.sent = sent, .phase = phase, .error = "why"};
}

static struct http_exchange with_retry_after(long status) {
    struct http_exchange x = answer(status, "");
    x.retry_after = SPAN_LIT("7");
    return x;
}

static const struct sample {
    const char *row, *provider, *code; /* code NULL: the provider's own, 77 */
    struct http_exchange x;
} * samples;
static size_t sample_count;
static const char own_no[] = "{\"code\":77,\"message\":\"no\"}";

static void make_samples(void) {
    static struct sample all[64];
    size_t n = 0;
#define SAMPLE(row, provider, code, ...) all[n++] = (struct sample){row, provider, code, __VA_ARGS__}
    SAMPLE("nothing was sent", "vu", "resolve", none("resolve", false));
    SAMPLE("nothing was sent", "s2", "connect", none("connect", false));
    SAMPLE("nothing was sent", "vu", "tls", none("tls", false));
    SAMPLE("nothing was sent", "vu", "connect_timeout", none("timeout", false));
    SAMPLE("nothing was sent", "vu", "cancelled", {.cancelled = true, .error = ""});
    SAMPLE("the lease ran out before the body was sent", "vu", "lease_lost",
           {.guard_refused = true, .sent = true});
    SAMPLE("sent, and no whole answer", "vu", "timeout", none("timeout", true));
    SAMPLE("sent, and no whole answer", "s2", "connection_lost", none("receive", true));
    SAMPLE("sent, and no whole answer", "vu", "replay_refused", {.sent = true, .replay_refused = true});
    SAMPLE("sent, and no whole answer", "vu", "answer_too_large",
           {.sent = true, .too_large = true, .status = 200});
    SAMPLE("sent, and no whole answer", "vu", "cancelled", {.sent = true, .cancelled = true});
    struct http_exchange early = answer(200, "{}");
    early.early = true;
    SAMPLE("an answer that may be another order's", "vu", "early_answer", early);
    SAMPLE("an answer that may be another order's", "s2", "other_order",
           answer(200, "{\"id\":\"x\",\"channelOrderId\":\"another\"}"));
    SAMPLE("2xx with the provider's own no", "kakaclo-v2", NULL, answer(200, own_no));
    SAMPLE("2xx with the provider's own no", "kakaclo-custom", NULL, answer(201, own_no));
    SAMPLE("2xx with a no, and with a yes or an order id (http-json)", "http-json", "contradictory_answer",
           answer(200, "{\"ok\":false,\"result\":{\"id\":7}}"));
    SAMPLE("2xx that cannot be read", "vu", "unreadable_answer", answer(200, "<html>"));
    SAMPLE("2xx that cannot be read", "kakaclo-v1", "unreadable_answer", answer(204, ""));
    SAMPLE("2xx that cannot be read", "kakaclo-v2", "no_order_id", answer(200, "{\"code\":10000}"));
    SAMPLE("the server refused it unread (HTTP/2)", "vu", "unprocessed", {.unprocessed = true});
    SAMPLE("421, 511, 521, 522, 523, 525, 526: it did not get through", "vu", "http_521", answer(521, ""));
    SAMPLE("307, 308", "vu", "redirect", answer(307, ""));
    SAMPLE("other 3xx", "vu", "redirect", answer(302, own_no));
    SAMPLE("401, 403", "kakaclo-v2", "http_401", answer(401, "no"));
    SAMPLE("401, 403", "s2", "http_403", answer(403, "{}"));
    SAMPLE("401, 403", "kakaclo-v2", NULL, answer(403, own_no));
    SAMPLE("407; our proxy refuses a `CONNECT`", "vu", "proxy_407", answer(407, ""));
    SAMPLE("407; our proxy refuses a `CONNECT`", "vu", "proxy_407", {.proxy_status = 407});
    SAMPLE("404, 425", "kakaclo-v2", "http_404", answer(404, ""));
    SAMPLE("404, 425", "kakaclo-v2", NULL, answer(425, own_no));
    SAMPLE("503", "kakaclo-v2", "http_503", answer(503, ""));
    SAMPLE("503", "kakaclo-v2", NULL, answer(503, own_no));
    SAMPLE("409; VU's 422 that calls `order_number` taken", "s2", "http_409", answer(409, ""));
    SAMPLE("409; VU's 422 that calls `order_number` taken", "kakaclo-v2", NULL, answer(409, own_no));
    SAMPLE("409; VU's 422 that calls `order_number` taken", "vu", "order_number_taken",
           answer(422, "{\"errors\":{\"order_number\":[\"has already been taken\"]}}"));
    SAMPLE("429; 503 with `Retry-After`", "kakaclo-v2", "http_429", answer(429, ""));
    SAMPLE("429; 503 with `Retry-After`", "kakaclo-v2", NULL, answer(429, own_no));
    SAMPLE("429; 503 with `Retry-After`", "kakaclo-v2", "http_503", with_retry_after(503));
    SAMPLE("other 5xx, 408, 499", "vu", "http_502", answer(502, ""));
    SAMPLE("other 5xx, 408, 499", "kakaclo-v2", NULL, answer(500, own_no));
    SAMPLE("other 4xx", "kakaclo-v2", "http_422", answer(422, ""));
    SAMPLE("other 4xx", "kakaclo-v2", NULL, answer(400, own_no));
    SAMPLE("1xx, no status, 600 and above", "vu", "http_600", answer(600, ""));
#undef SAMPLE
    samples = all;
    sample_count = n;
}

/* What only a worker finds out, by what it remembers: tried over a socket. */
static const struct {
    const char *code, *test;
} elsewhere[] = {{"repeated_order_id", "test_whose_answer.py"}};

static bool tried_elsewhere(const char *code) {
    for (size_t i = 0; i < COUNT(elsewhere); i++) {
        char path[512], *text = calloc(1, 1 << 20);
        if (strcmp(code, elsewhere[i].code) != 0) {
            free(text);
            continue;
        }
        snprintf(path, sizeof(path), DRAY_DOCS "/../tests/e2e/%s", elsewhere[i].test);
        FILE *f = fopen(path, "r");
        bool has = f != NULL && fread(text, 1, (1 << 20) - 1, f) > 0 && strstr(text, code) != NULL;
        if (f != NULL)
            fclose(f);
        free(text);
        return has;
    }
    return false;
}

static void check_sample(const struct doc_table *t, const struct sample *s) {
    size_t row = doc_table_row(t, s->row);
    const char *says = t->cell[row][2], *code = s->code != NULL ? s->code : "77";
    use(s->provider);
    enum verdict seen = judge(&rig, s->x);
    if (seen != verdict_of(t->cell[row][1]))
        fail_msg("'%s': the page says %s, and %s is %s", s->row, t->cell[row][1], code, verdict_name(seen));
    assert_string_equal(rig.out.code, code);
    bool of_status = strncmp(code, "http_", 5) == 0 && strstr(says, "`http_") != NULL;
    if (s->code == NULL ? strstr(says, "the provider's code") == NULL
                        : !doc_cell_has(says, code) && !of_status)
        fail_msg("'%s': the page does not know the code %s", s->row, code);
    rig_close(&rig);
}

/* Each code that the page names is seen in its row. */
static void check_codes(const char *row, const char *cell) {
    for (const char *at = cell; (at = strchr(at, '`')) != NULL;) {
        char code[64] = "";
        size_t len = strcspn(at + 1, "`");
        bool seen = false;
        assert_true(len < sizeof(code));
        memcpy(code, at + 1, len);
        at += len + 2;
        for (size_t i = 0; i < sample_count && !seen; i++)
            seen = samples[i].code != NULL && strcmp(samples[i].row, row) == 0 &&
                   (strcmp(samples[i].code, code) == 0 || strcmp(code, "http_…") == 0);
        if (!seen && !tried_elsewhere(code))
            fail_msg("'%s': nothing tries the code %s", row, code);
    }
}

static void test_each_row_of_what_an_answer_means(void **state) {
    (void)state;
    struct doc_table t;
    make_samples();
    doc_table_read(&t, "providers.md", "\n| seen | verdict | `code` |\n" + 1);
    for (size_t i = 0; i < sample_count; i++)
        check_sample(&t, &samples[i]);
    for (size_t row = 0; row < t.rows; row++) {
        size_t tried = 0;
        for (size_t i = 0; i < sample_count; i++)
            tried += strcmp(samples[i].row, t.cell[row][0]) == 0;
        if (tried == 0 && strcmp(t.cell[row][0], "2xx, success test holds") != 0)
            fail_msg("nothing tries the row '%s'", t.cell[row][0]);
        check_codes(t.cell[row][0], t.cell[row][2]);
    }
    doc_table_free(&t);
}

static void check_created(struct rig *r) {
    struct doc_table t;
    doc_table_read(&t, "providers.md", "\n| seen | verdict | `code` |\n" + 1);
    size_t row = doc_table_row(&t, "2xx, success test holds");
    assert_int_equal(judge(r, answer(200, r->success)), verdict_of(t.cell[row][1]));
    assert_string_equal(t.cell[row][2], "");
    doc_table_free(&t);
}

static void test_what_holds_is_created(void **state) {
    (void)state;
    for_every_provider(check_created);
}

/* Every status, by the row that claims it. */
static const struct {
    const char *page, *head, *rest; /* the row of what no other claims */
} status_tables[] = {
    {"providers.md", "\n| seen | verdict | `code` |\n", "1xx, no status, 600 and above"},
    {"protocol.md", "\n| seen | verdict |\n", NULL},
};

static void check_statuses(struct rig *r) {
    bool exact = provider_lookup_kind(&r->account) == LOOKUP_EXACT;
    for (size_t i = 0; i < COUNT(status_tables); i++) {
        struct doc_table t;
        doc_table_read(&t, status_tables[i].page, status_tables[i].head + 1);
        for (long status = 100; status < 1000; status++) {
            int row = status / 100 != 2 ? doc_table_claims(&t, status) : -1;
            bool rest = status / 100 != 2 && (status < 200 || status >= 600) && status_tables[i].rest != NULL;
            if (row < 0 && rest)
                row = (int)doc_table_row(&t, status_tables[i].rest);
            if (row < 0 && status >= 300 && status < 600)
                fail_msg("%s: no row claims %ld", status_tables[i].page, status);
            if (row < 0)
                continue;
            const char *says = t.cell[row][1];
            bool looks = exact && strstr(says, "look first") != NULL;
            enum verdict seen = judge(r, answer(status, ""));
            if (seen != (looks ? VERDICT_LOOKUP : verdict_of(says)))
                fail_msg("%s, %s: HTTP %ld is %s and not: %s", status_tables[i].page,
                         r->account.provider->name, status, verdict_name(seen), says);
        }
        doc_table_free(&t);
    }
}

static void test_each_status(void **state) {
    (void)state;
    for_every_provider(check_statuses);
}

/* ---- which list wins ---- */

static code_list *list_of(struct account *a, const char *name) {
    const struct {
        const char *name;
        code_list *list;
    } all[] = {{"`retry_codes`", &a->retry_codes},     {"`reject_codes`", &a->reject_codes},
               {"`unknown_codes`", &a->unknown_codes}, {"`hold_codes`", &a->hold_codes},
               {"`pause_codes`", &a->pause_codes},     {"`duplicate_codes`", &a->duplicate_codes}};
    for (size_t i = 0; i < COUNT(all); i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i].list;
    fail_msg("there is no list %s", name);
    return NULL;
}

/* "a,b" as the list that the configuration makes of it; good for eight calls. */
static code_list codes(const char *text) {
    static char copies[8][256], *lists[8][16];
    static size_t next;
    size_t at = next++ % 8, n = 0;
    snprintf(copies[at], sizeof(copies[at]), "%s", text);
    for (char *rest = copies[at], *one; (one = strsep(&rest, ",")) != NULL;)
        lists[at][n++] = one;
    lists[at][n] = NULL;
    return lists[at];
}

static void check_list(const struct doc_table *t, size_t row) {
    const char *name = t->cell[row][1], *says = t->cell[row][2];
    struct account *a = &rig.account;
    static const long statuses[] = {200, 400, 404, 409, 422, 500, 503};
    *list_of(a, name) = codes("77");
    for (size_t i = 0; i < COUNT(statuses); i++)
        assert_int_equal(judge(&rig, answer(statuses[i], own_no)), verdict_of(says));
    if (strstr(says, "A 429 stays a pause") != NULL)
        assert_int_equal(judge(&rig, answer(429, own_no)), VERDICT_PAUSE);
    *list_of(a, name) = codes("http:422");
    assert_int_equal(judge(&rig, answer(422, "")), verdict_of(says));
    assert_int_equal(judge(&rig, answer(400, "")), VERDICT_REJECTED);
    *list_of(a, name) =
        codes("10000,http:200,http_200,unreadable_answer,no_order_id,timeout,connect,connection_lost");
    assert_int_equal(judge(&rig, answer(200, rig.success)), VERDICT_CREATED);
    assert_int_equal(judge(&rig, answer(200, "<html>")), VERDICT_UNKNOWN);
    assert_int_equal(judge(&rig, answer(200, "{\"code\":10000}")), VERDICT_UNKNOWN);
    assert_int_equal(judge(&rig, none("timeout", true)), VERDICT_UNKNOWN);
    assert_int_equal(judge(&rig, none("receive", true)), VERDICT_UNKNOWN);
    assert_int_equal(judge(&rig, none("connect", false)), VERDICT_RETRY);
    *list_of(a, name) = NULL;
}

/* The provider's code in one list, the status in another. */
static void check_pair(const struct doc_table *t, size_t row, size_t other) {
    *list_of(&rig.account, t->cell[row][1]) = codes("77");
    *list_of(&rig.account, t->cell[other][1]) = codes("http:422");
    assert_int_equal(judge(&rig, answer(422, own_no)), verdict_of(t->cell[row][2]));
    assert_int_equal(judge(&rig, answer(422, "{\"code\":78}")), verdict_of(t->cell[other][2]));
    *list_of(&rig.account, t->cell[other][1]) = codes("http:429");
    if (verdict_of(t->cell[row][2]) != VERDICT_RETRY)
        assert_int_equal(judge(&rig, answer(429, own_no)), verdict_of(t->cell[row][2]));
    *list_of(&rig.account, t->cell[row][1]) = *list_of(&rig.account, t->cell[other][1]) = NULL;
}

static void test_each_row_of_which_list_wins(void **state) {
    (void)state;
    struct doc_table t;
    doc_table_read(&t, "providers.md", "| which wins | list | a code in it means |\n");
    assert_string_equal(t.cell[0][0], "1. the provider's code, in whatever list it is; 2. the status");
    assert_int_equal(t.rows, 6);
    use("kakaclo-v2");
    for (size_t row = 0; row < t.rows; row++) {
        assert_true(row == 0 || t.cell[row][0][0] == '\0');
        check_list(&t, row);
        for (size_t other = 0; other < t.rows; other++)
            if (other != row)
                check_pair(&t, row, other);
    }
    rig_close(&rig);
    doc_table_free(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_row_of_what_an_answer_means),
        cmocka_unit_test(test_what_holds_is_created),
        cmocka_unit_test(test_each_status),
        cmocka_unit_test(test_each_row_of_which_list_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
