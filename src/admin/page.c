/* What lies in the program: `/`, the dashboard (the page holds no data; what it shows it asks of the
 * API), and the API's own description. */
#include "admin/page.h"

#include "admin/admin.h"

void handle_page(struct request *r) {
    r->status = 200;
    r->content_type = "text/html; charset=utf-8";
    r->csp = page_policy;
    r->constant = (struct span){(const char *)page_text, page_len};
}

void handle_openapi(struct request *r) {
    r->status = 200;
    r->content_type = "application/json";
    r->constant = (struct span){(const char *)openapi_text, openapi_len};
}
