"""When a job is tried again, and when no more: backoff, Retry-After, attempts, age, expiry, limits."""

import threading
import time
from datetime import datetime, timedelta, timezone

import pytest

from lib.peer import Answer, Peer
from lib.wait import stays_true, wait_until
from lib.world import World, created


def now_ms():
    return int(time.time() * 1000)


def rfc3339(ms):
    return (datetime.fromtimestamp(0, timezone.utc) + timedelta(milliseconds=ms)).isoformat().replace("+00:00", "Z")


def test_a_job_that_waits_for_its_next_attempt_outlives_its_worker(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.script = [Answer(429, headers={"Retry-After": "2"})]
        peer.default = lambda request: created(world.provider, request)
        world.send("one")
        peer.wait_posts(1)
        wait_until(lambda: not list(world.db.scan_iter("dray:{orders}:claims:*")), 5, world.state)
        world.daemon.kill()
        world.start()
        result = world.result()
        assert (result["status"], result["attempts"], len(peer.posts)) == ("created", 1, 2)  # 429 burns none


def test_retry_after_is_a_floor_under_the_backoff(empty_redis, peer):
    """The backoff alone would be at most 40 ms."""
    with World(empty_redis, peer) as world:
        peer.script = [Answer(503, headers={"Retry-After": "1"}), Answer(503, headers={"Retry-After": "1"})]
        peer.default = lambda request: created(world.provider, request)
        world.send("one")
        assert world.result()["attempts"] == 3
        times = [p.at for p in peer.posts]
        assert times[1] - times[0] >= 0.95 and times[2] - times[1] >= 0.95, times


def test_attempts_are_bounded_by_the_account(empty_redis, peer):
    with World(empty_redis, peer, account={"max_attempts": "4"}) as world:
        peer.default = Answer(503)
        world.send("one")
        letter = world.dead()
        assert (letter["reason"], len(letter["attempts"]), len(peer.posts)) == ("exhausted", 4, 4)
        at = [a["at"] for a in letter["attempts"]]
        assert at == sorted(at) and all(isinstance(a, int) for a in at)


@pytest.mark.parametrize("asked,given", [(1, 1), (2, 2), (99, 3)])
def test_a_job_may_lower_its_attempts_only(empty_redis, peer, asked, given):
    with World(empty_redis, peer, account={"max_attempts": "3"}) as world:
        peer.default = Answer(503)
        world.send("one", max_attempts=asked)
        letter = world.dead()
        assert (letter["reason"], len(letter["attempts"]), len(peer.posts)) == ("exhausted", given, given)


def test_backoff_grows_up_to_its_cap(empty_redis, peer):
    """Full jitter: each wait is between 0 and min(cap, base * 2^n). The bounds alone can be tested."""
    account = {"backoff_base": "50ms", "backoff_cap": "100ms", "max_attempts": "6"}
    with World(empty_redis, peer, account=account) as world:
        peer.default = Answer(503)
        world.send("one")
        letter = world.dead()
        at = [a["at"] for a in letter["attempts"]]
        assert len(at) == 6
        assert len({b - a for a, b in zip(at, at[1:])}) > 1, "no jitter"


def test_too_old_is_given_up(empty_redis, peer):
    account = {"max_age": "1s", "max_attempts": "100", "backoff_base": "100ms", "backoff_cap": "200ms"}
    with World(empty_redis, peer, account=account) as world:
        peer.default = Answer(503)
        world.send("one", enqueued_at=now_ms())
        letter = world.dead()
        assert (letter["reason"], letter["error"]["code"]) == ("exhausted", "max_age")
        assert 1 <= len(letter["attempts"]) < 100
        assert world.result()["status"] == "failed"


@pytest.mark.parametrize("form", [lambda ms: ms, rfc3339])
def test_expired_before_its_first_attempt(empty_redis, peer, form):
    with World(empty_redis, peer) as world:
        world.send("one", expires_at=form(now_ms() - 1000))
        letter = world.dead()
        assert (letter["reason"], letter["attempts"], peer.posts) == ("expired", [], [])
        result = world.result()
        assert (result["status"], result["error"]["reason"], result["attempts"]) == ("failed", "expired", 0)


def test_expired_between_attempts(empty_redis, peer):
    account = {"max_attempts": "100", "backoff_base": "100ms", "backoff_cap": "200ms"}
    with World(empty_redis, peer, account=account) as world:
        peer.default = Answer(503)
        world.send("one", "KEY-1", expires_at=now_ms() + 1000)
        letter = world.dead()
        assert letter["reason"] == "expired"
        assert len(letter["attempts"]) == len(peer.posts) >= 1
        assert world.result()["status"] == "failed"
        peer.default = lambda request: created(world.provider, request)
        world.send("two", "KEY-1")  # nothing was created, so the key is free
        assert world.result()["status"] == "created"


def test_not_yet_expired_is_sent(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        world.send("one", expires_at=rfc3339(now_ms() + 60000))
        assert world.result()["status"] == "created"


@pytest.mark.parametrize("form", [lambda ms: ms, rfc3339])
def test_not_before_is_kept_and_others_pass(empty_redis, peer, form):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        due = now_ms() + 1500
        world.send("later", not_before=form(due))
        world.send("now")
        assert world.result()["id"] == "now"
        result = world.result()
        assert (result["id"], result["attempts"]) == ("later", 1)
        assert result["finished_at"] >= due


def test_not_before_in_the_past_is_now(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        world.send("one", not_before=rfc3339(now_ms() - 60000))
        assert world.result()["status"] == "created"


def test_jobs_are_taken_in_the_order_they_were_pushed(empty_redis, peer):
    with World(empty_redis, peer, queue={"concurrency": "1"}, start=False) as world:
        peer.default = lambda request: created(world.provider, request)
        world.push(*[world.job(f"j{n}") for n in range(30)])
        world.start()
        assert [r["id"] for r in world.results(30)] == [f"j{n}" for n in range(30)]


def test_concurrency_of_an_account_is_kept(empty_redis):
    running, most, lock = [0], [0], threading.Lock()
    with Peer() as peer, World(empty_redis, peer, account={"concurrency": "3"}, start=False) as world:
        def answer(request):
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            time.sleep(0.05)
            with lock:
                running[0] -= 1
            return created(world.provider, request)
        peer.default = answer
        world.push(*[world.job(f"j{n}") for n in range(30)])
        world.start()
        assert {r["status"] for r in world.results(30)} == {"created"}
        assert most[0] == 3


def test_concurrency_of_an_account_counts_over_all_workers(empty_redis):
    running, most, lock = [0], [0], threading.Lock()
    with Peer() as peer, World(empty_redis, peer, account={"concurrency": "2"}, worker={"name": "a"}) as world:
        def answer(request):
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            time.sleep(0.05)
            with lock:
                running[0] -= 1
            return created(world.provider, request)
        peer.default = answer
        with World(empty_redis, peer, account={"concurrency": "2"}, worker={"name": "b"}):
            world.push(*[world.job(f"j{n}") for n in range(30)])
            assert {r["status"] for r in world.results(30)} == {"created"}
        assert most[0] <= 2


def test_rate_of_an_account_is_kept(empty_redis, peer):
    with World(empty_redis, peer, account={"rate": "10/s", "burst": "2"}, start=False) as world:
        peer.default = lambda request: created(world.provider, request)
        world.push(*[world.job(f"j{n}") for n in range(12)])
        world.start()
        world.results(12)
        times = sorted(p.at for p in peer.posts)
        assert times[-1] - times[0] >= 0.9, "2 at once, then 10 more at 10 per second"


def test_an_open_breaker_burns_nothing(empty_redis, peer):
    account = {"breaker_failures": "3", "breaker_cooldown": "10m", "concurrency": "1", "max_attempts": "100"}
    with World(empty_redis, peer, account=account) as world:
        peer.default = Answer(503)
        for n in range(10):
            world.send(f"j{n}")
        peer.wait_posts(3)
        stays_true(lambda: len(peer.posts) == 3, 1.0, "3 POSTs")
        assert world.dead_letters() == []
        world.no_result()


def test_an_open_breaker_closes_after_one_good_probe(empty_redis, peer):
    account = {"breaker_failures": "2", "breaker_cooldown": "300ms", "concurrency": "1", "max_attempts": "20"}
    with World(empty_redis, peer, account=account) as world:
        peer.script = [Answer(503), Answer(503), Answer(503)]
        peer.default = lambda request: created(world.provider, request)
        for n in range(10):
            world.send(f"j{n}")
        assert {r["status"] for r in world.results(10)} == {"created"}
        times = [p.at for p in peer.posts]
        assert times[2] - times[1] >= 0.25 and times[3] - times[2] >= 0.25, "the breaker did not open"


def test_a_hanging_account_does_not_starve_another(empty_redis, peer):
    from lib.peer import Silence
    with Peer(default=Silence()) as hanging:
        accounts = {"hangs": {"base_url": hanging.url, "request_timeout": "2s"}}  # until then it has every slot: nobody else had work
        with World(empty_redis, peer, accounts=accounts, queue={"concurrency": "4"},
                   worker={"drain_timeout": "500ms"}) as world:
            peer.default = lambda request: created(world.provider, request)
            for n in range(50):
                world.send(f"h{n}", account="hangs")
            hanging.wait_posts(1)
            for n in range(20):
                world.send(f"g{n}")
            went = set()
            while not went >= {f"g{n}" for n in range(20)}:
                went.add(world.result(15)["id"])
            assert len(went) < 40, "the hanging ones, two seconds each, still wait for their turn"
