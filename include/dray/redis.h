/* Redis connection: hiredis' non-blocking context on the uv loop (not its async layer, which calls back
 * during its own clean-up), with what it lacks: a resolver that does not block, connect and command
 * timers, reconnect with full-jitter backoff, AUTH/SELECT/CLIENT SETNAME before anything else, TLS where
 * hiredis has it, and a reply callback that is always called exactly once.
 *
 *   redis_conn_new → CONNECTING → (AUTH, SELECT, CLIENT SETNAME, PING) → UP
 *                         ↑                                               │ error, timeout, EOF
 *                         └── backoff (100 ms … 5 s, full jitter) ← DOWN ←┘
 *
 * When a connection goes down, the callbacks of everything unanswered are called with reply NULL and
 * the reason, in order, before `on_state(DOWN)`. Whether such a command ran is not known. Commands
 * given while the connection is not UP fail the same way, from the next loop turn (never from within
 * the call).
 *
 * An error reply is a reply. READONLY, MASTERDOWN, LOADING and a CLUSTERDOWN that stays are also taken as news
 * of a failover: once delivered, the connection drops and looks for the master again, however it was named: the
 * sentinels are asked, the name is resolved anew, an address is connected to anew (a balancer may lead elsewhere
 * now). A replica is refused at once; of a name with several addresses the next is tried.
 *
 * The process must ignore SIGPIPE. */
#ifndef DRAY_REDIS_H
#define DRAY_REDIS_H

#include <hiredis/hiredis.h>
#include <uv.h>

#include "dray/buf.h"
#include "dray/clock.h"
#include "dray/err.h"

/* Where and how; resolved from `[redis]`. Strings are the caller's and must outlive the connection. */
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
    const char *sentinel_username, *sentinel_password; /* NULL: none; the servers' are not used for them */
    uint32_t connect_timeout_ms;                       /* 0: 5,000 */
    uint32_t command_timeout_ms; /* 0: 10,000; without an answer for so long the connection is dropped */
};

/* Fills `o` from a URL (`redis://[user:password@]host[:port][/db]`, `rediss://…`, `unix://path[?db=n]`).
 * Strings lie in `storage` (given empty), which the caller keeps. Sets unix_path, host, port, database
 * and tls; username and password only where the URL has them. 0, or -1 and `err`, which never shows a
 * part of the URL that may be the password. */
int redis_options_parse(struct redis_options *o, const char *url, struct buf *storage, struct err *err);

enum redis_state { REDIS_CONNECTING, REDIS_UP, REDIS_DOWN, REDIS_CLOSED };

struct redis_conn;
typedef void (*redis_reply_fn)(void *arg, const redisReply *reply, const char *error);
/* Called on every change but to CLOSED. `reason` says why it is DOWN ("connection refused", or the
 * server's words as they are: "NOAUTH …", "WRONGPASS …"); "" otherwise. */
typedef void (*redis_state_fn)(void *arg, enum redis_state state, const char *reason);

/* Whether this build can speak TLS (hiredis 1.0 or newer, with SSL). */
bool redis_tls_available(void);
/* NULL and `err` where an option needs what hiredis lacks (TLS with hiredis 0.14). Connects from the
 * next loop turn on. `options` is not copied. */
struct redis_conn *redis_conn_new(uv_loop_t *loop, const struct redis_options *options, struct rng *rng,
                                  redis_state_fn on_state, void *arg, struct err *err);
enum redis_state redis_conn_state(const struct redis_conn *c);
/* The last reason for being DOWN, also while reconnecting. */
const char *redis_conn_error(const struct redis_conn *c);
/* Whether a reason for being DOWN is about the password or the user's rights, so that only a person
 * can end it. The connection goes on trying, every 2.5 to 5 s. */
bool redis_reason_is_auth(const char *reason);
/* Whether an error reply, or a reason for being DOWN, says that this server does not serve, and another may: the
 * master is elsewhere now, or this one reads its data in. */
bool redis_reason_is_moved(const char *text);
/* Whether a reason for being DOWN is a server's that answers and refuses, and not that none is reached. Loading
 * is none: it ends by itself. */
bool redis_reason_is_refusal(const char *reason);
/* An error reply as people read it: without the script's hash and line that Redis puts around it. */
void redis_error_words(const char *text, char *out, size_t size);
/* Where it connects to ("127.0.0.1:6379", a path), for messages; under Sentinel the master last named. */
const char *redis_conn_place(const struct redis_conn *c);

/* Sends one command that is already in RESP ("*3\r\n$7\r\nEVALSHA…"). The bytes are copied. `done` may
 * be NULL. With `block_ms` > 0 the command may take that long on top of the command timeout (BLMOVE). */
void redis_send(struct redis_conn *c, struct span resp, uint32_t block_ms, redis_reply_fn done, void *arg);
/* For rare commands: printf-style as in hiredis (%s, %b). */
void redis_command(struct redis_conn *c, redis_reply_fn done, void *arg, const char *format, ...);
/* Commands are written once per loop turn by themselves; this writes now. */
void redis_flush(struct redis_conn *c);
/* Unanswered commands fail in a later turn, then `closed` (may be NULL) is called and the connection is
 * freed. May be called from any callback; no more commands afterwards, and no more on_state. */
void redis_conn_close(struct redis_conn *c, void (*closed)(void *arg), void *arg);

/* Counters since the connection was made, reconnects included. */
struct redis_stats {
    uint64_t commands, writes, reconnects, errors;
};
struct redis_stats redis_conn_stats(const struct redis_conn *c);

/* RESP writing: redis_resp_begin(b, 3); redis_resp_arg(b, …) three times. */
void redis_resp_begin(struct buf *b, size_t args);
void redis_resp_arg(struct buf *b, struct span arg);
void redis_resp_str(struct buf *b, const char *arg);
/* The head of an argument of `len` bytes, which the caller appends itself, and CRLF behind them. */
void redis_resp_head(struct buf *b, size_t len);
void redis_resp_u64(struct buf *b, uint64_t v);

/* For the CLI, which may block: a synchronous connection with the same options (resolve, TLS, AUTH,
 * Sentinel). NULL and `err` ("Redis at 127.0.0.1:6379: connection refused"). redisFree() it. */
redisContext *redis_connect_sync(const struct redis_options *options, struct err *err);
/* The same, to the node of a cluster that serves `key`. */
redisContext *redis_connect_sync_key(const struct redis_options *options, const char *key, struct err *err);
/* From a connection to another node, which is then closed; the same one where there is no cluster. */
redisContext *redis_sync_follow(redisContext *ctx, const struct redis_options *options, const char *key,
                                struct err *err);

#endif
