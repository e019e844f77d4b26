/* The warnings of `dray push`: what breaks no rule and looks like a mistake. Only the first lines are told,
 * since a whole file is usually written the same wrong way. */
#include "cli/push.h"

#include <inttypes.h>

#include "util/json_tree.h"

#define TOLD_MAX 20           /* lines */
#define LIST_MAX (512u << 10) /* bytes */

void warned_init(struct warned *w) {
    *w = (struct warned){.list = cJSON_CreateArray()};
}

void warned_deinit(struct warned *w) {
    cJSON_Delete(w->list);
}

static void add_json(struct warned *w, uint64_t line, const struct faults *warnings) {
    if (w->bytes + warnings->list.len > LIST_MAX)
        return;
    cJSON *o = cJSON_CreateObject();
    w->bytes += warnings->list.len;
    tree_add_u64(o, "line", line);
    tree_add_elements(o, "warnings", buf_span(&warnings->list));
    cJSON_AddItemToArray(w->list, o);
}

void warned_add(struct warned *w, const struct source *source, const struct faults *warnings, bool json) {
    char prefix[4200];
    if (w->lines++ >= TOLD_MAX)
        return;
    if (json) {
        add_json(w, source->number, warnings);
        return;
    }
    snprintf(prefix, sizeof(prefix), "%s:%" PRIu64 ": warning: ", source->name, source->number);
    cli_print_faults(stderr, prefix, warnings);
}

void warned_end(const struct warned *w, const struct source *source, bool json) {
    if (!json && w->lines > TOLD_MAX)
        fprintf(stderr, "%s: %" PRIu64 " more lines have warnings\n", source->name, w->lines - TOLD_MAX);
}
