/* What the kernel knows of this process. */
#ifndef DRAY_ADMIN_PROCESS_H
#define DRAY_ADMIN_PROCESS_H

#include <stdint.h>

struct process_stats {
    double cpu_seconds;
    uint64_t rss_bytes, open_fds, max_fds;
};
void process_read(struct process_stats *p); /* what can't be read is 0 */

#endif
