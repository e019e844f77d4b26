/* `dray pause` and `dray resume`: an operator stops a queue or one account, and lets it go on.
 * Workers notice within a second; requests under way end as they would have. */
#include "cli/session.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dray/timefmt.h"
#include "util/json_tree.h"

#define REASON_MAX 200

struct options {
    const char *path, *reason;
    uint64_t for_ms;
    bool json, force;
};

static int read_options(const struct verb *self, struct options *o, int argc, char **argv) {
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"reason", required_argument, NULL, 'r'},
                                          {"for", required_argument, NULL, 'f'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"force", no_argument, NULL, 'F'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    bool pausing = strcmp(self->name, "pause") == 0;
    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1;) {
        if (c == 'h' || c == '?')
            return c == 'h' ? cli_help(self) : EXIT_USAGE;
        if ((c == 'r' || c == 'f') && !pausing)
            return cli_usage(self, "--reason and --for belong to pause");
        if (c == 'f' && (duration_parse(span_str(optarg), &o->for_ms) < 0 || o->for_ms == 0))
            return cli_usage(self, "--for: '%s' is no duration such as 10m", optarg);
        if (c == 'r' && (strlen(optarg) > REASON_MAX || strpbrk(optarg, "\r\n") != NULL))
            return cli_usage(self, "--reason: one line of at most %d bytes", REASON_MAX);
        o->path = c == 'c' ? optarg : o->path;
        o->reason = c == 'r' ? optarg : o->reason;
        o->json |= c == 'j';
        o->force |= c == 'F';
    }
    return argc - optind == 1 || argc - optind == 2
               ? -1
               : cli_usage(self, "QUEUE and at most one ACCOUNT are expected");
}

static int report(const struct verb *verb, const struct options *o, const char *queue, const char *account,
                  const redisReply *r) {
    bool pausing = strcmp(verb->name, "pause") == 0;
    uint64_t till = strtoull(r->element[1]->str, NULL, 10);
    bool was = r->element[0]->len > 0;
    char at[TIMEFMT_SIZE] = "";
    if (till > 0)
        rfc3339_format(till, at);
    if (o->json) {
        cJSON *json = cJSON_CreateObject();
        tree_add_text(json, "queue", span_str(queue));
        tree_add_text(json, "account", span_str(account[0] != '\0' ? account : NULL));
        cJSON_AddBoolToObject(json, "paused", pausing);
        tree_add_u64(json, "until", till);
        cJSON_AddBoolToObject(json, "was_paused", was);
        return cli_print_json(verb, json);
    }
    printf("%s%s%s %s", queue, account[0] != '\0' ? " " : "", account,
           pausing ? "is paused"
           : was   ? "goes on"
                   : "was not paused");
    if (pausing)
        printf("%s%s%s", till > 0 ? " until " : " until resumed", at, was ? " (it was paused before)" : "");
    putchar('\n');
    return EXIT_FINE;
}

static int change(struct session *s, const struct options *o, const char *queue, const char *account) {
    static const enum queue_key fixed[] = {KEY_PAUSES, KEY_GATES, KEY_ACCOUNTS, KEY_LIMITS};
    if (session_queue(s, queue) < 0 || (account[0] != '\0' && session_account(s, queue, account) < 0))
        return s->code;
    session_begin(s, SCRIPT_PAUSE, 4, 4);
    session_keys(s, fixed, 4);
    redis_resp_str(&s->cmd, account);
    redis_resp_str(&s->cmd, s->verb->name);
    redis_resp_u64(&s->cmd, o->for_ms);
    redis_resp_str(&s->cmd, o->reason != NULL ? o->reason : "");
    redisReply *r = session_call(s, SCRIPT_PAUSE);
    if (r == NULL)
        return s->code;
    int code = report(s->verb, o, queue, account, r);
    if (strcmp(s->verb->name, "resume") == 0)
        session_wake(s); /* those that are idle would look at what waits with their next beat */
    freeReplyObject(r);
    return code;
}

static int run(const struct verb *self, int argc, char **argv) {
    struct options o = {0};
    int code = read_options(self, &o, argc, argv);
    if (code >= 0)
        return code;
    struct session s = {.force = o.force};
    if (session_open(&s, self, o.path) < 0)
        code = s.code;
    else
        code = change(&s, &o, argv[optind], argc - optind == 2 ? argv[optind + 1] : "");
    session_close(&s);
    return code;
}

const struct verb verb_pause = {
    .name = "pause",
    .arguments = "QUEUE [ACCOUNT] [--for 10m] [--reason TEXT] [--force] [--json]",
    .summary = "stop a queue or an account until it is resumed",
    .help = "Nothing new is begun from within a second on, in the whole fleet; what is under way "
            "ends.\n"
            "A paused account's jobs wait in their order, other accounts go on.\n"
            "\n"
            "  --for      go on by itself after so long (500ms, 10m, 24h)\n"
            "  --reason   why, for `dray status`\n"
            "  --force    also a queue or an account that nobody configured\n",
    .run = run,
};

const struct verb verb_resume = {
    .name = "resume",
    .arguments = "QUEUE [ACCOUNT] [--force] [--json]",
    .summary = "let a paused queue or account go on",
    .help = "What waited comes back at once. Of an account that is held, or whose breaker is open\n"
            "(`dray status`), one order is tried at once, and if that goes through all of them.\n",
    .run = run,
};
