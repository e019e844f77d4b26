"""Redis comes back without its last writes (docs/guarantees.md says what that means in general)."""

from lib.peer import Answer
from lib.process import dray
from lib.redis_server import RedisServer
from lib.wait import wait_until
from lib.world import World


def test_a_settlement_that_redis_forgot_is_looked_into_and_not_sent_again(peer):
    """The claim is there again, as being sent, by a worker that is alive and done with it."""
    with RedisServer() as redis_server, World(redis_server, peer) as world:
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=0.5)
        world.send("job", "KEY-1")
        peer.wait_posts(1)
        world.db.save()
        assert world.result()["status"] == "created"
        redis_server.restart(kill=True)
        letter = world.dead(30)
        assert (letter["id"], letter["reason"]) == ("job", "unknown_outcome")
        assert world.result()["status"] == "failed"
        assert len(peer.posts) == 1
        world.alive()


def test_a_pick_up_that_redis_forgot_is_not_settled(peer):
    """Redis comes back as it was before the lone job was pushed: nobody has taken it, so nobody ends it. That its
    order was created is kept."""
    with RedisServer() as redis_server, World(redis_server, peer) as world:
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=0 if len(peer.posts) < 2 else 1)
        world.send("first", "KEY-1")
        assert world.result()["status"] == "created"
        world.db.save()
        world.send("lone", "KEY-2")
        peer.wait_posts(2)
        redis_server.restart(kill=True)
        wait_until(lambda: (world.db.get(world.key("order:shop:KEY-2")) or b"").startswith(b"C "), 20, world.state)
        assert world.db.llen(world.key("results")) == 0
        assert int(world.db.hget(world.key("stats"), "settled")) == int(world.db.hget(world.key("stats"), "taken")) == 1
        assert dray("audit", "-c", world.daemon.path).returncode == 0
        world.alive()
