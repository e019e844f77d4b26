"""Redis is away when the worker must end: what providers answered waits in a file for the next worker."""

import fcntl
import json
import stat

import pytest

from lib.fates import none_doubled, wait_for_all
from lib.peer import Answer, Silence
from lib.redis_cutter import RedisCutter
from lib.redis_server import RedisServer
from lib.scripts import CALLS
from lib.wait import wait_until
from lib.world import QUEUE, World, created


@pytest.fixture
def redis_server():
    with RedisServer(appendonly=True) as server:
        yield server


@pytest.fixture
def spool(tmp_path):
    return tmp_path / "spool"


def world_of(redis, peer, spool, **more):
    worker = {"spool_dir": str(spool), "lease": "2s", "drain_timeout": "10s", **more.pop("worker", {})}
    return World(redis, peer, worker=worker, **more)


def files(spool):
    return sorted(p.name for p in spool.iterdir()) if spool.exists() else []


def longer_lease(world):
    """From its next start on; what it left has run out all the same, and it waits for files as long as for a lease."""
    world.config["worker"]["lease"] = "10s"
    world.daemon.set_config(world.config)


def answer_and_end_without_redis(world, peer, redis, jobs, delay=1.0):
    """Orders are in flight when Redis dies; they are answered; TERM; the file's path."""
    peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=delay)
    for id in jobs:
        world.send(id, f"K-{id}")
    peer.wait_posts(len(jobs))
    redis.kill()
    world.daemon.wait_event("redis_down")
    assert world.daemon.stop() == 0
    event = world.daemon.events_named("spooled")[0]
    assert f"{len(jobs)} settlements" in event["message"]


def test_what_was_answered_is_settled_by_the_next_worker(redis_server, peer, spool):
    jobs = [f"job-{n}" for n in range(10)]
    with world_of(redis_server, peer, spool) as world:
        answer_and_end_without_redis(world, peer, redis_server, jobs)
        [name] = files(spool)
        assert name.endswith(".spool")
        assert stat.S_IMODE((spool / name).stat().st_mode) == 0o600
        assert stat.S_IMODE(spool.stat().st_mode) == 0o700
        lines = [json.loads(line) for line in (spool / name).read_text().splitlines()]
        assert sorted(json.loads(line["result"])["id"] for line in lines) == jobs
        redis_server.start()
        world.start()
        assert wait_for_all(world.db, QUEUE, jobs, what=world.state) == {"created": 10}
        event = world.daemon.wait_event("spool_settled")
        assert (event["settled"], event["lost"]) == (10, 0)
        assert files(spool) == []
        assert len(peer.posts) == 10
        none_doubled(peer)
        world.alive()


def test_redis_comes_back_within_the_grace(redis_server, peer, spool):
    with world_of(redis_server, peer, spool) as world:
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=0.5)
        world.send("job")
        peer.wait_posts(1)
        redis_server.kill()
        world.daemon.send(15)
        world.daemon.wait_event("draining")
        redis_server.start()
        assert world.daemon.wait() == 0
        assert world.result()["status"] == "created"
        assert files(spool) == []


def test_it_was_recovered_meanwhile(redis_server, peer, spool):
    """Another worker took the job over and looks it up; the spool's order id ends that."""
    account = {"on_unknown": "lookup", "lookup_delay": "3s", "lookup_attempts": "10"}
    with world_of(redis_server, peer, spool, account=account) as world:
        answer_and_end_without_redis(world, peer, redis_server, ["job"])
        redis_server.start()
        with world_of(redis_server, peer, spool.parent / "other", account=account) as heir:
            heir.daemon.wait_event("worker_recovered", 20)
            world.start()
            event = world.daemon.wait_event("spool_settled")
            assert (event["settled"], event["lost"]) == (0, 1)
            result = world.result(30)
            assert (result["status"], result["order_id"]) == ("created", str(world.provider.id_for("K-job")))
            assert files(spool) == []
            world.no_result()
        assert len(peer.posts) == 1


def test_cut_off_requests_are_spooled_as_unknown(redis_server, peer, spool):
    with world_of(redis_server, peer, spool, worker={"drain_timeout": "500ms"}) as world:
        peer.default = Silence()
        world.send("job", "KEY-1")
        peer.wait_posts(1)
        redis_server.kill()
        assert world.daemon.stop() == 0
        [name] = files(spool)
        assert json.loads((spool / name).read_text())["op"] == "dead"
        redis_server.start()
        world.start()
        assert world.dead()["reason"] == "unknown_outcome"
        assert len(peer.posts) == 1


def test_a_begin_without_an_answer_is_handed_back(redis_server, peer, spool):
    """Its order never left: though Redis has it as begun, it is sent by the next worker, and not held."""
    with RedisCutter(redis_server.port) as cutter:
        def gone():
            cutter.refusing = True
        with world_of(redis_server, peer, spool, config_redis={"url": cutter.url},
                      queue={"results_high_water": "1000000"}) as world:  # no lone pick-ups
            peer.default = lambda request: created(world.provider, request)
            world.send("warm")
            world.result()
            cutter.cut(CALLS["begin"], when="after", on_cut=gone)
            redis_server.client.eval("for i = 1, 3 do redis.call('LPUSH', KEYS[1], ARGV[i]) end", 1, world.key("jobs"),
                                     *[world.job(f"job-{n}", f"K-{n}") for n in range(3)])
            assert cutter.was_cut.wait(10)
            assert world.daemon.stop() == 0
            [name] = files(spool)
            ops = [json.loads(line)["op"] for line in (spool / name).read_text().splitlines()]
            assert set(ops) == {"back"}
            cutter.refusing = False
            world.start()
            ids = ["warm"] + [f"job-{n}" for n in range(3)]
            for n in range(3):
                assert world.result()["status"] == "created", world.state()
            assert len(peer.posts) == len(ids)
            none_doubled(peer)


@pytest.mark.parametrize("damage", ["garbage", "truncated", "other version"])
def test_a_line_that_cannot_be_read_is_kept_aside(redis_server, peer, spool, damage):
    with world_of(redis_server, peer, spool) as world:
        answer_and_end_without_redis(world, peer, redis_server, ["one", "two"])
        [name] = files(spool)
        first, second = (spool / name).read_text().splitlines()
        lost = json.loads(json.loads(second)["result"])["id"]
        bad = {"garbage": "\x00\xff{]", "truncated": second[:-30], "other version": second.replace('"v":2', '"v":9')}[damage]
        (spool / name).write_text(first + "\n" + bad + ("" if damage == "truncated" else "\n"))
        redis_server.start()
        world.start()
        world.daemon.wait_event("spool_bad")
        assert files(spool) == [name + ".bad"]
        results = [r for r in world.results(1)]
        assert results[0]["status"] == "created" and results[0]["id"] != lost
        # The other order's outcome is not known any more, and it is not sent again.
        assert world.dead(20)["reason"] == "unknown_outcome"
        assert len(peer.posts) == 2


def test_two_workers_share_a_directory(redis_server, peer, spool):
    jobs = [f"job-{n}" for n in range(50)]
    with world_of(redis_server, peer, spool) as world, world_of(redis_server, peer, spool) as second:
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=1.5)
        for id in jobs:
            world.send(id, f"K-{id}")
        peer.wait_posts(len(jobs))
        redis_server.kill()
        for one in (world, second):
            one.daemon.wait_event("redis_down")
            one.daemon.send(15)
        for one in (world, second):
            assert one.daemon.wait() == 0
        assert 1 <= len(files(spool)) <= 2
        redis_server.start()
        for one in (world, second):
            longer_lease(one)
            one.daemon.launch()
        assert wait_for_all(world.db, QUEUE, jobs, what=world.state) == {"created": 50}
        wait_until(lambda: files(spool) == [], 10, lambda: str(files(spool)))
        none_doubled(peer)


def test_a_file_that_another_worker_settles_is_waited_for(redis_server, peer, spool):
    """An heir that could recover the orders at once lets the file's holder settle them; here the holder goes, and the heir
    settles them itself."""
    jobs = [f"job-{n}" for n in range(10)]
    with world_of(redis_server, peer, spool) as world:
        answer_and_end_without_redis(world, peer, redis_server, jobs)
        [name] = files(spool)
        with open(spool / name) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            redis_server.start()
            longer_lease(world)
            world.start()
            world.daemon.wait_event("spool_awaited", 20)
        assert wait_for_all(world.db, QUEUE, jobs, what=world.state) == {"created": 10}
        assert files(spool) == [] and not world.daemon.events_named("worker_recovered")
        assert len(peer.posts) == 10
        none_doubled(peer)


def test_a_file_that_nobody_settles_is_waited_for_one_lease(redis_server, peer, spool):
    with world_of(redis_server, peer, spool) as world:
        answer_and_end_without_redis(world, peer, redis_server, ["job"])
        [name] = files(spool)
        with open(spool / name) as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            redis_server.start()
            world.start()
            world.daemon.wait_event("spool_awaited", 20)
            assert world.dead(20)["reason"] == "unknown_outcome"
        assert len(peer.posts) == 1 and files(spool) == [name]


def test_a_directory_that_cannot_be_made(redis_server, peer, tmp_path):
    """Said so, exit 1; the order is looked up, or held, by whoever recovers it."""
    (tmp_path / "file").write_text("no directory")
    with world_of(redis_server, peer, tmp_path / "file" / "spool") as world:
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=0.5)
        world.send("job")
        peer.wait_posts(1)
        redis_server.kill()
        world.daemon.wait_event("redis_down")
        assert world.daemon.stop() == 1
        assert "file/spool" in world.daemon.events_named("spool_failed")[0]["message"]
        redis_server.start()
        world.start()
        assert world.dead(20)["reason"] == "unknown_outcome"
        assert len(peer.posts) == 1


def test_nothing_to_spool_leaves_no_file(redis_server, peer, spool):
    with world_of(redis_server, peer, spool) as world:
        redis_server.kill()
        world.daemon.wait_event("redis_down")
        assert world.daemon.stop() == 0
        assert files(spool) == []


def test_redis_refuses_writes_at_the_end(redis_server, peer, spool):
    """Up, but no place for settlements: they are spooled as well."""
    with world_of(redis_server, peer, spool) as world:
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=1.0)
        world.send("job")
        peer.wait_posts(1)
        redis_server.client.replicaof("127.0.0.1", "1")  # READONLY from now on
        assert world.daemon.stop() == 0
        assert len(files(spool)) == 1
        redis_server.client.replicaof("NO", "ONE")
        world.start()
        assert world.result()["status"] == "created"
        wait_until(lambda: files(spool) == [], 10, lambda: str(files(spool)))
        assert len(peer.posts) == 1
