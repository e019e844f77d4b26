/* A connection to Redis: hiredis' non-blocking context on the uv loop. (Its async layer is not used: that calls back
 * during its own clean-up.) Added to it are a resolver that does not block, timers for connecting and for commands,
 * reconnecting with full-jitter backoff, AUTH, SELECT and CLIENT SETNAME before anything else, TLS where
 * hiredis has it, and a reply callback that is always called exactly once.
 *
 *   redis_conn_new → CONNECTING → (AUTH, SELECT, CLIENT SETNAME, PING) → UP
 *                         ↑                                               │ error, timeout, EOF
 *                         └── backoff (100 ms … 5 s, full jitter) ← DOWN ←┘
 *
 * When a connection goes down, the callback of each unanswered command is called with reply NULL and the reason, in
 * order, before `on_state(DOWN)`. Whether such a command ran is not known. Commands that are given while the
 * connection is not UP fail in the same way, in the next turn of the loop, never from within the call.
 *
 * An error reply is a reply like any other. But READONLY, MASTERDOWN, LOADING and a CLUSTERDOWN that stays also mean
 * that the master may be elsewhere now. So once such a reply is delivered, the connection drops and looks for the
 * master again: it asks the sentinels, resolves the name anew, or connects to the address anew (a load balancer may
 * lead elsewhere now). A replica is refused at once; where a name has several addresses, the next is tried.
 *
 * The process must ignore SIGPIPE. */
#ifndef DRAY_REDIS_H
#define DRAY_REDIS_H

#include <hiredis/hiredis.h>
#include <uv.h>

#include "dray/buf.h"
#include "dray/clock.h"
#include "dray/err.h"

/* Where to connect, and how; from `[redis]`. The strings are the caller's and must outlive the connection. */
struct redis_options {
    const char *unix_path; /* or NULL */
    const char *host;
    uint16_t port;
    uint32_t database;
    bool tls;
    const char *tls_ca, *tls_cert, *tls_key; /* NULL: the system's; none; none */
    const char *username, *password;         /* NULL: none */
    const char *client_name;
    /* "host:port" of sentinels, NULL-terminated, and the master's name; NULL: no Sentinel. */
    const char *const *sentinels;
    const char *sentinel_master;
    const char *sentinel_username, *sentinel_password; /* NULL: none; never username and password above */
    uint32_t connect_timeout_ms;                       /* 0: 5,000 */
    uint32_t command_timeout_ms; /* the connection drops when an answer takes longer; 0: 10,000 */
};

/* Fills `o` from a URL (`redis://[user:password@]host[:port][/db]`, `rediss://…`, `unix://path[?db=n]`).
 * Strings lie in `storage` (given empty), which the caller keeps. Sets unix_path, host, port, database
 * and tls; username and password only where the URL has them. 0, or -1 and `err`, which never shows a
 * part of the URL that may be the password. */
int redis_options_parse(struct redis_options *o, const char *url, struct buf *storage, struct err *err);

enum redis_state { REDIS_CONNECTING, REDIS_UP, REDIS_DOWN, REDIS_CLOSED };

struct redis_conn;
typedef void (*redis_reply_fn)(void *arg, const redisReply *reply, const char *error);
/* Called on every change of state except to CLOSED. `reason` says why the connection is DOWN ("connection refused", or
 * the server's own words: "NOAUTH …", "WRONGPASS …"); else it is "". */
typedef void (*redis_state_fn)(void *arg, enum redis_state state, const char *reason);

/* Whether this build can speak TLS (hiredis 1.0 or newer, with SSL). */
bool redis_tls_available(void);
/* Connects in the next turn of the loop. `options` is not copied. NULL and `err` if an option needs what this hiredis
 * lacks (TLS with 0.14). */
struct redis_conn *redis_conn_new(uv_loop_t *loop, const struct redis_options *options, struct rng *rng,
                                  redis_state_fn on_state, void *arg, struct err *err);
enum redis_state redis_conn_state(const struct redis_conn *c);
/* The last reason for being DOWN, also while reconnecting. */
const char *redis_conn_error(const struct redis_conn *c);
/* Whether a reason for being DOWN is about the password or the user's rights, so that only a person
 * can mend it. The connection tries again all the same, every 2.5 to 5 s. */
bool redis_reason_is_auth(const char *reason);
/* Whether an error reply, or a reason for being DOWN, means that another server may serve in place of this one: the
 * master is elsewhere now, or this server still loads its data. */
bool redis_reason_is_moved(const char *text);
/* Whether a reason for being DOWN means that a server was reached and refused us. Loading is no refusal: it ends by
 * itself. */
bool redis_reason_is_refusal(const char *reason);
/* Writes an error reply for people to `out`: without the script's hash and line that Redis puts around it. */
void redis_error_words(const char *text, char *out, size_t size);
/* Where it connects to, for messages: "127.0.0.1:6379", or a path; with Sentinel the master that was named last. */
const char *redis_conn_place(const struct redis_conn *c);

/* Sends one command that is already in RESP ("*3\r\n$7\r\nEVALSHA…"). The bytes are copied. `done` may
 * be NULL. With `block_ms` > 0 the command may take that long on top of the command timeout (BLMOVE). */
void redis_send(struct redis_conn *c, struct span resp, uint32_t block_ms, redis_reply_fn done, void *arg);
/* For rare commands: printf-style as in hiredis (%s, %b). */
void redis_command(struct redis_conn *c, redis_reply_fn done, void *arg, const char *format, ...);
/* Writes now what was given so far. Without it, commands are written once per turn of the loop. */
void redis_flush(struct redis_conn *c);
/* In a later turn of the loop unanswered commands fail, then `closed` (which may be NULL) is called and the connection
 * is freed. May be called from any callback. Give it no command afterwards; on_state is not called any more. */
void redis_conn_close(struct redis_conn *c, void (*closed)(void *arg), void *arg);

/* Counters since the connection was made, reconnects included. */
struct redis_stats {
    uint64_t commands, writes, reconnects, errors;
};
struct redis_stats redis_conn_stats(const struct redis_conn *c);

/* Write a command in RESP: redis_resp_begin(b, 3), then one of the others three times. */
void redis_resp_begin(struct buf *b, size_t args);
void redis_resp_arg(struct buf *b, struct span arg);
void redis_resp_str(struct buf *b, const char *arg);
/* Begins an argument of `len` bytes. The caller appends these bytes, and CRLF behind them. */
void redis_resp_head(struct buf *b, size_t len);
void redis_resp_u64(struct buf *b, uint64_t v);

/* A blocking connection with the same options (TLS, AUTH, Sentinel), for the command line. NULL and `err` ("Redis at
 * 127.0.0.1:6379: connection refused"). The caller frees it with redisFree(). */
redisContext *redis_connect_sync(const struct redis_options *options, struct err *err);
/* The same, to the node of a cluster that serves `key`. */
redisContext *redis_connect_sync_key(const struct redis_options *options, const char *key, struct err *err);
/* Exchanges a connection for one to the node that serves `key`, and closes the old one. Returns the same connection
 * if there is no cluster. */
redisContext *redis_sync_follow(redisContext *ctx, const struct redis_options *options, const char *key,
                                struct err *err);

#endif
