/* Every provider's field table against the provider's own example: for each row, what the document
 * asks for is asked for, at the right path, and nothing else. A new provider is tested by being in
 * the registry and having tests/fixtures/NAME/order.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "orders.h"

/* One row at one place of the example. */
struct spot {
    const struct provider *p;
    const struct field *row;
    const char *parent; /* the path of the object that holds it: "order.orderItemsList[0]" */
    char path[256];
};

typedef void (*spot_fn)(const struct spot *spot);

static cJSON *resolve(cJSON *job, const char *path) {
    char copy[256], *rest = copy, *step;
    snprintf(copy, sizeof(copy), "%s", path);
    cJSON *at = job;
    while ((step = strsep(&rest, ".")) != NULL) {
        char *bracket = strchr(step, '[');
        if (bracket != NULL)
            *bracket = '\0';
        at = cJSON_GetObjectItemCaseSensitive(at, step);
        if (bracket != NULL)
            at = cJSON_GetArrayItem(at, atoi(bracket + 1));
        if (at == NULL)
            fail_msg("the example has no %s", path);
    }
    return at;
}

static void each_row(const struct provider *p, const struct field *rows, uint32_t count, const char *parent,
                     spot_fn check) {
    for (uint32_t i = 0; i < count; i++) {
        struct spot spot = {.p = p, .row = &rows[i], .parent = parent};
        char inside[sizeof(spot.path) + 8];
        snprintf(spot.path, sizeof(spot.path), "%s.%s", parent, rows[i].name);
        check(&spot);
        snprintf(inside, sizeof(inside), "%s%s", spot.path, rows[i].type == FIELD_ARRAY ? "[0]" : "");
        if (rows[i].members != NULL)
            each_row(p, rows[i].members, rows[i].member_count, inside, check);
    }
}

static void for_every_field(spot_fn check) {
    for (size_t i = 0; providers[i] != NULL; i++)
        each_row(providers[i], providers[i]->fields, providers[i]->field_count, "order", check);
}

/* The faults of the example once its value at `spot` is `value` (owned; NULL: removed). */
static cJSON *faults_with(const struct spot *spot, cJSON *value) {
    cJSON *job = fixture_job(spot->p);
    cJSON *parent = resolve(job, spot->parent);
    cJSON_DeleteItemFromObjectCaseSensitive(parent, spot->row->name);
    if (value != NULL)
        cJSON_AddItemToObject(parent, spot->row->name, value);
    cJSON *faults = faults_of(spot->p, job);
    cJSON_Delete(job);
    return faults;
}

static void expect_fault(const struct spot *spot, cJSON *value, const char *words) {
    cJSON *faults = faults_with(spot, value);
    assert_one_fault(faults, spot->path, words);
    cJSON_Delete(faults);
}

static void expect_none(const struct spot *spot, cJSON *value) {
    cJSON *faults = faults_with(spot, value);
    assert_no_fault(faults, spot->path);
    cJSON_Delete(faults);
}

/* The one rule beyond the tables: the example's sales_channel is b2b. */
static bool is_vu_b2b(const struct spot *spot) {
    return strcmp(spot->p->name, "vu") == 0 && strcmp(spot->row->name, "b2b") == 0;
}

static bool is_text(const struct field *row) {
    return row->type == FIELD_STRING || row->type == FIELD_STRING_OR_INTEGER;
}

/* `count` characters of three bytes each. */
static cJSON *wide_text(uint32_t count) {
    char *text = calloc(count + 1, 3);
    for (uint32_t i = 0; i < count; i++)
        memcpy(text + i * 3, "\xe6\xb1\x89", 3);
    cJSON *value = cJSON_CreateString(text);
    free(text);
    return value;
}

static void test_the_example_is_valid(void **state) {
    (void)state;
    for (size_t i = 0; providers[i] != NULL; i++) {
        if (providers[i]->fields == NULL)
            continue;
        cJSON *job = fixture_job(providers[i]);
        cJSON *faults = faults_of(providers[i], job);
        assert_no_fault(faults, providers[i]->name);
        cJSON_Delete(faults);
        cJSON_Delete(job);
    }
}

static void check_missing(const struct spot *spot) {
    if (is_vu_b2b(spot))
        expect_fault(spot, NULL, "is required when sales_channel is b2b");
    else if ((spot->row->flags & FIELD_REQUIRED) != 0)
        expect_fault(spot, NULL, "is required");
    else
        expect_none(spot, NULL);
}

static void check_null(const struct spot *spot) {
    if (is_vu_b2b(spot))
        expect_fault(spot, cJSON_CreateNull(), "is required when sales_channel is b2b");
    else if ((spot->row->flags & FIELD_NULLABLE) != 0)
        expect_none(spot, cJSON_CreateNull());
    else
        expect_fault(spot, cJSON_CreateNull(), "not null");
}

static void check_wrong_types(const struct spot *spot) {
    enum field_type type = spot->row->type;
    bool integer = type == FIELD_INTEGER || type == FIELD_STRING_OR_INTEGER;
    if (type != FIELD_BOOLEAN)
        expect_fault(spot, cJSON_CreateTrue(), "must be a");
    if (!is_text(spot->row))
        expect_fault(spot, cJSON_CreateString("7"), "must be a");
    if (type == FIELD_STRING || type == FIELD_OBJECT || type == FIELD_ARRAY)
        expect_fault(spot, cJSON_CreateNumber(7), "must be a");
    if (type == FIELD_INTEGER || type == FIELD_NUMBER || type == FIELD_STRING)
        expect_fault(spot, cJSON_CreateArray(), "must be a");
    if (type != FIELD_OBJECT && type != FIELD_OBJECT_OR_ARRAY)
        expect_fault(spot, cJSON_CreateObject(), "must be a");
    if (integer)
        expect_fault(spot, cJSON_CreateNumber(1.5), "without fraction");
    if (type == FIELD_STRING_OR_INTEGER)
        expect_none(spot, cJSON_CreateNumber(782246793));
}

static void check_elements(const struct spot *spot) {
    if (spot->row->type != FIELD_STRING_ARRAY &&
        (spot->row->type != FIELD_ARRAY || spot->row->members == NULL))
        return;
    cJSON *array = cJSON_CreateArray();
    char path[300];
    cJSON_AddItemToArray(array, cJSON_CreateNumber(3));
    snprintf(path, sizeof(path), "%s[0]", spot->path);
    cJSON *faults = faults_with(spot, array);
    assert_one_fault(faults, path, spot->row->members != NULL ? "must be an object" : "must be a string");
    cJSON_Delete(faults);
}

static void check_maximum(const struct spot *spot) {
    char words[64];
    if (spot->row->max == 0)
        return;
    if (spot->row->type == FIELD_INTEGER) {
        snprintf(words, sizeof(words), "must be at most %u", spot->row->max);
        expect_fault(spot, cJSON_CreateNumber((double)spot->row->max + 1), words);
        expect_fault(spot, cJSON_CreateRaw("99999999999999999999999"), words);
        expect_none(spot, cJSON_CreateNumber((double)spot->row->max));
        return;
    }
    assert_true(is_text(spot->row));
    snprintf(words, sizeof(words), "at most %u characters", spot->row->max);
    expect_fault(spot, wide_text(spot->row->max + 1), words);
    if (spot->row->allowed == NULL)
        expect_none(spot, wide_text(spot->row->max));
}

static void check_minimum(const struct spot *spot) {
    char words[64];
    if (!spot->row->has_min)
        return;
    snprintf(words, sizeof(words), "must be at least %lld", (long long)spot->row->min);
    expect_fault(spot, cJSON_CreateNumber((double)spot->row->min - 1), words);
    expect_fault(spot, cJSON_CreateRaw("-99999999999999999999999"), words);
    expect_none(spot, cJSON_CreateNumber((double)spot->row->min));
    if (spot->row->max == 0)
        expect_none(spot, cJSON_CreateRaw("99999999999999999999999"));
}

static void check_empty(const struct spot *spot) {
    bool array = spot->row->type == FIELD_ARRAY || spot->row->type == FIELD_STRING_ARRAY;
    cJSON *empty = array ? cJSON_CreateArray() : cJSON_CreateString("");
    if (!array && !is_text(spot->row))
        cJSON_Delete(empty);
    else if ((spot->row->flags & FIELD_NONEMPTY) != 0)
        expect_fault(spot, empty, "must not be empty");
    else if (spot->row->allowed != NULL && (spot->row->flags & FIELD_EMPTY_OK) == 0)
        expect_fault(spot, empty, "must be one of");
    else
        expect_none(spot, empty);
}

static void check_allowed(const struct spot *spot) {
    char upper[64];
    if (spot->row->allowed == NULL)
        return;
    for (size_t i = 0; spot->row->allowed[i] != NULL; i++) {
        expect_none(spot, cJSON_CreateString(spot->row->allowed[i]));
        snprintf(upper, sizeof(upper), "%s", spot->row->allowed[i]);
        for (char *c = upper; *c != '\0'; c++)
            if (*c >= 'a' && *c <= 'z')
                *c = (char)(*c - 32);
        if (spot->row->allowed_nocase)
            expect_none(spot, cJSON_CreateString(upper));
        else
            expect_fault(spot, cJSON_CreateString(upper), "must be one of");
    }
    expect_fault(spot, cJSON_CreateString("Nonesuch"), spot->row->allowed[0]);
}

static void check_datetime(const struct spot *spot) {
    if ((spot->row->flags & FIELD_DATETIME) == 0)
        return;
    const char *wants = "must be a date and time";
    bool utc = (spot->row->flags & FIELD_UTC) != 0, iso = (spot->row->flags & FIELD_ISO8601) != 0;
    const char *only_iso[] = {"2024-02-29T23:59:60Z",     "2024-04-24T06:00:33", "2024-04-24T06:00:33+0200",
                              "2024-04-24T06:00:33,889Z", "20240424T060033Z",    "2024-04-24T06:00+02",
                              "2024-04-24 06:00:33Z"};
    for (size_t i = 0; i < sizeof(only_iso) / sizeof(only_iso[0]); i++)
        if (iso)
            expect_none(spot, cJSON_CreateString(only_iso[i]));
        else
            expect_fault(spot, cJSON_CreateString(only_iso[i]), wants);
    expect_none(spot, cJSON_CreateString("2024-04-24T06:00Z"));
    expect_none(spot, cJSON_CreateString("2024-04-24T06:00:33.889+00:00"));
    expect_fault(spot, cJSON_CreateString("2023-02-29T00:00:00Z"), wants);
    expect_fault(spot, cJSON_CreateString("2024-04-24"), wants);
    expect_fault(spot, cJSON_CreateString("yesterday"), wants);
    if (utc)
        expect_fault(spot, cJSON_CreateString("2024-04-24T06:00:33+02:00"), "must be in UTC");
    else
        expect_none(spot, cJSON_CreateString("2024-04-24T06:00:33+02:00"));
}

/* The member stands twice: under its own name, and under its other one. */
static void check_twice(const struct spot *spot) {
    const char *names[] = {spot->row->name, spot->row->alias};
    for (size_t i = 0; i < 2 && names[i] != NULL; i++) {
        char path[300];
        cJSON *job = fixture_job(spot->p);
        cJSON *parent = resolve(job, spot->parent);
        cJSON *value = cJSON_GetObjectItemCaseSensitive(parent, spot->row->name);
        if (value == NULL)
            cJSON_AddItemToObject(parent, spot->row->name, value = cJSON_CreateNull());
        cJSON_AddItemToObject(parent, names[i], cJSON_Duplicate(value, true));
        cJSON *faults = faults_of(spot->p, job);
        snprintf(path, sizeof(path), "%s.%s", spot->parent, names[i]);
        if (is_vu_b2b(spot))
            assert_int_equal(cJSON_GetArraySize(faults), 1);
        if (i == 1 && (spot->row->flags & FIELD_BOTH_OK) != 0)
            assert_no_fault(faults, path); /* both names, one value */
        else
            assert_one_fault(faults, path, "is given twice");
        cJSON_Delete(faults);
        cJSON_Delete(job);
    }
}

static void check_trimmed(const struct spot *spot) {
    static const char *const texts[] = {" a",
                                        "a ",
                                        "a\n",
                                        "\ta",
                                        "a\xc2\xa0",
                                        "\xe3\x80\x80"
                                        "a",
                                        "a\xe2\x80\x8b",
                                        "\xef\xbb\xbf"
                                        "a",
                                        "a\xe2\x80\xa9",
                                        " "};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if ((spot->row->flags & FIELD_TRIMMED) != 0)
            expect_fault(spot, cJSON_CreateString(texts[i]), "white space");
        else if (spot->row->type == FIELD_STRING && (spot->row->flags & FIELD_ORDER_KEY) != 0)
            expect_none(spot, cJSON_CreateString(texts[i])); /* KaKaClo's is searched, and found as it is */
    }
    if ((spot->row->flags & FIELD_TRIMMED) != 0)
        expect_none(spot, cJSON_CreateString("a \xe6\xb1\x89 b"));
}

/* Both spellings with other values are a fault, at the second; null and an empty text are no value. */
static void check_both(const struct spot *spot) {
    static const struct {
        const char *first, *second;
        bool fault;
    } cases[] = {{"\"a\"", "\"b\"", true}, {"\"a\"", "\"a \"", true}, {"\"a\"", "\"\\u0061\"", false},
                 {"\"a\"", "null", false}, {"null", "\"a\"", false},  {"\"a\"", "\"\"", false}};
    if ((spot->row->flags & FIELD_BOTH_OK) == 0)
        return;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[300];
        cJSON *job = fixture_job(spot->p);
        cJSON *parent = resolve(job, spot->parent);
        cJSON_DeleteItemFromObjectCaseSensitive(parent, spot->row->name);
        cJSON_AddItemToObject(parent, spot->row->name, cJSON_CreateRaw(cases[i].first));
        cJSON_AddItemToObject(parent, spot->row->alias, cJSON_CreateRaw(cases[i].second));
        cJSON *faults = faults_of(spot->p, job);
        snprintf(path, sizeof(path), "%s.%s", spot->parent, spot->row->alias);
        if (cases[i].fault)
            assert_one_fault(faults, path, "differs");
        else
            assert_no_fault(faults, path);
        cJSON_Delete(faults);
        cJSON_Delete(job);
    }
}

static void check_alias(const struct spot *spot) {
    if (spot->row->alias == NULL)
        return;
    cJSON *job = fixture_job(spot->p);
    cJSON *parent = resolve(job, spot->parent);
    cJSON *value = cJSON_DetachItemFromObjectCaseSensitive(parent, spot->row->name);
    cJSON_AddItemToObject(parent, spot->row->alias, value);
    cJSON *faults = faults_of(spot->p, job);
    assert_no_fault(faults, spot->row->alias);
    cJSON_Delete(faults);
    cJSON_Delete(job);
}

static void check_unknown_members(const struct spot *spot) {
    cJSON *job = fixture_job(spot->p);
    cJSON *parent = resolve(job, spot->parent);
    cJSON_AddNumberToObject(parent, "somethingElse", 1);
    cJSON_AddNumberToObject(parent, "somethingElse", 2);
    cJSON *faults = faults_of(spot->p, job);
    assert_no_fault(faults, spot->path);
    cJSON_Delete(faults);
    cJSON_Delete(job);
}

/* A table fits the walk's bitmap, names its order key, and says why it is lenient. */
static void check_table(const struct spot *spot) {
    assert_true(spot->row->member_count <= FIELDS_MAX && spot->p->field_count <= FIELDS_MAX);
    assert_int_equal(spot->row->name_len, strlen(spot->row->name));
    assert_non_null(spot->row->note);
    if ((spot->row->flags & FIELD_ORDER_KEY) != 0) {
        const char *last = strrchr(spot->p->order_key_pointer, '/') + 1;
        assert_string_equal(spot->row->name, last);
        assert_int_equal(spot->row->alias != NULL, spot->p->order_key_alias != NULL);
        if (spot->row->alias != NULL)
            assert_string_equal(spot->row->alias, strrchr(spot->p->order_key_alias, '/') + 1);
    }
}

#define EVERY(name, check)                                                                                   \
    static void name(void **state) {                                                                         \
        (void)state;                                                                                         \
        for_every_field(check);                                                                              \
    }
EVERY(test_a_missing_field_is_one_fault_if_required, check_missing)
EVERY(test_null_is_allowed_only_where_absence_is, check_null)
EVERY(test_another_type_is_one_fault, check_wrong_types)
EVERY(test_an_element_of_another_type_is_one_fault, check_elements)
EVERY(test_a_maximum_counts_characters, check_maximum)
EVERY(test_a_minimum_holds_for_any_number, check_minimum)
EVERY(test_an_empty_value, check_empty)
EVERY(test_allowed_values, check_allowed)
EVERY(test_dates, check_datetime)
EVERY(test_a_known_member_stands_once, check_twice)
EVERY(test_the_other_name_will_do, check_alias)
EVERY(test_keys_that_are_compared_exactly_have_no_white_space_around_them, check_trimmed)
EVERY(test_both_spellings_are_one_field, check_both)
EVERY(test_unknown_members_pass, check_unknown_members)
EVERY(test_the_tables_are_sound, check_table)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_example_is_valid),
        cmocka_unit_test(test_a_missing_field_is_one_fault_if_required),
        cmocka_unit_test(test_null_is_allowed_only_where_absence_is),
        cmocka_unit_test(test_another_type_is_one_fault),
        cmocka_unit_test(test_an_element_of_another_type_is_one_fault),
        cmocka_unit_test(test_a_maximum_counts_characters),
        cmocka_unit_test(test_a_minimum_holds_for_any_number),
        cmocka_unit_test(test_an_empty_value),
        cmocka_unit_test(test_allowed_values),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_a_known_member_stands_once),
        cmocka_unit_test(test_the_other_name_will_do),
        cmocka_unit_test(test_keys_that_are_compared_exactly_have_no_white_space_around_them),
        cmocka_unit_test(test_both_spellings_are_one_field),
        cmocka_unit_test(test_unknown_members_pass),
        cmocka_unit_test(test_the_tables_are_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
