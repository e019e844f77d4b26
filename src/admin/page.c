/* `/`: the dashboard. The page holds no data; what it shows it asks of the API. */
#include "admin/page.h"

#include "admin/admin.h"

void handle_page(struct request *r) {
    r->status = 200;
    r->content_type = "text/html; charset=utf-8";
    r->csp = page_policy;
    r->constant = (struct span){(const char *)page_text, page_len};
}
