/* HTTP outcome: puts what libcurl knows of an ended call into a struct http_exchange. Where it is not certain
 * that no byte left, it says that bytes left. */
#include "io/http_internal.h"

/* The phase that the call was in before anything was written. */
static const char *phase_before_sending(const struct http_call *c, CURLcode code, bool cancelled) {
    if (c->let_go || c->guard_refused || c->unfit)
        return "send";
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return "resolve";
    case CURLE_COULDNT_CONNECT:
        return "connect";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return "tls";
    default:
        break;
    }
    if (cancelled) /* the figures may be an earlier request's */
        return "connect";
    curl_off_t looked_up_us = 0;
    long connections = 0; /* counted once TCP stands */
    curl_easy_getinfo(c->easy, CURLINFO_NAMELOOKUP_TIME_T, &looked_up_us);
    curl_easy_getinfo(c->easy, CURLINFO_NUM_CONNECTS, &connections);
    if (looked_up_us == 0)
        return "resolve";
    return connections > 0 && c->bound->tls && c->bound->proxy == NULL ? "tls" : "connect";
}

static const char *phase(const struct http_call *c, CURLcode code, bool cancelled, bool sent) {
    if (code == CURLE_OK)
        return "done";
    if (!sent)
        return phase_before_sending(c, code, cancelled);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return "timeout";
    return code == CURLE_SEND_ERROR && !c->replay_refused ? "send" : "receive";
}

static const char *words(const struct http_call *c, CURLcode code, bool cancelled) {
    if (cancelled)
        return "cancelled";
    if (c->replay_refused)
        return "the peer closed a kept-alive connection without answering; a POST is not repeated";
    if (c->guard_refused)
        return "refused by the sender right before it was sent";
    if (c->unfit)
        return "the peer talks or hangs up on new connections before it was asked anything; nothing was sent";
    if (code == CURLE_OK)
        return "";
    if (c->too_large)
        return "the answer is larger than 1 MiB";
    return c->error[0] != '\0' ? c->error : curl_easy_strerror(code);
}

static struct span header(const struct http_call *c, const char *name) {
    struct curl_header *h;
    if (curl_easy_header(c->easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return (struct span){0};
    return span_str(h->value);
}

/* The peer says that it did nothing with what it was sent. */
static bool peer_refused(const struct http_call *c, CURLcode code) {
    return (c->replay_refused && c->refused) || (code != CURLE_OK && http_refused_above(c));
}

/* A proxy's answer to CONNECT, where that was no 2xx. */
static long proxy_status(const struct http_call *c) {
    long status = 0;
    if (c->bound->proxy == NULL || c->let_go || c->guard_refused)
        return 0;
    curl_easy_getinfo(c->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    return status / 100 == 2 ? 0 : status;
}

void http_outcome(const struct http_call *c, CURLcode code, bool cancelled, uint64_t now_ns,
                  struct http_exchange *x) {
    bool sent = c->let_go && http_request_size(c) > c->size_before;
    *x = (struct http_exchange){
        .sent = sent,
        .too_large = c->too_large,
        .replay_refused = c->replay_refused,
        .guard_refused = c->guard_refused,
        .early = c->early,
        .reused = c->reused,
        .cancelled = cancelled,
        .body = buf_span(&c->answer),
        .error = words(c, code, cancelled),
        .phase = phase(c, code, cancelled, sent),
        .duration_us = (now_ns - c->started_ns) / 1000,
    };
    if (!sent) { /* what libcurl holds now may be an earlier request's, or a proxy's */
        x->proxy_status = cancelled ? 0 : proxy_status(c);
        return;
    }
    const char *type = NULL;
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &x->status);
    curl_easy_getinfo(c->easy, CURLINFO_CONTENT_TYPE, &type);
    if (x->status < 200)
        x->status = 0; /* 1xx announces an answer, it is none */
    if (!cancelled && x->status == 0 && peer_refused(c, code)) {
        x->sent = x->replay_refused = false;
        x->unprocessed = true;
        x->phase = "send";
        x->error = "the provider did not take the order up (HTTP/2 REFUSED_STREAM or GOAWAY)";
        return;
    }
    x->answered = code == CURLE_OK && x->status > 0;
    x->content_type = span_str(type);
    if (x->status >= 300)
        x->retry_after = header(c, "Retry-After");
    if (x->status == 429 && x->retry_after.ptr == NULL && c->bound->wait_header != NULL)
        x->retry_after = header(c, c->bound->wait_header);
}
