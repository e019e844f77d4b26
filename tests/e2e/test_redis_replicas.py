"""min_replicas: nothing leaves before enough replicas know; and a primary that dies under load, found
again through Sentinel."""

import pytest

from lib.fates import none_doubled, posts_by_key, sandbox_doubled_none, wait_for_all
from lib.redis_cluster import ReplicatedRedis
from lib.sandbox import Sandbox
from lib.wait import stays_true, wait_until
from lib.world import QUEUE, World, created

ONE = {"min_replicas": "1", "min_replicas_timeout": "300ms"}


@pytest.fixture
def group():
    with ReplicatedRedis(replicas=1) as one:
        yield one


def replicated(group, peer, **wanted):
    return World(group.primary, peer, worker={"lease": "6s"}, config_redis={**ONE, **wanted})


def test_orders_leave_once_a_replica_knows(group, peer):
    with replicated(group, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        for n in range(200):
            world.send(f"job-{n}", f"K-{n}")
        assert wait_for_all(world.db, QUEUE, [f"job-{n}" for n in range(200)]) == {"created": 200}
        none_doubled(peer)
        assert not world.daemon.events_named("replicas_missing")


def test_each_order_is_on_the_replica_before_its_post(group, peer):
    """The provider looks at the replica when the order arrives."""
    seen = []
    with replicated(group, peer) as world:
        def look(request):
            key = world.key(f"order:shop:{request.json['customOrderId']}")
            seen.append(group.replicas[0].client.get(key))
            return created(world.provider, request)
        peer.default = look
        for n in range(50):
            world.send(f"job-{n}", f"K-{n}")
        world.results(50)
        assert len(seen) == 50 and all(entry is not None and entry.startswith(b"S ") for entry in seen), seen


def test_nothing_is_sent_while_the_replica_hangs(group, peer):
    with replicated(group, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        world.send("before")
        assert world.result()["id"] == "before"
        group.replicas[0].sigstop()
        for n in range(20):
            world.send(f"job-{n}", f"K-{n}")
        event = world.daemon.wait_event("replicas_missing")
        assert (event["replicas"], event["min_replicas"]) == (0, 1)
        stays_true(lambda: len(peer.posts) == 1, 2, "one POST")
        assert len(world.daemon.events_named("replicas_missing")) == 1
        # The order keys are free meanwhile: what was handed back left no mark.
        wait_until(lambda: not list(world.db.scan_iter(world.key("order:shop:K-[0-9]*"))), 10, world.state)
        group.replicas[0].sigcont()
        world.daemon.wait_event("replicas_back", 30)
        fates = wait_for_all(world.db, QUEUE, [f"job-{n}" for n in range(20)], what=world.state)
        assert fates == {"created": 20}
        none_doubled(peer)


def test_more_replicas_than_there_are(group, peer):
    with replicated(group, peer, min_replicas="2") as world:
        text = world.send("job")
        event = world.daemon.wait_event("replicas_missing")
        assert (event["replicas"], event["min_replicas"]) == (1, 2)
        assert world.daemon.stop() == 0
        assert world.waiting() == [text.encode()]
        assert peer.posts == []


def test_the_script_cache_is_lost(group, peer):
    """Then begin goes once more, as EVAL, and WAIT with it."""
    with replicated(group, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        for n in range(5):
            group.primary.client.script_flush()
            world.send(f"job-{n}", f"K-{n}")
            assert world.result()["status"] == "created"
        assert len(posts_by_key(peer)) == 5
        none_doubled(peer)


def test_the_primary_dies_under_load():
    """With min_replicas no order leaves before a replica knows of it, so that none is sent twice."""
    with Sandbox("--latency", "20ms") as sandbox, ReplicatedRedis(replicas=2, sentinels=3) as group:
        sentinels = ",".join(f"127.0.0.1:{s.port}" for s in group.sentinels)
        world = World(group.primary, base_url=sandbox.url, worker={"lease": "6s"},
                      config_redis={**ONE, "url": group.primary.tcp_url, "sentinels": sentinels,
                                    "sentinel_master": "main"})
        ids = [f"job-{n}" for n in range(400)]
        with world:
            for id in ids:
                world.send(id, f"K-{id}")
            assert world.db.wait(2, 5000) == 2  # every push is on both replicas before anything is lost
            wait_until(lambda: world.db.llen(world.key("results")) >= 60, 30, world.state)
            group.primary.kill()
            wait_until(lambda: group.current() is not None, 30, "a new primary")
            fates = wait_for_all(group.current().client, QUEUE, ids, what=world.daemon.process.tail)
            assert fates["created"] + fates["duplicate"] + fates["unknown_outcome"] == 400, fates
            assert sandbox_doubled_none(sandbox) == 400
            assert world.daemon.stop() == 0
