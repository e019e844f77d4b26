/* Reading a view: commands in one round trip, replies into the view. Private to view*.c. */
#ifndef DRAY_ADMIN_VIEW_READ_H
#define DRAY_ADMIN_VIEW_READ_H

#include "admin/view.h"

/* False if nothing was sent. Else v->read is called when the last reply of the last queue is there. */
bool view_read_start(struct view *view);
/* Notes whether the consumer claims what it could. Called after each reading. */
void view_progress(struct view *view, uint64_t now_ns);

#endif
