/* The options of a connection: their defaults, what they must hold, and what a reload may change in them. */
#include "io/redis_parts.h"

#define CONNECT_TIMEOUT_MS 5000
#define COMMAND_TIMEOUT_MS 10000

uint32_t redis_connect_timeout(const struct redis_options *o) {
    return o->connect_timeout_ms > 0 ? o->connect_timeout_ms : CONNECT_TIMEOUT_MS;
}

uint32_t redis_command_timeout(const struct redis_options *o) {
    return o->command_timeout_ms > 0 ? o->command_timeout_ms : COMMAND_TIMEOUT_MS;
}

int redis_options_check(const struct redis_options *o, struct err *err) {
    if (o->sentinels != NULL && (o->sentinels[0] == NULL || o->sentinel_master == NULL))
        return err_set(err, "sentinels and sentinel_master must both be given");
    if (o->sentinels == NULL && o->unix_path == NULL && o->host == NULL)
        return err_set(err, "no address is given: set the URL of Redis");
    return 0;
}

void redis_options_renew(struct redis_options *o, const struct redis_options *new) {
    o->username = new->username;
    o->password = new->password;
    o->sentinel_username = new->sentinel_username;
    o->sentinel_password = new->sentinel_password;
    o->tls_ca = new->tls_ca;
    o->tls_cert = new->tls_cert;
    o->tls_key = new->tls_key;
}
