"""docs/schema/: written from the program's tables, sound in itself, and of one mind with the worker about what is a job
and what an order. That envelopes and API answers are as described, every test that takes one sees (lib/contract.py)."""

import copy
import json
import os
import re
import subprocess
import sys

import jsonschema
import pytest

from lib import contract
from lib.admin import AdminWorld
from lib.process import DRAY, ROOT, clean_env
from lib.providers import PROVIDERS
from lib.world import World, created

sys.path.insert(0, os.path.join(ROOT, "deploy", "generate"))

NAMES = sorted(n for n in os.listdir(contract.FOLDER) if n.endswith(".schema.json"))
ORDERS = [n[len("order-"):-len(".schema.json")] for n in NAMES if n.startswith("order-")]


def test_they_are_what_the_program_says():
    import schema
    for name, document in schema.documents(DRAY).items():
        with open(os.path.join(contract.FOLDER, name), encoding="utf-8") as f:
            assert f.read() == schema.text(document), f"{name}: run deploy/generate/schema.py build/dray"
    assert sorted(schema.documents(DRAY)) == sorted(os.listdir(contract.FOLDER))


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_one(name):
    jsonschema.Draft202012Validator.check_schema(contract.load(name))


def test_the_api_document_is_whole():
    api = contract.api()
    assert api["openapi"] == "3.1.0"
    operations = [o for item in api["paths"].values() for method, o in item.items() if method in ("get", "post")]
    assert len({o["operationId"] for o in operations}) == len(operations)
    for path, item in api["paths"].items():
        assert re.findall(r"{(\w+)}", path) == [p["name"] for p in item.get("parameters", [])], path
    for target in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(api))):
        here = api
        for part in target.split("/"):
            here = here[part]
    for schema in api["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_the_api_document_has_the_servers_routes():
    with open(os.path.join(ROOT, "src", "admin", "route.c"), encoding="utf-8") as f:
        routes = re.findall(r'^    \{"(GET|POST)", "([^"]+)"', f.read(), re.M)
    described = [(m.upper(), re.sub(r"{\w+}", ":", path)) for path, item in contract.api()["paths"].items()
                 for m in item if m in ("get", "post")]
    assert sorted(routes) == sorted(described)


def test_a_worker_serves_its_document(empty_redis, peer):
    with AdminWorld(empty_redis, peer) as world:
        served = world.get("/api/v1/openapi.json")
        assert served == contract.api()
        assert world.ask("/api/v1/openapi.json", token=None).status == 401
    with AdminWorld(empty_redis, peer, token=None) as world:
        assert world.get("/api/v1/openapi.json")["info"]["version"] == served["info"]["version"]


JOBS = [  # what is changed in a good job, and whether it is one then
    ({}, True), ({"id": "x" * 128}, True), ({"id": "x" * 129}, False), ({"id": ""}, False), ({"id": 7}, False), ({"id": "a\tb"}, False),
    ({"id": None}, False), ({"order": []}, False), ({"order": None}, False), ({"account": "shop"}, True), ({"account": 1}, False),
    ({"order_key": "k"}, True), ({"order_key": ""}, False), ({"order_key": "k" * 257}, False), ({"not_before": 10 ** 11}, True), ({"not_before": 1795448588}, False),
    ({"not_before": "2020-01-01T00:00:00Z"}, True), ({"not_before": 1.5}, False), ({"not_before": -1}, False), ({"enqueued_at": True}, False),
    ({"max_attempts": 1}, True), ({"max_attempts": 0}, False), ({"max_attempts": "1"}, False),
    ({"reply_to": "dray:{orders}:mine"}, True), ({"reply_to": "mine"}, False), ({"reply_to": "{orders}" + "m" * 600}, False),
    ({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}, True), ({"traceparent": f"00-{'0' * 32}-{'b' * 16}-01"}, False),
    ({"traceparent": "00"}, False), ({"meta": [1, {"a": None}]}, True), ({"ordr": 1}, False),
]


def test_the_worker_and_the_schema_agree_on_jobs(empty_redis, peer):
    peer.default = lambda request: created(world.provider, request)
    with World(empty_redis, peer) as world:
        for n, (change, good) in enumerate(JOBS):
            job = {"id": f"job-{n}", "order": world.provider.order(f"K-{n}"), **change}
            text = json.dumps({k: v for k, v in job.items() if v is not None})
            assert contract.validator("job").is_valid(json.loads(text)) == good, (change, good)
            world.push(text)
            if good:
                assert world.result(queue_key=change.get("reply_to"))["status"] == "created", change
            else:
                assert world.wait_dead()[0]["reason"] == "invalid", change
                empty_redis.client.delete(world.key("dead"), world.key("dead:entries"), world.key("results"))


def places(value, path=()):
    """Every member of every object."""
    if isinstance(value, dict):
        for name in value:
            yield (*path, name)
            yield from places(value[name], (*path, name))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def changed(order, path, value):
    order = copy.deepcopy(order)
    *way, last = path
    here = order
    for part in way:
        here = here[part]
    if value is None:
        del here[last]
    else:
        here[last] = value
    return order


def accepted(provider, order, folder):
    path = folder / "order.json"
    path.write_text(json.dumps(order))
    return subprocess.run([DRAY, "validate", provider, str(path)], capture_output=True, env=clean_env()).returncode == 0


# What a module's own rules refuse beyond its table: S2's list that must be empty, VU's b2b.
BEYOND = {"meta", "b2b"}


@pytest.mark.parametrize("name", ORDERS)
def test_the_worker_and_the_schema_agree_on_orders(name, tmp_path):
    """Without each of its members, and with one of the wrong type."""
    check = jsonschema.Draft202012Validator(contract.load(f"order-{name}.schema.json")).is_valid
    order = PROVIDERS[name].order("K-1")
    assert check(order) and accepted(name, order, tmp_path)
    for path in places(order):
        for value in (None, [[]], ""):
            other = changed(order, path, value)
            fits, goes = check(other), accepted(name, other, tmp_path)
            assert fits == goes or (fits and path[-1] in BEYOND), (path, value)
