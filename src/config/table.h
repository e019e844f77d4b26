/* The folder's own contracts: the table of keys, and the draft that files and environment fill
 * before the structs of config.h are built from it. */
#ifndef DRAY_CONFIG_TABLE_H
#define DRAY_CONFIG_TABLE_H

#include <stdarg.h>

#include "config/arena.h"
#include "dray/config.h"

enum section_kind {
    SECTION_REDIS,
    SECTION_WORKER,
    SECTION_ADMIN,
    SECTION_TRACE,
    SECTION_QUEUE,
    SECTION_ACCOUNT,
    SECTION_KINDS,
};

enum key_flag {
    KEY_SECRET = 1 << 0,      /* never shown or quoted; the next row is its `_file` twin */
    KEY_SECRET_FILE = 1 << 1, /* the path of a file with the secret of the row before */
    KEY_REQUIRED = 1 << 2,
    KEY_FROM_PROVIDER = 1 << 3, /* the default is the provider's, then the table's */
    KEY_HTTP_JSON = 1 << 4,     /* only for accounts of provider http-json */
    KEY_UNSTORED = 1 << 5,      /* no field of its own: load.c and build.c use the text */
    KEY_MAY_BE_EMPTY = 1 << 6,
    KEY_MASK_URL = 1 << 7, /* may hold user:password@, which is not shown */
    KEY_NAMED = 1 << 8,    /* stands with a name of its own, as often as one likes (headers.c) */
};

struct key;

/* How a value is read and written. */
struct key_type {
    const char *name; /* in the documentation: "duration" */
    /* Reads `text` into `field` (of key->size bytes; NULL where the key is unstored). Strings are
     * kept in `mem`. 0, or -1 and the rule that `text` breaks. */
    int (*parse)(const struct key *key, const char *text, void *field, struct arena *mem, struct err *err);
    /* Writes the field's value; nothing where it is not set. */
    void (*format)(const struct key *key, const void *field, struct buf *out);
    bool bounded; /* min and max count */
};

struct key {
    const char *name;
    const struct key_type *type;
    const char *def; /* as one would write it; NULL: not set */
    uint64_t min, max;
    const char *const *choices; /* NULL-terminated; the index is the enum's value */
    unsigned flags;
    size_t offset, size;      /* of the field in struct config, queue_config or account */
    const char *help;         /* one or two sentences */
    const char *default_help; /* where the default is no fixed text; NULL otherwise */
};

struct section_info {
    const char *name;
    bool named;
    const struct key *keys;
    size_t key_count;
    const char *help;
};

extern const struct section_info *const section_infos[SECTION_KINDS];
extern const struct key_type type_text, type_secret, type_file, type_name, type_count, type_duration,
    type_size, type_rate, type_choice, type_choice_text, type_bool, type_codes, type_endpoints, type_base_url,
    type_proxy, type_redis_url, type_listen, type_pointer, type_path, type_pointers, type_paths, type_lengths,
    type_time, type_header, type_line, type_prefix, type_provider, type_share;

#define HEADER_NAME_MAX 100 /* bytes */
bool header_name_valid(const char *name);
bool header_value_valid(const char *value); /* no control character that could end its line early */

/* Shared by the types whose field is a string. */
int type_set_text(void *field, const char *text, struct arena *mem, struct err *err);
void type_format_text(const struct key *key, const void *field, struct buf *out);

/* One element of a list: 0, or -1 and its rule. */
typedef int (*element_fn)(const char *element, struct err *err);
/* A comma-separated list into a NULL-terminated array of strings. */
int type_parse_list(const char *text, void *field, struct arena *mem, element_fn check, struct err *err);
void type_format_list(const struct key *key, const void *field, struct buf *out);

/* The key's row, or NULL. */
const struct key *table_key(enum section_kind kind, const char *name);
/* The row of "header X-Shop"; *own is its name, "" where there is none. NULL: no such row takes a name. */
const struct key *table_named_key(enum section_kind kind, const char *text, const char **own);
#define NAME_RULE "1 to 64 letters, digits, '_', '.' or '-', starting with a letter or digit"

/* address.c: true for "localhost", 127.0.0.0/8 and ::1 (with or without brackets). */
bool host_is_loopback(const char *host, size_t len);
/* The host of "host:port" or "[v6]:port"; false where that is not its form. */
bool split_host_port(const char *text, struct span *host, uint32_t *port);
/* The host of "scheme://[user@]host[:port]…"; absent where there is none. */
struct span url_host(const char *url);
/* Writes a URL with its user:password@ replaced. */
void mask_url(const char *url, struct buf *out);

/* ---- draft ---- */

/* One key as somebody set it. */
struct setting {
    const char *text;  /* NULL: not set */
    const char *where; /* a file's path, or the environment variable's name */
    uint32_t line;     /* 0: the environment */
};

/* A key with a name of its own. */
struct named {
    struct named *next;
    const struct key *key;
    const char *name;
    struct setting set;
};

struct section {
    enum section_kind kind;
    const char *name;  /* "" where the kind has none */
    const char *where; /* NULL: nobody wrote it; it exists because others need it */
    uint32_t line;
    uint32_t order;           /* of appearance */
    bool twin;                /* stands a second time: reported, dropped */
    struct setting *settings; /* one per row of the kind's table */
    struct named *named;      /* in the order in which they were said */
    struct account *account;  /* once built; NULL before, and when it was refused */
};

#define SECTIONS_MAX 100000u
#define DRAFT_MAX    (256u << 20) /* bytes */

struct draft {
    struct arena mem;
    struct section **sections; /* in order of appearance */
    struct section **index;    /* sorted by kind and name, no duplicates; rebuilt by draft_index */
    size_t count, cap, indexed;
    uint32_t next_order;
    struct config_faults *faults, *warnings; /* neither is NULL */
    const char *path;                        /* the main file, or NULL */
    bool partial;
    bool before_start; /* what a service manager hands over need not be there yet */
    bool failed;       /* out of memory: already reported */
};

void draft_init(struct draft *s, struct config_faults *faults, struct config_faults *warnings);
void draft_deinit(struct draft *s);
/* NULL: reported. */
struct section *draft_add(struct draft *s, enum section_kind kind, const char *name, const char *where,
                          uint32_t line);
/* Sorts; reports sections that stand twice and drops the later one. */
void draft_index(struct draft *s);
struct section *draft_find(const struct draft *s, enum section_kind kind, const char *name);
/* The same, added (written by nobody) where it is missing; needs draft_index afterwards. */
struct section *draft_need(struct draft *s, enum section_kind kind, const char *name);
/* Keeps a copy of `text`. False: reported (out of memory, or a character that no value may hold).
 */
bool draft_set(struct draft *s, struct section *section, const struct key *key, const char *text,
               const char *where, uint32_t line);
void draft_set_named(struct draft *s, struct section *section, const struct key *key, const char *name,
                     const char *text, const char *where, uint32_t line);
/* A path as somebody wrote it: in a file (line > 0), a relative one starts where that file lies. NULL: out of memory. */
const char *draft_path(struct draft *s, const char *text, const char *where, uint32_t line);
/* The name of an account's queue as it is set; not checked. */
const char *section_queue(struct section *account);
struct setting *draft_setting(struct section *section, const struct key *key);

/* "dray.ini:12: [account shop] rate: …". In a partial load, what is wrong with queues and accounts
 * only warns. `key` may be NULL. */
void draft_fault(struct draft *s, const struct section *section, const struct key *key, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));
void draft_warn(struct draft *s, const struct section *section, const struct key *key, const char *format,
                ...) __attribute__((format(printf, 4, 5)));
void draft_out_of_memory(struct draft *s);

/* A line in the list; past its maximum it is only counted. */
void faults_line(struct config_faults *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
void faults_vline(struct config_faults *f, const char *prefix, const char *format, va_list ap)
    __attribute__((format(printf, 3, 0)));

/* words.c: a value for a message: printable and cut at 48 bytes, in quotes. */
#define QUOTED_SIZE 64
const char *quoted(const char *text, char out[static QUOTED_SIZE]);

/* The nearest of many words: nearest_try each, then ask `best` (NULL: none is near). */
struct nearest {
    const char *word;
    const char *best;
    size_t distance;
};
void nearest_init(struct nearest *n, const char *word);
void nearest_try(struct nearest *n, const char *candidate);
/* " (did you mean 'x'?)", or "". */
const char *nearest_hint(const struct nearest *n, char out[static 128]);

/* ---- the steps of a load ---- */

/* read_file.c: a whole file of at most `max` bytes into `out`. 0, or -1 and `err` (without the path). */
int config_read_file(const char *path, size_t max, struct buf *out, struct err *err);
/* file.c: the configuration's files into the draft. */
void load_files(struct draft *s, const char *path);
/* env.c */
void load_environment(struct draft *s, char *const *env);
/* secrets.c: resolves `key` and its twin to the secret's text in `mem`, NULL where it is not set or
 * where that was reported. */
const char *secret_resolve(struct draft *s, struct section *section, const struct key *key,
                           struct arena *mem);
/* One secret from its file, checked. NULL and `err` (without the path). */
char *secret_read(const char *path, struct arena *mem, struct err *err);
/* fields.c: a table of an order's fields, in `mem`. 0, or -1 and `err` (without the path). */
int fields_read(const char *path, struct arena *mem, const struct field **fields, uint32_t *count,
                struct err *err);
/* headers.c: an account's headers, with what their files hold. Faults are reported. */
void apply_headers(struct draft *s, struct section *section, struct account *a, struct arena *mem);

/* The private half of a configuration. */
struct config_full {
    struct config c; /* first: a struct config * is cast */
    struct draft draft;
    struct arena mem;
    struct buf redis_storage;
};

struct account_full {
    struct account a; /* first */
    struct arena mem;
    struct account *base; /* of a refreshed account: the one whose strings it uses */
};

/* build.c: [redis], [worker], [admin] and [trace] into full->c; accounts; queues. Faults are reported. */
void build_config(struct config_full *full);
/* operators.c: [admin] operators_file into full->c. Faults are reported, without a token. */
void load_operators(struct config_full *full);
/* queues.c: full->c.queues from the sections and the accounts that were built. */
void build_queues(struct config_full *full);
/* apply.c: fills the struct at `base` with what the section sets and the table's defaults. */
void apply_section(struct draft *s, struct section *section, void *base, struct arena *mem);
/* check.c: what keys must keep among one another. */
void check_globals(struct config_full *full);
void check_limits(struct draft *s, struct section *section, const struct account *a);

static inline void *key_field(const struct key *key, void *base) {
    return (char *)base + key->offset;
}

#endif
