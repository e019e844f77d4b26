/* What `dray try` shows: the request as it leaves, with secrets hidden, the answer, and what it means. */
#include "cli/try.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "queue/order_hash.h"
#include "util/json_tree.h"

/* Header names whose value is a secret, wherever it stands. */
static bool sounds_secret(const char *name, size_t n) {
    static const char *const words[] = {"key",  "token", "auth",   "secret",
                                        "pass", "sign",  "cookie", "session"};
    char lower[128] = "";
    for (size_t i = 0; i < n && i + 1 < sizeof(lower); i++)
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strstr(lower, words[i]) != NULL)
            return true;
    return false;
}

static bool is_file_header(const struct account *a, const char *line) {
    for (const struct account_header *h = a->http_json.headers; h != NULL && h->line != NULL; h++)
        if (h->line == line)
            return h->path != NULL;
    return false;
}

/* Hides the secret but not what stands before it ("Authorization: ShippoToken (hidden)"): that is what one
 * looks for when it is refused. */
static void add_masked(struct buf *out, const struct account *a, const char *line) {
    const char *colon = strchr(line, ':');
    size_t name = colon != NULL ? (size_t)(colon - line) : strlen(line);
    const char *token = a->token != NULL && a->token[0] != '\0' ? strstr(line + name, a->token) : NULL;
    bool own = a->http_json.idempotency_header != NULL && strlen(a->http_json.idempotency_header) == name &&
               strncasecmp(line, a->http_json.idempotency_header, name) == 0;
    if (token != NULL) {
        buf_add(out, line, (size_t)(token - line));
        buf_add_str(out, "(hidden)");
    } else if (!own && (is_file_header(a, line) || sounds_secret(line, name))) {
        buf_add(out, line, name);
        buf_add_str(out, ": (hidden)");
    } else {
        buf_add_str(out, line);
    }
}

typedef void (*line_fn)(void *out, struct span line);

static void text_line(void *out, struct span line) {
    foreign_add(out, line, foreign_for(STDOUT_FILENO), 0);
    buf_add_char(out, '\n');
}

static void json_line(void *headers, struct span line) {
    cJSON_AddItemToArray(headers, tree_text(line));
}

static void add_header(const struct attempt *a, const char *line, line_fn fn, void *out) {
    struct buf text;
    buf_init(&text, 64u << 10);
    add_masked(&text, a->account, line);
    fn(out, buf_span(&text));
    buf_deinit(&text);
}

static void add_headers(const struct attempt *a, const struct target_spec *spec,
                        const struct request_parts *parts, line_fn fn, void *out) {
    char line[512];
    if (spec->options.bearer != NULL)
        fn(out, SPAN_LIT("Authorization: Bearer (hidden)"));
    if (spec->options.basic_user != NULL)
        fn(out, SPAN_LIT("Authorization: Basic (hidden)"));
    for (const char *const *h = spec->options.headers; h != NULL && *h != NULL; h++)
        add_header(a, *h, fn, out);
    if (parts->header != NULL)
        add_header(a, parts->header, fn, out);
    snprintf(line, sizeof(line), "User-Agent: %s",
             spec->options.user_agent != NULL ? spec->options.user_agent : "");
    if (spec->options.user_agent != NULL)
        fn(out, span_str(line));
    snprintf(line, sizeof(line), "Content-Length: %zu", parts->body.len);
    fn(out, span_str(line));
}

/* A body as it stands, or cleaned for the terminal line by line. */
static void add_body(struct buf *out, struct span body) {
    while (body.len > 0) {
        const char *end = memchr(body.ptr, '\n', body.len);
        size_t n = end != NULL ? (size_t)(end - body.ptr) : body.len;
        struct span line = {body.ptr, n > 0 && body.ptr[n - 1] == '\r' ? n - 1 : n};
        if (isatty(STDOUT_FILENO))
            foreign_add(out, line, FOREIGN_TERMINAL, 0);
        else
            buf_add_span(out, line);
        buf_add_char(out, '\n');
        n += end != NULL;
        body = (struct span){body.ptr + n, body.len - n};
    }
}

static void write_request(const struct attempt *a, const struct target_spec *spec,
                          const struct request_parts *parts, struct buf *out) {
    const char *method = spec->options.method == HTTP_PUT ? "PUT" : "POST";
    if (!a->json) {
        buf_addf(out, "%s ", method);
        text_line(out, span_str(spec->options.url));
        add_headers(a, spec, parts, text_line, out);
        buf_add_char(out, '\n');
        add_body(out, parts->body);
        return;
    }
    cJSON *o = cJSON_AddObjectToObject(a->shown, "request");
    cJSON_AddStringToObject(o, "method", method);
    tree_add_text(o, "url", span_str(spec->options.url));
    add_headers(a, spec, parts, json_line, cJSON_AddArrayToObject(o, "headers"));
    tree_add_text(o, "body", parts->body);
}

void try_show_json(struct attempt *a, struct buf *out) {
    if (tree_print(a->shown, out))
        buf_add_char(out, '\n');
    a->shown = NULL;
}

int try_show_request(const struct attempt *a, struct buf *out, struct err *err) {
    struct target_spec spec;
    struct request_parts parts;
    struct buf wire;
    int rc = -1;
    buf_init(&wire, 64u << 20);
    if (request_build(a->account, &a->envelope, &wire, &parts) != 0) {
        err_set(err, "account %s: the order key does not fit into create_path", a->account->name);
    } else {
        struct account with = *a->account;
        if (oauth2_is_used(&with))
            with.token = "(hidden)"; /* it is fetched when the order leaves */
        rc = target_spec_init(&spec, &with, request_method(&with), parts.path, err);
        if (rc == 0)
            write_request(a, &spec, &parts, out);
        target_spec_deinit(&spec);
    }
    buf_deinit(&wire);
    return rc;
}

/* ---- what came of it ---- */

/* What a person does next. */
static const char *advice(const struct attempt *a) {
    switch (a->verdict) {
    case VERDICT_CREATED:
        return "the order exists at the provider";
    case VERDICT_REJECTED:
        return "the provider said no; nothing was created, the key is free again";
    case VERDICT_HOLD:
        return "the provider refuses the account; nothing was created. A worker would hold the account until "
               "it works";
    case VERDICT_PAUSE:
        return "the provider asks to wait; nothing was created. A worker would send it again later";
    case VERDICT_RETRY:
        return "nothing was created. A worker would send it again";
    default:
        return "the order may exist: look at the provider, then `dray dead resolve` it. Nobody sends it "
               "again before that";
    }
}

/* "C hash ms ["7"]" and the like. */
static const char *entry_words(const char *entry) {
    switch (entry[0]) {
    case 'C':
        return "duplicate: an order with this key was created before";
    case 'S':
        return "not sent: an order with this key is being sent right now";
    case 'L':
        return "not sent: the outcome of an order with this key is unknown, and being looked up";
    case 'U':
        return "not sent: the outcome of an order with this key is unknown; `dray dead ls` shows it";
    default:
        return "not sent: something stands against it; `dray status` says what";
    }
}

/* The ledger knows the key with these very bytes. */
static bool same_bytes(const struct attempt *a) {
    char hash[33];
    order_hash(a->envelope.order, hash);
    return strncmp(a->trial.entry + 2, hash, 32) == 0;
}

static bool is_duplicate(const struct attempt *a) {
    return a->trial.end == TRIAL_STOOD && a->trial.entry[0] == 'C' && same_bytes(a);
}

static bool is_fine(const struct attempt *a) {
    return a->trial.end == TRIAL_DONE || is_duplicate(a);
}

static const char *end_words(const struct attempt *a) {
    switch (a->trial.end) {
    case TRIAL_STOOD:
        if (a->trial.entry[0] != '\0' && !same_bytes(a))
            return "not sent: the key was used for an order with other bytes (key_conflict); use another key";
        return entry_words(a->trial.entry);
    case TRIAL_UNSURE:
        return "not sent: Redis did not say whether it may be; look for it with `dray dead ls`";
    case TRIAL_NOTHING:
        return "not sent: Redis, which remembers what was sent, is not there (--dry-run needs none), or it "
               "was "
               "interrupted";
    default:
        return a->asked ? advice(a) : "not sent: it was interrupted, or the worker's lease ran out";
    }
}

static const char *known_ids(const struct attempt *a, struct buf *ids) {
    const char *list = is_duplicate(a) ? strchr(a->trial.entry, '[') : NULL;
    if (list != NULL && list[strlen(list) - 1] == ']')
        return list;
    buf_addf(ids, "[%.*s]", (int)a->ids.len, a->ids.data != NULL ? a->ids.data : "");
    return buf_cstr(ids);
}

/* In one line, together with what stood in the way. */
static void end_line(const struct attempt *a, struct buf *out) {
    bool gate = a->trial.end == TRIAL_STOOD && a->trial.entry[0] == '\0' && a->trial.why[0] != '\0';
    buf_addf(out, "%s%s", gate ? "not sent: " : "", gate ? a->trial.why : end_words(a));
}

static void end_text(struct attempt *a, const char *ids, struct buf *out) {
    buf_add_char(out, '\n');
    if (a->answered) {
        buf_addf(out, "HTTP %ld, ", a->status);
        text_line(out, a->type.len > 0 ? buf_span(&a->type) : SPAN_LIT("no content type"));
        add_body(out, buf_span(&a->answer));
        buf_addf(out, "\n%llu ms\n", (unsigned long long)a->ms);
    } else if (a->asked) {
        buf_addf(out, "no answer after %llu ms: ", (unsigned long long)a->ms);
        text_line(out, span_str(a->error));
    }
    if (a->asked) {
        buf_addf(out, "verdict: %s (%s)", verdict_name(a->verdict), a->code);
        buf_add_str(out, a->message[0] != '\0' ? ": " : "");
        text_line(out, span_str(a->message));
    }
    if (strcmp(ids, "[]") != 0) {
        buf_add_str(out, "order ids: ");
        text_line(out, span_str(ids));
    }
    end_line(a, out);
    buf_add_char(out, '\n');
    if (a->verdict == VERDICT_REJECTED && a->asked && strcmp(a->code, "refused") == 0)
        buf_add_str(out, "(error_code_pointer and message_pointer would say which refusal it was)\n");
    if (a->trial.dead_id[0] != '\0' && strcmp(a->trial.reason, "unknown_outcome") == 0)
        buf_addf(out, "dead letter: %s in queue %s\n", a->trial.dead_id, a->account->queue);
    if (a->asked && !a->trial.settled)
        buf_add_str(out,
                    "Redis did not take the outcome: the key stays as being sent, and becomes unknown\n");
}

static cJSON *answer_of(const struct attempt *a) {
    if (!a->answered)
        return cJSON_CreateNull();
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "status", (double)a->status);
    tree_add_text(o, "content_type", buf_span(&a->type));
    tree_add_text(o, "body", buf_span(&a->answer));
    return o;
}

static void end_json(struct attempt *a, const char *ids, struct buf *out) {
    bool unknown = strcmp(a->trial.reason, "unknown_outcome") == 0;
    cJSON *o = a->shown;
    cJSON_AddItemToObject(o, "answer", answer_of(a));
    cJSON_AddBoolToObject(o, "sent", a->sent);
    tree_add_u64(o, "ms", a->ms);
    cJSON_AddStringToObject(o, "verdict",
                            a->asked          ? verdict_name(a->verdict)
                            : is_duplicate(a) ? "duplicate"
                                              : "not_sent");
    tree_add_text(o, "code", span_str(a->code));
    struct buf line;
    buf_init(&line, 4096);
    end_line(a, &line);
    tree_add_text(o, "message", a->asked && a->message[0] != '\0' ? span_str(a->message) : buf_span(&line));
    buf_deinit(&line);
    tree_add_raw(o, "order_ids", span_str(ids));
    tree_add_text(o, "dead_id", span_str(unknown ? a->trial.dead_id : NULL));
    cJSON_AddBoolToObject(o, "settled", a->trial.settled);
    try_show_json(a, out);
}

int try_show_end(struct attempt *a, struct buf *out) {
    struct buf ids;
    buf_init(&ids, 64u << 10);
    (a->json ? end_json : end_text)(a, known_ids(a, &ids), out);
    buf_deinit(&ids);
    return is_fine(a) ? EXIT_FINE : EXIT_FAILED;
}
