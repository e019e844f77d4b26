/* Lines for two passes: everything is checked before anything is pushed, in bounded memory. What
 * can't be rewound (a pipe) is first kept in an unlinked temporary file that only we may read. */
#include "cli/push.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static FILE *temporary_file(struct err *err) {
    const char *dir = getenv("TMPDIR");
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s/dray-push-XXXXXX", dir != NULL && *dir != '\0' ? dir : "/tmp");
    int fd = n > 0 && (size_t)n < sizeof(path) ? mkostemp(path, O_CLOEXEC) : -1;
    if (fd < 0) {
        err_set(err, "can't make a temporary file for stdin (TMPDIR names another directory): %s",
                strerror(errno));
        return NULL;
    }
    unlink(path);
    FILE *file = fdopen(fd, "w+");
    if (file == NULL) {
        err_set(err, "out of memory");
        close(fd);
    }
    return file;
}

static int spool(FILE *from, FILE *to, struct err *err) {
    char piece[65536];
    size_t n;
    while ((n = fread(piece, 1, sizeof(piece), from)) > 0)
        if (fwrite(piece, 1, n, to) != n)
            break;
    if (ferror(from))
        return err_set(err, "stdin: %s", strerror(errno));
    if (ferror(to) || fflush(to) != 0)
        return err_set(err, "stdin can't be kept in a temporary file (TMPDIR names another directory): %s",
                       strerror(errno));
    return 0;
}

/* 0 with s->file and s->start, or -1. */
static int open_input(struct source *s, const char *path, struct err *err) {
    struct stat st;
    bool is_stdin = path == NULL || strcmp(path, "-") == 0;
    FILE *input = is_stdin ? stdin : fopen(path, "re");
    if (input == NULL || fstat(fileno(input), &st) != 0) {
        int why = errno;
        if (input != NULL && !is_stdin)
            fclose(input);
        return err_set(err, "%s: %s", s->name, strerror(why));
    }
    if (S_ISREG(st.st_mode)) {
        s->file = input;
        s->start = ftello(input);
        return s->start < 0 ? err_set(err, "%s: %s", s->name, strerror(errno)) : 0;
    }
    if (is_stdin && isatty(STDIN_FILENO))
        fputs("jobs are read from the terminal, one a line; Ctrl-D ends\n", stderr);
    s->file = temporary_file(err);
    int code = s->file != NULL ? spool(input, s->file, err) : -1;
    if (!is_stdin)
        fclose(input);
    return code;
}

int source_init(struct source *s, const char *path, size_t max, struct err *err) {
    struct stat st;
    *s = (struct source){.max = max};
    s->name = path == NULL || strcmp(path, "-") == 0 ? "stdin" : path;
    buf_init(&s->line, max + 1);
    if (open_input(s, path, err) != 0)
        return -1;
    if (fstat(fileno(s->file), &st) != 0 || source_rewind(s) != 0)
        return err_set(err, "%s: %s", s->name, strerror(errno));
    s->size = st.st_size > s->start ? st.st_size - s->start : 0;
    return 0;
}

void source_deinit(struct source *s) {
    if (s->file != NULL && s->file != stdin)
        fclose(s->file);
    s->file = NULL;
    buf_deinit(&s->line);
}

int source_rewind(struct source *s) {
    s->number = 0;
    s->bytes = 0;
    clearerr(s->file);
    return fseeko(s->file, s->start, SEEK_SET);
}

static bool is_blank(const struct buf *line) {
    for (size_t i = 0; i < line->len; i++)
        if (line->data[i] != ' ' && line->data[i] != '\t' && line->data[i] != '\r')
            return false;
    return true;
}

/* False at the end of the file. A line over the maximum is read to its end but not kept. */
static bool read_line(struct source *s, bool *too_long) {
    int c = getc_unlocked(s->file);
    *too_long = false;
    buf_reset(&s->line);
    if (c == EOF)
        return false;
    for (; c != EOF && c != '\n'; c = getc_unlocked(s->file)) {
        s->bytes++;
        if (s->line.len < s->max)
            buf_add_char(&s->line, (char)c);
        else
            *too_long = *too_long || c != '\r';
    }
    s->bytes++;
    s->number++;
    return true;
}

enum line_kind source_next(struct source *s, struct span *text) {
    bool too_long;
    while (read_line(s, &too_long)) {
        if (too_long)
            return LINE_TOO_LONG;
        if (!buf_ok(&s->line)) {
            errno = ENOMEM;
            return LINE_FAILED;
        }
        if (is_blank(&s->line))
            continue;
        *text = buf_span(&s->line);
        if (text->ptr[text->len - 1] == '\r')
            text->len--;
        return LINE_TEXT;
    }
    return ferror(s->file) ? LINE_FAILED : LINE_END;
}
