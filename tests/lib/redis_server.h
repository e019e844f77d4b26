/* A real redis-server of a test's own, in a temporary directory, on a Unix socket and a free TCP
 * port of loopback. It dies with the test. Failures to start end the test program with a message.
 */
#ifndef DRAY_TESTS_REDIS_SERVER_H
#define DRAY_TESTS_REDIS_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define REDIS_SERVER_ARGS_MAX 32

struct redis_server {
    pid_t pid; /* 0: not running */
    uint16_t port;
    char port_text[8];
    char dir[40];
    char socket[64]; /* "" where the server has none */
    char file[64];   /* a sentinel's configuration, which it rewrites */
    const char *args[REDIS_SERVER_ARGS_MAX];
};

/* `args` are more of redis-server's arguments, up to NULL; they must outlive the server. Returns
 * when it answers (an error to PING is an answer). */
void redis_server_start(struct redis_server *s, const char *const *args);
/* A sentinel that watches the master at `master_port` of loopback under the name `master`, with a
 * quorum of `quorum`, and takes it for down after three seconds. */
void redis_server_start_sentinel(struct redis_server *s, uint16_t master_port, unsigned quorum);
void redis_server_kill(struct redis_server *s);  /* SIGKILL; returns when it is gone */
void redis_server_again(struct redis_server *s); /* after a kill: the same directory, port, arguments */
void redis_server_pause(struct redis_server *s); /* SIGSTOP; returns when it has stopped */
void redis_server_resume(struct redis_server *s);
void redis_server_stop(struct redis_server *s); /* kills it and removes the directory */

/* A TCP port of loopback that nothing listens on. */
uint16_t redis_server_free_port(void);

#endif
