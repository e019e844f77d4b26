#!/usr/bin/env python3
"""The admin API as an OpenAPI 3.1 document. The build embeds it (served at /api/v1/openapi.json); schema.py writes
docs/schema/openapi.json. The tests hold every answer of the admin server against it: what it does not describe fails.

usage: openapi.py VERSION OUTPUT.c"""

import json
import re
import sys

import api_schemas as schemas

JSON = "application/json"
ERRORS = {
    400: "a query or a body that cannot be read: `bad_query`, `bad_body`",
    401: "`token_needed`",
    403: "`no_token_configured`, `foreign_host`, `token_needed`",
    404: "`not_found`, `no_such_queue`, `no_such_account`, `no_such_letter`",
    405: "`method_not_allowed`; `Allow` says what is",
    409: "`unknown_outcome`, `created`, `busy`, `unreadable`, `no_text`, `refused`: nothing was done",
    413: "`body_too_large`, `too_large`",
    422: "`invalid_job`: a worker would refuse it; every fault is listed",
    500: "`memory`, `too_large`",
    503: "`redis`, `redis_away`, `redis_slow`, `redis_lost` (look whether it was done), `starting`, `stopping`",
}
PARAMETERS = {
    "queue": "the queue's name", "id": "the dead letter's id", "account": "the account's name",
}


def answer(text, schema, media=JSON):
    return {"description": text, "content": {media: {"schema": schema}}}


def metrics():
    texts = {"text/plain": "Prometheus's text format 0.0.4", "application/openmetrics-text": "OpenMetrics 1.0, to who asks for it"}
    return {"description": "the metrics of docs/admin.md",
            "content": {media: {"schema": {"type": "string", "description": text}} for media, text in texts.items()}}


def ref(name):
    return {"$ref": f"#/components/schemas/{name}"}


def query(name, text, **schema):
    return {"name": name, "in": "query", "description": text, "schema": schema or {"type": "string"}}


def operation(id, summary, good, errors, access, parameters=(), body=None):
    """`access` as in src/admin/route.c: None (anybody), "read", "contents", "act"."""
    responses = {"200": good} if "description" in good else good
    responses = {**responses, **{str(s): {"$ref": f"#/components/responses/{s}"} for s in sorted({*errors, *([401, 403] if access else []), 405, 413, 500, 503})
                                 if str(s) not in responses}}
    made = {"operationId": id, "summary": summary, "responses": responses}
    if access is None:
        made["security"] = []
    elif access == "read":
        made["security"] = [{"token": []}, {}]  # {}: from this host, where no token is configured
    if parameters:
        made["parameters"] = list(parameters)
    if body is not None:
        made["requestBody"] = {"content": {JSON: {"schema": body}}}
    return made


def get(*args, **more):
    return {"get": operation(*args, **more)}


def post(*args, **more):
    return {"post": operation(*args, **more)}


def health(name):
    return {"200": answer("yes", ref(name)), "503": answer("no, or the worker is starting or stopping",
                                                           {"anyOf": [ref(name), ref("Error")]})}


FIGURES = [503]
CURSOR = query("cursor", "what the answer before said; empty: from the start")
DEAD_QUERY = [
    query("limit", "letters of a page", type="integer", minimum=0, maximum=200, default=50),
    query("cursor", "what the page before said; empty: from the newest on"),
    query("reason", "exactly"), query("account", "exactly"), query("code", "exactly"),
    query("http_status", "of the last attempt", type="integer", minimum=0, maximum=999),
    query("text", "stands anywhere in the letter, whatever its case; needs the token"),
    query("since", "died at or after, Unix ms", type="integer", minimum=0),
    query("until", "died at or before, Unix ms", type="integer", minimum=0),
]
ACCOUNT_QUERY = [
    query("queue", "exactly"), query("text", "a part of the name"),
    query("state", "one of the states, or `troubled`"),
    query("offset", "how many to leave out", type="integer", minimum=0, maximum=1000000),
    query("limit", "at most so many", type="integer", minimum=0, maximum=200, default=50),
]


def pausing(name):
    verb, what = re.fullmatch("(pause|resume)(Queue|Account)", name).groups()
    return post(name, f"{verb} {'an account' if what == 'Account' else 'a queue'}", answer("all workers follow within a second", ref("Paused")),
                [400, 404], "act", body=schemas.PAUSE)


def paths():
    dead = "/api/v1/dead/{queue}"
    return {
        "/": get("dashboard", "the dashboard", answer("one page", {"type": "string"}, "text/html"), [], None),
        "/healthz": get("health", "is it alive?", health("Health"), [], None),
        "/readyz": get("ready", "does it take orders?", health("Readiness"), [], None),
        "/metrics": get("metrics", "for Prometheus", metrics(), [], None),
        "/api/v1/openapi.json": get("openapi", "this document", answer("OpenAPI 3.1", {"type": "object"}), [], "read"),
        "/api/v1/status": get("status", "everything at one look, with at most 50 accounts", answer("figures", ref("Status")), FIGURES, "read"),
        "/api/v1/queues": get("queues", "queues", answer("figures", ref("Queues")), FIGURES, "read"),
        "/api/v1/accounts": get("accounts", "accounts, those in trouble first", answer("a page", ref("Accounts")), [400, *FIGURES],
                                "read", ACCOUNT_QUERY),
        "/api/v1/workers": get("workers", "workers of this worker's queues", answer("figures", ref("Workers")), FIGURES, "read"),
        dead: get("deadLetters", "a page of dead letters, the newest first", answer("a page; it may be empty and have a cursor", ref("DeadPage")),
                  [400, 404], "read", DEAD_QUERY),
        dead + "/{id}": get("deadLetter", "one dead letter whole, with the order", answer("as it stands in Redis", ref("DeadOne")), [404], "contents"),
        dead + "/{id}/retry": post("retry", "send it back into its queue", answer("done", ref("Done")), [400, 404, 409, 422], "act",
                                   body=schemas.RETRY),
        dead + "/{id}/resolve": post("resolve", "say what became of an order whose outcome is unknown", answer("done", ref("Done")),
                                     [400, 404, 409, 422], "act", body=schemas.RESOLVE),
        dead + "/{id}/drop": post("drop", "delete it", answer("done", ref("Done")), [400, 404, 409], "act", body=schemas.NOTHING),
        "/api/v1/queues/{queue}/dead/retry": post("retryMany", "send many back into their queue", answer("done, or why not, letter by letter", ref("BulkDone")),
                              [400, 404], "act", body=schemas.IDS),
        "/api/v1/queues/{queue}/dead/drop": post("dropMany", "delete many", answer("done, or why not, letter by letter", ref("BulkDone")), [400, 404], "act",
                             body=schemas.IDS),
        "/api/v1/queues/{queue}/dead/export": post("exportMany", "many letters as lines of JSON, as `dray dead import` takes them; those that are gone are left out",
                               answer("a line each", {"type": "string"}, "application/x-ndjson"), [400, 404], "contents", body=schemas.IDS),
        "/api/v1/queues/{queue}/find": get("find", "where an order is, by its job's id or its order key", answer("what there is of it", ref("Found")),
                                           [400, 404], "read", [query("q", "the id or the key"), CURSOR]),
        "/api/v1/queues/{queue}/jobs": get("jobs", "a page of the jobs of one place", answer("a page", ref("JobPage")), [400, 404], "read", [
            query("place", "which", type="string", enum=schemas.PLACES[:4]),
            query("limit", "jobs of a page", type="integer", minimum=0, maximum=200, default=50), CURSOR]),
        "/api/v1/queues/{queue}/run": post("run", "let delayed jobs go at once", answer("how many; the others were not delayed any more", ref("RunDone")),
                                           [400, 404], "act", body=schemas.TICKETS),
        "/api/v1/queues/{queue}/pause": pausing("pauseQueue"),
        "/api/v1/queues/{queue}/resume": pausing("resumeQueue"),
        "/api/v1/queues/{queue}/accounts/{account}/pause": pausing("pauseAccount"),
        "/api/v1/queues/{queue}/accounts/{account}/resume": pausing("resumeAccount"),
    }


def with_parameters(all_paths):
    for path, item in all_paths.items():
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        if names:
            item["parameters"] = [{"name": n, "in": "path", "required": True, "description": PARAMETERS[n],
                                   "schema": {"type": "string"}} for n in names]
    return all_paths


def document(version):
    return {
        "openapi": "3.1.0",
        "info": {"title": "dray's admin server", "version": version, "license": {"name": "MIT", "identifier": "MIT"},
                 "description": "docs/admin.md says who may ask what. Times are Unix milliseconds. What a client does not know it should let "
                                "pass: objects may get further fields. HEAD works where GET does."},
        "servers": [{"url": "http://127.0.0.1:9780", "description": "`[admin] listen`"}],
        "security": [{"token": []}],
        "paths": with_parameters(paths()),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "`[admin] token`; without one the server "
                                          "listens on loopback only, and what reads or changes orders is refused"}},
            "responses": {str(status): answer(text, ref("ErrorWithFaults" if status == 422 else "Error")) for status, text in ERRORS.items()},
            "schemas": schemas.components(),
        },
    }


def main(version, output):
    data = json.dumps(document(version), ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
    rows = "\n".join("    " + "".join(f"{b}," for b in data[i:i + 20]) for i in range(0, len(data), 20))
    with open(output, "w", encoding="ascii") as out:
        out.write('/* Made by deploy/generate/openapi.py. */\n#include "admin/page.h"\n\n')
        out.write(f"const size_t openapi_len = {len(data)};\nconst unsigned char openapi_text[] = {{\n{rows}\n}};\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
