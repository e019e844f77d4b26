/* Which order another one of its key is compared with: the file's, if there is one; else the ledger's, which was the first to be
 * sent; while the ledger knows none, the first that was found. */
#include "cli/find.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "queue/order_hash.h"
#include "util/json_tree.h"

#define FILE_MAX  (64u << 20)
#define NODES_MAX (1u << 20)

void differ_init(struct differ *d) {
    *d = (struct differ){.path = NULL};
    json_init(&d->doc, NODES_MAX);
    buf_init(&d->file, FILE_MAX);
}

void differ_deinit(struct differ *d) {
    for (uint32_t i = 0; i < d->count; i++)
        buf_deinit(&d->list[i].text);
    free(d->list);
    buf_deinit(&d->file);
    json_deinit(&d->doc);
}

int differ_read_file(struct differ *d, const char *path, struct err *why) {
    struct err err = {""};
    if (cli_read_file(path, &d->file) < 0)
        return err_set(why, "%s: %s", path, strerror(errno));
    if (json_parse(&d->doc, d->file.data, d->file.len, &err) < 0)
        return err_set(why, "%s: %s", path, err.text);
    uint32_t order = json_get(&d->doc, 0, "order");
    bool job = order != JSON_NONE && json_get(&d->doc, 0, "id") != JSON_NONE;
    if (json_type(&d->doc, 0) != JSON_OBJECT || (job && json_type(&d->doc, order) != JSON_OBJECT))
        return err_set(why, "%s: an order is expected, or a job with one", path);
    d->path = path;
    d->file_order = json_raw(&d->doc, job ? order : 0);
    return 0;
}

void differ_keep(struct differ *d, cJSON *o, struct span order) {
    if (o == NULL || order.ptr == NULL || d->count == DIFFER_MAX)
        return;
    if (d->list == NULL && (d->list = calloc(DIFFER_MAX, sizeof(*d->list))) == NULL)
        return;
    struct found_order *kept = &d->list[d->count++];
    kept->o = o;
    buf_init(&kept->text, order.len + 1);
    buf_add_span(&kept->text, order);
}

static const char *text_of(const cJSON *o, const char *member) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(o, member));
    return text != NULL ? text : "";
}

static bool same(const cJSON *a, const char *member_a, const cJSON *b, const char *member_b) {
    return strcmp(text_of(a, member_a), text_of(b, member_b)) == 0;
}

static bool one_key(const cJSON *a, const cJSON *b) {
    return same(a, "account", b, "account") && same(a, "order_key", b, "order_key");
}

static const cJSON *entry_of(const cJSON *ledger, const cJSON *o) {
    const cJSON *e;
    cJSON_ArrayForEach(e, ledger) if (same(e, "account", o, "account") &&
                                      same(e, "key", o, "order_key")) return e;
    return NULL;
}

static int place_in(const cJSON *found, const cJSON *o) {
    int i = 0;
    for (const cJSON *f = found->child; f != NULL && f != o; f = f->next)
        i++;
    return i;
}

/* Where the two differ; `from` names `other`. */
static cJSON *difference(struct differ *d, struct span order, struct span other, const char *from) {
    struct json_difference at;
    char path[sizeof(at.path) + 8];
    if (!json_differ(&d->doc, order, other, &at))
        return cJSON_CreateNull();
    cJSON *o = cJSON_CreateObject();
    snprintf(path, sizeof(path), "order%s%s", at.path[0] != '\0' ? "." : "", at.path);
    cJSON_AddStringToObject(o, "from", from);
    tree_add_u64(o, "byte", at.byte);
    cJSON_AddBoolToObject(o, "white_space_only", at.space_only);
    if (!at.space_only)
        tree_add_text(o, "path", span_str(path));
    return o;
}

static cJSON *from_the_ledger(void) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "from", "ledger");
    return o;
}

static cJSON *compare(struct differ *d, const cJSON *found, const cJSON *ledger,
                      const struct found_order *one) {
    const cJSON *entry = entry_of(ledger, one->o);
    if (d->path != NULL)
        return difference(d, buf_span(&one->text), d->file_order, "file");
    if (entry != NULL && same(entry, "order_hash", one->o, "order_hash"))
        return cJSON_CreateNull();
    for (uint32_t i = 0; i < d->count; i++) {
        const struct found_order *other = &d->list[i];
        if (!one_key(other->o, one->o) ||
            (entry != NULL && !same(entry, "order_hash", other->o, "order_hash")))
            continue;
        cJSON *o = difference(d, buf_span(&one->text), buf_span(&other->text), "found");
        if (cJSON_IsObject(o))
            tree_add_i64(o, "found", place_in(found, other->o));
        return o;
    }
    return entry != NULL ? from_the_ledger() : cJSON_CreateNull();
}

void differ_tell(struct differ *d, const cJSON *found, cJSON *ledger) {
    char hash[33];
    cJSON *e;
    for (uint32_t i = 0; i < d->count; i++)
        cJSON_AddItemToObject(d->list[i].o, "differs", compare(d, found, ledger, &d->list[i]));
    if (d->path == NULL)
        return;
    order_hash(d->file_order, hash);
    cJSON_ArrayForEach(e, ledger)
        cJSON_AddBoolToObject(e, "is_file", strcmp(text_of(e, "order_hash"), hash) == 0);
}

static void print_from(const struct differ *d, const cJSON *found, const cJSON *o) {
    const cJSON *index = cJSON_GetObjectItem(o, "found");
    char *digits = cJSON_PrintUnformatted(index);
    const cJSON *other = digits != NULL ? cJSON_GetArrayItem(found, atoi(digits)) : NULL;
    bool dead = strcmp(text_of(other, "place"), "dead") == 0;
    cJSON_free(digits);
    if (other == NULL) {
        cli_foreign(stdout, span_str(d->path != NULL ? d->path : "the ledger's order"), 0, 0);
        return;
    }
    printf("%s ", dead ? "dead letter" : text_of(other, "place"));
    char *id = cJSON_PrintUnformatted(cJSON_GetObjectItem(other, dead ? "dead_id" : "id"));
    cli_foreign(stdout, span_str(id != NULL ? id : "?"), 0, 0);
    cJSON_free(id);
}

void differ_print(const struct differ *d, const cJSON *found, const cJSON *o) {
    const cJSON *differs = cJSON_GetObjectItem(o, "differs"), *is_file = cJSON_GetObjectItem(o, "is_file");
    if (is_file != NULL || (d->path != NULL && cJSON_IsNull(differs))) {
        printf("  %-14s ", cJSON_IsFalse(is_file) ? "other bytes than" : "same bytes as");
        cli_foreign(stdout, span_str(d->path), 0, 0);
        putchar('\n');
        return;
    }
    if (!cJSON_IsObject(differs))
        return;
    printf("  %-14s from ", "differs");
    print_from(d, found, differs);
    char *byte = cJSON_PrintUnformatted(cJSON_GetObjectItem(differs, "byte"));
    if (byte == NULL)
        fputs(", of which only a hash is kept: --against FILE with the text that was pushed first", stdout);
    else if (cJSON_IsTrue(cJSON_GetObjectItem(differs, "white_space_only")))
        printf(" in white space only, first at byte %s of the order", byte);
    else {
        printf(" first at byte %s of the order: ", byte);
        cli_foreign(stdout, span_str(text_of(differs, "path")), 0, 0);
    }
    putchar('\n');
    cJSON_free(byte);
}
