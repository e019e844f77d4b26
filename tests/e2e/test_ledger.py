"""The ledger: one order per account and order key, whatever producers push."""

import json

import pytest

from lib.peer import Answer, HangUp, Peer
from lib.providers import PROVIDERS
from lib.wait import stays_true
from lib.world import World, created


@pytest.fixture
def good_peer():
    """Creates every order; World sets its provider."""
    with Peer() as one:
        yield one


def good(world, peer):
    peer.default = lambda request: created(world.provider, request)
    return world


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_two_jobs_with_one_key_make_one_order(empty_redis, good_peer, name):
    with good(World(empty_redis, good_peer, name), good_peer) as world:
        world.send("first", "KEY-1")
        one = world.result()
        world.send("second", "KEY-1")
        two = world.result()
        assert (one["id"], one["status"]) == ("first", "created")
        assert (two["id"], two["status"]) == ("second", "duplicate")
        assert two["order_id"] == one["order_id"] == str(world.provider.id_for("KEY-1"))
        assert two["order_key"] == "KEY-1"
        assert two["error"] is None
        assert len(good_peer.posts) == 1
        assert world.dead_letters() == []


def test_the_same_job_pushed_twice_makes_one_order(empty_redis, good_peer):
    with good(World(empty_redis, good_peer), good_peer) as world:
        text = world.job("same", "KEY-1")
        world.push(text, text)
        results = world.results(2)
        assert sorted(r["status"] for r in results) == ["created", "duplicate"]
        assert len(good_peer.posts) == 1


def test_many_at_once_make_one_order(empty_redis, good_peer):
    with World(empty_redis, good_peer, start=False) as world:
        good_peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=0.2)
        world.push(*[world.job(f"j{n}", "KEY-1") for n in range(50)])
        world.start()
        results = world.results(50)
        assert sorted(r["status"] for r in results) == ["created"] + ["duplicate"] * 49
        assert {r["id"] for r in results} == {f"j{n}" for n in range(50)}
        assert len({r["order_id"] for r in results}) == 1
        assert len(good_peer.posts) == 1


def test_two_workers_make_one_order_of_each_key(empty_redis, good_peer):
    with good(World(empty_redis, good_peer, worker={"name": "a"}), good_peer) as world:
        with World(empty_redis, good_peer, worker={"name": "b"}):
            for n in range(40):
                world.push(world.job(f"x{n}", f"KEY-{n}"), world.job(f"y{n}", f"KEY-{n}"))
            results = world.results(80)
            assert sorted(r["status"] for r in results) == ["created"] * 40 + ["duplicate"] * 40
            assert len(good_peer.posts) == 40


def test_a_key_that_is_being_sent_waits_for_the_outcome(empty_redis, good_peer):
    with World(empty_redis, good_peer) as world:
        good_peer.script = [Answer(200, world.provider.answer({}), delay=1.0)]
        good_peer.default = HangUp()
        world.send("first", "KEY-1")
        good_peer.wait_posts(1)
        world.send("second", "KEY-1")
        assert [r["status"] for r in world.results(2)] == ["created", "duplicate"]
        assert len(good_peer.posts) == 1


def test_a_key_that_is_being_sent_is_free_when_that_fails(empty_redis, good_peer):
    with World(empty_redis, good_peer) as world:
        good_peer.script = [Answer(422, delay=0.5)]
        good_peer.default = lambda request: created(world.provider, request)
        world.send("first", "KEY-1")
        good_peer.wait_posts(1)
        world.send("second", "KEY-1")
        results = world.results_by_id(2)
        assert (results["first"]["status"], results["second"]["status"]) == ("failed", "created")
        assert len(good_peer.posts) == 2


def test_the_same_key_with_another_order_is_a_conflict(empty_redis, good_peer):
    with good(World(empty_redis, good_peer), good_peer) as world:
        world.send("first", "KEY-1")
        assert world.result()["status"] == "created"
        world.push(world.job("second", order=world.provider.order("KEY-1", remark="another order")))
        letter = world.dead()
        assert (letter["reason"], letter["error"]["code"]) == ("rejected", "key_conflict")
        assert letter["attempts"] == []
        result = world.result()
        assert (result["id"], result["status"], result["attempts"]) == ("second", "failed", 0)
        assert (result["error"]["reason"], result["error"]["code"]) == ("rejected", "key_conflict")
        assert len(good_peer.posts) == 1


def test_the_same_key_with_the_same_order_written_otherwise_is_a_conflict(empty_redis, good_peer):
    """The bytes count: dray does not judge whether two texts mean the same."""
    with good(World(empty_redis, good_peer), good_peer) as world:
        world.send("first", "KEY-1")
        world.result()
        world.push(world.job("second", order=json.dumps(world.provider.order("KEY-1"), indent=1)))
        assert world.dead()["error"]["code"] == "key_conflict"


def test_a_conflict_with_an_order_that_is_being_sent(empty_redis, good_peer):
    with World(empty_redis, good_peer) as world:
        good_peer.script = [Answer(200, world.provider.answer({}), delay=0.7)]
        world.send("first", "KEY-1")
        good_peer.wait_posts(1)
        world.push(world.job("second", order=world.provider.order("KEY-1", remark="another order")))
        results = world.results_by_id(2)
        assert results["first"]["status"] == "created"
        assert results["second"]["error"]["code"] == "key_conflict"
        assert len(good_peer.posts) == 1


def test_keys_of_different_accounts_are_different(empty_redis, good_peer):
    with World(empty_redis, good_peer, accounts={"second": {}}) as world:
        good_peer.script = [Answer(200, world.provider.answer({}, id)) for id in (1, 2)]
        world.send("first", "KEY-1")
        world.send("other", "KEY-1", account="second")
        results = world.results_by_id(2)
        assert {r["status"] for r in results.values()} == {"created"}
        assert (results["first"]["account"], results["other"]["account"]) == ("shop", "second")
        assert len(good_peer.posts) == 2


def test_a_corrected_order_may_use_the_key_of_a_rejected_one(empty_redis, good_peer):
    with World(empty_redis, good_peer) as world:
        good_peer.script = [Answer(422, {"message": "no such sku"})]
        good_peer.default = lambda request: created(world.provider, request)
        world.send("first", "KEY-1")
        assert world.result()["status"] == "failed"
        world.push(world.job("corrected", order=world.provider.order("KEY-1", remark="corrected")))
        assert world.result()["status"] == "created"
        assert len(good_peer.posts) == 2


def test_an_unknown_order_keeps_its_key(empty_redis, good_peer):
    with World(empty_redis, good_peer) as world:
        good_peer.script = [HangUp("after")]
        good_peer.default = lambda request: created(world.provider, request)
        world.send("first", "KEY-1")
        first = world.dead()
        world.send("second", "KEY-1")
        second = world.wait_dead(2)[1]
        assert first["reason"] == second["reason"] == "unknown_outcome"
        world.push(world.job("third", order=world.provider.order("KEY-1", remark="another order")))
        third = world.wait_dead(3)[2]
        assert (third["reason"], third["error"]["code"]) == ("rejected", "key_conflict")
        assert [r["status"] for r in world.results(3)] == ["failed"] * 3
        assert len(good_peer.posts) == 1


def test_the_key_of_the_envelope_comes_first(empty_redis, good_peer):
    with World(empty_redis, good_peer) as world:
        good_peer.script = [Answer(200, world.provider.answer({}, id)) for id in (1, 2)]
        world.send("first", "PROVIDER-KEY", order_key="mine")
        one = world.result()
        assert (one["order_key"], one["status"]) == ("mine", "created")
        world.push(world.job("second", "PROVIDER-KEY"))
        assert world.result()["status"] == "created"
        assert len(good_peer.posts) == 2


def test_without_any_key_the_id_is_the_key(empty_redis, good_peer):
    with good(World(empty_redis, good_peer), good_peer) as world:
        order = world.provider.order()
        del order["customOrderId"]
        world.push(world.job("the-id", order=order))
        result = world.result()
        assert (result["order_key"], result["status"]) == ("the-id", "created")
        world.push(world.job("the-id", order=order))
        assert world.result()["status"] == "duplicate"


@pytest.mark.parametrize("key", ["ключ-听雨", 'quote " and \\ backslash', "{brace}:colon", " space ", "K" * 40])
def test_any_key_is_a_key(empty_redis, good_peer, key):
    with good(World(empty_redis, good_peer), good_peer) as world:
        world.send("first", key)
        one = world.result()
        world.send("second", key)
        two = world.result()
        assert (one["order_key"], two["order_key"]) == (key, key)
        assert (one["status"], two["status"]) == ("created", "duplicate")


def test_keys_written_with_escapes_are_the_same_key(empty_redis, good_peer):
    with good(World(empty_redis, good_peer), good_peer) as world:
        order = json.dumps(world.provider.order("A-B"))
        world.push(world.job("first", order=order))
        world.result()
        world.push(world.job("second", order=order.replace("A-B", "\\u0041-B")))
        assert world.dead()["error"]["code"] == "key_conflict"  # one key, other bytes
        assert len(good_peer.posts) == 1


def test_a_duplicate_is_known_after_the_worker_was_replaced(empty_redis, good_peer):
    with good(World(empty_redis, good_peer), good_peer) as world:
        world.send("first", "KEY-1")
        first = world.result()
        assert world.daemon.stop() == 0
        world.start()
        world.send("second", "KEY-1")
        second = world.result()
        assert (second["status"], second["order_id"]) == ("duplicate", first["order_id"])
        stays_true(lambda: len(good_peer.posts) == 1, 0.1, "one POST")
