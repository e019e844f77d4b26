/* How a row of the table is written; for table.c and table_account.c only. */
#ifndef DRAY_CONFIG_TABLE_ROWS_H
#define DRAY_CONFIG_TABLE_ROWS_H

#include "config/table.h"

#define FIELD(type, member) .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)
#define CONFIG(member)      FIELD(struct config, member)
#define QUEUE(member)       FIELD(struct queue_config, member)
#define ACCOUNT(member)     FIELD(struct account, member)
#define UNSTORED            .offset = 0, .size = 0
#define COUNT(low, high)    .type = &type_count, .min = (low), .max = (high)
#define MS(low, high)       .type = &type_duration, .min = (low), .max = (high)

#define SECOND ((uint64_t)1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* clang-format off: one row, one paragraph */
#define SECRET(base, member, what)                                                                           \
    { .name = base, .type = &type_secret, .max = 65536, .flags = KEY_SECRET, member, .help = what }
#define SECRET_FILE(base, member)                                                                            \
    {                                                                                                        \
        .name = base "_file", .type = &type_file, .flags = KEY_SECRET_FILE, member,                          \
        .help = "A file that holds the `" base "`, at most 64 KiB; a newline at its end is dropped. "        \
                "Not together with `" base "`."                                                              \
    }
#define SECRET_OF_HTTP_JSON(base, member, what)                                                              \
    {                                                                                                        \
        .name = base, .type = &type_secret, .max = 65536, .flags = KEY_SECRET | KEY_HTTP_JSON, member,       \
        .help = what                                                                                         \
    }
#define SECRET_FILE_OF_HTTP_JSON(base, member)                                                               \
    {                                                                                                        \
        .name = base "_file", .type = &type_file, .flags = KEY_SECRET_FILE | KEY_HTTP_JSON, member,          \
        .help = "A file that holds the `" base "`. Not together with `" base "`."                            \
    }
/* clang-format on */

#define ROWS(keys) keys, sizeof(keys) / sizeof((keys)[0])

/* In table_account.c. */
extern const struct section_info account_section;

#endif
