"""What a consumer pops: ids digit for digit, orders byte for byte, everything the producer gave back."""

import json
import time

import pytest

from lib.peer import Answer
from lib.providers import BIG_ID, PROVIDERS
from lib.world import World, created


def raw_member(text, name):
    """The raw text of a member of a JSON object, found without reading numbers."""
    start = text.index(f'"{name}":') + len(name) + 3
    while text[start] == " ":
        start += 1
    _, end = json.JSONDecoder(parse_float=str, parse_int=str).raw_decode(text, start)
    return text[start:end]


@pytest.mark.parametrize("name", ["kakaclo-v2", "kakaclo-v1", "kakaclo-custom"])
@pytest.mark.parametrize("data,ids", [
    ("1000000371651", ["1000000371651"]),
    (str(BIG_ID), [str(BIG_ID)]),
    ("18446744073709551615", ["18446744073709551615"]),
    ("123456789012345678901234567890", ["123456789012345678901234567890"]),
    ('"C202401164058"', ["C202401164058"]),
    ('[1853726451928473601, "1853726451928473602"]', ["1853726451928473601", "1853726451928473602"]),
    ('{"kkOrderIds": [1853726451928473601, 1853726451928473602], "status": 0}',
     ["1853726451928473601", "1853726451928473602"]),
    ('[{"kkOrderId": 1853726451928473601, "sku": "A"}, {"id": "1853726451928473602"}]',
     ["1853726451928473601", "1853726451928473602"]),
])
def test_kakaclo_ids_digit_for_digit(empty_redis, peer, name, data, ids):
    with World(empty_redis, peer, name) as world:
        peer.default = Answer(200, '{"code": 10000, "message": "ok", "data": %s}' % data)
        world.send()
        result = world.result()
        assert (result["status"], result["order_id"], result["order_ids"]) == ("created", ids[0], ids)
        parts = json.loads(data) if data.startswith("[{") else []
        assert result["parts"] == [{"order_id": i, "order": part} for i, part in zip(ids, parts)]


@pytest.mark.parametrize("name", ["s2", "vu"])
def test_the_order_object_comes_byte_for_byte(empty_redis, peer, name):
    with World(empty_redis, peer, name) as world:
        peer.default = lambda request: created(world.provider, request)
        text = world.send("one", "KEY-1")
        raw = world.raw_result().decode()
        answer = world.provider.answer(json.loads(text)["order"]).decode()
        expected = answer if name == "s2" else answer[len('{"order": '):-1]
        assert raw_member(raw, "order") == expected
        assert json.loads(raw)["order_id"] == str(world.provider.id_for("KEY-1"))


def test_vu_ids_digit_for_digit(empty_redis, peer):
    with World(empty_redis, peer, "vu") as world:
        peer.default = Answer(200, '{"order": {"id": %d, "order_number": "KEY-1"}}' % BIG_ID)
        world.send("one", "KEY-1")
        assert world.result()["order_id"] == str(BIG_ID)


WEIRD = ('{"orderItemsList" : [ {"quantity":1,"sku":"A","unitPrice":9.990,"big":1853726451928473601,'
         '"exp":1.50E+2 , "neg":-0.0 } ],\t"zz":1,"aa":{"b":2,"a":1},\n "remark":"\\u542c\\u96e8 \\/ 听雨 \\"q\\"",'
         '"orderAddresses":{"zip":"1","country":"US","phone":"1","recipient":"R","province":"P"},'
         '"customOrderId":"W-1"}')


def test_the_provider_gets_the_bytes_that_were_pushed(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        world.push(world.job("one", order=WEIRD))
        assert world.result()["status"] == "created"
        assert peer.posts[0].body == WEIRD.encode()


def test_bytes_are_the_same_on_every_attempt(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.script = [Answer(503), Answer(503)]
        peer.default = lambda request: created(world.provider, request)
        world.push(world.job("one", order=WEIRD))
        world.result()
        assert [p.body for p in peer.posts] == [WEIRD.encode()] * 3


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_every_provider_gets_its_example_as_it_is(empty_redis, peer, name):
    with World(empty_redis, peer, name) as world:
        peer.default = lambda request: created(world.provider, request)
        text = json.dumps(world.provider.example, indent=2, ensure_ascii=False)
        world.push(world.job("one", order=text))
        assert world.result()["status"] == "created"
        assert peer.posts[0].body == text.encode()


@pytest.mark.parametrize("meta", ["null", "1e400", '"text"', '{"b": 1.10, "a": [1,  2]}', "[]", "-0", "true"])
def test_meta_comes_back_as_it_was(empty_redis, peer, meta):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        world.push('{"meta": %s, "id": "one", "order": %s}' % (meta, json.dumps(world.provider.order("K"))))
        assert raw_member(world.raw_result().decode(), "meta") == meta


def test_meta_comes_back_with_a_failure(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = Answer(422)
        world.send("one", meta={"tenant": 7})
        result = world.result()
        assert (result["status"], result["meta"]) == ("failed", {"tenant": 7})


def test_no_meta_is_null(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        world.send("one")
        result = world.result()
        assert result["meta"] is None


@pytest.mark.parametrize("good", [True, False])
def test_reply_to_is_another_list(empty_redis, peer, good):
    with World(empty_redis, peer) as world:
        peer.default = (lambda request: created(world.provider, request)) if good else Answer(422)
        reply = "shop7:{orders}:answers"
        world.send("one", reply_to=reply)
        result = world.result(queue_key=reply)
        assert (result["id"], result["status"]) == ("one", "created" if good else "failed")
        world.no_result()


@pytest.mark.parametrize("reply", ["elsewhere", "{other}:answers", "a{orders", "{}orders{orders}", 7])
def test_reply_to_in_another_slot_is_refused(empty_redis, peer, reply):
    with World(empty_redis, peer) as world:
        world.send("one", reply_to=reply)
        letter = world.dead()
        assert letter["reason"] == "invalid"
        assert any(f["path"] == "reply_to" for f in letter["error"]["faults"]), letter["error"]
        assert world.result()["status"] == "failed"
        assert peer.posts == []


def test_traceparent_is_forwarded(empty_redis, peer):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        world.send("one", traceparent=parent)
        world.send("two")
        world.results(2)
        by_key = {p.json["customOrderId"]: p for p in peer.posts}
        assert by_key["K-one"].headers["traceparent"] == parent
        assert "traceparent" not in by_key["K-two"].headers
        world.daemon.process.wait_line(lambda line: "0af7651916cd43dd8448eb211c80319c" in line)


@pytest.mark.parametrize("bad", ["00-zz", "x\r\nInjected: 1", "", 5])
def test_a_bad_traceparent_never_reaches_the_provider(empty_redis, peer, bad):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        world.send("one", traceparent=bad)
        assert world.dead()["reason"] == "invalid"
        assert peer.posts == []


def test_times_are_unix_milliseconds(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        before = int(time.time() * 1000)
        world.send("one", enqueued_at=before - 5000)
        world.send("two", enqueued_at="2024-04-24T06:00:33.889Z")
        results = world.results_by_id(2)
        after = int(time.time() * 1000)
        one = results["one"]
        assert one["enqueued_at"] == before - 5000
        assert results["two"]["enqueued_at"] == 1713938433889
        assert before <= one["finished_at"] <= after
        assert isinstance(one["duration_ms"], int) and 0 <= one["duration_ms"] <= after - before + 5000


@pytest.mark.parametrize("id", ["shop-7/1001", "听雨", 'a"b\\c', "x" * 128, "\u2028 x", "é" * 128])
def test_the_id_is_echoed(empty_redis, peer, id):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        world.send(id, "KEY-1")
        result = world.result()
        assert (result["id"], result["status"]) == (id, "created")


def test_an_id_with_escapes_is_echoed_as_the_same_text(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        world.push('{"id": "\\u0041\\ud83d\\ude00\\/", "order": %s}' % json.dumps(world.provider.order("K")))
        assert world.result()["id"] == "A\U0001f600/"


def test_accounts_of_different_providers_share_a_queue(empty_redis, peer):
    accounts = {name: {"provider": name} for name in PROVIDERS}
    with World(empty_redis, peer, accounts=accounts) as world:
        by_path = {p.path: p for p in PROVIDERS.values()}
        peer.default = lambda request: created(by_path[request.path], request)
        for name, provider in PROVIDERS.items():
            world.push(world.job(name, f"KEY-{name}", provider=provider, account=name))
        results = world.results_by_id(len(PROVIDERS))
        assert {r["status"] for r in results.values()} == {"created"}
        for name, result in results.items():
            assert (result["provider"], result["account"]) == (name, name)
        for post in peer.posts:
            assert post.headers["authorization"] == by_path[post.path].authorization


def test_many_orders_all_come_back(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        count = 500
        pipe = world.db.pipeline()
        for n in range(count):
            pipe.lpush(world.key("jobs"), world.job(f"j{n}"))
        pipe.execute()
        results = world.results_by_id(count, 60)
        assert len(results) == count and {r["status"] for r in results.values()} == {"created"}
        assert len({p.json["customOrderId"] for p in peer.posts}) == len(peer.posts) == count
        assert peer.connections <= 64


@pytest.mark.parametrize("key", ["jobs", "dead", "stats", "claims:x", "batch:x:1", "order:shop:K", "grant:x", "delayed"])
def test_a_reply_to_that_is_one_of_drays_own_keys_is_refused(empty_redis, peer, key):
    with World(empty_redis, peer) as world:
        world.send("one", reply_to="dray:{orders}:" + key)
        result = world.result()
        assert result["status"] == "failed"
        assert result["error"]["faults"] == [
            {"path": "reply_to", "rule": "must not be one of the queue's own keys"}]
        assert not peer.posts
