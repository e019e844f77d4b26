/* One section into its struct: each key's text, or its default, through its type's parser. */
#include "config/table.h"

#include <string.h>

#include "dray/provider.h"

static const struct provider *section_provider(struct section *section) {
    const char *text = draft_setting(section, table_key(SECTION_ACCOUNT, "provider"))->text;
    return text != NULL ? provider_find(text) : NULL;
}

/* False if the key belongs to another provider; if somebody set it, that is reported. */
static bool key_applies(struct draft *s, struct section *section, const struct key *key) {
    if (!(key->flags & KEY_HTTP_JSON))
        return true;
    const struct provider *p = section_provider(section);
    if (p != NULL && strcmp(p->name, "http-json") == 0)
        return true;
    if (p != NULL && draft_setting(section, key)->where != NULL)
        draft_fault(s, section, key, "belongs to provider http-json; this account's is %s", p->name);
    return false;
}

/* Commands that call no provider leave its secrets alone: they may lie where only the worker may
 * read. */
static bool wants_secret(const struct draft *s, const struct section *section) {
    return !s->partial || section->kind == SECTION_REDIS;
}

static void parse_or_default(struct draft *s, struct section *section, const struct key *key,
                             const char *text, void *field, struct arena *mem) {
    struct err err = {""};
    if (key->type->parse(key, text, field, mem, &err) == 0)
        return;
    draft_fault(s, section, key, "%s", err.text);
    if (s->partial && key->def != NULL && text != key->def)
        (void)key->type->parse(key, key->def, field, mem, &err);
}

static void apply_key(struct draft *s, struct section *section, const struct key *key, void *base,
                      struct arena *mem) {
    const struct setting *setting = draft_setting(section, key);
    void *field = key->flags & KEY_UNSTORED ? NULL : key_field(key, base);
    if (!key_applies(s, section, key))
        return;
    if (key->flags & KEY_SECRET) {
        if (wants_secret(s, section))
            *(const char **)field = secret_resolve(s, section, key, mem);
        return;
    }
    if (setting->text != NULL)
        parse_or_default(s, section, key, setting->text, field, mem);
    else if (setting->where == NULL && key->flags & KEY_REQUIRED)
        draft_fault(s, section, key, "is required");
    else if (key->def != NULL)
        parse_or_default(s, section, key, key->def, field, mem);
}

void apply_section(struct draft *s, struct section *section, void *base, struct arena *mem) {
    const struct section_info *info = section_infos[section->kind];
    for (size_t i = 0; i < info->key_count; i++)
        apply_key(s, section, &info->keys[i], base, mem);
}
