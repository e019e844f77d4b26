"""Slots among the accounts of a queue, and among queues: none is idle while a job that may go waits, none is exceeded, and
an account that hangs does not keep the others from their turn."""

import json
import time

import pytest

from lib.fleet import Fleet
from lib.peer import Answer
from lib.together import Together
from lib.wait import wait_until

PATIENT = {"request_timeout": "60s"}


def in_flight(posts, seconds):
    """The most requests at once, each being answered `seconds` after it came."""
    ends = sorted([(p.at, 1) for p in posts] + [(p.at + seconds, -1) for p in posts], key=lambda e: (e[0], e[1]))
    most = now = 0
    for _, by in ends:
        now += by
        most = max(most, now)
    return most


def account_of(request):
    return request.json["customOrderId"].rpartition("-")[0]


def created(fleet):
    return sorted(r["id"] for r in fleet.results() if r["status"] == "created")


@pytest.mark.parametrize("others", [0, 1, 7, 999])
def test_one_account_with_work_uses_all_slots_whoever_else_is_configured(empty_redis, peer, others):
    slots = 16
    accounts = {"busy": PATIENT, **{f"idle-{n}": {} for n in range(others)}}
    with Fleet(empty_redis, peer.url, accounts, workers=1, queue={"concurrency": str(slots)}, folder=others > 10) as fleet:
        peer.default = Together(slots, lambda request: Answer(200, fleet.provider.answer(request.json)))
        fleet.push(*[fleet.job("busy", n) for n in range(6 * slots)])
        fleet.wait_done(6 * slots, 60)
        assert (peer.default.most, peer.default.alone) == (slots, 0)
        assert len(peer.posts) == len(created(fleet)) == 6 * slots
        # No job was moved aside, unless this machine was so slow that the account seemed to hang.
        assert fleet.stat("slot_waits") == 0 or max(r["duration_ms"] for r in fleet.results()) > 900


def test_accounts_that_had_work_just_before_keep_no_slot_from_one_that_is_answered(empty_redis, peer):
    slots, delay = 8, 0.05
    accounts = {"busy": {}, **{f"small-{n}": {} for n in range(7)}}
    with Fleet(empty_redis, peer.url, accounts, workers=1, queue={"concurrency": str(slots)}) as fleet:
        peer.default = lambda request: Answer(200, fleet.provider.answer(request.json), delay=delay)
        fleet.push(*[fleet.job(f"small-{n}", 0) for n in range(7)])
        fleet.push(*[fleet.job("busy", n) for n in range(200)])
        fleet.wait_done(207, 60)
        later = [p for p in peer.posts if account_of(p) == "busy"][50:]
        assert in_flight(later, delay * 1.5) >= slots and len(created(fleet)) == 207


def test_several_workers_use_all_slots_of_each(empty_redis, peer):
    slots = 4
    with Fleet(empty_redis, peer.url, {"busy": PATIENT, "idle": {}}, workers=2, queue={"concurrency": str(slots)}) as fleet:
        peer.default = Together(2 * slots, lambda request: Answer(200, fleet.provider.answer(request.json)))
        fleet.push(*[fleet.job("busy", n) for n in range(16 * slots)])
        fleet.wait_done(16 * slots, 60)
        assert (peer.default.most, peer.default.alone) == (2 * slots, 0)
        assert len(created(fleet)) == len(peer.posts) == 16 * slots


def test_behind_an_account_that_hangs_others_get_the_next_slot_and_then_keep_theirs(empty_redis, peer):
    """All slots are taken by requests that take three seconds, a hundred more of them wait in the queue in front of a lone
    job of another account: that job is found, and goes next. While this account has orders now and then, its slot stays
    free for them."""
    slots, slow = 8, 3.0
    accounts = {"slow": {"request_timeout": "30s"}, "quick": {}}
    with Fleet(empty_redis, peer.url, accounts, workers=1, queue={"concurrency": str(slots)}) as fleet:
        peer.default = lambda request: Answer(200, fleet.provider.answer(request.json),
                                              delay=slow if account_of(request) == "slow" else 0)
        fleet.push(*[fleet.job("slow", n) for n in range(100)])
        wait_until(lambda: len(peer.posts) == slots, 10, fleet.state)  # it has them all: nobody else has work
        fleet.push(fleet.job("quick", 0))
        wait_until(lambda: any(account_of(p) == "quick" for p in peer.posts), 20, fleet.state)
        before = sum(account_of(p) == "slow" for p in peer.posts)
        assert before <= 2 * slots, before  # not behind the hundred
        for n in range(1, 12):
            time.sleep(0.25)
            fleet.push(fleet.job("quick", n))
            wait_until(lambda: sum(account_of(p) == "quick" for p in peer.posts) == n + 1, 20, fleet.state)
        wait_until(lambda: sum(r["account"] == "quick" for r in fleet.results()) == 12, 10, fleet.state)
        seen = [r["finished_at"] - r["enqueued_at"] for r in fleet.results() if r["account"] == "quick"]
        assert sorted(seen)[-3] < slow * 1000 / 3, seen
        posts = [p for p in peer.posts if account_of(p) == "slow"]
        assert in_flight(posts, slow * 0.98) <= slots
        for daemon in fleet.workers:
            daemon.kill()  # else they would wait for what is slow


def test_max_inflight_is_never_exceeded_and_one_queue_uses_all_of_it(empty_redis, peer):
    delay, most = 0.1, 8
    sections = {"queue first": {}, "queue second": {}, "queue third": {}}
    accounts = {"none": {}, **{name: {**PATIENT, "queue": queue} for name, queue in (("a", "first"), ("b", "second"), ("c", "third"))}}
    with Fleet(empty_redis, peer.url, accounts, workers=1, worker={"max_inflight": str(most)}, sections=sections) as fleet:
        def done(queue):
            return fleet.db.llen(fleet.key("results", queue))
        peer.default = lambda request: Answer(200, fleet.provider.answer(request.json), delay=delay)
        for n in range(6):  # all at once, again and again
            for name, queue in (("a", "first"), ("b", "second"), ("c", "third")):
                fleet.push(*[fleet.job(name, f"{n}-{i}") for i in range(12)], queue=queue)
            wait_until(lambda: all(done(q) == 12 * (n + 1) for q in ("first", "second", "third")), 30, fleet.state)
        assert in_flight(peer.posts, delay * 0.95) <= most
        peer.default = Together(most, lambda request: Answer(200, fleet.provider.answer(request.json)))
        fleet.push(*[fleet.job("b", f"alone-{i}") for i in range(10 * most)], queue="second")
        wait_until(lambda: done("second") == 72 + 10 * most, 60, fleet.state)
        assert (peer.default.most, peer.default.alone) == (most, 0)
        keys = [json.dumps(p.json["customOrderId"]) for p in peer.posts]
        assert len(keys) == len(set(keys)) == 6 * 36 + 10 * most
