/* `dray push --json`. Each part of the answer is a tree; what holds the parts together is written by hand, so
 * that only one line's faults are in memory. */
#include "cli/push.h"
#include "util/json_tree.h"

/* Prints the tree from its byte `from` on, and deletes it. */
static bool print(const char *before, cJSON *part, size_t from, const char *after) {
    char *text = cJSON_PrintUnformatted(part);
    cJSON_Delete(part);
    if (text != NULL)
        printf("%s%s%s", before, text + from, after);
    cJSON_free(text);
    return text != NULL;
}

void push_json_begin(const char *queue) {
    /* a name holds nothing to escape: dray/account.h */
    printf("{\"queue\":\"%s\",\"invalid_lines\":[", queue);
}

bool push_json_line(bool first, uint64_t line, const struct faults *faults) {
    cJSON *o = cJSON_CreateObject();
    tree_add_u64(o, "line", line);
    cJSON_AddNumberToObject(o, "fault_count", faults->count);
    tree_add_elements(o, "faults", buf_span(&faults->list));
    return print(first ? "" : ",", o, 0, "");
}

bool push_json_end(const struct push_end *e) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddItemReferenceToObject(o, "warned_lines", e->warned_lines);
    tree_add_u64(o, "jobs", e->jobs);
    tree_add_u64(o, "invalid", e->invalid);
    tree_add_u64(o, "pushed", e->pushed);
    tree_add_u64(o, "unsure", e->unsure);
    if (e->resume_line > 0)
        tree_add_u64(o, "resume_line", e->resume_line);
    else
        cJSON_AddNullToObject(o, "resume_line");
    tree_add_text(o, "error", span_str(e->error));
    cJSON_AddBoolToObject(o, "ok", e->error == NULL);
    return print("],", o, 1, "\n"); /* without its brace: it goes on where push_json_begin began */
}
