/* What verbs share: the configuration, and a connection to Redis. */
#include "cli/cli.h"

#include <stdio.h>
#include <unistd.h>

static void print_warnings(const struct verb *verb, struct config_faults *warnings) {
    if (warnings->count > 0)
        fprintf(stderr, "dray %s: the configuration has %u warning%s:\n%s", verb->name,
                warnings->count, warnings->count == 1 ? "" : "s", buf_cstr(&warnings->text));
}

struct config *cli_config(const struct verb *verb, const char *path, bool partial) {
    struct config_faults faults, warnings;
    config_faults_init(&faults);
    config_faults_init(&warnings);
    struct config *config =
        (partial ? config_load_partial : config_load)(path, environ, &faults, &warnings);
    if (config == NULL)
        fprintf(stderr, "dray %s: the configuration has %u fault%s:\n%s", verb->name, faults.count,
                faults.count == 1 ? "" : "s", buf_cstr(&faults.text));
    print_warnings(verb, &warnings);
    config_faults_deinit(&faults);
    config_faults_deinit(&warnings);
    return config;
}

redisContext *cli_redis(const struct verb *verb, const struct config *config) {
    struct err err = {""};
    redisContext *redis = redis_connect_sync(&config->redis, &err);
    if (redis == NULL)
        fprintf(stderr, "dray %s: %s\n", verb->name, err.text);
    return redis;
}
