"""Queues on the nodes of a Redis Cluster, with slots that move under load."""

import json
import time

import pytest

from lib.fates import sandbox_doubled_none, wait_for_all
from lib.process import dray
from lib.redis_cluster import InBackground, RedisCluster, slot_of
from lib.sandbox import Sandbox
from lib.wait import SLOW, wait_until
from lib.world import QUICK, QUEUE, World

OTHER = "samples"  # lies on another of three nodes than "orders"


@pytest.fixture(scope="module")
def cluster():
    with RedisCluster(3) as one:
        yield one


@pytest.fixture
def sandbox():
    with Sandbox("--latency", "20ms") as one:
        yield one


class TwoQueues(World):
    """One worker with an account in each of two queues."""

    def __init__(self, redis, base_url, lease="6s", **more):
        super().__init__(redis, base_url=base_url, worker={"lease": lease}, start=False, **more)
        self.config["account other"] = self.provider.settings(base_url, queue=OTHER, **QUICK)
        self.daemon.set_config(self.config)
        self.autostart = True

    def push_many(self, queue, first, count, pause=0.0):
        for n in range(first, first + count):
            order = self.provider.order(f"{queue}-{n}")
            self.db.lpush(self.key("jobs", queue), json.dumps({"id": f"{queue}-{n}", "order": order}))
            time.sleep(pause)
        return [f"{queue}-{n}" for n in range(first, first + count)]


def home(cluster, queue):
    return cluster.node_of(slot_of(f"{{{queue}}}"))


def test_two_queues_on_two_nodes(cluster, sandbox):
    assert home(cluster, QUEUE) is not home(cluster, OTHER)
    with TwoQueues(cluster, sandbox.url) as world:
        for queue in (QUEUE, OTHER):
            ids = world.push_many(queue, 0, 50)
            assert wait_for_all(world.db, queue, ids)["created"] == 50
        assert sandbox_doubled_none(sandbox) == 100
        began = time.monotonic()
        assert world.daemon.stop() == 0
        assert time.monotonic() - began < 2.5 * SLOW  # both pick-ups were ended on their own nodes
        for queue in (QUEUE, OTHER):
            assert world.db.zcard(world.key("workers", queue)) == 0
            world.db.delete(world.key("results", queue), world.key("stats", queue))


def test_a_slot_moves_under_load(cluster, sandbox):
    """Both queues move, one after the other, to a node that has not seen the scripts."""
    with TwoQueues(cluster, sandbox.url) as world:
        pushing = {q: InBackground(world.push_many, q, 1000, 400, 0.005) for q in (QUEUE, OTHER)}
        for queue in (QUEUE, OTHER):
            time.sleep(0.3)
            source = home(cluster, queue)
            target = next(n for n in cluster.nodes if n is not source and n is not home(cluster, OTHER))
            target.client.script_flush()
            cluster.migrate(slot_of(f"{{{queue}}}"), target)
            assert home(cluster, queue) is target
        for thread in pushing.values():
            thread.join()
        for queue in (QUEUE, OTHER):
            ids = [f"{queue}-{n}" for n in range(1000, 1400)]
            assert wait_for_all(world.db, queue, ids, what=world.daemon.process.tail) == {"created": 400}
        assert sandbox_doubled_none(sandbox) == 800
        assert world.daemon.stop() == 0


def test_the_verbs_find_the_queues_node(cluster, sandbox, tmp_path):
    with TwoQueues(cluster, sandbox.url) as world:
        for queue in (QUEUE, OTHER):
            world.db.delete(world.key("results", queue))
            job = tmp_path / "job.json"
            job.write_text(json.dumps({"id": f"cli-{queue}", "order": world.provider.order(f"CLI-{queue}")}))
            done = dray("push", "-c", world.daemon.path, queue, str(job))
            assert done.returncode == 0, done.stderr
            wait_until(lambda q=queue: world.db.llen(world.key("results", q)) == 1, 10, "the result")
            done = dray("results", "-c", world.daemon.path, "--no-wait", queue)
            assert json.loads(done.stdout)["id"] == f"cli-{queue}"
        done = dray("status", "-c", world.daemon.path, "--json")
        assert done.returncode == 0, done.stderr
        done = dray("audit", "-c", world.daemon.path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert QUEUE.encode() in done.stdout and OTHER.encode() in done.stdout
        for queue in (QUEUE, OTHER):
            assert dray("dead", "ls", queue, "-c", world.daemon.path).returncode == 0
            assert dray("pause", queue, "-c", world.daemon.path).returncode == 0
            assert world.db.hlen(world.key("pauses", queue)) == 1
            assert dray("resume", queue, "-c", world.daemon.path).returncode == 0
