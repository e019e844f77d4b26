/* The bar is redrawn in place. Call progress_end before you write a message, or it stands behind the bar. */
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dray/clock.h"

#define BAR_WIDTH 30
#define DRAW_NS   100000000u

void progress_begin(struct progress *p, const char *what, uint64_t total) {
    *p = (struct progress){
        .what = what, .shown = isatty(STDERR_FILENO) == 1, .total = total, .begun_ns = clock_boot_ns()};
}

/* How long the rest takes at the pace so far; nothing before there is a pace. */
static void left(const struct progress *p, uint64_t done, double seconds, char out[static 32]) {
    out[0] = '\0';
    if (done == 0 || seconds < 0.5 || done >= p->total)
        return;
    uint64_t s = (uint64_t)((double)(p->total - done) * seconds / (double)done + 0.5);
    if (s < 120)
        snprintf(out, 32, ", %" PRIu64 "s left", s);
    else if (s < 7200)
        snprintf(out, 32, ", %" PRIu64 "m%02" PRIu64 "s left", s / 60, s % 60);
    else
        snprintf(out, 32, ", %" PRIu64 "h%02" PRIu64 "m left", s / 3600, s / 60 % 60);
}

static void draw(const struct progress *p, uint64_t done) {
    char bar[BAR_WIDTH + 1], rest[32];
    uint64_t share = done < p->total ? done * 100 / p->total : 100;
    size_t filled = (size_t)(share * BAR_WIDTH / 100);
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', filled);
    bar[BAR_WIDTH] = '\0';
    double seconds = (double)(p->drawn_ns - p->begun_ns) / 1e9;
    left(p, done, seconds, rest);
    fprintf(stderr, "\r%s [%s] %3" PRIu64 "%% %" PRIu64 " of %" PRIu64, p->what, bar, share, done, p->total);
    if (seconds >= 0.5)
        fprintf(stderr, ", %.0f/s", (double)done / seconds);
    fprintf(stderr, "%s\033[K", rest);
}

void progress_set(struct progress *p, uint64_t done) {
    if (!p->shown || p->total == 0)
        return;
    uint64_t now = clock_boot_ns();
    if (p->drawn_ns != 0 && now - p->drawn_ns < DRAW_NS)
        return;
    p->drawn_ns = now;
    draw(p, done);
}

void progress_end(struct progress *p) {
    if (p->shown && p->drawn_ns != 0)
        fputs("\r\033[K", stderr);
    p->drawn_ns = 0;
}
