/* sim: runs schedules, prints the seed of the first that fails with its last steps.
 * usage: sim [--from SEED] [--schedules N] [--seed SEED] [--verbose] [--forever] [--twice]
 *            [--mutate NAME | --mutations | --outages] */
#include "sim.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "redis_server.h"

bool sim_verbose;
const struct mutation *sim_mutation;
static bool quiet_failures;
static struct redis_server server;
static char lines[TRACE_LINES][200];
static unsigned line_count;

const char *audit_script;

bool mutated(const char *name) {
    return sim_mutation != NULL && sim_mutation->script == NULL && strcmp(sim_mutation->name, name) == 0;
}

void note(const char *format, ...) {
    char *line = lines[line_count++ % TRACE_LINES];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(line, sizeof(lines[0]), format, ap);
    va_end(ap);
    for (int i = 0; i < n && i < (int)sizeof(lines[0]) - 1; i++)
        world.trace_hash = (world.trace_hash ^ (unsigned char)line[i]) * 0x100000001b3ull;
    if (sim_verbose)
        fprintf(stderr, "%5u %s\n", world.steps, line);
}

void trace_print(void) {
    unsigned from = line_count > TRACE_LINES ? line_count - TRACE_LINES : 0;
    fprintf(stderr, "the last steps of seed %llu:\n", (unsigned long long)world.seed);
    for (unsigned i = from; i < line_count; i++)
        fprintf(stderr, "    %s\n", lines[i % TRACE_LINES]);
}

void sim_fail(const char *format, ...) {
    if (world.failed)
        return;
    va_list ap;
    va_start(ap, format);
    vsnprintf(world.failure, sizeof(world.failure), format, ap);
    va_end(ap);
    world.failed = true;
    note("FAILS: %s", world.failure);
}

/* An assertion of the worker's, or a sanitizer's abort. */
static void on_abort(int signum) {
    (void)signum;
    fprintf(stderr, "sim: aborted in seed %llu\n", (unsigned long long)world.seed);
    trace_print();
    signal(SIGABRT, SIG_DFL);
    raise(SIGABRT);
}

static const char settings[] =
    "[worker]\nname = sim\nspool_dir = %s/spool\n"
    "[queue qa]\n[queue qb]\n"
    "[account a0]\nqueue = qa\nprovider = kakaclo-v2\ntoken = t\nbase_url = http://a0.test\n"
    "[account a1]\nqueue = qa\nprovider = vu\nkey = k\nsecret = s\nbase_url = http://a1.test\n"
    "[account a2]\nqueue = qa\nprovider = http-json\nbase_url = http://a2.test\ncreate_path = "
    "/orders\n"
    "auth = none\nkey_pointer = /ref\nid_pointer = /id\nlookup_path = /orders/{key}\n"
    "lookup_key_pointer = /ref\nlookup_id_pointer = /id\nlookup_absent_pointer = /message\nlookup_exact = "
    "true\n"
    "[account a3]\nqueue = qb\nprovider = s2\ntoken = t\norganization = o\nbase_url = "
    "http://a3.test\n"
    "[account a4]\nqueue = qb\nprovider = vu\nkey = k\nsecret = s\nbase_url = http://a4.test\n"
    "[account a5]\nqueue = qb\nprovider = kakaclo-v2\ntoken = t\nbase_url = http://a5.test\n";

#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void load_config(const char *text) {
    char path[128];
    char *env[] = {NULL};
    struct config_faults faults;
    snprintf(path, sizeof(path), "%s/dray.ini", server.dir);
    FILE *f = fopen(path, "w");
    if (f == NULL || fprintf(f, text, server.dir) < 0 || fclose(f) != 0)
        exit(99);
    config_faults_init(&faults);
    world.config = config_load(path, env, &faults, NULL);
    if (world.config == NULL) {
        fprintf(stderr, "sim: %s\n", buf_cstr(&faults.text));
        exit(99);
    }
    config_faults_deinit(&faults);
}

static char *read_audit(void) {
    FILE *f = fopen(SIM_AUDIT, "r");
    char *text = calloc(1, 65536);
    if (f == NULL || fread(text, 1, 65535, f) == 0)
        exit(99);
    fclose(f);
    return text;
}

/* True: it held. */
static bool run_seed(uint64_t seed) {
    line_count = 0;
    schedule_run(seed);
    if (!world.failed)
        return true;
    if (!quiet_failures) {
        trace_print();
        fprintf(stderr, "seed %llu FAILS: %s\nreplay: sim --seed %llu --verbose%s%s\n",
                (unsigned long long)seed, world.failure, (unsigned long long)seed,
                sim_mutation != NULL ? " --mutate " : "", sim_mutation != NULL ? sim_mutation->name : "");
    }
    return false;
}

/* Two runs of a seed must be the same run, or a failing seed is worth nothing. */
static bool run_twice(uint64_t seed) {
    if (!run_seed(seed))
        return false;
    uint64_t first = world.trace_hash;
    if (run_seed(seed) && world.trace_hash == first)
        return true;
    fprintf(stderr, "seed %llu does not replay\n", (unsigned long long)seed);
    return false;
}

struct totals {
    uint64_t schedules, steps, commands, jobs;
};

static bool run_range(uint64_t from, uint64_t count, bool twice, struct totals *t) {
    for (uint64_t i = 0; i < count; i++) {
        if (!(twice ? run_twice(from + i) : run_seed(from + i)))
            return false;
        t->schedules++;
        t->steps += world.steps;
        t->commands += world.commands;
        t->jobs += world.job_count;
        if (count == UINT64_MAX && t->schedules % 10000 == 0)
            printf("%llu schedules, %llu steps\n", (unsigned long long)t->schedules,
                   (unsigned long long)t->steps);
    }
    return true;
}

static void start(void) {
    static const char *const args[] = {"--save",
                                       "",
                                       "--appendonly",
                                       "no",
                                       "--hash-max-listpack-value",
                                       "1000000",
                                       "--hash-max-listpack-entries",
                                       "100000",
                                       "--zset-max-listpack-value",
                                       "100000",
                                       "--hz",
                                       "1",
                                       "--slowlog-log-slower-than",
                                       "-1",
                                       NULL};
    redis_server_start(&server, args);
    server_connect(server.socket);
}

static bool run_mutations(uint64_t from, uint64_t count) {
    bool all = true;
    quiet_failures = true;
    for (const struct mutation *m = mutations; m->name != NULL; m++) {
        struct totals t = {0};
        sim_mutation = m;
        server_connect(server.socket);
        bool survived = run_range(mutation_first(m->name, from), count, false, &t);
        all = all && !survived;
        printf("%-16s %s", m->name, survived ? "SURVIVES\n" : "killed by ");
        if (!survived)
            printf("seed %llu: %s\n", (unsigned long long)world.seed, world.failure);
        fflush(stdout);
    }
    return all;
}

static const struct mutation *find_mutation(const char *name) {
    for (const struct mutation *m = mutations; m->name != NULL; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    fprintf(stderr, "sim: no mutation is called %s\n", name);
    exit(2);
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"from", required_argument, NULL, 'f'},   {"schedules", required_argument, NULL, 'n'},
        {"seed", required_argument, NULL, 's'},   {"verbose", no_argument, NULL, 'v'},
        {"forever", no_argument, NULL, 'F'},      {"twice", no_argument, NULL, 't'},
        {"mutate", required_argument, NULL, 'm'}, {"mutations", no_argument, NULL, 'M'},
        {"outages", no_argument, NULL, 'O'},      {NULL, 0, NULL, 0},
    };
    uint64_t from = 1, count = 1000;
    bool twice = false, all_mutations = false, outages = false;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'f':
            from = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            count = strtoull(optarg, NULL, 10);
            break;
        case 's':
            from = strtoull(optarg, NULL, 10);
            count = 1;
            break;
        case 'v':
            sim_verbose = true;
            break;
        case 'F':
            count = UINT64_MAX;
            break;
        case 't':
            twice = true;
            break;
        case 'm':
            sim_mutation = find_mutation(optarg);
            break;
        case 'M':
            all_mutations = true;
            break;
        case 'O':
            outages = true;
            break;
        default:
            return 2;
        }
    }
    log_set_level(sim_verbose ? LOG_DEBUG : LOG_OFF);
    signal(SIGABRT, on_abort);
    signal(SIGPIPE, SIG_IGN);
    char *audit = read_audit();
    audit_script = audit;
    start();
    load_config(outages ? outage_settings : settings);
    struct totals t = {0};
    bool held = all_mutations ? run_mutations(from, count)
                : outages     ? outages_run()
                              : run_range(from, count, twice, &t);
    if (held && !all_mutations && !outages)
        printf("%llu schedules held: %llu steps, %llu commands, %llu jobs\n", (unsigned long long)t.schedules,
               (unsigned long long)t.steps, (unsigned long long)t.commands, (unsigned long long)t.jobs);
    config_unref(world.config);
    server_disconnect();
    redis_server_stop(&server);
    free(audit);
    return held ? 0 : 1;
}
