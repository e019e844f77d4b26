/* `dray run`: the worker. */
#include "cli/cli.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <curl/curl.h>
#include <uv.h>

#include "dray/admin.h"
#include "dray/notify.h"
#include "worker/worker.h"

extern char **environ;

static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
#define SIGNAL_COUNT (sizeof(signals) / sizeof(signals[0]))

struct program {
    uv_loop_t loop;
    uv_signal_t handles[SIGNAL_COUNT];
    uv_timer_t watchdog; /* a loop that hangs lets systemd's run out */
    struct worker *worker;
    struct admin *admin; /* NULL: off */
    bool ending;
    int exit_code;
};

static void on_stopped(void *arg, int exit_code) {
    struct program *p = arg;
    p->exit_code = exit_code;
    for (size_t i = 0; i < SIGNAL_COUNT; i++)
        uv_close((uv_handle_t *)&p->handles[i], NULL);
    uv_close((uv_handle_t *)&p->watchdog, NULL);
    admin_close(p->admin);
}

/* A second TERM or INT ends the process at once: the lease runs out, and others recover what is left. */
static void end(struct program *p) {
    if (p->ending) {
        log_msg(LOG_WARN, "ended_at_once", "a second signal; what is in flight is left to recovery");
        log_stop();
        _exit(EXIT_FAILED);
    }
    p->ending = true;
    worker_drain(p->worker);
}

static void on_signal(uv_signal_t *handle, int signum) {
    struct program *p = handle->data;
    switch (signum) {
    case SIGUSR1:
        worker_quiet(p->worker);
        return;
    case SIGUSR2:
        worker_dump(p->worker);
        return;
    case SIGHUP:
        worker_resume(p->worker);
        worker_reload(p->worker, "HUP");
        return;
    default:
        end(p);
    }
}

static void watch_signals(struct program *p) {
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < SIGNAL_COUNT; i++) {
        uv_signal_init(&p->loop, &p->handles[i]);
        p->handles[i].data = p;
        uv_signal_start(&p->handles[i], on_signal, signals[i]);
    }
}

static void on_watchdog(uv_timer_t *handle) {
    (void)handle;
    notify_send("WATCHDOG=1", NULL);
}

static void feed_watchdog(struct program *p) {
    uint64_t every = notify_watchdog_ms();
    uv_timer_init(&p->loop, &p->watchdog);
    if (every > 0)
        uv_timer_start(&p->watchdog, on_watchdog, every, every);
}

/* Each order in flight is a socket. */
static void raise_file_limit(uint32_t needed) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < needed + 64)
        log_msg(LOG_WARN, "file_limit",
                "the limit of open files is %llu, max_inflight and the admin server want %u: raise it "
                "(ulimit -n, "
                "LimitNOFILE=)",
                (unsigned long long)limit.rlim_cur, needed + 64);
}

static int run_worker(const struct verb *self, struct config *config, bool wait) {
    static struct program p;
    struct err err = {""};
    uv_loop_init(&p.loop);
    log_start(config->log_level, config->log_format);
    raise_file_limit(config->max_inflight + ADMIN_CONNECTIONS);
    if (admin_new(&p.admin, &p.loop, config, &err) < 0) {
        log_stop();
        return cli_fail(self, "%s", err.text);
    }
    watch_signals(&p);
    feed_watchdog(&p);
    p.worker = worker_new(&p.loop, config, wait, on_stopped, &p, &err);
    if (p.worker == NULL)
        return cli_fail(self, "%s", err.text);
    if (err.text[0] != '\0')
        log_msg(LOG_ERROR, "start_failed", "%s", err.text);
    admin_watch(p.admin, p.worker);
    uv_run(&p.loop, UV_RUN_DEFAULT);
    worker_free(p.worker);
    uv_loop_close(&p.loop);
    log_stop();
    return p.exit_code;
}

static int run(const struct verb *self, int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"wait", no_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *path = NULL;
    bool wait = false;
    int c;
    optind = 1;
    while ((c = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (c == 'h')
            return cli_help(self);
        if (c == 'c')
            path = optarg;
        else if (c == 'w')
            wait = true;
        else
            return cli_usage(self, "unknown option");
    }
    if (optind < argc)
        return cli_usage(self, "unexpected argument '%s'", argv[optind]);
    struct config *config = cli_config(self, path, false);
    if (config == NULL)
        return EXIT_USAGE;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int code = run_worker(self, config, wait);
    config_unref(config);
    curl_global_cleanup();
    return code;
}

const struct verb verb_run = {
    .name = "run",
    .arguments = "[-c FILE] [--wait]",
    .summary = "take orders from the queues and send them to their providers",
    .help = "  -c FILE   configuration (default: $DRAY_CONFIG, ./dray.ini, /etc/dray/dray.ini)\n"
            "  --wait    wait for Redis at the start instead of ending with exit code 3\n"
            "\n"
            "Signals: TERM, INT drain and end (a second one ends at once); USR1 stops claiming,\n"
            "HUP reads the configuration again and\n"
            "claims again; USR2 logs the state.\n",
    .run = run,
};
