"""What dray writes, held against what it says it writes: docs/schema/. The schemas let pass further fields, for consumers
that are older than the worker; here a field that no schema names is a fault, so that the schemas stay whole."""

import functools
import json
import os
import re
import urllib.parse

import jsonschema

from .process import ROOT

FOLDER = os.path.join(ROOT, "docs", "schema")
HOW = "if the change is meant: deploy/generate/{}.py, then deploy/generate/schema.py build/dray"


@functools.cache
def load(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as f:
        return json.load(f)


def whole(schema):
    """A copy in which an object has no properties but those that are named."""
    if isinstance(schema, list):
        return [whole(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    copy = {k: whole(v) for k, v in schema.items()}
    if "object" in str(schema.get("type", "")) and isinstance(schema.get("properties"), dict):
        copy.setdefault("additionalProperties", False)
    return copy


@functools.cache
def validator(name):
    return jsonschema.Draft202012Validator(whole(load(f"{name}.schema.json")))


def faults(found):
    return "; ".join(f"{'.'.join(map(str, e.absolute_path)) or '(all)'}: {e.message[:300]}" for e in found)


def check_envelope(name, text):
    """`name`: job, result, dead-letter. Returns what `text` says."""
    value = json.loads(text)
    wrong = faults(validator(name).iter_errors(value))
    assert not wrong, f"a {name} that its schema does not describe: {wrong}\n{text}\n({HOW.format('envelopes')})"
    return value


def result(text):
    return check_envelope("result", text)


def dead_letter(text):
    return check_envelope("dead-letter", text)


# -- the admin API -----------------------------------------------------------------------------------


@functools.cache
def api():
    return load("openapi.json")


@functools.cache
def of_api(schema_text):
    return jsonschema.Draft202012Validator({**json.loads(schema_text), "components": whole(api()["components"])})


def conforms(schema, value, what):
    wrong = faults(of_api(json.dumps(whole(schema))).iter_errors(value))
    assert not wrong, f"{what}: {wrong} ({HOW.format('api_schemas')})"


def path_item(path):
    """The document's entry for a path; None: it has none."""
    for pattern, item in api()["paths"].items():
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(pattern)), path):
            return item
    return None


def check_exchange(method, target, body, answer):
    """One request to an admin server and its answer, against the OpenAPI document."""
    path, _, query = target.partition("?")
    what = f"{method} {target[:200]}: {answer.status}"
    if answer.status in (400, 414, 431) and not answer.body.startswith(b"{"):
        return  # libmicrohttpd's own, of what it could not read
    item = path_item(path)
    if item is None:
        assert answer.status == 404, f"{what}: openapi.json has no such path"
    operation = (item or {}).get({"HEAD": "get"}.get(method, method.lower()))
    if operation is None:
        assert answer.status == (404 if item is None else 405), f"{what}: openapi.json has no such method"
        answers = {str(answer.status): {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}}
    else:
        answers = operation["responses"]
    assert str(answer.status) in answers, f"{what}: openapi.json names {sorted(answers)} ({HOW.format('openapi')})"
    described = answers[str(answer.status)]
    if "$ref" in described:
        described = api()["components"]["responses"][described["$ref"].rpartition("/")[2]]
    media = answer.headers["Content-Type"].split(";")[0]
    assert media in described["content"], what
    if media == "application/json" and method != "HEAD":
        conforms(described["content"][media]["schema"], json.loads(answer.body), what)
    if operation is not None and answer.status == 200:
        check_request(operation, query, body, what)


def check_request(operation, query, body, what):
    """What was asked for with success is documented, too."""
    known = {p["name"]: p["schema"] for p in operation.get("parameters", [])}
    for name, value in urllib.parse.parse_qsl(query):
        assert name in known, f"{what}: openapi.json has no parameter {name}"
        conforms(known[name], int(value) if known[name]["type"] == "integer" else value, what)
    if body:
        value = json.loads(body) if isinstance(body, (str, bytes)) else body
        conforms(operation["requestBody"]["content"]["application/json"]["schema"], value, what)
