"""Redis comes back without its last writes (docs/guarantees.md says what that means in general)."""

from lib.peer import Answer
from lib.redis_server import RedisServer
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
