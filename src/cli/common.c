/* What verbs share: the configuration, a connection to Redis, lists of faults, and being
 * interrupted. */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/terminal.h"

static void print_warnings(const struct verb *verb, struct config_faults *warnings) {
    if (warnings->count > 0)
        fprintf(stderr, "dray %s: the configuration has %u warning%s:\n%s", verb->name, warnings->count,
                warnings->count == 1 ? "" : "s", buf_cstr(&warnings->text));
}

struct config *cli_config(const struct verb *verb, const char *path, bool partial) {
    struct config_faults faults, warnings;
    config_faults_init(&faults);
    config_faults_init(&warnings);
    struct config *config = (partial ? config_load_partial : config_load)(path, environ, &faults, &warnings);
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

redisContext *cli_redis_of(const struct config *config, const char *queue, struct err *err) {
    char key[256];
    snprintf(key, sizeof(key), "%s:{%s}:jobs", config->redis_prefix, queue);
    return redis_connect_sync_key(&config->redis, key, err);
}

static void print_fault(FILE *out, const char *prefix, const cJSON *fault) {
    const char *path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(fault, "path"));
    const char *rule = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(fault, "rule"));
    if (path == NULL || rule == NULL)
        return;
    fputs(prefix, out);
    cli_foreign(out, span_str(path), 0, 0); /* may name a member of the producer's */
    fprintf(out, "%s%s\n", path[0] != '\0' ? ": " : "", rule);
}

void cli_print_faults(FILE *out, const char *prefix, const struct faults *faults) {
    struct buf text;
    buf_init(&text, faults->list.len + 2);
    buf_add_char(&text, '[');
    buf_add_span(&text, buf_span(&faults->list));
    buf_add_char(&text, ']');
    cJSON *list = buf_ok(&text) ? cJSON_ParseWithLength(text.data, text.len) : NULL;
    buf_deinit(&text);
    if (list == NULL)
        fprintf(out, "%s%u faults, and no memory to print them\n", prefix, faults->count);
    const cJSON *fault;
    cJSON_ArrayForEach(fault, list) print_fault(out, prefix, fault);
    if (faults->count > FAULTS_MAX)
        fprintf(out, "%sand %u more\n", prefix, faults->count - FAULTS_MAX);
    cJSON_Delete(list);
}

int cli_print_json(const struct verb *verb, cJSON *tree) {
    char *text = cJSON_PrintUnformatted(tree);
    cJSON_Delete(tree);
    if (text == NULL)
        return cli_fail(verb, "out of memory");
    puts(text);
    cJSON_free(text);
    return EXIT_FINE;
}

void cli_foreign(FILE *out, struct span text, size_t max, size_t width) {
    struct buf shown;
    buf_init(&shown, 6 * text.len + 1);
    size_t columns = foreign_add(&shown, text, foreign_for(fileno(out)), max);
    fwrite(buf_cstr(&shown), 1, shown.len, out);
    for (; columns < width; columns++)
        fputc(' ', out);
    buf_deinit(&shown);
}

int cli_read_file(const char *path, struct buf *text) {
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (f == NULL)
        return -1;
    char chunk[64 << 10];
    size_t n;
    errno = 0;
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0 && buf_ok(text))
        buf_add(text, chunk, n);
    int why = ferror(f) ? errno : buf_ok(text) ? 0 : EFBIG;
    if (f != stdin)
        fclose(f);
    errno = why;
    return why == 0 ? 0 : -1;
}

volatile sig_atomic_t cli_interrupted;

static void on_interrupt(int number) {
    (void)number;
    cli_interrupted = 1;
}

void cli_catch_interrupt(void) {
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)(SA_RESTART | SA_RESETHAND)};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}
