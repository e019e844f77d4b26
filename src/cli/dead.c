/* `dray dead VERB QUEUE [ID …]`: the options that its verbs share, and which verb it is. */
#include "cli/dead.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/table.h"
#include "dray/provider.h"
#include "dray/timefmt.h"

#define IDS_MAX  (1u << 30)
#define LS_LIMIT 50

static const struct {
    const char *name;
    int (*run)(struct dead *d);
} subverbs[] = {
    {"ls", dead_ls},     {"show", dead_show},     {"retry", dead_retry},   {"resolve", dead_resolve},
    {"drop", dead_drop}, {"export", dead_export}, {"import", dead_import},
};

enum {
    OPT_JSON = 256,
    OPT_YES,
    OPT_DRY,
    OPT_ALL,
    OPT_EDIT,
    OPT_RESEND,
    OPT_FORCE,
    OPT_REASON,
    OPT_ACCOUNT,
    OPT_PROVIDER,
    OPT_TEXT,
    OPT_CODE,
    OPT_STATUS,
    OPT_OLDER,
    OPT_NEWER,
    OPT_LIMIT,
    OPT_OVER,
    OPT_ORDER,
    OPT_CREATED,
};

static const struct option longs[] = {
    {"config", required_argument, NULL, 'c'},
    {"help", no_argument, NULL, 'h'},
    {"json", no_argument, NULL, OPT_JSON},
    {"yes", no_argument, NULL, OPT_YES},
    {"dry-run", no_argument, NULL, OPT_DRY},
    {"all", no_argument, NULL, OPT_ALL},
    {"edit", no_argument, NULL, OPT_EDIT},
    {"resend", no_argument, NULL, OPT_RESEND},
    {"force", no_argument, NULL, OPT_FORCE},
    {"reason", required_argument, NULL, OPT_REASON},
    {"account", required_argument, NULL, OPT_ACCOUNT},
    {"provider", required_argument, NULL, OPT_PROVIDER},
    {"text", required_argument, NULL, OPT_TEXT},
    {"code", required_argument, NULL, OPT_CODE},
    {"status", required_argument, NULL, OPT_STATUS},
    {"older", required_argument, NULL, OPT_OLDER},
    {"newer", required_argument, NULL, OPT_NEWER},
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"over", required_argument, NULL, OPT_OVER},
    {"order", required_argument, NULL, OPT_ORDER},
    {"created", required_argument, NULL, OPT_CREATED},
    {NULL, 0, NULL, 0},
};

static int read_age(const struct verb *v, const char *name, uint64_t *ms) {
    return duration_parse(span_str(optarg), ms) == 0
               ? -1
               : cli_usage(v, "--%s: '%s' is no duration such as 30m", name, optarg);
}

static int read_number(const struct verb *v, const char *name, uint64_t max, uint64_t *n) {
    char *end;
    *n = strtoull(optarg, &end, 10);
    return optarg[0] >= '0' && optarg[0] <= '9' && *end == '\0' && *n <= max
               ? -1
               : cli_usage(v, "--%s: '%s' is no number up to %llu", name, optarg, (unsigned long long)max);
}

static void read_text(struct dead_options *o, int c) {
    const char **where = c == 'c'            ? &o->config
                         : c == OPT_REASON   ? &o->reason
                         : c == OPT_ACCOUNT  ? &o->account
                         : c == OPT_PROVIDER ? &o->provider
                         : c == OPT_TEXT     ? &o->text
                         : c == OPT_CODE     ? &o->code
                         : c == OPT_ORDER    ? &o->order_file
                                             : &o->created;
    *where = optarg;
}

static void read_flag(struct dead_options *o, int c) {
    o->json |= c == OPT_JSON;
    o->yes |= c == OPT_YES;
    o->dry_run |= c == OPT_DRY;
    o->all |= c == OPT_ALL;
    o->edit |= c == OPT_EDIT;
    o->resend |= c == OPT_RESEND;
    o->force |= c == OPT_FORCE;
}

/* -1, or the exit code. */
static int read_option(const struct verb *v, struct dead_options *o, int c) {
    uint64_t n = 0;
    int code = -1;
    switch (c) {
    case 'h':
        return cli_help(v);
    case '?':
        return EXIT_USAGE;
    case OPT_OLDER:
        o->has_older = true;
        return read_age(v, "older", &o->older_ms);
    case OPT_NEWER:
        o->has_newer = true;
        return read_age(v, "newer", &o->newer_ms);
    case OPT_OVER:
        return read_age(v, "over", &o->over_ms);
    case OPT_LIMIT:
        return read_number(v, "limit", 1000000000, &o->limit);
    case OPT_STATUS:
        code = read_number(v, "status", 999, &n);
        o->status = (long)n;
        return code;
    default:
        if (c >= OPT_JSON && c <= OPT_FORCE)
            read_flag(o, c);
        else
            read_text(o, c);
        return -1;
    }
}

/* Refuses a reason that is none of dray's: it would match nothing, which looks like success. */
static int check_words(const struct verb *v, const struct dead_options *o) {
    static const char *const reasons[] = {"invalid", "rejected",        "exhausted",
                                          "expired", "unknown_outcome", "poison"};
    struct nearest nearest;
    char hint[128];
    bool known = o->reason == NULL;
    nearest_init(&nearest, o->reason != NULL ? o->reason : "");
    for (size_t i = 0; !known && i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        known = strcmp(reasons[i], o->reason) == 0;
        nearest_try(&nearest, reasons[i]);
    }
    if (!known)
        return cli_usage(v, "--reason: there is no reason '%s'%s", o->reason, nearest_hint(&nearest, hint));
    if (o->provider == NULL || provider_find(o->provider) != NULL)
        return -1;
    nearest_init(&nearest, o->provider);
    for (const struct provider *const *p = providers; *p != NULL; p++)
        nearest_try(&nearest, (*p)->name);
    return cli_usage(v, "--provider: there is no provider '%s'%s", o->provider, nearest_hint(&nearest, hint));
}

static int check_options(const struct verb *v, const struct dead_options *o, const char *sub) {
    bool retry = strcmp(sub, "retry") == 0, resolve = strcmp(sub, "resolve") == 0;
    if ((o->order_file != NULL || o->edit || o->over_ms > 0) && !retry)
        return cli_usage(v, "--order, --edit and --over belong to retry");
    if ((o->created != NULL || o->resend) && !resolve)
        return cli_usage(v, "--created and --resend belong to resolve");
    if (o->order_file != NULL && o->edit)
        return cli_usage(v, "--order or --edit, not both");
    if (o->id_count > 0 && strcmp(sub, "import") != 0 && (dead_filtered(o) || o->all))
        return cli_usage(v, "name IDs or give filters, not both");
    return check_words(v, o);
}

static int run_subverb(const struct verb *self, struct dead *d, int (*sub)(struct dead *d)) {
    buf_init(&d->ids, IDS_MAX);
    letter_init(&d->letter);
    d->s.force = d->o.force;
    int code = session_open(&d->s, self, d->o.config) < 0 || session_queue(&d->s, d->o.queue) < 0 ? d->s.code
                                                                                                  : sub(d);
    session_close(&d->s);
    letter_deinit(&d->letter);
    buf_deinit(&d->ids);
    return code;
}

static int run(const struct verb *self, int argc, char **argv) {
    struct dead d = {.o = {.status = -1, .limit = LS_LIMIT}};
    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1;) {
        int code = read_option(self, &d.o, c);
        if (code >= 0)
            return code;
    }
    if (argc - optind < 2)
        return cli_usage(self, "a verb and QUEUE are expected");
    const char *sub = argv[optind];
    d.o.queue = argv[optind + 1];
    d.o.ids = argv + optind + 2;
    d.o.id_count = argc - optind - 2;
    int code = check_options(self, &d.o, sub);
    if (code >= 0)
        return code;
    for (size_t i = 0; i < sizeof(subverbs) / sizeof(subverbs[0]); i++)
        if (strcmp(subverbs[i].name, sub) == 0)
            return run_subverb(self, &d, subverbs[i].run);
    struct nearest nearest;
    char hint[128];
    nearest_init(&nearest, sub);
    for (size_t i = 0; i < sizeof(subverbs) / sizeof(subverbs[0]); i++)
        nearest_try(&nearest, subverbs[i].name);
    return cli_usage(self, "there is no verb '%s'%s", sub, nearest_hint(&nearest, hint));
}

const struct verb verb_dead = {
    .name = "dead",
    .arguments = "ls|show|retry|resolve|drop|export|import QUEUE [ID …] [options]",
    .summary = "look at dead letters, and mend them",
    .help = "  ls QUEUE                 list them, the newest last (--limit 50; 0 is all)\n"
            "  show QUEUE ID …          what was pushed, what the provider said at each attempt\n"
            "  retry QUEUE ID …         queue them again, with all attempts, at once; their history "
            "stays\n"
            "    --order FILE           … one, with another order (- is stdin); the rest of the job "
            "stays\n"
            "    --edit                 … one, after editing the job in $VISUAL or $EDITOR\n"
            "    --over 10m             … spread over so long, so that new orders are not held up\n"
            "  resolve QUEUE ID         end one whose outcome is unknown, after looking it up:\n"
            "    --created ORDER_ID     … it exists: a `created` result is pushed, the ledger knows "
            "it\n"
            "    --resend               … it does not: it is sent again\n"
            "  drop QUEUE ID …          forget them; where the order may exist, its key stays closed "
            "for\n"
            "                           the account's ledger_ttl\n"
            "  export QUEUE             print them as lines of JSON; changes nothing\n"
            "  import QUEUE [FILE]      take such lines in, each letter once\n"
            "\n"
            "Which: IDs, or filters (all that are given must hold), or --all.\n"
            "  --reason invalid|rejected|exhausted|expired|unknown_outcome|poison\n"
            "  --account NAME   --provider NAME   --code CODE   --status HTTP (of the last attempt)\n"
            "  --text TEXT      anywhere in the letter, the job included\n"
            "  --older 2h   --newer 10m\n"
            "\n"
            "  --dry-run   say how many it would be      --json   for machines\n"
            "  --yes       do not ask (a bulk change on a terminal asks)\n"
            "  --force     also a queue that nobody configured\n"
            "\n"
            "A retry of a letter whose outcome is unknown is refused (exit 1): it takes `resolve`. A "
            "command\n"
            "that is killed half-way has moved each letter or left it; give it again.\n",
    .run = run,
};
