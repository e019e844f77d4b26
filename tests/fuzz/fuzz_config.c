/* config_load on a file in memory: it loads, or there are faults; what is shown of a loaded
 * configuration is JSON. Files that the text names are not read. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "dray/config.h"
#include "dray/json.h"

static char *const no_env[] = {NULL};

static struct config *load(struct span text, bool partial, struct config_faults *faults) {
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct config_faults warnings;
    config_faults_init(&warnings);
    struct config *c = partial ? config_load_partial(path, no_env, faults, &warnings)
                               : config_load(path, no_env, faults, &warnings);
    config_faults_deinit(&warnings);
    close(fd);
    return c;
}

static void try(struct span text, bool partial) {
    struct config_faults faults;
    struct buf shown;
    config_faults_init(&faults);
    buf_init(&shown, SIZE_MAX);
    struct config *c = load(text, partial, &faults);
    CHECK((c == NULL) == (faults.count > 0));
    CHECK((faults.count > 0) == (faults.text.len > 0));
    if (c != NULL) {
        config_show(c, &shown);
        CHECK(buf_ok(&shown) && shown.len > 0);
        buf_reset(&shown);
        config_show_json(c, &shown);
        struct json_doc doc;
        json_init(&doc, 1 << 20);
        CHECK(json_parse(&doc, shown.data, shown.len, NULL) == 0);
        json_deinit(&doc);
        for (uint32_t i = 0; i < c->queue_count; i++)
            CHECK(c->queues[i].default_account != NULL || partial);
        config_unref(c);
    }
    buf_deinit(&shown);
    config_faults_deinit(&faults);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span text = {(const char *)data, size};
    if (memmem(data, size, "_file", 5) != NULL)
        return 0;
    try(text, false);
    try(text, true);
    return 0;
}
