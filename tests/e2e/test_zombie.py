"""A worker that was stopped past its lease and comes back finds its orders taken, and leaves them alone."""

from lib.peer import Answer, Peer
from lib.wait import wait_until
from lib.world import World, created

LEASE = {"lease": "1s"}
CONNECTING = {"connect_timeout": "30s", "request_timeout": "30s"}


def is_sending(world):
    return any(world.db.get(k).startswith(b"S ") for k in world.db.scan_iter(world.key("order:*")))


def wait_fenced(world):
    """The worker has been told that an order of its is another's."""
    return world.daemon.wait_event("fenced", 30)


def test_an_order_still_connecting_does_not_leave_once_it_was_recovered(empty_redis):
    """Its lease is alive again when the connection comes up, but the order was begun under the lost one."""
    with Peer(accept="full") as peer:
        with World(empty_redis, peer, account=CONNECTING, worker={**LEASE, "name": "zombie"}) as zombie:
            peer.default = lambda request: created(zombie.provider, request)
            zombie.send("job", "KEY-1")
            wait_until(lambda: is_sending(zombie), 10, "the order to be begun")
            zombie.daemon.sigstop()
            with World(empty_redis, peer, account=CONNECTING, worker={**LEASE, "name": "heir"}) as heir:
                letter = heir.dead()
                assert (letter["reason"], letter["error"]["code"]) == ("unknown_outcome", "worker_died")
                zombie.daemon.sigcont()
                zombie.daemon.wait_event("lease_lost")
                peer.set_accept("serve")
                wait_fenced(zombie)
                assert peer.posts == []


def test_what_a_zombie_learned_goes_into_the_ledger(empty_redis, peer):
    with World(empty_redis, peer, worker={**LEASE, "name": "zombie"}) as zombie:
        peer.default = lambda request: Answer(200, zombie.provider.answer(request.json), delay=0.5)
        zombie.send("job", "KEY-1")
        peer.wait_posts(1)
        zombie.daemon.sigstop()
        with World(empty_redis, peer, worker={**LEASE, "name": "heir"}) as heir:
            assert heir.dead()["reason"] == "unknown_outcome"
            assert heir.result()["status"] == "failed"
            zombie.daemon.sigcont()
            wait_fenced(zombie)
            heir.send("again", "KEY-1")
            result = heir.result()
            assert (result["status"], result["order_id"]) == ("duplicate", str(heir.provider.id_for("KEY-1")))
            assert len(peer.posts) == 1
            heir.no_result()
