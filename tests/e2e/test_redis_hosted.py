"""Redis as it is hosted: behind an address that stays while the server behind it changes, under names with
several addresses, with few connections."""

import time

import pytest

from lib.balancer import Balancer, free_everywhere
from lib.fates import none_doubled, wait_for_all
from lib.hosts import Hosts
from lib.redis_cluster import ReplicatedRedis
from lib.wait import wait_until
from lib.world import QUEUE, World, created

LEASE = {"lease": "6s"}


@pytest.fixture
def group():
    with ReplicatedRedis(replicas=1) as one:
        yield one


def switch_roles(group):
    """The replica becomes the master and the old master its replica; clients' connections stay."""
    old, new = group.primary, group.replicas[0]
    assert old.client.wait(1, 5000) == 1
    clients = {c["id"] for c in old.client.client_list() if c["name"]}
    new.client.replicaof("NO", "ONE")
    old.client.replicaof("127.0.0.1", new.port)
    return new, clients


def goes_on(world, peer, group, new, before):
    """What was pushed before and what is pushed now is created once. How long the first took, in seconds."""
    start = time.monotonic()
    world.db = new.client
    for n in range(20):
        world.send(f"after-{n}", f"K-after-{n}")
    wait_until(lambda: new.client.llen(world.key("results")) > len(before) or world.check_running(), 20, world.state)
    took = time.monotonic() - start
    ids = [*before, *(f"after-{n}" for n in range(20))]
    assert wait_for_all(new.client, QUEUE, ids, what=world.state) == {"created": len(ids)}
    none_doubled(peer)
    return took


def some_orders(world, peer, count=20):
    peer.default = lambda request: created(world.provider, request)
    ids = [f"before-{n}" for n in range(count)]
    for id in ids:
        world.send(id, f"K-{id}")
    wait_for_all(world.db, QUEUE, ids, what=world.state)
    return ids


def test_a_failover_behind_a_fixed_address(group, peer):
    """The connection stays up with a server that has become a replica; new ones lead to the new master."""
    with Balancer(group.primary.port) as balancer, \
            World(group.primary, peer, worker=LEASE, config_redis={"url": balancer.url}) as world:
        before = some_orders(world, peer)
        new, _ = switch_roles(group)
        balancer.to = new.port
        took = goes_on(world, peer, group, new, before)
        print(f"\nfailover behind a fixed address: first result after {took:.2f} s")
        assert took < 10


def test_the_address_leads_to_a_replica_for_a_while(group, peer):
    """The balancer is slower than the failover: with backoff, and not in a hurry, until it has moved."""
    with Balancer(group.primary.port) as balancer, \
            World(group.primary, peer, worker=LEASE, config_redis={"url": balancer.url}) as world:
        before = some_orders(world, peer)
        new, _ = switch_roles(group)
        world.db = new.client
        world.send("meanwhile", "K-meanwhile")
        world.db = group.primary.client
        down = world.daemon.wait_event("redis_down")
        assert "READONLY" in down["message"] or "replica" in down["message"]
        seen = balancer.accepted
        wait_until(lambda: balancer.accepted > seen + 6, 20, "several attempts")
        downs = world.daemon.events_named("redis_down")
        assert any("the server is a replica, not a master" in e["message"] for e in downs), downs
        assert len(downs) < 20, downs
        balancer.to = new.port
        goes_on(world, peer, group, new, [*before, "meanwhile"])


def named(group, peer, hosts, port, name="redis"):
    world = World(group.primary, peer, worker=LEASE, config_redis={"url": f"redis://{name}.test:{port}"}, start=False)
    world.daemon.wrap = hosts.wrap
    return world


def test_a_name_that_comes_to_mean_another_server(group, peer):
    port = free_everywhere(["127.0.0.2", "127.0.0.3"])
    with Hosts(redis=["127.0.0.2"]) as hosts, Balancer(group.primary.port, "127.0.0.2", port), \
            Balancer(group.replicas[0].port, "127.0.0.3", port):
        world = named(group, peer, hosts, port)
        with world:
            world.start()
            before = some_orders(world, peer)
            new, _ = switch_roles(group)
            hosts.set(redis=["127.0.0.3"])
            print(f"\nfailover of a name: first result after {goes_on(world, peer, group, new, before):.2f} s")


@pytest.mark.parametrize("first", ["replica", "dead", "refused"])
def test_several_addresses_of_which_the_first_will_not_do(group, peer, first):
    """A replica; a balancer with nothing behind it; a port that nobody listens on. The name is up at the first
    attempt."""
    port = free_everywhere(["127.0.0.2", "127.0.0.3"])
    with Hosts(redis=["127.0.0.2", "127.0.0.3"]) as hosts, Balancer(group.primary.port, "127.0.0.3", port):
        other = None if first == "refused" else \
            Balancer(group.replicas[0].port if first == "replica" else None, "127.0.0.2", port)
        world = named(group, peer, hosts, port)
        with world:
            world.start()
            some_orders(world, peer)
            assert not world.daemon.events_named("redis_down")
            none_doubled(peer)
        if other is not None:
            other.close()


def test_after_readonly_the_next_address(group, peer):
    """Both addresses stay in the name; the roles behind them change."""
    port = free_everywhere(["127.0.0.2", "127.0.0.3"])
    with Hosts(redis=["127.0.0.2", "127.0.0.3"]) as hosts, Balancer(group.primary.port, "127.0.0.2", port), \
            Balancer(group.replicas[0].port, "127.0.0.3", port):
        world = named(group, peer, hosts, port)
        with world:
            world.start()
            before = some_orders(world, peer)
            new, _ = switch_roles(group)
            goes_on(world, peer, group, new, before)
