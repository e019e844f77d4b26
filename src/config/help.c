/* The table of keys for people: text for the terminal, Markdown for docs/configuration.md. */
#include "config/table.h"

#include <inttypes.h>
#include <string.h>

#include "dray/timefmt.h"

static void write_bounds(const struct key *key, struct buf *out) {
    char low[TIMEFMT_SIZE], high[TIMEFMT_SIZE];
    if (key->choices != NULL) {
        for (size_t i = 0; key->choices[i] != NULL; i++)
            buf_addf(out, "%s%s", i > 0 ? ", " : "", key->choices[i]);
        return;
    }
    buf_add_str(out, key->type->name);
    if (!key->type->bounded)
        return;
    if (key->type == &type_duration) {
        duration_format(key->min, low);
        duration_format(key->max, high);
        buf_addf(out, " %s to %s", low, high);
    } else if (key->type == &type_size) {
        buf_addf(out, " %" PRIu64 "K to %" PRIu64 "M", key->min >> 10, key->max >> 20);
    } else {
        buf_addf(out, " %" PRIu64 " to %" PRIu64, key->min, key->max);
    }
}

static void write_default(const struct key *key, struct buf *out, const char *quote) {
    if (key->default_help != NULL)
        buf_add_str(out, key->default_help);
    else if (key->def != NULL)
        buf_addf(out, "%s%s%s", quote, key->def, quote);
    else if (key->flags & KEY_REQUIRED)
        buf_add_str(out, "required");
}

static void write_heading(const struct section_info *info, struct buf *out) {
    buf_addf(out, "[%s%s]", info->name, info->named ? " NAME" : "");
}

/* `help` without its backquotes, indented and wrapped at 78 columns. */
static void write_wrapped(const char *help, struct buf *out) {
    size_t column = 0;
    while (*help != '\0') {
        size_t n = strcspn(help, " "), shown = n;
        for (size_t i = 0; i < n; i++)
            shown -= help[i] == '`';
        if (column == 0 || column + 1 + shown > 78) {
            buf_addf(out, "%s      ", column > 0 ? "\n" : "");
            column = 6;
        } else {
            buf_add_char(out, ' ');
            column++;
        }
        for (size_t i = 0; i < n; i++)
            if (help[i] != '`')
                buf_add_char(out, help[i]);
        column += shown;
        help += n + (help[n] == ' ');
    }
    buf_add_char(out, '\n');
}

static void text_row(const struct key *key, const char *more, struct buf *out) {
    buf_addf(out, "  %s: ", key->name);
    write_bounds(key, out);
    if (key->default_help != NULL || key->def != NULL || key->flags & KEY_REQUIRED)
        buf_add_str(out, key->flags & KEY_REQUIRED ? "; " : "; default ");
    write_default(key, out, "");
    buf_addf(out, "%s\n", more);
    write_wrapped(key->help, out);
}

void config_help_http_json(struct buf *out) {
    const struct section_info *info = section_infos[SECTION_ACCOUNT];
    for (size_t i = 0; i < info->key_count; i++)
        if (info->keys[i].flags & KEY_HTTP_JSON)
            text_row(&info->keys[i], "", out);
}

static void help_text(struct buf *out) {
    for (int kind = 0; kind < SECTION_KINDS; kind++) {
        const struct section_info *info = section_infos[kind];
        write_heading(info, out);
        buf_addf(out, "  %s\n", info->help);
        for (size_t i = 0; i < info->key_count; i++) {
            text_row(&info->keys[i], info->keys[i].flags & KEY_HTTP_JSON ? "; only for http-json" : "", out);
        }
        buf_add_str(out, "\n");
    }
}

static const char markdown_head[] =
    "# Configuration\n"
    "\n"
    "This page is written by `dray config keys --markdown` from the table that the program itself "
    "reads\n"
    "(`src/config/table.c`).\n"
    "\n"
    "## Where settings come from\n"
    "\n"
    "1. The environment, 2. the file, 3. the provider's own default, 4. the default below; the "
    "first that\n"
    "says something wins. `dray config show` prints every effective setting and where it came "
    "from;\n"
    "`dray config check` only says what is wrong. All faults are listed at once, each with file, "
    "line,\n"
    "section, key and rule; with any fault nothing starts.\n"
    "\n"
    "The file is `-c FILE`, else `$DRAY_CONFIG`, else `./dray.ini`, else `/etc/dray/dray.ini`, "
    "else none.\n"
    "Every `*.ini` in the directory `accounts.d` beside it is read too, in the order of their "
    "names, and\n"
    "may hold `[account NAME]` and `[queue NAME]` sections. The smallest file:\n"
    "\n"
    "```ini\n"
    "[account shop]\n"
    "provider = kakaclo-v2\n"
    "token_file = /run/secrets/shop\n"
    "```\n"
    "\n"
    "That worker takes jobs from `dray:{shop}:jobs` on a Redis on this host.\n"
    "\n"
    "## The file\n"
    "\n"
    "`[section]` and `key = value` lines. Comments start with `;` or `#` at the start of a line, "
    "and with\n"
    "` ;` after a value. Values are written without quotes. A line has at most 8192 bytes. A "
    "section or\n"
    "key that stands twice is a fault, and so is an empty value, except where a JSON Pointer may "
    "be empty.\n"
    "Names of queues and accounts have 1 to 64 letters, digits, `_`, `.` or `-` and start with a "
    "letter or\n"
    "digit. Durations are `500ms`, `5s`, `2m`, `24h`, `7d`; rates `2/s`, `100/m`, `3600/h`; sizes\n"
    "`262144`, `256K`, `1M`; lists are comma-separated.\n"
    "\n"
    "## The environment\n"
    "\n"
    "`DRAY_`, the section, the name, the key, in upper case and with `_` for `-` and `.`:\n"
    "`DRAY_REDIS_URL`, `DRAY_WORKER_LEASE`, `DRAY_QUEUE_SHOP_CONCURRENCY`, "
    "`DRAY_ACCOUNT_SHOP_EU_TOKEN`.\n"
    "Names are matched against the accounts and queues that exist, so `SHOP_EU` is no riddle; "
    "where two\n"
    "fit one variable, that is a fault. `DRAY_ACCOUNTS=shop-eu,shop-us` names accounts that no "
    "file has,\n"
    "so that a container can do without one:\n"
    "\n"
    "```sh\n"
    "DRAY_ACCOUNTS=shop-eu DRAY_ACCOUNT_SHOP_EU_PROVIDER=kakaclo-v2 \\\n"
    "DRAY_ACCOUNT_SHOP_EU_TOKEN_FILE=/run/secrets/shop-eu dray run\n"
    "```\n"
    "\n"
    "An empty variable counts as not set. An unknown `DRAY_` variable is a fault, so that a typing "
    "error\n"
    "is found at start; the ones that Kubernetes sets beside a service named `dray` or `dray-…`\n"
    "(`DRAY_SERVICE_HOST`, `DRAY_PORT`, …) are left alone.\n"
    "\n"
    "## Secrets\n"
    "\n"
    "Every secret has a twin that ends in `_file` and names a file instead: at most 64 KiB, one "
    "line, a\n"
    "newline at its end is dropped. A path that does not start with `/` starts where the file lies that "
    "says\n"
    "it; in the environment, in the working directory. Setting both is a fault, also across file and "
    "environment. "
    "Secrets\n"
    "are never shown, logged or quoted in an error. Commands that call no provider (`status`, "
    "`dead`, …)\n"
    "read no secret but Redis's password, and what is wrong with a queue or an account only warns "
    "there.\n";

/* A pipe would end the table's cell. */
static void write_cell(const char *text, struct buf *out) {
    for (; *text != '\0'; text++) {
        if (*text == '|')
            buf_add_char(out, '\\');
        buf_add_char(out, *text);
    }
}

static void markdown_row(const struct key *key, struct buf *out) {
    buf_addf(out, "| `%s` | ", key->name);
    write_bounds(key, out);
    buf_add_str(out, " | ");
    write_default(key, out, "`");
    buf_add_str(out, " | ");
    write_cell(key->help, out);
    buf_add_str(out, " |\n");
}

static void markdown_section(const struct section_info *info, struct buf *out) {
    static const char columns[] = "| key | type and bounds | default | |\n|---|---|---|---|\n";
    bool http_json = false;
    buf_add_str(out, "\n## ");
    write_heading(info, out);
    buf_addf(out, "\n\n%s\n\n%s", info->help, columns);
    for (size_t i = 0; i < info->key_count; i++) {
        http_json = http_json || info->keys[i].flags & KEY_HTTP_JSON;
        if (!(info->keys[i].flags & KEY_HTTP_JSON))
            markdown_row(&info->keys[i], out);
    }
    if (!http_json)
        return;
    buf_addf(out, "\nOnly for accounts of provider `http-json`:\n\n%s", columns);
    for (size_t i = 0; i < info->key_count; i++)
        if (info->keys[i].flags & KEY_HTTP_JSON)
            markdown_row(&info->keys[i], out);
}

void config_help(struct buf *out, bool markdown) {
    if (!markdown) {
        help_text(out);
        return;
    }
    buf_add_str(out, markdown_head);
    for (int kind = 0; kind < SECTION_KINDS; kind++)
        markdown_section(section_infos[kind], out);
}
