/* The effective settings and where each came from, as INI or JSON. Secrets and passwords in URLs
 * are hidden. */
#include "config/table.h"

#include <stdio.h>

#include "dray/provider.h"
#include "util/json_tree.h"

struct show {
    const struct config_full *full;
    struct buf *out;          /* INI */
    cJSON *tree;              /* JSON; NULL: INI is shown */
    struct buf value, origin; /* scratch */
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
    const struct setting *set = &section->settings[key - section_infos[section->kind]->keys];
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
    const char *text = section->settings[key - section_infos[section->kind]->keys].text;
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

static void key_ini(struct show *s, const char *name) {
    struct buf *out = s->out;
    size_t start = out->len;
    buf_addf(out, "%s = ", name);
    buf_add_span(out, buf_span(&s->value));
    while (buf_ok(out) && out->len - start < 40)
        buf_add_char(out, ' ');
    buf_add_str(out, " ; ");
    buf_add_span(out, buf_span(&s->origin));
    buf_add_char(out, '\n');
}

/* `section`: where the key goes, in JSON. */
static void show_key(struct show *s, cJSON *section, const char *name) {
    if (s->tree == NULL) {
        key_ini(s, name);
        return;
    }
    cJSON *key = cJSON_AddObjectToObject(section, name);
    tree_add_text(key, "value", span_str(buf_cstr(&s->value)));
    tree_add_text(key, "from", span_str(buf_cstr(&s->origin)));
}

/* Their values may be secret, all of them. */
static void show_named(struct show *s, const struct section *section, cJSON *in) {
    for (const struct named *n = section->named; n != NULL; n = n->next) {
        char name[HEADER_NAME_MAX + 32];
        snprintf(name, sizeof(name), "%s %s", n->key->name, n->name);
        buf_reset(&s->value);
        buf_reset(&s->origin);
        if (n->key->type == &type_file)
            buf_add_str(&s->value, n->set.text);
        else
            buf_add_str(&s->value, "(hidden)");
        write_where(&n->set, &s->origin);
        show_key(s, in, name);
    }
}

static void show_keys(struct show *s, const struct section *section, const void *base, cJSON *in) {
    const struct section_info *info = section_infos[section->kind];
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
        show_key(s, in, key->name);
    }
    show_named(s, section, in);
}

/* `parent`: where the section goes, in JSON. */
static void show_section(struct show *s, enum section_kind kind, const char *name, const void *base,
                         cJSON *parent) {
    const struct section_info *info = section_infos[kind];
    const struct section *section = draft_find(&s->full->draft, kind, name);
    cJSON *in = NULL;
    if (section == NULL)
        return;
    if (s->tree != NULL)
        in = cJSON_AddObjectToObject(parent, info->named ? name : info->name);
    else
        buf_addf(s->out, "%s[%s%s%s]\n", kind == SECTION_REDIS ? "" : "\n", info->name,
                 info->named ? " " : "", name);
    show_keys(s, section, base, in);
}

static void show_all(const struct config *c, struct buf *out, cJSON *tree) {
    struct show s = {.full = (const struct config_full *)c, .out = out, .tree = tree};
    buf_init(&s.value, 1u << 20);
    buf_init(&s.origin, 8192);
    show_section(&s, SECTION_REDIS, "", c, tree);
    show_section(&s, SECTION_WORKER, "", c, tree);
    show_section(&s, SECTION_ADMIN, "", c, tree);
    show_section(&s, SECTION_TRACE, "", c, tree);
    cJSON *queues = tree != NULL ? cJSON_AddObjectToObject(tree, "queues") : NULL;
    for (uint32_t i = 0; i < c->queue_count; i++)
        show_section(&s, SECTION_QUEUE, c->queues[i].name, &c->queues[i], queues);
    cJSON *accounts = tree != NULL ? cJSON_AddObjectToObject(tree, "accounts") : NULL;
    for (uint32_t i = 0; i < c->account_count; i++)
        show_section(&s, SECTION_ACCOUNT, c->accounts[i]->name, c->accounts[i], accounts);
    buf_deinit(&s.value);
    buf_deinit(&s.origin);
}

void config_show(const struct config *c, struct buf *out) {
    buf_addf(out, "; file: %s\n", c->path != NULL ? c->path : "none");
    show_all(c, out, NULL);
}

void config_show_json(const struct config *c, struct buf *out) {
    cJSON *tree = cJSON_CreateObject();
    if (tree != NULL) {
        tree_add_text(tree, "file", span_str(c->path));
        show_all(c, out, tree);
    }
    tree_print(tree, out); /* without memory `out` failed */
}
