/* `dray sandbox`: runs the sandbox until it is told to stop. */
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "dray/timefmt.h"
#include "sandbox/magic.h"
#include "sandbox/sandbox.h"

static const char help[] =
    "  --listen HOST:PORT  where to listen (127.0.0.1:9790; port 0: the system picks one)\n"
    "  --latency D         time until an answer: 50ms, or 50-150ms, evenly between the two\n"
    "  --fail-rate P       share of POSTs, 0 to 1, answered 500, 502, 503 or 504; they create "
    "nothing\n"
    "  --hangup-rate P     share of POSTs that get no answer; every second of them created the "
    "order\n"
    "  --slow-rate P       share of POSTs answered only after --slow\n"
    "  --slow D            5s\n"
    "  --index-lag D       until a new order shows up in the lists of KaKaClo, S2 and "
    "/json/orders\n"
    "  --repeats WHAT      a key that has an order: `create` another (as these APIs may) or "
    "`refuse` (409)\n"
    "  --balance WHAT      `enough`, or `spent`: every order is refused with one code\n"
    "  --token-ttl D       refuse credentials so long after their first request; 0: never\n"
    "  --keep-alive D      close connections that were idle for so long; 0: keep them\n"
    "  --down WHAT         every request of a provider: a status, or `hangup`; 0: it is up\n"
    "  --remember N        order keys, and orders, that fit (1000000); then POSTs are answered "
    "507\n"
    "  --memory SIZE       bytes of orders that fit (1G); then 507 as well\n"
    "  --seed N            of the random choices (1)\n"
    "  --quiet             print the address only\n"
    "  --verbose           print a line for each request of a provider\n"
    "\n"
    "It plays, strict about each provider's document:\n"
    "  POST /openapi/v2/order/orders          kakaclo-v2      GET: the list, by createStartTime …\n"
    "  POST /openapi/v1/order/order           kakaclo-v1\n"
    "  POST /openapi/v1/product/custom/order  kakaclo-custom\n"
    "  POST /order                            s2              GET ?term&limit&offset, GET "
    "/order/ID\n"
    "  POST /api/v1/orders                    vu              GET ?order_number\n"
    "  POST /json/orders                      http-json       GET ?reference, GET "
    "/json/orders/REFERENCE\n"
    "Any credentials of the right kind will do. The order key of /json/orders is /reference.\n"
    "\n"
    "Its own pages:\n"
    "  GET  /_sandbox/orders    POSTs, orders created and ids per order key; keys created more "
    "than once\n"
    "  GET  /_sandbox/arrivals?account=TOKEN   when POSTs came in, in ms\n"
    "  POST /_sandbox/set?latency=50ms&down=1  settings at run time, named as the flags; with\n"
    "                           &account=TOKEN for these credentials only\n"
    "  POST /_sandbox/reset     forget all, and behave as at the start\n"
    "\n"
    "Order keys with one of these endings work as a card processor's test numbers do. With x<n> "
    "behind\n"
    "it, as in KA10001-FAIL503x2, for the first n POSTs of the key only; without, for each. The "
    "endings\n"
    "of look-ups stand behind another, as in KA10001-LATE504-ROUTER404x1, or alone: then POSTs "
    "hang up.\n";

static int print_help(const struct verb *self) {
    struct buf out;
    buf_init(&out, 1 << 16);
    magic_help(&out, false);
    cli_help(self);
    fputs(buf_cstr(&out), stdout);
    buf_deinit(&out);
    return EXIT_FINE;
}

enum flag { LISTEN = 256, REMEMBER, MEMORY, SEED, QUIET, VERBOSE, TROUBLE };

static const struct option options[] = {
    {"help", no_argument, NULL, 'h'},
    {"listen", required_argument, NULL, LISTEN},
    {"remember", required_argument, NULL, REMEMBER},
    {"memory", required_argument, NULL, MEMORY},
    {"seed", required_argument, NULL, SEED},
    {"quiet", no_argument, NULL, QUIET},
    {"verbose", no_argument, NULL, VERBOSE},
    {"latency", required_argument, NULL, TROUBLE},
    {"fail-rate", required_argument, NULL, TROUBLE},
    {"hangup-rate", required_argument, NULL, TROUBLE},
    {"slow-rate", required_argument, NULL, TROUBLE},
    {"slow", required_argument, NULL, TROUBLE},
    {"index-lag", required_argument, NULL, TROUBLE},
    {"repeats", required_argument, NULL, TROUBLE},
    {"balance", required_argument, NULL, TROUBLE},
    {"token-ttl", required_argument, NULL, TROUBLE},
    {"keep-alive", required_argument, NULL, TROUBLE},
    {"down", required_argument, NULL, TROUBLE},
    {0},
};

struct arguments {
    struct sandbox_options sandbox;
    char host[256];
    bool quiet;
};

static int read_listen(struct arguments *a, const char *text, struct err *err) {
    const char *colon = strrchr(text, ':');
    char *end;
    long port = colon == NULL ? -1 : strtol(colon + 1, &end, 10);
    if (colon == NULL || colon[1] == '\0' || *end != '\0' || port < 0 || port > 65535 ||
        (size_t)(colon - text) >= sizeof a->host)
        return err_set(err, "--listen: '%s' is not HOST:PORT", text);
    const char *from = text[0] == '[' && colon > text && colon[-1] == ']' ? text + 1 : text;
    snprintf(a->host, sizeof a->host, "%.*s", (int)(colon - from - (from - text)), from);
    a->sandbox.host = a->host[0] == '\0' ? NULL : a->host;
    a->sandbox.port = (uint16_t)port;
    return 0;
}

static int read_number(uint64_t *n, const char *name, const char *text, uint64_t max, struct err *err) {
    char *end;
    unsigned long long v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || v > max)
        return err_set(err, "--%s: must be a number up to %llu", name, (unsigned long long)max);
    *n = v;
    return 0;
}

static int read_trouble(struct arguments *a, const char *flag, const char *value, struct err *err) {
    char name[32];
    snprintf(name, sizeof name, "%s", flag);
    for (char *p = name; *p != '\0'; p++)
        *p = *p == '-' ? '_' : *p;
    return sandbox_trouble_set(&a->sandbox.trouble, name, value, err);
}

static int read_option(struct arguments *a, int c, const char *name, struct err *err) {
    uint64_t n = 0;
    switch (c) {
    case LISTEN:
        return read_listen(a, optarg, err);
    case REMEMBER:
        if (read_number(&n, name, optarg, 100000000, err) != 0)
            return -1;
        a->sandbox.remember = n == 0 ? 1 : (uint32_t)n;
        return 0;
    case MEMORY:
        return size_parse(span_str(optarg), &a->sandbox.memory) == 0
                   ? 0
                   : err_set(err, "--memory: must be a size such as 256M");
    case SEED:
        return read_number(&a->sandbox.seed, name, optarg, UINT64_MAX, err);
    case QUIET:
        a->quiet = true;
        return 0;
    case VERBOSE:
        a->sandbox.log = stdout;
        return 0;
    default:
        return read_trouble(a, name, optarg, err);
    }
}

static void print_start(const struct arguments *a, const struct sandbox *s) {
    const char *host = a->sandbox.host == NULL ? "0.0.0.0" : a->sandbox.host;
    bool v6 = strchr(host, ':') != NULL;
    printf("sandbox listening on http://%s%s%s:%u\n", v6 ? "[" : "", host, v6 ? "]" : "", sandbox_port(s));
    if (!a->quiet)
        puts("`dray sandbox --help` lists its paths and magic order keys; SIGINT or SIGTERM ends "
             "it.");
    fflush(stdout);
}

static int serve(const struct verb *self, const struct arguments *a) {
    struct err err = {""};
    struct sandbox_totals totals;
    sigset_t signals;
    int got;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before the thread starts: it inherits this */
    signal(SIGPIPE, SIG_IGN);
    struct sandbox *s = sandbox_start(&a->sandbox, &err);
    if (s == NULL)
        return cli_fail(self, "%s", err.text);
    print_start(a, s);
    sigwait(&signals, &got);
    sandbox_stop(s, &totals);
    if (!a->quiet)
        printf("%llu POSTs, %llu orders created, %llu POSTs refused, %llu look-ups; %llu of %llu "
               "order "
               "keys were created more than once\n",
               (unsigned long long)totals.posts, (unsigned long long)totals.created,
               (unsigned long long)totals.refused, (unsigned long long)totals.lookups,
               (unsigned long long)totals.doubled, (unsigned long long)totals.keys);
    return EXIT_FINE;
}

static int run_sandbox(const struct verb *self, int argc, char **argv) {
    struct arguments a = {.quiet = false};
    struct err err = {""};
    int c, index = 0;
    sandbox_options_init(&a.sandbox);
    a.sandbox.port = 9790;
    setvbuf(stdout, NULL, _IOLBF, 0);
    opterr = 0;
    while ((c = getopt_long(argc, argv, "h", options, &index)) != -1) {
        if (c == 'h')
            return print_help(self);
        if (c == '?')
            return cli_usage(self, "'%s' is no option, or lacks its value", argv[optind - 1]);
        if (read_option(&a, c, options[index].name, &err) != 0)
            return cli_usage(self, "%s", err.text);
    }
    if (optind < argc)
        return cli_usage(self, "takes no argument '%s'", argv[optind]);
    return serve(self, &a);
}

const struct verb verb_sandbox = {
    .name = "sandbox",
    .arguments = "[options]",
    .summary = "play the providers, and misbehave on request",
    .help = help,
    .run = run_sandbox,
};
