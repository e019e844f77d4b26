"""Job, result and dead letter as JSON Schema (2020-12). The names of a job's fields and every bound are read from the
source, and a field that one side has and the other has not is an error, so that neither lags behind. Used by schema.py
and openapi.py.

What dray writes may get further fields: a consumer lets pass what it does not know. Jobs may have none."""

import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DIALECT = "https://json-schema.org/draft/2020-12/schema"
REASONS = ["invalid", "rejected", "exhausted", "expired", "unknown_outcome", "poison"]


def source(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def constant(path, name):
    return int(re.search(rf"^#define {name}\s+\(?(\d+)", source(path), re.M).group(1))


def string(text, **more):
    return {"type": "string", "description": text, **more}


def integer(text, **more):
    return {"type": "integer", "description": text, **more}


def boolean(text):
    return {"type": "boolean", "description": text}


def array(items, text, **more):
    return {"type": "array", "description": text, "items": items, **more}


def closed(text, properties, required=None, **more):
    """An object whose every property is there, or those of `required`."""
    needed = list(properties) if required is None else required
    return {"type": "object", "description": text, "properties": properties, "required": needed, **more}


def nullable(schema):
    kinds = schema["type"]
    return {**schema, "type": [*(kinds if isinstance(kinds, list) else [kinds]), "null"]}


def unix_ms(text, **more):
    return integer(f"{text}, Unix ms", minimum=0, **more)


def name(text):
    return string(text, pattern="^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")


def given_time(text):
    """A time as producers may write it."""
    return {"description": f"{text}: Unix ms, or RFC 3339", "anyOf": [
        {"type": "integer", "minimum": 10 ** 11, "maximum": 253402300799999}, {"type": "string", "format": "date-time"}]}


def job():
    most = {n: constant("include/dray/job.h", n) for n in ("JOB_ID_MAX", "ORDER_KEY_MAX", "META_MAX")}
    fields = {
        "id": string("yours; comes back in the result", minLength=1, maxLength=most["JOB_ID_MAX"],
                     pattern="^[^\\u0000-\\u001f\\u007f-\\u009f]*$"),
        "order": {"type": "object", "description": "the provider's own request body (VU: with its outer `order`), sent byte for byte"},
        "account": name("the credentials to use; default: the queue's `default_account`"),
        "order_key": string("what makes it one order; default: the provider's own key field, where that is absent the `id`; "
                            f"at most {most['ORDER_KEY_MAX']} bytes", minLength=1, maxLength=most["ORDER_KEY_MAX"]),
        "not_before": given_time("not sent before"),
        "expires_at": given_time("not sent after; then a dead letter `expired`"),
        "max_attempts": integer("may lower the account's", minimum=1),
        "reply_to": string("another result list, with the queue's hash tag in its name", minLength=1,
                           maxLength=constant("src/provider/envelope.c", "REPLY_TO_MAX"), pattern="\\{[^{}]+\\}"),
        "enqueued_at": given_time("when you pushed it, for figures of age"),
        "traceparent": string("W3C Trace Context; forwarded and logged", minLength=55, maxLength=256,
                              pattern="^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$"),
        "meta": {"description": f"any JSON, at most {most['META_MAX']} bytes; echoed in the result"},
    }
    read = re.findall(r'^    \[PART_\w+\] = NAME\("(\w+)"\)', source("src/provider/envelope_parts.c"), re.M)
    assert list(fields) == read, f"src/provider/envelope_parts.c reads {read}; describe each in deploy/generate/envelopes.py"
    return closed("What producers push. It takes at most `max_job_bytes` (256 KiB unless configured).", fields, ["id", "order"],
                  additionalProperties=False)


def fault():
    return closed("One rule that the job breaks; no value is quoted.", {
        "path": string("from the envelope: `order.orderItemsList[2].quantity`; empty: the whole text"),
        "rule": string("what must hold")})


def error(dead_id):
    fields = {
        "reason": string("why there is no order", enum=REASONS),
        "code": string("the provider's code, `http_503`, or dray's own (`key_conflict`, …)"),
        "message": string("the provider's words, or dray's; may tell personal data"),
        "faults": array(fault(), "of `invalid`: every rule that is broken"),
    }
    needed = ["reason", "code", "message"]
    if dead_id:
        fields["dead_id"] = string("of the dead letter")
        needed.append("dead_id")
    return closed("Why there is no order.", fields, needed)


def result():
    text_or_null = lambda text: nullable(string(text))  # noqa: E731
    return closed("What consumers pop. Every field is always there; what does not apply is null.", {
        "id": string("the job's", minLength=1),
        "status": string("`duplicate`: the order existed before, with what is known of it; `failed`: dead-lettered too",
                         enum=["created", "duplicate", "failed"]),
        "provider": text_or_null("the account's provider"),
        "account": text_or_null("null: the job names none that exists"),
        "queue": string("the queue"),
        "order_key": text_or_null("what makes it one order"),
        "order_id": text_or_null("the provider's id of the order, always a text; the first of `order_ids`"),
        "order_ids": array({"type": "string"}, "all ids, if the provider split the order; empty: none is known"),
        "order": {"type": ["object", "null"], "description": "the provider's order object, byte for byte (S2, VU, http-json)"},
        "parts": array(closed("One of the orders.", {"order_id": string("one of `order_ids`"), "order": {
            "type": "object", "description": "what the answer says of it, byte for byte"}}),
            "of a split order, where the answer says what went where; else empty"),
        "error": nullable(error(dead_id=True)),
        "warnings": array(fault(), "what `validation = lenient` let pass: lengths and emptiness"),
        "attempts": integer("orders sent", minimum=0),
        "http_status": nullable(integer("of the last answer", minimum=100, maximum=999)),
        "enqueued_at": nullable(unix_ms("the job's")),
        "finished_at": unix_ms("when it was settled"),
        "duration_ms": integer("from the claim, or from the first attempt of a job that was retried", minimum=0),
        "meta": {"description": "the job's; null: it has none"},
    }, **{"if": {"properties": {"status": {"const": "failed"}}},
          "then": {"properties": {"error": {"type": "object"}}},
          "else": {"properties": {"error": {"type": "null"}}}})


def attempt():
    return closed("One request to the provider.", {
        "at": unix_ms("when it began"),
        "lookup": {"const": True, "description": "it was a look-up"},
        "control": {"const": True, "description": "a look-up of another order that is known to exist"},
        "times": integer("so many in a row burned nothing and ended so; this is the last", minimum=2),
        "since": unix_ms("when the first of them began"),
        "http_status": integer("0: no answer", minimum=0, maximum=999),
        "code": string("the provider's code, or dray's own"),
        "message": string("the provider's words, or dray's"),
        "ms": integer("how long it took", minimum=0),
        "answer": string("the answer's body, cut at 2 KiB"),
    }, ["at", "http_status", "code", "message", "ms", "answer"])


def dead_letter():
    return closed("A job that ended without an order, or of which nobody knows whether there is one.", {
        "dead_id": string("of the dead letter"),
        "reason": string("why it died", enum=REASONS),
        "queue": string("the queue"),
        "account": nullable(string("null: the job names none that exists")),
        "order_key": nullable(string("null: it could not be read")),
        "id": nullable(string("the job's; null: it could not be read")),
        "died_at": unix_ms("when it died"),
        "worker": string("which worker gave it up"),
        "error": error(dead_id=False),
        "attempts": array(attempt(), "oldest first"),
        "job": nullable(string("the exact text that was pushed; null: it is no UTF-8")),
        "job_base64": string("the exact bytes, where `job` is null", contentEncoding="base64"),
    }, ["dead_id", "reason", "queue", "account", "order_key", "id", "died_at", "worker", "error", "attempts", "job"])


ENVELOPES = {"job": job, "result": result, "dead-letter": dead_letter}
