/* The effective settings and where each came from, as INI or JSON. Secrets and passwords in URLs
 * are hidden. */
#include "config/table.h"

#include <stdio.h>

#include "dray/provider.h"

/* Called for each key that has a value. */
typedef void (*show_fn)(struct buf *out, const struct key *key, struct buf *value,
                        struct buf *origin);

struct show {
    const struct config_full *full;
    struct buf *out;
    struct buf value, origin; /* scratch */
    show_fn key;
    bool json;
};

static void write_where(const struct setting *setting, struct buf *out) {
    if (setting->line > 0)
        buf_addf(out, "%s:%u", setting->where, setting->line);
    else
        buf_add_str(out, setting->where);
}

static bool provider_gives(const struct key *key, const struct account *a) {
    if (!(key->flags & KEY_FROM_PROVIDER))
        return false;
    return key->type != &type_rate || a->provider->default_rate > 0;
}

static void write_origin(const struct section *section, const struct key *key, const void *base,
                         struct buf *out) {
    const struct setting *set = &section->settings[key - section_infos[section->kind].keys];
    if (set->where != NULL)
        write_where(set, out);
    else if (key->flags & KEY_SECRET && set[1].where != NULL)
        write_where(&set[1], out);
    else if (section->kind == SECTION_ACCOUNT && provider_gives(key, base))
        buf_addf(out, "provider %s", ((const struct account *)base)->provider->name);
    else if (section->kind == SECTION_REDIS &&
             (key->flags & KEY_SECRET || key->offset == offsetof(struct config, redis.username)))
        buf_add_str(out, "url");
    else
        buf_add_str(out, "default");
}

static void write_unstored(const struct section *section, const struct key *key, const void *base,
                           struct buf *out) {
    const char *text = section->settings[key - section_infos[section->kind].keys].text;
    if (section->kind == SECTION_QUEUE)
        buf_add_str(out, ((const struct queue_config *)base)->default_account->name);
    else
        mask_url(text != NULL ? text : key->def, out);
}

static void write_value(const struct section *section, const struct key *key, const void *base,
                        struct buf *out) {
    const void *field = (const char *)base + key->offset;
    if (key->flags & KEY_UNSTORED)
        write_unstored(section, key, base, out);
    else if (!(key->flags & KEY_SECRET))
        key->type->format(key, field, out);
    else if (*(const char *const *)field != NULL)
        buf_add_str(out, "(hidden)");
}

static bool is_http_json(const struct section *section, const void *base) {
    return section->kind == SECTION_ACCOUNT &&
           span_is(span_str(((const struct account *)base)->provider->name), "http-json");
}

/* Their values may be secret, all of them. */
static void show_named(struct show *s, const struct section *section, bool first) {
    for (const struct named *n = section->named; n != NULL; n = n->next, first = false) {
        char name[HEADER_NAME_MAX + 32];
        struct key key = {.name = name};
        snprintf(name, sizeof(name), "%s %s", n->key->name, n->name);
        buf_reset(&s->value);
        buf_reset(&s->origin);
        if (n->key->type == &type_file)
            buf_add_str(&s->value, n->set.text);
        else
            buf_add_str(&s->value, "(hidden)");
        write_where(&n->set, &s->origin);
        if (s->json && !first)
            buf_add_char(s->out, ',');
        s->key(s->out, &key, &s->value, &s->origin);
    }
}

/* The first key of a section needs no comma before it. */
static void show_keys(struct show *s, const struct section *section, const void *base) {
    const struct section_info *info = &section_infos[section->kind];
    bool first = true;
    for (size_t i = 0; i < info->key_count; i++) {
        const struct key *key = &info->keys[i];
        if (key->flags & KEY_NAMED || (key->flags & KEY_HTTP_JSON && !is_http_json(section, base)))
            continue;
        buf_reset(&s->value);
        buf_reset(&s->origin);
        write_value(section, key, base, &s->value);
        if (s->value.len == 0 && section->settings[i].text == NULL)
            continue;
        write_origin(section, key, base, &s->origin);
        if (s->json && !first)
            buf_add_char(s->out, ',');
        s->key(s->out, key, &s->value, &s->origin);
        first = false;
    }
    show_named(s, section, first);
}

static void show_section(struct show *s, enum section_kind kind, const char *name, const void *base,
                         bool first) {
    const struct section_info *info = &section_infos[kind];
    const struct section *section = draft_find(&s->full->draft, kind, name);
    if (section == NULL)
        return;
    if (s->json) {
        if (!first)
            buf_add_char(s->out, ',');
        buf_add_json_str(s->out, span_str(info->named ? name : info->name));
        buf_add_str(s->out, ":{");
        show_keys(s, section, base);
        buf_add_char(s->out, '}');
        return;
    }
    buf_addf(s->out, "%s[%s%s%s]\n", first ? "" : "\n", info->name, info->named ? " " : "", name);
    show_keys(s, section, base);
}

static void key_ini(struct buf *out, const struct key *key, struct buf *value, struct buf *origin) {
    size_t start = out->len;
    buf_addf(out, "%s = ", key->name);
    buf_add_span(out, buf_span(value));
    while (buf_ok(out) && out->len - start < 40)
        buf_add_char(out, ' ');
    buf_add_str(out, " ; ");
    buf_add_span(out, buf_span(origin));
    buf_add_char(out, '\n');
}

static void key_json(struct buf *out, const struct key *key, struct buf *value,
                     struct buf *origin) {
    buf_add_json_str(out, span_str(key->name));
    buf_add_str(out, ":{\"value\":");
    buf_add_json_str(out, buf_span(value));
    buf_add_str(out, ",\"from\":");
    buf_add_json_str(out, buf_span(origin));
    buf_add_char(out, '}');
}

static struct show show_begin(const struct config *c, struct buf *out, show_fn key, bool json) {
    struct show s = {.full = (const struct config_full *)c, .out = out, .key = key, .json = json};
    buf_init(&s.value, 1u << 20);
    buf_init(&s.origin, 8192);
    return s;
}

static void show_end(struct show *s) {
    buf_deinit(&s->value);
    buf_deinit(&s->origin);
}

void config_show(const struct config *c, struct buf *out) {
    struct show s = show_begin(c, out, key_ini, false);
    buf_addf(out, "; file: %s\n", c->path != NULL ? c->path : "none");
    show_section(&s, SECTION_REDIS, "", c, true);
    show_section(&s, SECTION_WORKER, "", c, false);
    show_section(&s, SECTION_ADMIN, "", c, false);
    for (uint32_t i = 0; i < c->queue_count; i++)
        show_section(&s, SECTION_QUEUE, c->queues[i].name, &c->queues[i], false);
    for (uint32_t i = 0; i < c->account_count; i++)
        show_section(&s, SECTION_ACCOUNT, c->accounts[i]->name, c->accounts[i], false);
    show_end(&s);
}

void config_show_json(const struct config *c, struct buf *out) {
    struct show s = show_begin(c, out, key_json, true);
    buf_add_str(out, "{\"file\":");
    if (c->path != NULL)
        buf_add_json_str(out, span_str(c->path));
    else
        buf_add_str(out, "null");
    show_section(&s, SECTION_REDIS, "", c, false);
    show_section(&s, SECTION_WORKER, "", c, false);
    show_section(&s, SECTION_ADMIN, "", c, false);
    buf_add_str(out, ",\"queues\":{");
    for (uint32_t i = 0; i < c->queue_count; i++)
        show_section(&s, SECTION_QUEUE, c->queues[i].name, &c->queues[i], i == 0);
    buf_add_str(out, "},\"accounts\":{");
    for (uint32_t i = 0; i < c->account_count; i++)
        show_section(&s, SECTION_ACCOUNT, c->accounts[i]->name, c->accounts[i], i == 0);
    buf_add_str(out, "}}");
    show_end(&s);
}
