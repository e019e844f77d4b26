/* Pushes batches so that the fate of each is known.
 *
 * Happy path: one script call pushes the batch (LPUSH, in the order of the lines) and writes into a
 * marker, a key of this push alone, how many jobs and which line it got to. The script pushes only
 * where the marker shows what was before the batch, so sending a batch again is harmless. Redis
 * refuses (out of memory, wrong type, a replica): the script has done nothing; SEND_REFUSED.
 * Connection broken: for up to 20 s, connect and send again. The answer says that the batch went
 * in, then or now; or the marker is older than what Redis had acknowledged: it lost jobs
 * (SEND_LOST; `pushed` and `through` say what it has). No answer, or a refusal now: SEND_UNSURE. */
#include "cli/push.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dray/clock.h"

#define BATCH_JOBS   500
#define BATCH_BYTES  (1u << 20)
#define COMMAND_MAX  (64u << 20) /* the longest job there may be, and what is around it */
#define RETRY_NS     (20 * (uint64_t)1000000000)
#define RETRY_GAP_MS 250
#define MARKER_TTL_S "86400"

static const char script[] = "local m = redis.call('GET', KEYS[2]) or '' "
                             "if m ~= ARGV[1] then return m end "
                             "local n = redis.call('LPUSH', KEYS[1], unpack(ARGV, 3)) "
                             "redis.call('SET', KEYS[2], ARGV[2], 'EX', " MARKER_TTL_S ") "
                             "return n";

int sender_init(struct sender *s, const struct config *config, const char *queue, redisContext *redis) {
    struct rng rng;
    *s = (struct sender){.config = config, .redis = redis};
    buf_init(&s->values, COMMAND_MAX);
    buf_init(&s->command, COMMAND_MAX + 4096);
    if (rng_seed_os(&rng) != 0)
        rng_seed(&rng, clock_unix_ms() ^ (uint64_t)getpid());
    snprintf(s->marker, sizeof(s->marker), "%s:{%s}:push:%016" PRIx64, config->redis_prefix, queue,
             rng_u64(&rng));
    return queue_keys_init(&s->keys, config->redis_prefix, queue, NULL);
}

void sender_deinit(struct sender *s) {
    if (s->redis != NULL && s->redis->err == 0)
        freeReplyObject(redisCommand(s->redis, "DEL %s", s->marker));
    if (s->redis != NULL)
        redisFree(s->redis);
    queue_keys_deinit(&s->keys);
    buf_deinit(&s->values);
    buf_deinit(&s->command);
}

/* "1500 1510": jobs and line; "" before the first. */
static void marker_text(uint64_t jobs, uint64_t line, char out[static 48]) {
    out[0] = '\0';
    if (jobs > 0)
        snprintf(out, 48, "%" PRIu64 " %" PRIu64, jobs, line);
}

static bool compose(struct sender *s) {
    char before[48], after[48];
    marker_text(s->pushed, s->through, before);
    marker_text(s->pushed + s->count, s->last, after);
    buf_reset(&s->command);
    redis_resp_begin(&s->command, 7 + (size_t)s->count);
    redis_resp_str(&s->command, "EVAL");
    redis_resp_str(&s->command, script);
    redis_resp_str(&s->command, "2");
    redis_resp_arg(&s->command, s->keys.key[KEY_JOBS]);
    redis_resp_str(&s->command, s->marker);
    redis_resp_str(&s->command, before);
    redis_resp_str(&s->command, after);
    buf_add_span(&s->command, buf_span(&s->values));
    return buf_ok(&s->command);
}

static enum send_state stop(struct sender *s, enum send_state state) {
    s->state = state;
    return state;
}

static void batch_is_in(struct sender *s) {
    s->pushed += s->count;
    s->through = s->last;
    s->count = 0;
    buf_reset(&s->values);
}

/* Handles a batch that was refused because the marker did not show what was before it. */
static enum send_state read_marker(struct sender *s, const char *marker) {
    uint64_t pushed = 0, through = 0;
    if (sscanf(marker, "%" SCNu64 " %" SCNu64, &pushed, &through) != 2)
        pushed = through = 0;
    if (pushed == s->pushed + s->count) {
        batch_is_in(s);
        return SEND_FINE;
    }
    s->pushed = pushed;
    s->through = through;
    err_set(&s->err, "Redis came back without jobs that it had taken");
    return stop(s, SEND_LOST);
}

/* A server that will soon answer otherwise: it loads its data, or waits for its master. */
static bool is_passing(const char *error) {
    static const char *const codes[] = {"LOADING", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY"};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (strncmp(error, codes[i], strlen(codes[i])) == 0)
            return true;
    return false;
}

enum answer { ANSWERED, BROKEN, PASSING, ELSEWHERE };

/* Sends the batch once. ANSWERED: s->state says what became of it. `unsure`: it was sent before,
 * and whether that went in is not known. */
static enum answer send_once(struct sender *s, bool unsure) {
    redisReply *reply = NULL;
    enum answer answer = ANSWERED;
    if (redisAppendFormattedCommand(s->redis, s->command.data, s->command.len) == REDIS_OK)
        redisGetReply(s->redis, (void **)&reply);
    if (reply == NULL) {
        err_set(&s->err, "Redis: %s", s->redis->errstr);
        answer = BROKEN;
    } else if (reply->type == REDIS_REPLY_INTEGER) {
        s->waiting = (uint64_t)reply->integer;
        batch_is_in(s);
    } else if (reply->type == REDIS_REPLY_STRING) {
        read_marker(s, reply->str);
    } else {
        const char *error = reply->type == REDIS_REPLY_ERROR ? reply->str : "an answer of another kind";
        err_set(&s->err, "Redis: %s", error);
        if (is_passing(error))
            answer = PASSING;
        else if (strncmp(error, "MOVED ", 6) == 0)
            answer = ELSEWHERE; /* the slot has moved since */
        else
            stop(s, unsure ? SEND_UNSURE : SEND_REFUSED);
    }
    freeReplyObject(reply);
    return answer;
}

static void connect_again(struct sender *s) {
    redisFree(s->redis);
    s->redis = cli_redis_of(s->config, s->keys.queue, &s->err);
}

enum send_state sender_flush(struct sender *s) {
    if (s->count == 0 || s->state != SEND_FINE)
        return s->state;
    if (!compose(s)) {
        err_set(&s->err, "out of memory");
        return stop(s, SEND_REFUSED);
    }
    const struct timespec gap = {.tv_nsec = RETRY_GAP_MS * 1000000L};
    uint64_t until = clock_boot_ns() + RETRY_NS;
    bool unsure = false;
    for (;;) {
        enum answer answer = s->redis != NULL ? send_once(s, unsure) : BROKEN;
        if (answer == ANSWERED)
            return s->state;
        unsure = unsure || answer == BROKEN;
        if (cli_interrupted || clock_boot_ns() > until)
            return stop(s, unsure ? SEND_UNSURE : SEND_REFUSED);
        nanosleep(&gap, NULL);
        if (answer == BROKEN || answer == ELSEWHERE)
            connect_again(s);
    }
}

enum send_state sender_add(struct sender *s, struct span job, uint64_t line) {
    if (s->count == BATCH_JOBS || (s->count > 0 && s->values.len + job.len > BATCH_BYTES))
        if (sender_flush(s) != SEND_FINE)
            return s->state;
    if (s->count == 0)
        s->first = line;
    redis_resp_arg(&s->values, job);
    s->last = line;
    s->count++;
    return SEND_FINE;
}
