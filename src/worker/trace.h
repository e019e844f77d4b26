/* Spans of orders for OpenTelemetry, where [trace] endpoint is set; else a worker has no tracer, and an order's marks
 * say `on = false`, which is all that is ever looked at.
 *
 *   trace.c         what an order's marks become: spans, written into the tracer's chunks
 *   trace_export.c  full chunks go to a thread, which encodes them, then to the endpoint
 *   trace_encode.c  OTLP's JSON
 *
 * Nothing here waits or is waited for: where all chunks are taken, spans are dropped and counted. */
#ifndef DRAY_WORKER_TRACE_H
#define DRAY_WORKER_TRACE_H

#include "dray/config.h"
#include "dray/http.h"
#include "dray/job.h"
#include "dray/verdict.h"

#define TRACE_BATCH  256 /* spans of one export */
#define TRACE_CHUNKS 16  /* exports' worth of spans that are kept: 4,096 spans */

/* When and under which ids; part of an order, set anew with each claim. Times are Unix nanoseconds, 0: not yet. */
struct trace_marks {
    bool on;
    bool has_parent;  /* the job's `traceparent` */
    bool seen_before; /* it was claimed before */
    uint8_t flags;    /* W3C trace flags for the provider */
    uint8_t trace[16], parent[8], span[8], request[8];
    uint64_t claimed_ns, begins_ns, sent_ns, decided_ns;
    uint32_t attempt; /* of the order's request; 0: none was sent in this claim */
    bool died;
    const char *outcome; /* a word of dray's */
    const char *reason;  /* of a dead letter; NULL */
};

enum trace_kind {
    TRACE_ORDER,
    TRACE_PICKUP,
    TRACE_ADMISSION,
    TRACE_REQUEST,
    TRACE_LOOKUP,
    TRACE_SETTLEMENT,
    TRACE_KINDS
};

/* One span, with nothing of an order in it but its job's id. Pointers are to words that live as long as the process. */
struct trace_span {
    enum trace_kind kind;
    uint8_t trace[16], id[8], parent[8];
    bool root;   /* it has no parent */
    bool remote; /* its parent is the producer's */
    bool failed;
    uint64_t start_ns, end_ns; /* Unix */
    uint32_t attempt;          /* 0: none */
    uint32_t port;
    long status;                                                        /* 0: none */
    const char *provider, *method, *verdict, *error, *outcome, *reason; /* NULL: none */
    char queue[NAME_MAX_LEN + 1], account[NAME_MAX_LEN + 1];            /* "": none */
    char job[JOB_ID_MAX + 1];                                           /* "": none, or not plain */
    char server[256];
};

/* Who sends the spans. */
struct trace_resource {
    const char *service, *instance, *version;
};

/* OTLP's ExportTraceServiceRequest in JSON, without an end line; free(3) it. NULL: out of memory. Pure: any thread. */
char *trace_encode(const struct trace_resource *resource, const struct trace_span *spans, size_t count);
/* Spans that a 2xx answer says were rejected (partialSuccess.rejectedSpans); 0 where it says nothing of them. */
uint64_t trace_rejected(struct span body);

struct trace_stats {
    uint64_t sent, failed, dropped; /* spans */
};

struct tracer;
/* NULL and `err` on failure. `config` has an endpoint; it and `instance` must outlive the tracer. */
struct tracer *tracer_new(uv_loop_t *loop, const struct config *config, const char *instance,
                          struct err *err);
/* Room for one span, all zero, of which the caller owes trace_put; NULL: there is none, it is dropped and counted. */
struct trace_span *tracer_slot(struct tracer *t);
void tracer_put(struct tracer *t);
/* Sends what is there for at most a second (`flush`), else drops it; then calls `closed`, from the loop. */
void tracer_close(struct tracer *t, bool flush, void (*closed)(void *arg), void *arg);
void tracer_free(struct tracer *t);                      /* closed; NULL is fine */
struct trace_stats tracer_stats(const struct tracer *t); /* NULL: zeros */
double tracer_sample(const struct tracer *t);

/* The moments of an order's life. Only for orders whose marks are on, but trace_claimed, which says whether they are. */
struct order;
struct decision;
struct outcome;
void trace_claimed(struct order *o);  /* its envelope was read; the worker has a tracer */
void trace_begins(struct order *o);   /* on its way to Redis's admission */
void trace_admitted(struct order *o); /* that has answered; the second time in a claim does nothing */
/* A request leaves. Writes the `traceparent` that names its span into `out`. */
#define TRACEPARENT_SIZE 56
void trace_sends(struct order *o, char out[static TRACEPARENT_SIZE]);
/* NULL: it says nothing of the order yet */
void trace_answered(struct order *o, const struct http_exchange *x, const struct outcome *outcome);
void trace_decided(struct order *o, const struct decision *d);
/* The claim has ended; `how` overrides what was decided, or is NULL. */
void trace_ended(struct order *o, const char *how);

#endif
