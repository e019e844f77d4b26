"""What the worker says of its Redis at the start, and which Redis it refuses."""

import pytest

from lib.redis_cutter import RedisCutter
from lib.redis_server import RedisServer
from lib.wait import wait_until
from lib.world import World, created


def messages(world, event):
    return [e["message"] for e in world.daemon.events_named(event)]


def settle_down(world, peer):
    """One order has gone through: what the worker had to say of its server it has said."""
    peer.default = lambda request: created(world.provider, request)
    world.alive()


def test_a_server_as_it_should_be(peer):
    with RedisServer(appendonly=True) as server, World(server, peer) as world:
        settle_down(world, peer)
        for event in ("redis_not_persistent", "redis_unchecked"):
            assert not messages(world, event)


def test_points_of_saving_are_persistence_too(peer):
    with RedisServer(save="3600 1") as server, World(server, peer) as world:
        settle_down(world, peer)
        assert not messages(world, "redis_not_persistent")


def test_a_server_that_may_lose_jobs(peer):
    """Said once, with what to type, however often the connection comes back."""
    with RedisServer() as server, World(server, peer) as world:
        settle_down(world, peer)
        for client in server.client.client_list():
            if client["name"]:
                server.client.client_kill_filter(_id=client["id"])
        world.daemon.wait_event("redis_up")
        settle_down(world, peer)
        [disk] = messages(world, "redis_not_persistent")
        assert "CONFIG SET appendonly yes" in disk


def test_a_server_that_does_not_say(peer):
    """As managed ones do: told, and no more than that."""
    with RedisServer() as server:
        server.client.execute_command("ACL", "SETUSER", "dray", "on", ">word", "~*", "+@all", "-config")
        with World(server, peer, config_redis={"username": "dray", "password": "word"}) as world:
            settle_down(world, peer)
            assert any("CONFIG is not permitted" in m for m in messages(world, "redis_unchecked"))
        server.client.execute_command("ACL", "SETUSER", "dray", "-info")
        with World(server, peer, config_redis={"username": "dray", "password": "word"}) as world:
            settle_down(world, peer)
            assert any("INFO is not permitted" in m for m in messages(world, "redis_unchecked"))


@pytest.mark.parametrize("version,refused", [("6.0.9", True), ("5.0.9", True), ("6.2.0", False)])
def test_a_server_that_is_too_old(peer, version, refused):
    """A proxy changes what the server says of itself."""
    with RedisServer(appendonly=True) as server, RedisCutter(server.port) as cutter:
        ours = server.client.info("server")["redis_version"]
        cutter.rewrite = (f"redis_version:{ours}".encode(), f"redis_version:{version}".ljust(14 + len(ours))[:14 + len(ours)].encode())
        world = World(server, peer, config_redis={"url": cutter.url}, start=False)
        server.client.set("untouched", "1")
        world.daemon.launch()
        try:
            if not refused:
                world.daemon.wait_event("ready")
                assert world.daemon.stop() == 0
                return
            assert world.daemon.wait(15) == 1
            [message] = messages(world, "redis_too_old")
            assert version in message and "6.2" in message
            assert not world.daemon.events_named("ready")
        finally:
            world.close()


def test_a_stall_is_told(peer):
    with RedisServer(appendonly=True) as server, World(server, peer, worker={"lease": "1s"}) as world:
        world.daemon.sigstop()
        wait_until(lambda: server.client.zrangebyscore(world.key("workers"), "-inf", server.client.time()[0] * 1000), 10,
                   "the lease to run out")
        world.daemon.sigcont()
        event = world.daemon.wait_event("loop_stalled")
        assert event["ms"] >= 1000 and event["lease_ms"] == 1000
        settle_down(world, peer)
        assert len(world.daemon.events_named("loop_stalled")) == 1
