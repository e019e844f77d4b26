/* Log lines as text: levels, fields, and the two formats. Where lines go is log_writer.c's.
 *
 * A line is built in memory of its thread, LOG_LINE_MAX bytes, so it costs no allocation and no
 * lock until it is whole. Values are cut at VALUE_MAX; a field that does not fit any more is left
 * out and the line says `truncated`. */
#include "dray/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dray/clock.h"
#include "dray/timefmt.h"
#include "util/log_writer.h"

#define VALUE_MAX 1024 /* bytes of a value before escaping */
#define TAIL_MAX  32   /* room for the end of a line */

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static atomic_int current_level = LOG_INFO;
static atomic_int chosen_format = LOG_AUTO;
static atomic_bool coloured;

static _Thread_local char memory[LOG_LINE_MAX];
static _Thread_local struct buf line;
static _Thread_local bool truncated;

static bool terminal_has_colour(void) {
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    return isatty(STDERR_FILENO) && (no_color == NULL || *no_color == '\0') && term != NULL &&
           strcmp(term, "dumb") != 0;
}

/* What LOG_AUTO means here; a program that never calls log_start finds out with its first line. */
static void choose_format(enum log_format format) {
    if (format == LOG_AUTO)
        format = isatty(STDERR_FILENO) ? LOG_TEXT : LOG_JSON;
    coloured = format == LOG_TEXT && terminal_has_colour();
    chosen_format = (int)format;
}

static void paint(struct buf *out, const char *code) {
    if (coloured)
        buf_add_str(out, code);
}

static void begin_text(struct buf *out, enum log_level level, const char *time, const char *event) {
    static const char *const colours[] = {"\033[2m", "\033[32m", "\033[33m", "\033[31m"};
    static const char *const names[] = {"DEBUG ", "INFO  ", "WARN  ", "ERROR "};
    paint(out, "\033[2m");
    buf_add_str(out, time);
    paint(out, "\033[0m");
    buf_add_char(out, ' ');
    paint(out, colours[level]);
    buf_add_str(out, names[level]);
    paint(out, "\033[0m");
    buf_add_str(out, event);
}

static void begin_json(struct buf *out, enum log_level level, const char *time, const char *event) {
    buf_add_str(out, "{\"time\":\"");
    buf_add_str(out, time);
    buf_add_str(out, "\",\"level\":\"");
    buf_add_str(out, level_names[level]);
    buf_add_str(out, "\",\"event\":");
    buf_add_json_str(out, span_str(event));
}

static void begin(struct log_line *l, enum log_level level, const char *event) {
    char time[TIMEFMT_SIZE];
    if (chosen_format == LOG_AUTO)
        choose_format(LOG_AUTO);
    line = (struct buf){.data = memory, .cap = sizeof(memory), .max = sizeof(memory) - TAIL_MAX};
    truncated = false;
    *l = (struct log_line){.out = &line, .level = level};
    rfc3339_format(clock_unix_ms(), time);
    if (chosen_format == LOG_TEXT)
        begin_text(l->out, level, time, event);
    else
        begin_json(l->out, level, time, event);
}

static struct span finish(struct log_line *l) {
    struct buf *out = l->out;
    out->max = out->cap;
    if (truncated)
        buf_add_str(out, chosen_format == LOG_TEXT ? " truncated=true" : ",\"truncated\":true");
    buf_add_str(out, chosen_format == LOG_TEXT ? "\n" : "}\n");
    return buf_span(out);
}

/* Takes back a field that did not fit. */
static void end_field(struct buf *out, size_t start) {
    if (buf_ok(out))
        return;
    out->len = start;
    out->failed = false;
    truncated = true;
}

static void add_name(struct buf *out, const char *name) {
    if (chosen_format == LOG_TEXT) {
        buf_add_char(out, ' ');
        paint(out, "\033[2m");
        buf_add_str(out, name);
        buf_add_char(out, '=');
        paint(out, "\033[0m");
        return;
    }
    buf_add(out, ",\"", 2);
    buf_add_str(out, name);
    buf_add(out, "\":", 2);
}

static bool needs_quotes(struct span value) {
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] <= ' ' || value.ptr[i] > '~' || strchr("\"\\=", value.ptr[i]) != NULL)
            return true;
    return value.len == 0;
}

/* JSON escapes the controls below U+0020 only; DEL and U+0080 to U+009F may steer a terminal too.
 */
static void blank_controls(struct buf *out, size_t start) {
    for (size_t i = start; i < out->len; i++) {
        unsigned char c = (unsigned char)out->data[i];
        unsigned char next = i + 1 < out->len ? (unsigned char)out->data[i + 1] : 0;
        if (c == 0x7f)
            out->data[i] = '?';
        else if (c == 0xc2 && next >= 0x80 && next <= 0x9f)
            out->data[i] = out->data[i + 1] = '?';
    }
}

void log_span(struct log_line *l, const char *name, struct span value) {
    struct buf *out = l->out;
    size_t start = out->len;
    if (value.len > VALUE_MAX) {
        value.len = VALUE_MAX;
        truncated = true;
    }
    add_name(out, name);
    size_t from = out->len;
    if (chosen_format == LOG_TEXT && !needs_quotes(value))
        buf_add_span(out, value);
    else
        buf_add_json_str(out, value);
    if (chosen_format == LOG_TEXT)
        blank_controls(out, from);
    end_field(out, start);
}

void log_str(struct log_line *l, const char *name, const char *value) {
    log_span(l, name, span_str(value != NULL ? value : ""));
}

void log_u64(struct log_line *l, const char *name, uint64_t value) {
    size_t start = l->out->len;
    add_name(l->out, name);
    buf_add_u64(l->out, value);
    end_field(l->out, start);
}

void log_i64(struct log_line *l, const char *name, int64_t value) {
    size_t start = l->out->len;
    add_name(l->out, name);
    buf_add_i64(l->out, value);
    end_field(l->out, start);
}

void log_bool(struct log_line *l, const char *name, bool value) {
    size_t start = l->out->len;
    add_name(l->out, name);
    buf_add_str(l->out, value ? "true" : "false");
    end_field(l->out, start);
}

bool log_begin(struct log_line *l, enum log_level level, const char *event) {
    if ((int)level < current_level || level >= LOG_OFF)
        return false;
    begin(l, level, event);
    return true;
}

void log_end(struct log_line *l) {
    log_writer_add(finish(l), l->level >= LOG_ERROR);
}

void log_msg(enum log_level level, const char *event, const char *format, ...) {
    struct log_line l;
    if (!log_begin(&l, level, event))
        return;
    char text[VALUE_MAX + 2]; /* one byte more than is kept, so that a cut is seen */
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    log_str(&l, "message", text);
    log_end(&l);
}

static struct span dropped_line(uint64_t lines) {
    struct log_line l;
    begin(&l, LOG_WARN, "log_dropped");
    log_u64(&l, "lines", lines);
    return finish(&l);
}

int log_start(enum log_level level, enum log_format format) {
    log_set_level(level);
    choose_format(format);
    return log_writer_start(dropped_line);
}

void log_stop(void) {
    log_writer_stop();
}

void log_set_level(enum log_level level) {
    current_level = (int)level;
}

enum log_level log_get_level(void) {
    return (enum log_level)(int)current_level;
}

uint64_t log_dropped(void) {
    return log_writer_dropped();
}

int log_level_parse(const char *text) {
    for (int i = 0; i < LOG_OFF; i++)
        if (strcmp(text, level_names[i]) == 0)
            return i;
    return -1;
}
