"""Every kind of bad input ends as a dead letter `invalid` that holds the exact text, and the worker lives on."""

import json

import pytest

from lib.providers import FIELDS, PROVIDERS, WRONG, fields
from lib.world import World, created, text_of

ORDER = json.dumps(PROVIDERS["kakaclo-v2"].order("KEY-1"))
GOOD = '{"id": "a", "order": %s}' % ORDER

NOT_A_JOB = {
    "nothing": b"",
    "spaces": b"  \n ",
    "text": b"hello",
    "truncated": GOOD[:-1].encode(),
    "truncated in a string": GOOD[:40].encode(),
    "truncated in an escape": b'{"id": "\\u00',
    "two values": (GOOD + GOOD).encode(),
    "something behind it": (GOOD + " x").encode(),
    "a byte order mark": b"\xef\xbb\xbf" + GOOD.encode(),
    "an array": f"[{GOOD}]".encode(),
    "a string": b'"job"',
    "a number": b"5",
    "null": b"null",
    "10 MiB": b'{"id": "a", "order": {"x": "' + b"A" * (10 << 20) + b'"}}',
    "10 MiB of nothing": b" " * (10 << 20),
    "a little over 256 KiB": b'{"id": "a", "order": {"x": "' + b"A" * (256 << 10) + b'"}}',
    "100,000 brackets": b"[" * 100000,
    "100,000 brackets, closed": b"[" * 100000 + b"]" * 100000,
    "100,000 braces": b'{"a":' * 30000 + b"1" + b"}" * 30000,
    "an order of 100,000 brackets": b'{"id": "a", "order": {"x": ' + b"[" * 100000 + b"]" * 100000 + b"}}",
    "a NUL in front": b"\x00" + GOOD.encode(),
    "a NUL in the middle": GOOD.encode().replace(b"KEY", b"K\x00Y"),
    "a NUL behind": GOOD.encode() + b"\x00",
    "a NUL as an escape in the id": b'{"id": "a\\u0000b", "order": ' + ORDER.encode() + b"}",
    "invalid UTF-8": GOOD.encode().replace(b"KEY", b"\xff\xfe"),
    "UTF-8, overlong": GOOD.encode().replace(b"KEY", b"\xc0\xaf"),
    "UTF-8, a surrogate": GOOD.encode().replace(b"KEY", b"\xed\xa0\x80"),
    "UTF-8, cut": b'{"id": "\xe5\x90',
    "Latin-1": GOOD.replace("KEY", "Schäfer").encode("latin-1"),
    "half a surrogate pair": GOOD.encode().replace(b"KEY", b"\\ud83d"),
    "NaN": b'{"id": "a", "order": {"x": NaN}}',
    "a leading zero": b'{"id": "a", "order": {"x": 01}}',
    "single quotes": b"{'id': 'a'}",
    "a comment": b'{"id": "a" /* x */}',
    "a trailing comma": GOOD[:-1].encode() + b",}",
    "a raw line break in a string": GOOD.encode().replace(b"KEY", b"K\nY"),
    "100,000 members": b'{"id": "a", "order": {' + b",".join(b'"k%d":1' % i for i in range(20000)) + b'}, "x": 1}',
    "0x1 to 0x1f": bytes(range(1, 32)),
    "RESP": b"*3\r\n$3\r\nSET\r\n",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
}


def check_letter(letter, text):
    text = text.encode() if isinstance(text, str) else text
    assert letter["reason"] == "invalid", letter["reason"]
    assert letter["attempts"] == []
    assert text_of(letter) == text, "the dead letter does not hold the exact text"
    try:
        text.decode("utf-8")
        assert letter["job"] is not None
    except UnicodeDecodeError:
        assert letter["job"] is None
    assert letter["error"]["message"]
    assert letter["error"]["faults"], "no fault is listed"
    for fault in letter["error"]["faults"]:
        assert set(fault) == {"path", "rule"} and fault["rule"]


@pytest.mark.parametrize("what", NOT_A_JOB)
def test_what_is_no_job_dies_whole(empty_redis, peer, what):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        world.push(NOT_A_JOB[what])
        check_letter(world.dead(), NOT_A_JOB[what])
        assert peer.posts == []
        world.db.delete(world.key("results"))
        world.alive()


def test_all_of_them_at_once_among_good_jobs(empty_redis, peer):
    with World(empty_redis, peer, start=False) as world:
        peer.default = lambda request: created(world.provider, request)
        for n, text in enumerate(NOT_A_JOB.values()):
            world.push(world.job(f"good-{n}"), text)
        world.start()
        letters = world.wait_dead(len(NOT_A_JOB), 60)
        assert sorted(map(text_of, letters)) == sorted(NOT_A_JOB.values())
        good = set()
        while len(good) < len(NOT_A_JOB):
            result = world.result()
            if result["status"] == "created":
                good.add(result["id"])
        assert len(peer.posts) == len(NOT_A_JOB)


ENVELOPES = {
    "no id": ({"order": ...}, "id"),
    "an empty id": ({"id": "", "order": ...}, "id"),
    "a long id": ({"id": "x" * 129, "order": ...}, "id"),
    "a number as id": ({"id": 5, "order": ...}, "id"),
    "null as id": ({"id": None, "order": ...}, "id"),
    "no order": ({"id": "a"}, "order"),
    "an array as order": ({"id": "a", "order": []}, "order"),
    "a text as order": ({"id": "a", "order": "{}"}, "order"),
    "null as order": ({"id": "a", "order": None}, "order"),
    "an unknown field": ({"id": "a", "order": ..., "priority": 1}, "priority"),
    "no such account": ({"id": "a", "order": ..., "account": "nobody"}, "account"),
    "a number as account": ({"id": "a", "order": ..., "account": 1}, "account"),
    "a number as order key": ({"id": "a", "order": ..., "order_key": 1}, "order_key"),
    "an empty order key": ({"id": "a", "order": ..., "order_key": ""}, "order_key"),
    "a long order key": ({"id": "a", "order": ..., "order_key": "x" * 257}, "order_key"),
    "not_before as words": ({"id": "a", "order": ..., "not_before": "tomorrow"}, "not_before"),
    "not_before as a day": ({"id": "a", "order": ..., "not_before": "2024-02-30T00:00:00Z"}, "not_before"),
    "expires_at as an object": ({"id": "a", "order": ..., "expires_at": {}}, "expires_at"),
    "expires_at with a fraction": ({"id": "a", "order": ..., "expires_at": 1.5}, "expires_at"),
    "enqueued_at as words": ({"id": "a", "order": ..., "enqueued_at": "now"}, "enqueued_at"),
    "max_attempts of zero": ({"id": "a", "order": ..., "max_attempts": 0}, "max_attempts"),
    "max_attempts below zero": ({"id": "a", "order": ..., "max_attempts": -1}, "max_attempts"),
    "max_attempts as a text": ({"id": "a", "order": ..., "max_attempts": "3"}, "max_attempts"),
    "a number as reply_to": ({"id": "a", "order": ..., "reply_to": 1}, "reply_to"),
    "reply_to elsewhere": ({"id": "a", "order": ..., "reply_to": "list"}, "reply_to"),
    "a number as traceparent": ({"id": "a", "order": ..., "traceparent": 1}, "traceparent"),
    "a bad traceparent": ({"id": "a", "order": ..., "traceparent": "00-1-1-1"}, "traceparent"),
    "5 KiB of meta": ({"id": "a", "order": ..., "meta": "m" * 5120}, "meta"),
}


@pytest.mark.parametrize("what", ENVELOPES)
def test_a_fault_of_the_envelope_is_named(empty_redis, peer, what):
    job, path = ENVELOPES[what]
    text = json.dumps({k: (json.loads(ORDER) if v is ... else v) for k, v in job.items()})
    with World(empty_redis, peer) as world:
        world.push(text)
        letter = world.dead()
        check_letter(letter, text)
        assert path in [f["path"] for f in letter["error"]["faults"]], letter["error"]
        assert path in letter["error"]["message"]
        if path == "id":  # nobody to answer to
            world.no_result()
        else:
            result = world.result()
            assert (result["id"], result["status"]) == ("a", "failed")
            assert result["error"]["reason"] == "invalid"
            assert result["error"]["dead_id"] == letter["dead_id"]
        assert peer.posts == []


def test_a_name_given_twice_is_a_fault(empty_redis, peer):
    with World(empty_redis, peer) as world:
        text = '{"id": "a", "order": %s, "id": "b"}' % ORDER
        world.push(text)
        letter = world.dead()
        check_letter(letter, text)
        assert "id" in [f["path"] for f in letter["error"]["faults"]]


def test_all_faults_are_listed_and_no_value_is_quoted(empty_redis, peer):
    with World(empty_redis, peer) as world:
        order = world.provider.order(5)
        order["orderItemsList"] = [{"sku": "A", "quantity": 1}, {"sku": "S" * 65, "quantity": 0}, {"quantity": "many"}]
        del order["orderAddresses"]["country"]
        order["orderAddresses"]["phone"] = "Secret" * 20
        world.push(world.job("a", order=order, max_attempts=-3, meta="m"))
        letter = world.dead()
        assert {f["path"] for f in letter["error"]["faults"]} == {
            "max_attempts", "order.customOrderId", "order.orderAddresses.country", "order.orderAddresses.phone",
            "order.orderItemsList[1].sku", "order.orderItemsList[1].quantity", "order.orderItemsList[2].sku",
            "order.orderItemsList[2].quantity"}
        assert "Secret" not in json.dumps(letter["error"]) and "many" not in json.dumps(letter["error"])
        assert "must be at least 1" in json.dumps(letter["error"]["faults"])
        result = world.result()
        assert result["error"]["faults"] == letter["error"]["faults"]
        assert result["meta"] == "m"


def refusals(redis, peer, name, cases):
    """Pushes an order per case and checks that each died for that path. `cases`: (what, path, order)."""
    with World(redis, peer, name, start=False) as world:
        peer.default = lambda request: created(world.provider, request)
        texts = {f"{n}": world.job(f"{n}", order=order) for n, (_, _, order) in enumerate(cases)}
        world.push(*texts.values())
        world.start()
        letters = {}
        for letter in world.wait_dead(len(cases), 60) if cases else []:
            letters[json.loads(letter["job"])["id"]] = letter
        wrong = []
        for n, (what, path, _) in enumerate(cases):
            letter = letters[f"{n}"]
            check_letter(letter, texts[f"{n}"])
            found = [f["path"] for f in letter["error"]["faults"]]
            if "order." + path not in found:
                wrong.append(f"{what}: {path}: faults are {found}")
        assert not wrong, "\n".join(wrong)
        assert peer.posts == []
        world.db.delete(world.key("results"))
        world.alive()


@pytest.mark.parametrize("name", list(FIELDS))
def test_each_required_field_missing(empty_redis, peer, name):
    cases = []
    for field in fields(name):
        if field.required:
            order = PROVIDERS[name].order()
            field.change(order, ...)
            cases.append(("missing", field.path, order))
    assert len(cases) > 5
    refusals(empty_redis, peer, name, cases)


@pytest.mark.parametrize("name", list(FIELDS))
def test_each_required_field_null(empty_redis, peer, name):
    cases = []
    for field in fields(name):
        if field.required:
            order = PROVIDERS[name].order()
            field.change(order, None)
            cases.append(("null", field.path, order))
    refusals(empty_redis, peer, name, cases)


@pytest.mark.parametrize("name", list(FIELDS))
def test_each_field_of_another_type(empty_redis, peer, name):
    cases = []
    for field in fields(name):
        for value in WRONG[field.type]:
            order = PROVIDERS[name].order()
            field.change(order, value)
            cases.append((f"{value!r}", field.path, order))
    refusals(empty_redis, peer, name, cases)


@pytest.mark.parametrize("name", ["kakaclo-v2", "kakaclo-v1", "kakaclo-custom"])
def test_each_field_too_long(empty_redis, peer, name):
    cases = []
    for field in fields(name):
        if field.max:
            order = PROVIDERS[name].order()
            field.change(order, "é" * (field.max + 1))
            cases.append(("too long", field.path, order))
    assert len(cases) > 5
    refusals(empty_redis, peer, name, cases)


@pytest.mark.parametrize("name", ["kakaclo-v2", "kakaclo-v1", "kakaclo-custom"])
def test_each_field_as_long_as_allowed(empty_redis, peer, name):
    """Characters are counted, not bytes."""
    with World(empty_redis, peer, name) as world:
        peer.default = lambda request: created(world.provider, request)
        order = world.provider.order()
        for field in fields(name):
            if field.max and field.path != "channelType":
                field.change(order, "é" * field.max)
        world.push(world.job("a", order=order))
        result = world.result()
        assert result["status"] == "created", result


def test_vu_b2b_only_for_b2b(empty_redis, peer):
    with World(empty_redis, peer, "vu") as world:
        peer.default = lambda request: created(world.provider, request)
        order = world.provider.order("KEY-1")
        del order["order"]["b2b"]
        world.push(world.job("b2b", order=order))
        assert [f["path"] for f in world.dead()["error"]["faults"]] == ["order.order.b2b"]
        order["order"]["sales_channel"] = "b2c"
        world.push(world.job("b2c", order=order))
        assert world.results_by_id(2)["b2c"]["status"] == "created"


@pytest.mark.parametrize("name,changes", [
    ("kakaclo-v2", {"orderAddress": "same"}), ("kakaclo-v1", {"orderAddress": "same"}), ("s2", {"item": "same"})])
def test_the_documents_other_names_are_taken(empty_redis, peer, name, changes):
    with World(empty_redis, peer, name) as world:
        peer.default = lambda request: created(world.provider, request)
        order = world.provider.order("KEY-1")
        [other] = changes
        order[other] = order.pop("items" if name == "s2" else "orderAddresses")
        world.push(world.job("a", order=order))
        assert world.result()["status"] == "created"


def test_a_wrong_type_in_the_jobs_list_key_is_survived(empty_redis, peer):
    """Somebody made `jobs` a string: dray says so, takes nothing, and goes on when it is put right."""
    empty_redis.client.set("dray:{orders}:jobs", "oops")
    with World(empty_redis, peer, start=False) as world:
        peer.default = lambda request: created(world.provider, request)
        world.daemon.launch()
        world.daemon.process.wait_line(lambda line: "WRONGTYPE" in line, 15)
        world.db.delete(world.key("jobs"))
        world.send("a")
        assert world.result(30)["status"] == "created"
