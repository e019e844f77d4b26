"""Turns whose results go ahead of them, in one transaction with the script (src/worker/ahead.c): each order is sent once and
has one result, whatever becomes of the transaction."""

import contextlib
import threading
import time

import pytest

from lib.fates import none_doubled, posts_by_key, wait_for_all
from lib.peer import Answer
from lib.process import dray
from lib.redis_cutter import RedisCutter
from lib.redis_server import RedisServer
from lib.wait import wait_until
from lib.world import QUEUE, World

JOBS = 300
IDS = [f"job-{n}" for n in range(JOBS)]


@pytest.fixture
def server():
    with RedisServer() as one:
        yield one


def world_of(redis, peer, **more):
    world = World(redis, peer, worker={"lease": "10s"}, queue={"concurrency": "32"}, **more)
    peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=0.01)
    return world


def transactions(db):
    return db.info("commandstats").get("cmdstat_exec", {"calls": 0})["calls"]


def push_all(world):
    world.db.lpush(world.key("jobs"), *[world.job(i, f"K-{i}") for i in IDS])


def in_gulps(world, until, each=lambda: None):
    """Redis stands still for a moment again and again: many answers come meanwhile, and make a turn of eight or more."""
    def held():
        each()
        world.db.client_pause(30)
        time.sleep(0.04)
        return until()
    wait_until(held, 30, world.state)


def all_pushed(world):
    return lambda: world.db.llen(world.key("results")) == JOBS


def no_texts_left(world):
    """Bundles that a turn was to take away, and did not, go with a later one."""
    wait_until(lambda: not list(world.db.scan_iter(world.key("bundle:*"))), 10, world.state)


def all_created(world, peer):
    assert wait_for_all(world.db, QUEUE, IDS, what=world.state) == {"created": JOBS}
    assert world.db.llen(world.key("results")) == JOBS
    assert len(posts_by_key(peer)) == JOBS
    none_doubled(peer)
    no_texts_left(world)
    audit = dray("audit", "-c", world.daemon.path)
    assert audit.returncode == 0, audit.stdout + audit.stderr


def test_they_do(server, peer):
    with world_of(server, peer) as world:
        push_all(world)
        in_gulps(world, all_pushed(world))
        all_created(world, peer)
        assert transactions(world.db) > JOBS / 32 / 2
        assert not world.daemon.events_named("redis_error")


def test_those_of_small_turns_do_not(server, peer):
    with world_of(server, peer) as world:
        for n in range(10):
            world.send(f"job-{n}", f"K-{n}")
            world.result()
        assert transactions(world.db) == 1  # it was asked whether it may


def test_the_connection_of_a_user_who_may_not_is_used_without(server, peer):
    server.client.execute_command("ACL", "SETUSER", "dray", "on", ">word", "~*", "+@all", "-multi")
    with world_of(server, peer, config_redis={"username": "dray", "password": "word"}) as world:
        push_all(world)
        in_gulps(world, all_pushed(world))
        all_created(world, peer)
        connections = 1 + len(world.daemon.events_named("redis_up"))
        assert 1 <= transactions(world.db) <= connections  # each was asked whether it may
        assert not world.daemon.events_named("redis_error")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", [2, 5])  # the first is the empty one
def test_the_connection_is_lost_with_a_transaction(server, peer, nth, when):
    with RedisCutter(server.port).cut(b"EXEC", nth, when) as cutter:
        with world_of(server, peer, config_redis={"url": cutter.url}) as world:
            push_all(world)
            in_gulps(world, cutter.was_cut.is_set)
            all_created(world, peer)
            assert world.daemon.events_named("redis_down") and transactions(world.db) >= nth - (when == "before")


def test_scripts_are_flushed_all_the_time(server, peer):
    with world_of(server, peer) as world:
        push_all(world)
        in_gulps(world, all_pushed(world), world.db.script_flush)
        all_created(world, peer)
        assert not world.daemon.events_named("redis_error")


def test_turns_that_turn_out_not_to_be_calm(server, peer):
    """Every other job asks for an order that exists by then: nothing of such a turn happens until it goes the usual way."""
    with world_of(server, peer) as world:
        push_all(world)
        all_created(world, peer)
        world.db.delete(world.key("results"))
        before = transactions(world.db)
        world.db.lpush(world.key("jobs"), *[world.job(f"{i}-again", f"K-{i}" if n % 40 == 0 else f"new-{i}")
                                            for n, i in enumerate(IDS)])
        old = len(range(0, JOBS, 40))
        in_gulps(world, all_pushed(world))
        fates = wait_for_all(world.db, QUEUE, [f"{i}-again" for i in IDS], what=world.state)
        assert fates == {"created": JOBS - old, "duplicate": old}
        assert transactions(world.db) > before and world.db.llen(world.key("results")) == JOBS
        no_texts_left(world)
        none_doubled(peer)


def test_redis_is_full(server, peer):
    """It refuses the transaction; what was created is settled all the same."""
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


class Entries:
    """Sees whether ledger entries of what begins are written by a command of its own, not by a script; and whether, in a
    transaction that settles nothing."""

    def __init__(self, db):
        self.monitor, self.seen, self.alone = db.monitor(), threading.Event(), threading.Event()

    def __enter__(self):
        self.monitor.__enter__()
        threading.Thread(target=self.watch, daemon=True).start()
        return self

    def __exit__(self, *error):
        """It ends with the server."""

    def watch(self):
        with contextlib.suppress(Exception):  # it is over
            before = None
            for command in self.monitor.listen():
                name = command["command"].split(" ")[0]
                if command["client_type"] == "lua":
                    continue
                if name == "MSETNX":
                    (self.seen if before == "PSETEX" else self.alone).set()
                before = name


def test_ledger_entries_of_whole_bundles_go_ahead_too(server, peer):
    with world_of(server, peer) as world, Entries(world.db) as entries:
        for more in range(20):
            world.db.lpush(world.key("jobs"), *[world.job(f"job-{more}-{n}", f"K-{more}-{n}") for n in range(JOBS)])
            in_gulps(world, lambda: world.db.llen(world.key("results")) == JOBS * (more + 1))
            if entries.seen.is_set() and entries.alone.is_set():
                break
        assert entries.seen.is_set() and entries.alone.is_set()
        none_doubled(peer)
        no_texts_left(world)
