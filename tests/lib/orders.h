/* For tests of providers: fixtures, accounts, and the faults of an order, ready to be compared. */
#ifndef DRAY_TEST_ORDERS_H
#define DRAY_TEST_ORDERS_H

#include <cjson/cJSON.h>

#include "dray/provider.h"

/* A file below tests/fixtures; the caller frees. Ends the test when it cannot be read. */
char *fixture_text(const char *path);
/* {"order": <the provider's example>}; VU's with the `b2b` that the seed's example lacks. */
cJSON *fixture_job(const struct provider *p);

/* An account as the configuration would make it: credentials, base_url "https://api.test/". */
struct account test_account(const struct provider *p);

/* The faults of `job` ({"order":…}) as a parsed array of {path, rule}; the caller deletes. */
cJSON *faults_of(const struct provider *p, const cJSON *job);
cJSON *faults_of_text(const struct provider *p, const char *job);
cJSON *faults_array(const struct faults *f);

/* Ends the test unless there is exactly one fault, at `path`, whose rule holds `words`. */
void assert_one_fault(const cJSON *faults, const char *path, const char *words);
void assert_no_fault(const cJSON *faults, const char *what);

/* A whole answer, as http.h gives it. */
struct http_exchange answer(long status, const char *body);

#endif
