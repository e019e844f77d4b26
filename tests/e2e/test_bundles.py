"""Claims of many fresh jobs at a time, whose texts lie in lists of their own (bundle.lua): every order is sent once, whatever
happens between the claim and its texts, and no list is left when all is done."""

import json
import random
import struct
import time

import pytest

from lib.cutting_proxy import CuttingProxy
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


def world_of(redis, peer, **more):
    world = World(redis, peer, worker={"lease": "2s"}, queue={"concurrency": "16"}, **more)
    peer.default = lambda request: created(world, request)
    return world


def created(world, request):
    return Answer(200, world.provider.answer(request.json), delay=0.01)


def bundles(world, until, each=lambda: None):
    """Redis stands still for a moment again and again: many answers come meanwhile, and then many slots are free."""
    def held():
        each()
        world.db.client_pause(30)
        time.sleep(0.04)
        return until()
    wait_until(held, 20, world.state)


def sorted_times(world, count):
    return lambda: calls(world.db, "sort") >= count


def push_all(world):
    world.db.lpush(world.key("jobs"), *[world.job(i, f"K-{i}") for i in IDS])


def calls(db, command):
    return db.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"]


def none_left(world):
    """The worker is idle then, and lives on."""
    wait_until(lambda: not list(world.db.scan_iter(world.key("bundle:*"))), 10, world.state)


def all_created(world, peer):
    assert wait_for_all(world.db, QUEUE, IDS, what=world.state) == {"created": JOBS}
    assert len(posts_by_key(peer)) == JOBS
    none_doubled(peer)
    audit = dray("audit", "-c", world.daemon.path)
    assert audit.returncode == 0, audit.stdout + audit.stderr


def test_many_jobs_are_claimed_as_bundles(server, peer):
    with world_of(server, peer) as world:
        push_all(world)
        bundles(world, sorted_times(world, 5))
        all_created(world, peer)
        none_left(world)


def left_of_bundles(world):
    """Per bundle whose claims are folded (fold.lua): how many there are, how many are left."""
    found = []
    for key in world.db.scan_iter(world.key("claims:*")):
        claims = world.db.hgetall(key)
        found += [(struct.unpack_from("<cH", stored)[1], struct.unpack_from("<H", claims[name.replace(b"folded", b"left")])[0])
                  for name, stored in claims.items() if name.startswith(b"folded:")]
    return found


def test_their_claims_end_one_by_one(server, peer):
    """What stands for all of them says which are left."""
    with world_of(server, peer) as world:
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=random.uniform(0.005, 0.1))
        push_all(world)
        bundles(world, lambda: any(0 < left < count for count, left in left_of_bundles(world)))
        all_created(world, peer)
        none_left(world)


def test_few_jobs_are_not(server, peer):
    with world_of(server, peer) as world:
        for n in range(20):
            world.send(f"job-{n}", f"K-{n}")
            world.result()
        assert calls(world.db, "sort") == calls(world.db, "lrange") == 0


def test_large_jobs_are_not(server, peer):
    with world_of(server, peer) as world:
        world.db.lpush(world.key("jobs"), *[world.job(i, f"K-{i}", meta={"text": "x" * 4000}) for i in IDS[:60]])
        assert wait_for_all(world.db, QUEUE, IDS[:60], what=world.state) == {"created": 60}
        assert calls(world.db, "sort") == 0


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
        bundles(world, lambda: len(seen) > 150)
        fates = wait_for_all(world.db, QUEUE, IDS, what=world.state)
        assert fates == {"created": JOBS} and sorted(seen.values()) == [1] * 100 + [3] * (JOBS - 100)
        assert calls(world.db, "sort") > 0
        none_left(world)


def test_what_waits_for_its_accounts_rate_keeps_its_text(server, peer):
    with world_of(server, peer, account={"rate": "200/s", "burst": "20"}) as world:
        push_all(world)
        all_created(world, peer)
        none_left(world)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("word", [b"LRANGE", b"EVALSHA"])
def test_the_connection_is_lost_between_a_claim_and_its_texts(server, peer, word, when):
    """What was claimed is found, given back, and claimed again; its bundle goes."""
    with RedisCutter(server.port) as cutter:
        with world_of(server, peer, config_redis={"url": cutter.url}) as world:
            push_all(world)
            bundles(world, sorted_times(world, 2))
            cutter.cut(word, 1, when)
            bundles(world, cutter.was_cut.is_set)
            world.daemon.wait_event("redis_down")
            all_created(world, peer)
            none_left(world)


def test_texts_that_nobody_may_read(server, peer):
    """It is told, what was claimed goes back, and is claimed text by text."""
    proxy = CuttingProxy(server.port, mangle=lambda data: data.replace(b"\r\nLRANGE\r\n", b"\r\nNOSUCH\r\n"))
    with world_of(server, peer, config_redis={"url": proxy.url}) as world:
        push_all(world)
        bundles(world, sorted_times(world, 1))
        all_created(world, peer)
        lines = [str(e).lower() for e in world.daemon.events_named("redis_error")]
        assert len(lines) == 1 and "unknown command" in lines[0] and "nosuch" in lines[0], lines
        none_left(world)
    proxy.close()


def test_scripts_are_flushed_between(server, peer):
    """The texts are asked for before the claim that makes them has run: they are asked for again."""
    with world_of(server, peer) as world:
        push_all(world)
        bundles(world, sorted_times(world, 5), world.db.script_flush)
        all_created(world, peer)
        none_left(world)


def test_the_heir_of_a_dead_worker_finds_their_texts(server, peer):
    """Some had begun (unknown then), some had not; all have their texts."""
    with world_of(server, peer) as dead:
        push_all(dead)
        bundles(dead, sorted_times(dead, 3))
        peer.default = lambda request: Answer(200, dead.provider.answer(request.json), delay=60)
        seen = len(peer.posts)
        wait_until(lambda: dead.db.keys(dead.key("bundle:*")) and len(peer.posts) > seen, 10, dead.state)
        dead.daemon.kill()
        with world_of(server, peer) as heir:
            fates = wait_for_all(heir.db, QUEUE, IDS, what=heir.state)
            assert fates["created"] + fates["unknown_outcome"] == JOBS and 1 <= fates["unknown_outcome"] <= 32
            none_doubled(peer)
            none_left(heir)


def test_who_ends_leaves_none(server, peer):
    with world_of(server, peer) as world:
        push_all(world)
        bundles(world, sorted_times(world, 3))
        world.daemon.stop()
        assert not world.db.keys(world.key("bundle:*")) and not world.db.keys(world.key("inflight:*"))
