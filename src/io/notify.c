/* systemd's notification protocol without its library: one datagram to the socket that the environment names.
 *
 * Happy path: $NOTIFY_SOCKET is a path, or a name in the abstract namespace (`@…`). Each call opens a socket,
 * sends and closes: a process says such things seldom.
 * Failure modes: without $NOTIFY_SOCKET nobody listens, and nothing is to be done. A full or missing socket is
 * an error at once, never a wait; the next datagram may still come through. */
#include "dray/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int make_address(const char *name, struct sockaddr_un *address, socklen_t *len, struct err *err) {
    size_t n = strlen(name);
    if (name[0] != '/' && name[0] != '@')
        return err_set(err, "NOTIFY_SOCKET is neither a path nor an abstract name (`@…`)");
    if (n < 2 || n >= sizeof(address->sun_path))
        return err_set(err, "NOTIFY_SOCKET has %zu bytes; 2 to %zu are possible", n,
                       sizeof(address->sun_path) - 1);
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, name, n);
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
    if (name[0] == '@') {
        address->sun_path[0] = '\0';
        (*len)--; /* the length ends an abstract name, not a zero */
    }
    return 0;
}

int notify_send(const char *state, struct err *err) {
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address;
    socklen_t len = 0;
    if (name == NULL || name[0] == '\0')
        return 0;
    if (make_address(name, &address, &len, err) < 0)
        return -1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, "NOTIFY_SOCKET: socket: %s", strerror(errno));
    ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, len);
    int error = errno;
    close(fd);
    return sent >= 0 ? 1 : err_set(err, "NOTIFY_SOCKET %s: %s", name, strerror(error));
}

/* A whole positive number, or 0. */
static uint64_t env_u64(const char *name) {
    const char *text = getenv(name);
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9')
        return 0;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' ? n : 0;
}

uint64_t notify_watchdog_ms(void) {
    uint64_t us = env_u64("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    if (us == 0 || (pid != NULL && env_u64("WATCHDOG_PID") != (uint64_t)getpid()))
        return 0;
    return us / 2000 > 0 ? us / 2000 : 1;
}
