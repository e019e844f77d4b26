"""What the admin API answers and takes, as JSON Schema, by the names under which openapi.py refers to it."""

import envelopes
from envelopes import array, boolean, closed, integer, nullable, string, unix_ms

STATES = ["ok", "limited", "held", "breaker_open", "paused_by_provider", "paused_by_operator"]
MODES = ["starting", "running", "quiet", "draining", "stopped"]
VERDICTS = ["created", "duplicate", "rejected", "retry", "pause", "hold", "unknown", "lookup", "absent"]
TOTALS = ["taken", "settled", "died", "results", "created", "duplicate", "retried", "fenced", "recovered", "recovered_unknown",
          "breaker_opened"]

PAUSE = closed("Why, and for how long; without `for` until resumed. `resume` looks at neither.", {
    "reason": string("one line of at most 200 bytes", pattern="^[^\\r\\n]*$"),
    "for": string("a duration such as `10m`")}, [])
RETRY = closed("Nothing: the job as it was pushed. Else a corrected one.", {
    "order": {"type": "object", "description": "the job with this order in place of its own"},
    "job": string("the whole text of the job")}, [])
RESOLVE = {"description": "What became of the order.", "oneOf": [
    closed("It exists: a `created` result is pushed, the ledger knows it.", {"created": string("the provider's order id", minLength=1)}),
    closed("It surely does not: it is sent again.", {
        "resend": {"const": True}, "order": {"type": "object", "description": "with this order in place of its own"},
        "job": string("the whole text of the job")}, ["resend"])]}
NOTHING = closed("Nothing.", {}, [])
TICKETS = closed("Which jobs.", {"tickets": {**array({"type": "string"}, "as `jobs` and `find` name them"), "minItems": 1, "maxItems": 200}})
IDS = closed("Which letters.", {"ids": {**array({"type": "string"}, "dead letters' ids"), "minItems": 1, "maxItems": 200}})


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}

PICKUPS = ["blocking", "polling"]


def count(text):
    return integer(text, minimum=0)


def histogram():
    return closed("Durations. The bounds are in `bounds_us` of status; `counts` has one more, for what is above.", {
        "counts": array({"type": "integer", "minimum": 0}, "per bound"), "sum_us": count("of all, microseconds")})


def paused():
    return nullable(closed("An operator's pause; null: none.", {
        "until": nullable(unix_ms("when it ends; null: until resumed")), "reason": string("as given")}))


def queue():
    return closed("A queue, over all workers unless it says otherwise.", {
        "queue": string("its name"),
        "read_at": unix_ms("when the figures were read from Redis; 0: not yet"),
        "jobs": count("pushed and not taken"), "waiting": count("wait for their account"), "delayed": count("wait for a time"),
        "inflight": count("claimed by any worker"), "dead": count("dead letters"), "results": count("results not consumed"),
        "workers": count("workers with a lease"),
        "oldest_age_ms": count("age of what has waited longest: queued (since its `enqueued_at`, else since this worker first saw it at the "
                               "head), for its account, or past its time"),
        "queued": count("what should be on its way: `jobs`, `waiting`, and delayed jobs past their time"),
        "results_full": boolean("claiming stops because results are not consumed"),
        "paused": paused(),
        "totals": closed("Counters since the queue exists.", {name: count("see docs/protocol.md") for name in TOTALS}),
        "here": closed("This worker's, since its start.", {
            "inflight": count("claimed and not settled"), "settling": count("outcomes that Redis has not taken yet"),
            "concurrency": count("as configured"), "claimed": count("jobs"), "settled": count("claims"),
            "fenced": count("claims that another worker had meanwhile"), "lookups": count("look-ups"),
            "redis_full": boolean("Redis refuses it for want of memory"),
            "pickup_mode": string("`polling`: it has no connection of its own for the queue, and asks for jobs", enum=PICKUPS),
            "leased": boolean("its lease on the queue holds"), "http": histogram(), "pickup": histogram()}),
    })


def account():
    return closed("An account.", {
        "queue": string("its queue"), "account": string("its name"), "provider": string("its provider"),
        "state": string("`limited`: at its rate or concurrency, jobs wait; `held`: the provider refuses", enum=STATES),
        "reason": nullable(string("why; null: nothing keeps it")),
        "until": nullable(unix_ms("when it ends or is tried again")),
        "waiting": count("jobs that wait for it"),
        "concurrency": nullable(count("requests under way over all workers; null: no limit, not counted")),
        "concurrency_limit": count("as configured; 0: none"), "failures": count("consecutive"),
        "token_expires_at": nullable(unix_ms("when its token ends; null: not known")),
        "tokens": {"type": "number", "description": "in its bucket by now"},
        "rate": {"type": "number", "description": "per second, as configured; 0: no limit"}, "burst": count("as configured"),
        "here": closed("This worker's, since its start.", {
            "inflight": count("requests under way"), "created": count("results"), "duplicate": count("results"),
            "failed": count("results"), "last_created_at": unix_ms("0: none yet"),
            "stray_answers": count("connections on which came what nobody had asked for"),
            "repeated_ids": count("orders answered with another one's id"),
            "attempts": closed("By what the answer meant; what did not occur is absent.", {v: count(v) for v in VERDICTS}, [])}),
    })


def worker():
    return closed("A worker with or without a lease on the queue.", {
        "queue": string("the queue"), "worker": string("its id"), "this": boolean("the one that answers"),
        "inflight": count("jobs that it holds"), "lease_until": unix_ms("by Redis's clock"), "alive": boolean("its lease holds"),
        "info": nullable(closed("What it says of itself; null: nothing yet.", {
            "host": string("its host"), "pid": count("its process"), "version": string("dray's version"),
            "started_at": unix_ms("its start"), "lease_ms": count("as configured"),
            "connections": count("to Redis"), "pickup_mode": string("as it last said", enum=PICKUPS), "inflight": count("as it last said"),
            "mode": string("as it last said", enum=MODES),
            "format": count("of the data in Redis that it works with"),
            "tokens": {"type": "object", "description": "account → when its token ends, Unix ms, where that is known",
                       "additionalProperties": {"type": "integer"}}}))})


def letter():
    texts = {n: {"type": ["string", "null"]} for n in ("reason", "account", "id", "order_key", "code")}
    return closed("A dead letter in a list.", {
        "dead_id": string("its id"), "died_at": unix_ms("when it died"), "attempts": count("how many"),
        "http_status": count("of the last attempt; 0: none"), **texts,
        "message": nullable(string("the provider's words, cut; null without the token"))})


PLACES = ["queued", "in_flight", "delayed", "waiting", "dead", "result"]


HASH = "XXH3-128 of the order's bytes, in hex: what the ledger tells orders of one key apart by"


def job(places):
    text = {"type": ["string", "null"]}
    when = nullable(unix_ms("as the name says"))
    return closed("A job where it is; what its place does not have is absent.", {
        "place": string("where", enum=places), "id": text, "order_key": text, "account": text, "order_hash": nullable(string(HASH)),
        "enqueued_at": when, "not_before": when,
        "next": string("what is to be done with it", enum=["to_send", "to_look_up", "recovered"]),
        "attempts": count("orders sent, so far"), "lookups": count("since the last attempt"), "recoveries": count("workers that died with it"),
        "first_attempt_at": when, "history": {"type": "array", "description": "attempts, as in a dead letter; with the token"},
        "doing": string("in flight", enum=["claimed", "sending", "looking_up"]), "worker": text, "claim": string("its token"),
        "ticket": string("delayed, waiting: what `run` takes"), "due_at": when,
        "dead_id": string("dead"), "died_at": when, "reason": text, "code": text, "message": text,
        "status": text, "order_id": text, "finished_at": when}, ["place"])


def ledger_entry():
    return closed("What the ledger says of a key.", {
        "account": string("under which"), "key": string("the order key"),
        "state": string("as docs/protocol.md", enum=["sending", "looked_up", "created", "unknown"]),
        "order_hash": string(HASH), "at": nullable(unix_ms("since when")),
        "order_ids": array({"type": "string"}, "created: the provider's"), "dead_id": string("unknown: the dead letter to resolve"),
        "worker": string("sending: by whom")}, ["account", "key", "state"])


def search_fields():
    return {"looked": count("texts that were looked at"), "cursor": nullable(string("what to ask with next; null: this was the last"))}


def status_fields():
    number = {"type": "integer", "minimum": 0}
    return {
        "at": unix_ms("now"),
        "worker": closed("The worker that answers.", {
            "id": string("its id"), "version": string("dray's version"), "mode": string("what it does", enum=MODES),
            "not_ready": nullable(string("why /readyz says no")), "uptime_ms": count("since its start"),
            "inflight": count("claimed and not settled"), "max_inflight": count("as configured")}),
        "redis": closed("Its Redis.", {"up": boolean("of every queue"), "error": nullable(string("why not")),
                                       "connections": count("of this worker, that are up"),
                                       "read_at": unix_ms("the oldest of the figures; 0: not yet")}),
        "access": closed("The one who asks.", {"token_configured": boolean("in [admin]"), "may_act": boolean("this request has a token"),
                                                  "who": nullable(string("whose: an operator's name; `token`: [admin]'s own"))}),
        "bounds_us": closed("Upper bounds of the histograms, microseconds.", {
            "http": array(number, "of requests to providers"), "pickup": array(number, "of waiting in the queue")}),
    }


def components():
    error = {"code": string("a word for programs"), "message": string("a sentence for people")}
    lists = {"queues": array(ref("Queue"), "this worker's"),
             "accounts": ref("AccountList"), "workers": array(ref("Worker"), "of this worker's queues")}
    return {
        "Error": closed("Why not.", {"error": closed("Why not.", error)}),
        "ErrorWithFaults": closed("Why not.", {"error": closed("Why not.", {**error, "faults": array(envelopes.fault(), "all of them")})}),
        "Health": closed("Is it alive?", {
            "healthy": boolean("the loop turns, and what can be claimed is"), "mode": string("what it does", enum=MODES),
            "redis": string("of every queue", enum=["up", "away"]), "reason": nullable(string("why not"))}),
        "Readiness": closed("Does it take orders?", {"ready": boolean("it does"), "reason": nullable(string("why not"))}),
        "Status": closed("Everything at one look.", {**status_fields(), **lists}),
        "Queues": closed("Queues.", {"queues": lists["queues"]}),
        "Accounts": closed("Accounts.", {"accounts": lists["accounts"]}),
        "Workers": closed("Workers.", {"workers": lists["workers"]}),
        "Queue": queue(),
        "AccountList": closed("A page.", {"list": array(ref("Account"), "those in trouble first"), "total": count("that were asked for"),
                                          "troubled": count("of these, those that something keeps")}),
        "Account": account(),
        "Worker": worker(),
        "DeadPage": closed("A page of dead letters.", {
            "queue": string("the queue"), "letters": array(letter(), "the newest first"), "total": count("in the queue"),
            "scanned": count("looked at for this page"), "cursor": nullable(string("what to ask with next; null: this was the last"))}),
        "DeadOne": closed("A dead letter whole.", {
            "queue": string("the queue"), "dead_id": string("its id"), "entry": {"anyOf": [ref("DeadLetter"), {"type": "null"}]},
            "text": string("in place of `entry`, what is no JSON")}, ["queue", "dead_id", "entry"]),
        "DeadLetter": envelopes.dead_letter(),
        "Found": closed("Where an order is.", {
            "queue": string("the queue"), "wanted": string("what was asked for"), "found": array(job(PLACES), "jobs, results, dead letters"),
            "ledger": array(ledger_entry(), "of the key; asked for where the search ended"), **search_fields()}),
        "JobPage": closed("A page of a place.", {
            "queue": string("the queue"), "place": string("which", enum=PLACES[:4]), "jobs": array(job(PLACES[:4]), "in their order"),
            **search_fields()}),
        "BulkDone": closed("What was done, letter by letter.", {
            "done": string("what", enum=["retried", "dropped"]), "count": count("letters"),
            "left": array(closed("A letter that stays.", {"dead_id": string("its id"), "code": string("why", enum=[
                "no_such_letter", "unknown_outcome", "created", "busy", "unreadable"])}), "those that were not")}),
        "RunDone": closed("It was done.", {"done": string("what", enum=["run"]), "count": count("jobs that were delayed")}),
        "Done": closed("It was done.", {"done": string("what", enum=["retried", "resolved", "dropped"]), "dead_id": string("its id")}),
        "Paused": closed("As it is now, and was before.", {"paused": boolean("now"), "was_paused": boolean("before")}),
    }
