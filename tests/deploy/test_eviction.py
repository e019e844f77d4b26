"""A Redis that throws keys away when it is full loses orders: the worker says so."""

import pytest

from lib.redis_server import RedisServer
from lib.world import World, created


@pytest.mark.parametrize("options, warned", [
    ({"maxmemory": "100mb", "maxmemory_policy": "allkeys-lru"}, True),
    ({"maxmemory": "100mb", "maxmemory_policy": "volatile-ttl"}, True),  # ledger entries have a time to live
    ({"maxmemory": "100mb", "maxmemory_policy": "noeviction"}, False),
    ({"maxmemory": "0", "maxmemory_policy": "allkeys-lru"}, False),      # no limit: nothing is ever evicted
])
def test_a_policy_that_loses_orders_is_named(peer, options, warned):
    with RedisServer(**options) as redis, World(redis, peer) as world:
        peer.default = lambda request: created(world.provider, request)
        if warned:
            message = world.daemon.wait_event("redis_may_evict")["message"]
            assert options["maxmemory_policy"] in message and "orders" in message and "noeviction" in message
        world.send("one")
        assert world.result()["status"] == "created"
        assert len(world.daemon.events_named("redis_may_evict")) == (1 if warned else 0)
