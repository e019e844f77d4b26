"""What is between a turn that claims and the texts of its batch: they are read apart, and either may be lost."""

import itertools
import os

import pytest

from lib.fates import none_doubled, posts_by_key, wait_for_all
from lib.peer import Answer
from lib.process import dray
from lib.redis_byte_cutter import RedisByteCutter
from lib.redis_rewriter import RedisRewriter
from lib.scripts import CALLS
from lib.wait import wait_until
from lib.world import QUEUE, World

EACH = 3  # jobs that are pushed at once
CLAIMS = {"results_high_water": "1000000"}  # with it, a lone job is claimed like any other


def world_of(redis, peer, url):
    world = World(redis, peer, queue=CLAIMS, worker={"lease": "3s"}, config_redis={"url": url})
    peer.default = lambda request: Answer(200, world.provider.answer(request.json))
    return world


def push(world, round_):
    ids = [f"job-{round_}-{n}" for n in range(EACH)]
    world.db.lpush(world.key("jobs"), *[world.job(i, f"K-{i}") for i in ids])
    return ids


def all_created(world, peer, ids):
    assert wait_for_all(world.db, QUEUE, ids, what=world.state) == {"created": len(ids)}
    assert {f"K-{i}" for i in ids} <= set(posts_by_key(peer))
    none_doubled(peer)
    audit = dray("audit", "-c", world.daemon.path)
    assert audit.returncode == 0, audit.stdout + audit.stderr


def of_a_batch(args):
    return args[0] == b"LRANGE" and b":batch:" in args[1]


@pytest.mark.parametrize("times", [1, 2, 5])
def test_texts_that_are_not_there_yet_are_asked_for_again(redis_server, peer, times):
    """Once: as behind a turn whose script was not loaded. More often: what the batch holds is given back, and claimed anew."""
    with RedisRewriter(redis_server.port) as proxy:
        with world_of(redis_server, peer, proxy.url) as world:
            world.alive()
            left = itertools.count(-times)

            def rewrite(args):
                return [args[0], args[1] + b"-not", *args[2:]] if of_a_batch(args) and next(left) < 0 else args
            proxy.rewrite = rewrite
            all_created(world, peer, push(world, 0))
            handed_back = int(world.db.hget(world.key("stats"), "handed_back") or 0)
            assert (handed_back > 0) == (times > 1)


LONG = bool(os.environ.get("TESTS_LONG"))
# A few cuts a worker, as one whose connection is lost again and again waits ever longer before it connects. Coprime to what stands
# there, so that the bytes within a line differ. TESTS_LONG: at each byte that Redis says.
PIECES = [("client", 1 if LONG else 17, 340 if LONG else 20, n) for n in range(340 if LONG else 20)]
PIECES += [("server", 127, 8, n) for n in range(8)]


@pytest.mark.parametrize("to, step, pieces, piece", PIECES)
def test_the_connection_is_cut_within_a_batch_s_life(redis_server, peer, to, step, pieces, piece):
    """From the turn that claims it to the end of its settlement: at every 17th byte of what Redis says, and every 127th of what it is told."""
    with RedisByteCutter(redis_server.port) as cutter, world_of(redis_server, peer, cutter.url) as world:
        world.alive()
        ids = []
        for at in range(step * piece, 100000, step * pieces):
            cutter.cut(CALLS["claim"], at, to)
            ids += push(world, at)
            wait_until(lambda: world.db.llen(world.key("results")) >= len(ids), 30, world.state)
            if not cutter.was_cut.is_set():
                break
        cutter.disarm()
        all_created(world, peer, ids)
        assert len(ids) > 3 * EACH
        assert world.db.hget(world.key("stats"), "recovered_unknown") is None
