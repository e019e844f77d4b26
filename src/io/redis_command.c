/* Rare commands, written printf-style as hiredis does. */
#include "dray/redis.h"

#include <stdarg.h>
#include <stdlib.h>

void redis_command(struct redis_conn *c, redis_reply_fn done, void *arg, const char *format, ...) {
    char *resp = NULL;
    va_list ap;
    va_start(ap, format);
    int n = redisvFormatCommand(&resp, format, ap);
    va_end(ap);
    if (n < 0)
        abort(); /* out of memory, or a format that no test has ever run */
    redis_send(c, (struct span){resp, (size_t)n}, 0, done, arg);
    redisFreeCommand(resp);
}
