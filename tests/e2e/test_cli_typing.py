"""Typing errors are refused, with what was probably meant: a command that did nothing must not look like one that did."""

import pytest

from lib.process import dray
from lib.world import QUEUE, World, created


@pytest.fixture
def world(empty_redis, peer):
    with World(empty_redis, peer, accounts={"shop-eu": {}}) as world:
        peer.default = lambda request: created(world.provider, request)
        yield world


def refused(world, *args):
    before = sorted(world.db.scan_iter())
    done = dray(*args, "-c", world.daemon.path)
    assert done.returncode == 2, (args, done.returncode, done.stdout, done.stderr)
    assert done.stdout == b""
    assert sorted(world.db.scan_iter()) == before, "nothing may be left in Redis"
    return done.stderr.decode()


@pytest.mark.parametrize("args", [["pause", "ordrs"], ["resume", "ordrs"], ["status", "ordrs"], ["audit", "ordrs"], ["dead", "ls", "ordrs"],
                                  ["dead", "retry", "ordrs", "--all"]], ids=" ".join)
def test_a_queue_that_is_none(world, args):
    said = refused(world, *args)
    assert "no queue 'ordrs'" in said and "did you mean 'orders'?" in said and "--force" in said


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_an_account_that_is_none(world, verb):
    said = refused(world, verb, QUEUE, "shop-ue")
    assert "has no account 'shop-ue'" in said and "did you mean 'shop-eu'?" in said


def test_words_of_dead(world):
    assert "did you mean 'invalid'?" in refused(world, "dead", "ls", QUEUE, "--reason", "invald")
    assert "did you mean 'kakaclo-v2'?" in refused(world, "dead", "ls", QUEUE, "--provider", "kakaclo2")
    assert "did you mean 'retry'?" in refused(world, "dead", "rety", QUEUE)


def test_force_and_what_redis_knows(world):
    done = dray("pause", "later", "--force", "-c", world.daemon.path)
    assert done.returncode == 0 and b"later is paused" in done.stdout
    assert dray("resume", "later", "-c", world.daemon.path).returncode == 0, "Redis knows of it now"
    assert b"no queue 'later'" in dray("status", "later", "-c", world.daemon.path).stderr, "and has forgotten it"
    world.db.lpush(world.key("jobs", queue="elsewhere"), "{}")
    assert dray("status", "elsewhere", "-c", world.daemon.path).returncode == 0
    assert dray("pause", QUEUE, "gone", "--force", "-c", world.daemon.path).returncode == 0
