/* Runs a fuzz target without a fuzzer, so that every test run has some of it: first each file of
 * the corpus (arguments: files and folders), then seeded random mutations of them, until FUZZ_RUNS
 * (200,000) are done or FUZZ_SECONDS (3) are over. FUZZ_SEED (1) chooses others.
 *
 * An input that crashes is written to PROGRAM.crash in the working folder; run the program with
 * that file as its only argument and FUZZ_RUNS=0 to see it again. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dray/clock.h"

#define INPUT_MAX 16384 /* bytes of an input */
#define FILES_MAX 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The sanitizers' hook; absent in a build without them. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

struct input {
    uint8_t bytes[INPUT_MAX];
    size_t size;
};

static struct input *corpus[FILES_MAX];
static size_t corpus_size;
static struct input current;

static void save_current(void) {
    char path[256];
    snprintf(path, sizeof(path), "%s.crash", program_invocation_short_name);
    FILE *f = fopen(path, "wb");
    if (f == NULL)
        return;
    fwrite(current.bytes, 1, current.size, f);
    fclose(f);
    fprintf(stderr, "the input is in %s\n", path);
}

static void on_signal(int number) {
    save_current();
    signal(number, SIG_DFL);
    raise(number);
}

/* In memory that ends where the input ends. */
static void run_current(void) {
    uint8_t *exact = malloc(current.size > 0 ? current.size : 1);
    if (exact == NULL)
        abort();
    memcpy(exact, current.bytes, current.size);
    LLVMFuzzerTestOneInput(exact, current.size);
    free(exact);
}

static void load_file(const char *path) {
    FILE *f = fopen(path, "rb");
    struct input *in = malloc(sizeof(*in));
    if (f == NULL || in == NULL || corpus_size == FILES_MAX) {
        fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    in->size = fread(in->bytes, 1, INPUT_MAX, f);
    fclose(f);
    corpus[corpus_size++] = in;
}

/* Folders are read in the order of their names, so that a seed means the same everywhere. */
static void load(const char *path) {
    struct stat st;
    struct dirent **entries;
    char file[4096];
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        load_file(path);
        return;
    }
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            load(file);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

/* Replaces `remove` bytes at `at` by `insert`; what gets too long is left as it was. */
static void splice(size_t at, size_t remove, const void *insert, size_t size) {
    if (current.size - remove + size > INPUT_MAX)
        return;
    memmove(current.bytes + at + size, current.bytes + at + remove, current.size - at - remove);
    memcpy(current.bytes + at, insert, size);
    current.size = current.size - remove + size;
}

static size_t below(struct rng *r, size_t n) {
    return (size_t)rng_below(r, n);
}

static void insert_token(struct rng *r, size_t at) {
    static const char *const tokens[] = {
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "true",
        "-",
        "0",
        "1e400",
        "99999999999999999999",
        "\\u0000",
        "\\ud83d",
        "\\ude00",
        "\\u0041",
        "\xff",
        "\xc3",
        "\xe2\x80\xa8",
        "\xf0\x9f\x98\x80",
        "\n",
        " ",
        "",
        "%",
        "@",
        "/",
        "?",
        "#",
        "=",
        ";",
        "{{{{{{{{{{{{",
        "[[[[[[[[[[[[[[[[[[[[[[[[",
        "2024-02-29T23:59:60Z",
        "-2147483648",
        "4294967296",
        "18446744073709551616",
        "0.000",
        "+00:00",
        "ms",
        "\r\n",
    };
    const char *token = tokens[below(r, sizeof(tokens) / sizeof(tokens[0]))];
    size_t end = current.size - at;
    splice(at, rng_below(r, 2) ? 0 : below(r, (end < 8 ? end : 8) + 1), token, strlen(token));
}

/* A piece of this or another input of the corpus. */
static void insert_piece(struct rng *r, size_t at) {
    static uint8_t piece[INPUT_MAX];
    const struct input *from = rng_below(r, 2) ? &current : corpus[below(r, corpus_size)];
    if (from->size == 0)
        return;
    size_t start = below(r, from->size), size = 1 + below(r, from->size - start);
    memcpy(piece, from->bytes + start, size);
    splice(at, rng_below(r, 2) ? 0 : below(r, current.size - at + 1), piece, size);
}

static void mutate(struct rng *r) {
    size_t at = below(r, current.size + 1);
    uint8_t byte = (uint8_t)rng_u64(r);
    if (current.size == 0 || at == current.size) {
        insert_token(r, at);
        return;
    }
    switch (rng_below(r, 8)) {
    case 0:
        current.bytes[at] ^= (uint8_t)(1u << (byte & 7));
        break;
    case 1:
        current.bytes[at] = byte;
        break;
    case 2:
        splice(at, 0, &byte, 1);
        break;
    case 3:
        splice(at, 1 + below(r, current.size - at), "", 0);
        break;
    case 4:
    case 5:
        insert_token(r, at);
        break;
    case 6:
        insert_piece(r, at);
        break;
    default:
        splice(at, 1, "", 0);
    }
}

static uint64_t setting(const char *name, uint64_t usual) {
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : usual;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        load(argv[i]);
    if (corpus_size == 0) {
        fprintf(stderr, "usage: %s CORPUS...\n", argv[0]);
        return 2;
    }
    if (__sanitizer_set_death_callback != NULL)
        __sanitizer_set_death_callback(save_current);
    signal(SIGABRT, on_signal);
    for (size_t i = 0; i < corpus_size; i++) {
        current = *corpus[i];
        run_current();
    }
    uint64_t runs = setting("FUZZ_RUNS", 200000), done = 0;
    uint64_t end = clock_boot_ns() + setting("FUZZ_SECONDS", 3) * 1000000000u;
    struct rng r;
    rng_seed(&r, setting("FUZZ_SEED", 1));
    for (; done < runs && clock_boot_ns() < end; done++) {
        const struct input *from = corpus[below(&r, corpus_size)];
        memcpy(current.bytes, from->bytes, from->size);
        current.size = from->size;
        for (uint64_t n = 1 + rng_below(&r, 5); n > 0; n--)
            mutate(&r);
        run_current();
    }
    printf("%zu files, %llu mutations\n", corpus_size, (unsigned long long)done);
    for (size_t i = 0; i < corpus_size; i++)
        free(corpus[i]);
    return 0;
}
