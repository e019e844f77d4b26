/* The dashboard, embedded at build time from www/ (embed.py), and the API's OpenAPI document
 * (deploy/generate/openapi.py). */
#ifndef DRAY_ADMIN_PAGE_H
#define DRAY_ADMIN_PAGE_H

#include <stddef.h>

extern const unsigned char page_text[];
extern const size_t page_len;
extern const char page_policy[]; /* its Content-Security-Policy */
extern const unsigned char openapi_text[];
extern const size_t openapi_len;

#endif
