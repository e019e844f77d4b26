/* The producer: jobs of every kind. Each text carries a mark "~N~" by which the audit finds it. */
#include "sim.h"

#include <stdio.h>
#include <string.h>

const char *const queue_names[QUEUES] = {"qa", "qb"};

unsigned account_queue(unsigned account) {
    return account < ACCOUNTS / 2 ? 0 : 1;
}

void job_queue_key(const char *queue, const char *suffix, char *out, size_t size) {
    snprintf(out, size, "dray:{%s}:%s", queue, suffix);
}

/* The same account, key and variant give the same bytes. */
static void add_order(struct buf *b, const char *provider, unsigned key, unsigned variant) {
    unsigned quantity = 1 + variant;
    if (strcmp(provider, "kakaclo-v2") == 0)
        buf_addf(b,
                 "{\"orderAddresses\":{\"country\":\"FR\",\"phone\":\"1\",\"recipient\":\"r\","
                 "\"province\":\"p\"},\"orderItemsList\":[{\"sku\":\"s\",\"quantity\":%u}],"
                 "\"customOrderId\":\"key-%u\"}",
                 quantity, key);
    else if (strcmp(provider, "vu") == 0)
        buf_addf(b,
                 "{\"order\":{\"currency\":\"USD\",\"order_date\":\"2022-10-31T01:54:56.271Z\","
                 "\"order_lines\":[{\"price\":70,\"product_description\":\"w\",\"quantity\":%u,"
                 "\"recipe_token\":\"t\",\"sku\":\"s\"}],\"order_number\":\"key-%u\","
                 "\"ship_method_carrier\":\"UPS\",\"ship_method_code\":\"X\","
                 "\"ship_method_description\":\"g\",\"sales_channel\":\"b2c\","
                 "\"ship_to\":{\"account_number\":\"S\",\"address_1\":\"a\",\"city\":\"c\","
                 "\"country\":\"US\","
                 "\"first_name\":\"j\",\"last_name\":\"s\",\"postal_code\":\"1\",\"state_region\":"
                 "\"NJ\"},"
                 "\"sold_to\":{\"account_number\":\"S\",\"address_1\":\"a\",\"city\":\"c\","
                 "\"country\":\"US\","
                 "\"first_name\":\"j\",\"last_name\":\"s\",\"postal_code\":\"1\",\"state_region\":"
                 "\"NJ\"}}}",
                 quantity, key);
    else if (strcmp(provider, "s2") == 0)
        buf_addf(b,
                 "{\"accountId\":\"x\",\"channelOrderId\":\"key-%u\",\"channelShippingMethod\":\"\","
                 "\"shippingAddress\":{\"name\":\"\",\"company\":\"\",\"address1\":\"\",\"address2\":"
                 "\"\","
                 "\"city\":\"\",\"state\":\"\",\"postalCode\":\"\",\"countryId\":\"CN\",\"phone\":\"\","
                 "\"email\":\"\"},\"meta\":{},\"channelOrderDate\":\"2024-04-24T06:00:33.889Z\","
                 "\"currencyId\":\"AED\",\"items\":[{\"channelOrderItemId\":\"0\",\"productId\":\"p\","
                 "\"quantity\":%u,\"unitPrice\":1,\"meta\":{}}],\"attachments\":[]}",
                 key, quantity);
    else if (strcmp(provider, "kakaclo-custom") == 0)
        buf_addf(b,
                 "{\"productName\":\"p\",\"mainImageUrl\":\"https://i.test/1\",\"customOrderId\":\"key-%u\","
                 "\"orderAddresses\":{\"country\":\"FR\",\"city\":\"c\",\"phone\":\"1\",\"recipient\":\"r\","
                 "\"street1\":\"s\",\"province\":\"p\",\"zip\":\"z\"},\"orderItemsList\":[{\"quantity\":%u,"
                 "\"importImage\":[\"https://i.test/2\"],\"color\":\"c\",\"size\":\"s\"}]}",
                 key, quantity);
    else
        buf_addf(b, "{\"ref\":\"key-%u\",\"quantity\":%u}", key, quantity);
}

static void add_invalid(struct buf *b, unsigned number) {
    static const char *const texts[] = {
        "not json at all ~%u~",
        "{\"id\":\"~%u~\"}",
        "{\"id\":\"~%u~\",\"order\":{},\"account\":\"nobody\"}",
        "{\"id\":\"~%u~\",\"order\":{\"quantity\":1},\"not_before\":\"soon\"}",
        "{\"id\":\"~%u~\",\"order\":[",
    };
    char text[200];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof(text), texts[draw(5)], number);
#pragma GCC diagnostic pop
    buf_add_str(b, text);
}

static void write_job(struct buf *b, struct sim_job *j, unsigned number) {
    const struct account *a = world.config->accounts[j->account];
    uint64_t now_ms = START_UNIX_MS + world.now_ns / MS;
    if (j->kind == JOB_INVALID) {
        add_invalid(b, number);
        return;
    }
    buf_addf(b, "{\"id\":\"~%u~\",\"account\":\"%s\"", number, a->name);
    if (j->kind == JOB_NOT_BEFORE)
        buf_addf(b, ",\"not_before\":%llu", (unsigned long long)(now_ms + draw(5000)));
    if (j->kind == JOB_EXPIRES)
        buf_addf(b, ",\"expires_at\":%llu", (unsigned long long)(now_ms + draw(8000)));
    if (chance(15))
        buf_addf(b, ",\"max_attempts\":%u", (unsigned)(1 + draw(2)));
    if (chance(10))
        buf_addf(b, ",\"reply_to\":\"dray:{%s}:results:own\"", queue_names[account_queue(j->account)]);
    buf_add_str(b, ",\"order\":");
    add_order(b, a->provider->name, j->key, chance(12) ? 1 : 0);
    buf_add_char(b, '}');
}

static void push(struct sim_job *j, unsigned number, const struct buf *text) {
    char key[64];
    unsigned q = account_queue(j->account);
    job_queue_key(queue_names[q], "jobs", key, sizeof(key));
    freeReplyObject(server_command("LPUSH %s %b", key, text->data, text->len));
    freeReplyObject(server_command("RPUSH sim:pushed %b", text->data, text->len));
    strcpy(j->place, "j");
    world.jobs_waiting[q] = true;
    note("push job %u a%u key-%u kind %d", number, j->account, j->key, (int)j->kind);
}

/* One to three jobs. */
void jobs_push(void) {
    for (uint64_t n = 1 + draw(3); n > 0 && world.jobs_to_push > 0; n--) {
        unsigned number = world.job_count++;
        struct sim_job *j = &world.jobs[number];
        struct buf text;
        world.jobs_to_push--;
        *j = (struct sim_job){.account = (unsigned)draw(ACCOUNTS), .key = (unsigned)draw(KEYS_PER_ACCOUNT)};
        j->kind = chance(8) ? JOB_INVALID : chance(8) ? JOB_EXPIRES : chance(8) ? JOB_NOT_BEFORE : JOB_PLAIN;
        buf_init(&text, 1u << 20);
        write_job(&text, j, number);
        push(j, number, &text);
        buf_deinit(&text);
    }
}

void job_push(unsigned account, unsigned key) {
    unsigned number = world.job_count++;
    struct sim_job *j = &world.jobs[number];
    const struct account *a = world.config->accounts[account];
    struct buf text;
    *j = (struct sim_job){.account = account, .key = key, .kind = JOB_PLAIN};
    buf_init(&text, 1u << 20);
    buf_addf(&text, "{\"id\":\"~%u~\",\"account\":\"%s\",\"order\":", number, a->name);
    add_order(&text, a->provider->name, key, 0);
    buf_add_char(&text, '}');
    push(j, number, &text);
    buf_deinit(&text);
}

/* What a producer pushed is gone from Redis: it pushes it again. */
void jobs_push_lost(void) {
    for (unsigned i = 0; i < world.job_count; i++) {
        char key[64];
        if (strcmp(world.jobs[i].place, "-") != 0)
            continue;
        redisReply *text = server_command("LINDEX sim:pushed %u", i);
        job_queue_key(queue_names[account_queue(world.jobs[i].account)], "jobs", key, sizeof(key));
        freeReplyObject(server_command("LPUSH %s %b", key, text->str, text->len));
        freeReplyObject(text);
        strcpy(world.jobs[i].place, "j");
        note("push job %u again", i);
    }
}
