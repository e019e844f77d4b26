"""A busy worker: turns that settle, begin and claim many orders at once. Each order is sent once and has one result,
whatever becomes of a turn."""

import json
import time

import pytest

from lib.fates import none_doubled, posts_by_key, wait_for_all
from lib.peer import Answer
from lib.process import dray
from lib.redis_cutter import RedisCutter
from lib.redis_server import RedisServer
from lib.wait import wait_until
from lib.world import QUEUE, World

JOBS = 400
IDS = [f"job-{n}" for n in range(JOBS)]


@pytest.fixture
def server():
    with RedisServer() as one:
        yield one


def created(world, request):
    return Answer(200, world.provider.answer(request.json), delay=0.01)


def world_of(redis, peer, **more):
    world = World(redis, peer, worker={"lease": "2s"}, queue={"concurrency": "32"}, **more)
    peer.default = lambda request: created(world, request)
    return world


def push_all(world):
    world.db.lpush(world.key("jobs"), *[world.job(i, f"K-{i}") for i in IDS])


def in_gulps(world, until, each=lambda: None):
    """Redis stands still for a moment again and again: many answers come meanwhile, and make a large turn."""
    def held():
        each()
        world.db.client_pause(30)
        time.sleep(0.04)
        return until()
    wait_until(held, 30, world.state)


def all_pushed(world):
    return lambda: world.db.llen(world.key("results")) == JOBS


def turns(db):
    return db.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]


def all_created(world, peer):
    assert wait_for_all(world.db, QUEUE, IDS, what=world.state) == {"created": JOBS}
    assert world.db.llen(world.key("results")) == JOBS and len(posts_by_key(peer)) == JOBS
    none_doubled(peer)
    audit = dray("audit", "-c", world.daemon.path)
    assert audit.returncode == 0, audit.stdout + audit.stderr


def test_a_turn_takes_many(server, peer):
    """Far fewer calls than orders, and no command that a worker's rights would not need without scripts."""
    with world_of(server, peer) as world:
        push_all(world)
        in_gulps(world, all_pushed(world))
        all_created(world, peer)
        assert turns(world.db) < JOBS / 2  # one by one it would be twice as many as orders
        assert not world.daemon.events_named("redis_error")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", [1, 4])
def test_the_connection_is_lost_with_a_turn(server, peer, nth, when):
    """What the turn may have claimed is found, given back, and claimed again."""
    with RedisCutter(server.port) as cutter:
        with world_of(server, peer, config_redis={"url": cutter.url}) as world:
            push_all(world)
            in_gulps(world, lambda: world.db.llen(world.key("results")) > 30)
            cutter.cut(b"EVALSHA", nth, when)
            in_gulps(world, cutter.was_cut.is_set)
            all_created(world, peer)
            assert world.daemon.events_named("redis_down")


def test_scripts_are_flushed_all_the_time(server, peer):
    with world_of(server, peer) as world:
        push_all(world)
        in_gulps(world, all_pushed(world), world.db.script_flush)
        all_created(world, peer)
        assert not world.daemon.events_named("redis_error")


def test_orders_that_exist_among_those_that_do_not(server, peer):
    """One job in ten asks for an order that exists by then: the others of its turn are none the worse."""
    with world_of(server, peer) as world:
        push_all(world)
        all_created(world, peer)
        world.db.delete(world.key("results"))
        again = [f"{i}-again" for i in IDS]
        world.db.lpush(world.key("jobs"), *[world.job(again[n], f"K-{i}" if n % 10 == 0 else f"new-{i}") for n, i in enumerate(IDS)])
        in_gulps(world, all_pushed(world))
        assert wait_for_all(world.db, QUEUE, again, what=world.state) == {"created": JOBS * 9 // 10, "duplicate": JOBS // 10}
        none_doubled(peer)


def test_redis_is_full(server, peer):
    """What was created is settled all the same; nothing more is taken on until there is room."""
    with world_of(server, peer) as world:
        hold = {"on": True}
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=1 if hold["on"] else 0.01)
        push_all(world)
        wait_until(lambda: len(peer.posts) >= 16, 10, world.state)
        world.db.config_set("maxmemory", world.db.info("memory")["used_memory"] // 2)
        wait_until(lambda: world.db.llen(world.key("results")) >= 16, 10, world.state)
        hold["on"] = False
        world.db.config_set("maxmemory", 0)
        all_created(world, peer)


def test_what_fails_for_a_while_keeps_its_text(server, peer):
    """Each of the later orders is refused twice, goes back and waits."""
    seen = {}

    def answer(request):
        key = json.dumps(request.json, sort_keys=True)
        seen[key] = seen.get(key, 0) + 1
        return Answer(503, delay=0.02) if seen[key] < 3 and len(seen) > 100 else created(world, request)
    with world_of(server, peer) as world:
        peer.default = answer
        push_all(world)
        in_gulps(world, lambda: len(seen) > 150)
        assert wait_for_all(world.db, QUEUE, IDS, what=world.state) == {"created": JOBS}
        assert sorted(seen.values()) == [1] * 100 + [3] * (JOBS - 100)


def test_what_waits_for_its_accounts_rate_keeps_its_text(server, peer):
    with world_of(server, peer, account={"rate": "200/s", "burst": "20"}) as world:
        push_all(world)
        all_created(world, peer)


def test_the_heir_of_a_dead_worker_finds_the_texts(server, peer):
    """Some had begun (unknown then), some had not."""
    with world_of(server, peer) as dead:
        push_all(dead)
        in_gulps(dead, lambda: dead.db.llen(dead.key("results")) > 60)
        peer.default = lambda request: Answer(200, dead.provider.answer(request.json), delay=60)
        seen = len(peer.posts)
        wait_until(lambda: len(peer.posts) > seen, 10, dead.state)
        dead.daemon.kill()
        with world_of(server, peer) as heir:
            fates = wait_for_all(heir.db, QUEUE, IDS, what=heir.state)
            assert fates["created"] + fates["unknown_outcome"] == JOBS and 1 <= fates["unknown_outcome"] <= 32
            none_doubled(peer)


def test_who_ends_leaves_nothing(server, peer):
    with world_of(server, peer) as world:
        push_all(world)
        in_gulps(world, lambda: world.db.llen(world.key("results")) > 60)
        world.daemon.stop()
        assert not world.db.keys(world.key("claims:*")) and not world.db.keys(world.key("batch:*"))
        assert world.db.llen(world.key("jobs")) + world.db.llen(world.key("results")) == JOBS
