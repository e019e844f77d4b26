/* The parts of `dray push`: lines that can be read twice, their check, and batches whose fate is
 * known. */
#ifndef DRAY_CLI_PUSH_H
#define DRAY_CLI_PUSH_H

#include <stdio.h>
#include <sys/types.h>

#include "cli/cli.h"
#include "queue/keys.h"

/* ---- push_source.c: a file, or stdin kept in a temporary file ---- */

struct source {
    FILE *file;
    off_t start, size; /* bytes; where the lines begin, and how many there are */
    const char *name;  /* for messages: the path, or "stdin" */
    struct buf line;
    uint64_t number; /* of the line read last, from 1 on */
    uint64_t bytes;  /* read since source_rewind */
    size_t max;      /* bytes of a line */
};

enum line_kind { LINE_END, LINE_TEXT, LINE_TOO_LONG, LINE_FAILED };

/* `path` NULL or "-" is stdin. 0, or -1 and `err`. source_deinit() in both cases. */
int source_init(struct source *s, const char *path, size_t max, struct err *err);
void source_deinit(struct source *s);
int source_rewind(struct source *s); /* 0, or -1 and errno */
/* The next line that is not blank, without its end. The text is valid until the next call. */
enum line_kind source_next(struct source *s, struct span *text);

/* ---- push_check.c: what a line means, judged as a worker would ---- */

struct checker {
    const struct config *config;
    const struct queue_config *queue;
    bool orders;         /* lines are orders, not jobs */
    const char *account; /* of --orders; NULL: the queue's default */
    struct json_doc doc;
    struct faults faults;   /* of the line checked last */
    struct faults warnings; /* of the same: what breaks no rule and looks like a mistake */
    struct buf decoded, wrapped;
    char hash_tag[NAME_MAX_LEN + 3];
};

void checker_init(struct checker *c, const struct config *config, const struct queue_config *queue,
                  bool orders, const char *account);
void checker_deinit(struct checker *c);
/* Whether `account` is one of the queue. */
bool checker_knows_account(const struct checker *c);
/* The job that the line means, in *job (valid until the next call or line); false when it has
 * faults. */
bool checker_line(struct checker *c, enum line_kind kind, struct span text, uint64_t now_unix_ms,
                  struct span *job);

/* ---- push_warn.c: lines that break no rule and look wrong ---- */

struct warned {
    uint64_t lines;
    cJSON *list;  /* for --json: {"line":…,"warnings":[…]} of the first of them */
    size_t bytes; /* of its warnings */
};
void warned_init(struct warned *w);
void warned_deinit(struct warned *w);
/* Of the line read last; only the first lines are printed, the others counted. */
void warned_add(struct warned *w, const struct source *source, const struct faults *warnings, bool json);
void warned_end(const struct warned *w, const struct source *source, bool json);

/* ---- push_json.c: --json on stdout, in parts: a file may have millions of lines with faults ---- */

struct push_end {
    cJSON *warned_lines; /* stays the caller's */
    uint64_t jobs, invalid, pushed, unsure;
    uint64_t resume_line; /* 0: none */
    const char *error;    /* NULL: none */
};
void push_json_begin(const char *queue);
/* False, of both: out of memory. */
bool push_json_line(bool first, uint64_t line, const struct faults *faults);
bool push_json_end(const struct push_end *e);

/* ---- push_send.c: batches ---- */

enum send_state {
    SEND_FINE,
    SEND_REFUSED, /* Redis said no: nothing of the batch is in the list */
    SEND_UNSURE,  /* the connection broke and did not come back: the batch may be in */
    SEND_LOST,    /* Redis came back without what it had taken before */
};

struct sender {
    const struct config *config;
    redisContext *redis;
    struct queue_keys keys;
    char marker[320]; /* a key of this push alone: says how far it got, written with each batch */
    struct buf values, command;
    uint32_t count;       /* jobs in the batch */
    uint64_t first, last; /* lines of the batch */
    uint64_t pushed;      /* jobs that are surely in the list */
    uint64_t through;     /* the last line of them; 0: none */
    uint64_t waiting;     /* length of the list after the last batch */
    struct err err;       /* where state is not SEND_FINE */
    enum send_state state;
};

/* Takes the connection. 0, or -1 out of memory. sender_deinit() in both cases. */
int sender_init(struct sender *s, const struct config *config, const char *queue, redisContext *redis);
void sender_deinit(struct sender *s);
/* Sends when the batch is full. */
enum send_state sender_add(struct sender *s, struct span job, uint64_t line);
enum send_state sender_flush(struct sender *s);

#endif
