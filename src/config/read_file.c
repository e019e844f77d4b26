/* Reads a whole file, bounded, and leaves no copy of it behind: it may hold secrets. */
#include "config/table.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int config_read_file(const char *path, size_t max, struct buf *out, struct err *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;
    if (fd < 0)
        return err_set(err, "%s", strerror(errno));
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        close(fd);
        return err_set(err, "is a directory");
    }
    buf_init(out, max + 1);
    for (;;) {
        char piece[16384];
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            err_set(err, "%s", strerror(errno));
            break;
        }
        buf_add(out, piece, (size_t)n);
        explicit_bzero(piece, (size_t)n);
        if (n == 0 && buf_ok(out) && out->len <= max) {
            close(fd);
            return 0;
        }
        if (out->len > max || (!buf_ok(out) && out->len + (size_t)n > max)) {
            err_set(err, "is larger than %zu KiB", max >> 10);
            break;
        }
        if (!buf_ok(out)) {
            err_set(err, "out of memory");
            break;
        }
    }
    close(fd);
    return -1;
}
