"""`dray pause` and `dray resume` with workers at work; `dray audit` while they work."""

import json
import re
import time

import pytest

from lib.peer import Answer, Peer
from lib.process import dray
from lib.wait import stays_true, wait_until
from lib.world import QUEUE, World, created


@pytest.fixture
def world(empty_redis, peer):
    with World(empty_redis, peer, accounts={"second": {}}) as world:
        peer.default = lambda request: created(world.provider, request)
        yield world


def run(world, *args, code=0):
    done = dray(*args, "-c", world.daemon.path)
    assert done.returncode == code, done.stderr
    return done.stdout.decode()


def test_a_paused_queue_sends_nothing_and_goes_on_at_once(world, peer):
    assert "is paused until resumed" in run(world, "pause", QUEUE, "--reason", "stocktaking")
    world.send("one")
    assert stays_true(lambda: not peer.posts, 0.5, "no order sent") is None
    assert run(world, "pause", QUEUE).rstrip().endswith("(it was paused before)")
    assert "goes on" in run(world, "resume", QUEUE)
    assert world.result(2.5)["status"] == "created"
    assert "was not paused" in run(world, "resume", QUEUE)


def test_a_paused_account_lets_the_other_pass(world, peer):
    run(world, "pause", QUEUE, "shop")
    world.send("one", account="shop")
    world.send("two", account="second")
    assert world.result()["id"] == "two"
    wait_until(lambda: world.db.zcard(world.key("waiting")) == 1, what="the job to wait")
    run(world, "resume", QUEUE, "shop")
    assert world.result(2.5)["id"] == "one"


def test_resume_of_an_account_that_is_held_has_one_order_tried_at_once(empty_redis, peer):
    """Also where every worker is idle: it waits for what is pushed, and its next beat is 20 s away."""
    with World(empty_redis, peer, worker={"lease": "60s"}, account={"breaker_cooldown": "10m"}) as world:
        peer.default = Answer(401, {"message": "no"})
        for n in range(3):
            world.send(f"j{n}")
        world.daemon.wait_event("account_held", 10)
        wait_until(lambda: world.db.zcard(world.key("waiting")) == 3, what="all to wait")
        before = len(peer.posts)
        peer.default = lambda request: created(world.provider, request)
        time.sleep(1)  # it is idle now
        at = time.monotonic()
        run(world, "resume", QUEUE, "shop")
        assert len(world.results_by_id(3)) == 3
        assert peer.posts[before].at - at < 3
        assert len(peer.posts) == before + 3


def test_a_pause_for_a_while_ends_by_itself(world):
    said = json.loads(run(world, "pause", QUEUE, "shop", "--for", "700ms", "--json"))
    assert said["paused"] and said["until"] > 0 and said["account"] == "shop"
    world.send("one")
    assert world.result(4)["id"] == "one"


def test_two_workers_both_stop(world, empty_redis, peer):
    with World(empty_redis, peer, accounts={"second": {}}, worker={"name": "b"}):
        run(world, "pause", QUEUE)
        for n in range(20):
            world.send(f"j{n}")
        stays_true(lambda: not peer.posts, 0.7, "no order sent")
        run(world, "resume", QUEUE)
        assert len(world.results_by_id(20)) == 20


@pytest.mark.parametrize("args,said", [
    (["pause"], "QUEUE"), (["pause", "a", "b", "c"], "QUEUE"), (["pause", QUEUE, "--for", "soon"], "no duration"),
    (["resume", QUEUE, "--for", "1m"], "belong to pause"), (["pause", "no such queue!"], "no queue's name"),
    (["pause", QUEUE, "--reason", "two\nlines"], "one line")])
def test_wrong_use(world, args, said):
    done = dray(*args, "-c", world.daemon.path)
    assert done.returncode == 2 and said in done.stderr.decode()


def test_an_unknown_account_is_no_success(world):
    done = dray("pause", QUEUE, "shpo", "-c", world.daemon.path)
    assert done.returncode == 2 and "no account 'shpo'" in done.stderr.decode()
    assert not world.db.exists(world.key("pauses"))


def test_the_books_balance_at_every_moment(empty_redis):
    """Audits while a worker works, with failures, retries, waits and dead letters under way."""
    with Peer() as peer, World(empty_redis, peer, account={"concurrency": "8", "max_attempts": "3", "request_timeout": "60s"}) as world:
        audits = []

        def answer(request):  # not faster than the books are looked at: three times at least
            wait_until(lambda: len(audits) >= min(3, len(peer.posts) // 400), 30, "an audit")
            key = request.json["customOrderId"]
            if key.endswith("7"):
                return Answer(503, delay=0.003)
            if key.endswith("5"):
                return Answer(400, {"code": 4, "message": "no"})
            return Answer(200, world.provider.answer(request.json), delay=0.003)
        peer.default = answer
        world.push(*[world.job(f"j{n}", f"K{n}") for n in range(1500)])
        while world.db.llen(world.key("results")) < 1500:
            said = json.loads(run(world, "audit", "--json"))
            assert said["ok"], said
            audits.append(said)
        assert len(audits) >= 3
        last = json.loads(run(world, "audit", "--json"))["queues"][0]
        assert (last["taken"], last["settled"], last["died"], last["in_flight"]) == (1500, 1200, 300, 0)
        assert re.search(r"\bbalance$", run(world, "audit", QUEUE).strip())
