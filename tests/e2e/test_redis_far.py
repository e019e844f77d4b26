"""A Redis whose every answer takes a while, as one in another building does."""

import time

import pytest

from lib.cutting_proxy import CuttingProxy
from lib.fates import none_doubled, wait_for_all
from lib.peer import Answer, Peer
from lib.redis_server import RedisServer
from lib.wait import wait_until
from lib.world import QUEUE, World

AWAY = 0.005  # seconds, on the way there
IDS = [f"job-{n}" for n in range(300)]


def late(data):
    time.sleep(AWAY)
    return data


@pytest.fixture
def world():
    with RedisServer() as server, Peer() as peer:
        proxy = CuttingProxy(server.port, mangle=late)
        with World(server, peer, config_redis={"url": proxy.url}, queue={"concurrency": "64"},
                   account={"request_timeout": "60s"}) as one:
            peer.default = lambda request: Answer(200, one.provider.answer(request.json))
            yield one
            none_doubled(peer)
        proxy.close()


def waits_for_work(world):
    return any(c["cmd"] == "blmove" and "b" in c["flags"] for c in world.db.client_list())


def pick_ups(world):
    """Newer servers count one when it is over."""
    return world.db.info("commandstats").get("cmdstat_blmove", {"calls": 0})["calls"]


def test_an_idle_worker_takes_a_backlog_in_batches(world):
    """A pick-up that took long was not one of a lone job."""
    wait_until(lambda: waits_for_work(world), 10, world.state)
    before = pick_ups(world)
    world.db.lpush(world.key("jobs"), *[world.job(i, f"K-{i}") for i in IDS])
    assert wait_for_all(world.db, QUEUE, IDS, what=world.state) == {"created": len(IDS)}
    assert pick_ups(world) - before <= 20
