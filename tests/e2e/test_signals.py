"""TERM and INT drain, a second one ends at once, HUP reloads, USR1 stops claiming, USR2 tells its state."""

import json
import signal
import time

import pytest

from lib.peer import Answer, Silence
from lib.wait import stays_true, wait_until
from lib.world import World, created


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_ends_at_once(empty_redis, peer, number):
    with World(empty_redis, peer) as world:
        world.daemon.send(number)
        assert world.daemon.wait(5) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_in_flight_is_finished(empty_redis, peer, number):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=1.0)
        world.send("one")
        peer.wait_posts(1)
        world.daemon.send(number)
        assert world.daemon.wait(15) == 0
        assert world.result()["status"] == "created"
        assert len(peer.posts) == 1


def test_a_draining_worker_takes_nothing_more(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=1.0)
        world.send("one")
        peer.wait_posts(1)
        start = len(world.daemon.process.stderr_lines)
        world.daemon.send(signal.SIGTERM)
        world.daemon.process.wait_line(lambda line: "drain" in line, 5, start=start)
        later = world.send("later")
        assert world.daemon.wait(15) == 0
        assert [r["id"] for r in world.results(1)] == ["one"]
        assert world.waiting() == [later.encode()]


def test_what_was_not_begun_is_handed_back_exactly_and_in_order(empty_redis, peer):
    """One slot, and many jobs with texts that any rewriting would change."""
    with World(empty_redis, peer, queue={"concurrency": "1"}, worker={"drain_timeout": "300ms"}) as world:
        peer.default = Silence()
        texts = ['{ "order" : %s ,\t"id":"j%d", "meta": 1.%d0 }' % (json.dumps(world.provider.order(f"K{n}")), n, n)
                 for n in range(20)]
        world.push(*texts)
        peer.wait_posts(1)
        began = time.monotonic()
        world.daemon.send(signal.SIGTERM)
        assert world.daemon.wait(15) == 0
        assert time.monotonic() - began < 10
        assert world.waiting() == [t.encode() for t in texts[1:]]
        # Begun and unanswered: nobody knows, and it is never sent again.
        peer.default = lambda request: created(world.provider, request)
        world.start()
        assert {r["status"] for r in world.results(20)} == {"created", "failed"}
        assert world.dead()["reason"] == "unknown_outcome"
        keys = [p.json["customOrderId"] for p in peer.posts]
        assert sorted(keys) == sorted(f"K{n}" for n in range(20))


@pytest.mark.parametrize("account", [{"concurrency": "1"}, {"rate": "1/m", "burst": "1"}])
def test_what_waits_at_an_accounts_gate_is_not_lost(empty_redis, peer, account):
    with World(empty_redis, peer, account=account, worker={"drain_timeout": "5s"}) as world:
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=0.5)
        for n in range(10):
            world.send(f"j{n}", f"K{n}")
        peer.wait_posts(1)
        assert world.daemon.stop() == 0
        done = world.db.llen(world.key("results"))
        assert 1 <= done < 10
        for key in ("account shop",):
            world.config[key].update({"concurrency": "0", "rate": "0"})
        world.daemon.set_config(world.config)
        world.start()
        assert {r["status"] for r in world.results(10)} == {"created"}
        assert sorted(p.json["customOrderId"] for p in peer.posts) == sorted(f"K{n}" for n in range(10))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(empty_redis, peer, number):
    with World(empty_redis, peer, worker={"drain_timeout": "2m", "lease": "1s"}) as world:
        peer.script = [Silence()]
        peer.default = lambda request: created(world.provider, request)
        world.send("one", "KEY-1")
        peer.wait_posts(1)
        start = len(world.daemon.process.stderr_lines)
        world.daemon.send(number)
        world.daemon.process.wait_line(lambda line: "drain" in line, 5, start=start)
        assert world.daemon.running
        world.daemon.send(number)
        world.daemon.wait(5)
        # Not lost: the next worker finds it, and does not send it again.
        world.start()
        assert world.dead(20)["reason"] == "unknown_outcome"
        assert len(peer.posts) == 1


def test_usr1_stops_claiming_and_hup_resumes(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        world.send("one")
        world.result()
        start = len(world.daemon.process.stderr_lines)
        world.daemon.send(signal.SIGUSR1)
        wait_until(lambda: len(world.daemon.process.stderr_lines) > start, 5, "a log line about USR1")
        text = world.send("two")
        stays_true(lambda: len(peer.posts) == 1, 1.0, "one POST")
        assert world.daemon.running
        wait_until(lambda: world.waiting() == [text.encode()], 5, world.state)
        world.daemon.send(signal.SIGHUP)
        result = world.result()
        assert (result["id"], result["status"]) == ("two", "created")


def test_usr1_finishes_what_was_begun(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=0.7)
        world.send("one")
        peer.wait_posts(1)
        world.daemon.send(signal.SIGUSR1)
        assert world.result()["status"] == "created"
        assert world.daemon.running
        assert world.daemon.stop() == 0


def test_usr2_tells_the_state_and_changes_nothing(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=0.7)
        world.send("one")
        peer.wait_posts(1)
        start = len(world.daemon.process.stderr_lines)
        world.daemon.send(signal.SIGUSR2)
        line = world.daemon.process.wait_line(lambda line: "state" in line, 5, start=start)
        assert "event" in json.loads(line)
        assert world.result()["status"] == "created"
        world.alive()


def test_hup_takes_the_new_settings(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        world.send("one")
        world.result()
        world.config["account shop"]["token"] = "second-token"
        world.daemon.set_config(world.config)
        world.daemon.send(signal.SIGHUP)

        def arrived():
            world.send()
            world.result()
            return peer.posts[-1].headers["authorization"] == "Bearer second-token"
        wait_until(arrived, 10, "an order with the new token")


def test_hup_with_a_bad_file_keeps_the_old_settings(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        start = len(world.daemon.process.stderr_lines)
        world.daemon.set_config("[account shop]\nnonsense = 1\n")
        world.daemon.send(signal.SIGHUP)
        line = world.daemon.process.wait_line(lambda line: "nonsense" in line, 5, start=start)
        assert json.loads(line)["level"] in ("error", "warn")
        world.alive()
        assert peer.posts[-1].headers["authorization"] == world.provider.authorization


def test_a_config_that_is_wrong_refuses_to_start(empty_redis, peer):
    world = World(empty_redis, peer)
    world.daemon.set_config("[redis]\nurl = unix:///tmp/x\nurrl = 5\n")
    world.daemon.launch()
    try:
        assert world.daemon.process.wait(10) == 2
        assert "dray.ini:3" in world.daemon.process.stderr and "urrl" in world.daemon.process.stderr
    finally:
        world.daemon.close()


def test_redis_out_of_reach_at_the_start(empty_redis, peer):
    world = World(empty_redis, peer, config_redis={"url": "unix:///nonexistent/redis.sock"})
    world.daemon.launch()
    try:
        assert world.daemon.process.wait(30) == 3
    finally:
        world.daemon.close()
