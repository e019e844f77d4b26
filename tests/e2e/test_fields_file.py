"""`fields_file`: http-json checks orders by a table, as the other modules do."""

import json
import subprocess

import pytest

from lib.daemon import ini
from lib.peer import Answer
from lib.process import DRAY, clean_env
from e2e.test_http_json import BASE, Api

TABLE = """
# an order of the shop
ref               string   required max=12
items             array    required
items[].sku       string   required max=8
items[].quantity  integer  required min=1 max=99
items[].note      string
ship_to.country   string   required max=2
ship_to.company   string   required empty
tags[]            string   max=5
paid              boolean
total             number
extra             any
"""
ORDER = {"ref": "A-1", "items": [{"sku": "S1", "quantity": 2}], "ship_to": {"country": "DE", "company": ""}, "tags": ["a", "b"],
         "paid": True, "total": 9.99, "extra": {"x": []}, "unknown": 1}


@pytest.fixture
def desk(tmp_path):
    (tmp_path / "tables").mkdir()

    def run(order, table=TABLE):
        (tmp_path / "tables" / "fields").write_text(table)
        (tmp_path / "dray.ini").write_text(ini({"account shop": {**BASE, "base_url": "https://h.example",
                                                                 "fields_file": "tables/fields"}}))
        (tmp_path / "order.json").write_text(json.dumps(order))
        done = subprocess.run([DRAY, "try", "shop", "order.json", "-c", "dray.ini", "--dry-run"], cwd=tmp_path, env=clean_env(),
                              capture_output=True, text=True)
        return done.returncode, done.stderr
    return run


def changed(**members):
    return {k: v for k, v in {**ORDER, **members}.items() if v is not ...}


def test_an_order_that_fits(desk):
    assert desk(ORDER) == (0, "")
    assert desk(changed(tags=..., paid=None, ship_to=...))[0] == 0


@pytest.mark.parametrize("order, said", [
    (changed(ref=...), "order.ref: is required"),
    (changed(ref=""), "order.ref: must not be empty"),
    (changed(ref="x" * 13), "order.ref: must be at most 12 characters"),
    (changed(items=[]), "order.items: must not be empty"),
    (changed(items={}), "order.items: must be an array"),
    (changed(items=[{"sku": "S1"}]), "order.items[0].quantity: is required"),
    (changed(items=[{"sku": "S1", "quantity": 0}]), "order.items[0].quantity: must be at least 1"),
    (changed(items=[{"sku": "S1", "quantity": 100}]), "order.items[0].quantity: must be at most 99"),
    (changed(items=[{"sku": "S1", "quantity": 1}, {"sku": 5, "quantity": 1}]), "order.items[1].sku: must be a string"),
    (changed(ship_to={"company": "x"}), "order.ship_to.country: is required"),
    (changed(tags=["a", "toolong"]), "order.tags[1]: must be at most 5 characters"),
    (changed(paid="yes"), "order.paid: must be"),
    (changed(total="9"), "order.total: must be a number"),
])
def test_an_order_that_does_not(desk, order, said):
    code, text = desk(order)
    assert code == 1 and said in text, text


def test_a_member_that_is_nearly_known_is_warned_of(desk, empty_redis, tmp_path):
    desk(ORDER)
    (tmp_path / "orders").write_text(json.dumps({"id": "1", "order": {**ORDER, "shipTo": {}}}))
    with open(tmp_path / "dray.ini", "a") as f:
        f.write(f"[redis]\nurl = {empty_redis.url}\n")
    run = subprocess.run([DRAY, "push", BASE["queue"], "orders", "-c", "dray.ini", "--dry-run"], cwd=tmp_path, env=clean_env(),
                         capture_output=True, text=True)
    assert run.returncode == 0 and "ship_to is meant" in run.stdout + run.stderr, run.stdout + run.stderr


@pytest.mark.parametrize("table, said", [
    ("", "holds no field"),
    ("ref\n", "line 1: 'ref' needs a type"),
    ("ref text\n", "line 1: 'text' is none of string, integer"),
    ("ref string\n\nref string\n", "line 3: 'ref' stands already"),
    ("ref string soon\n", "line 1: 'soon' is none of required"),
    ("ref string max=0\n", "line 1: 'max=0' is none of"),
    ("a..b string\n", "line 1: 'a..b' is no path"),
    ("a[0].b string\n", "is no path"),
    ("a string\na.b string\n", "line 2: 'a.b' stands below a field that is no object"),
    ("a array\na.b string\n", "line 2: 'a.b' leads through a list"),
    ("a object\na[].b string\n", "line 2: 'a[].b' leads through a field that another line calls no list"),
    ("a[].b string\na object\n", "line 2: 'object' is not what the paths of other lines say"),
    ("a boolean max=5\n", "has a bound that its type does not know"),
    ("a[] integer\n", "can't be said of the elements of a list"),
    ("".join(f"f{n} string\n" for n in range(65)), "line 65: more than 64 fields of one object"),
])
def test_a_table_with_a_fault_is_refused(desk, table, said):
    code, text = desk(ORDER, table)
    assert code == 2 and said in text and "fields_file" in text, text


def test_a_worker_refuses_what_does_not_fit(empty_redis, peer, tmp_path):
    peer.default = Answer(201, {"id": 7})
    (tmp_path / "fields").write_text(TABLE)
    with Api(empty_redis, peer.url, {"fields_file": str(tmp_path / "fields")}) as api:
        error = api.order('{"ref": "A-1", "items": []}')["error"]
        assert error["reason"] == "invalid" and error["faults"] == [{"path": "order.items", "rule": "must not be empty"}]
        assert api.order(json.dumps(ORDER), id="job-2")["status"] == "created"
    assert len(peer.posts) == 1
