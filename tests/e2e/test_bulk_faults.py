"""Workers under a backlog, with large turns, while they are killed, stopped and ended, their
connections cut and their scripts flushed: each order is created once, each job has one fate, nothing is left over."""

import random
import time

import pytest

from lib.fates import wait_for_all
from lib.process import dray
from lib.redis_server import RedisServer
from lib.sandbox import Sandbox
from lib.world import QUEUE, World

SECONDS = 6  # of faults
BACKLOG = 400


class Storm:
    def __init__(self, redis, sandbox, seed):
        self.redis, self.sandbox, self.dice = redis, sandbox, random.Random(seed)
        self.db, self.count, self.ids, self.workers, self.done = redis.client, 0, [], [], []

    def start_worker(self):
        """vu's look-up is exact: what a dead worker left is found, or sent again if it surely is not there."""
        self.count += 1
        world = World(self.redis, base_url=self.sandbox.url, provider="vu",
                      worker={"lease": "1s", "name": f"w{self.count}", "log_level": "info"},
                      queue={"concurrency": self.dice.choice(["16", "64", "300"])},
                      account={"on_unknown": "lookup", "on_absent": "retry", "lookup_delay": "100ms", "absent_window": "200ms", "request_timeout": "1s",
                               "max_attempts": "50", "concurrency": "1000" if self.count % 2 else "0"})
        world.__enter__()
        self.workers.append(world)
        return world

    def push(self):
        if self.db.llen(f"dray:{{{QUEUE}}}:jobs") < BACKLOG:
            ids = [f"job-{len(self.ids) + i}" for i in range(BACKLOG)]
            self.ids += ids
            self.db.lpush(f"dray:{{{QUEUE}}}:jobs", *[self.workers[0].job(i, f"K-{i}") for i in ids])

    def fault(self):
        kind = self.dice.choice(["kill", "term", "stop", "cut", "flush", "pause", "none"])
        world = self.dice.choice(self.workers)
        if kind in ("kill", "term"):
            world.daemon.kill() if kind == "kill" else world.daemon.send(15)
            self.workers.remove(world)
            self.done.append(world)
        elif kind == "stop":
            world.daemon.sigstop()
            time.sleep(self.dice.choice([0.2, 1.5]))  # longer than a lease, or not
            world.daemon.sigcont()
        elif kind == "cut":
            self.db.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        elif kind == "flush":
            self.db.script_flush()
        elif kind == "pause":
            self.db.client_pause(self.dice.choice([20, 100]))
        time.sleep(self.dice.random() * 0.3)

    def close(self):
        for world in self.workers + self.done:
            world.daemon.close()


def in_bulk(db):
    """Many orders begin in one turn, which writes their ledger entries at once."""
    turns = db.info("commandstats").get("cmdstat_mset", {"calls": 0})["calls"]
    return turns > 5 and int(db.hget(f"dray:{{{QUEUE}}}:stats", "settled") or 0) > 3 * turns


@pytest.mark.parametrize("seed", [1, 2])
def test_each_order_is_created_once(seed):
    with RedisServer() as redis, Sandbox("--latency", "10ms", "--remember", "200000") as sandbox:
        storm = Storm(redis, sandbox, seed)
        try:
            begun = time.monotonic()
            while (took := time.monotonic() - begun) < SECONDS or (took < 10 * SECONDS and not in_bulk(storm.db)):
                while len(storm.workers) < 2:
                    storm.start_worker()
                storm.push()
                storm.fault()
            last = storm.workers[0] if storm.workers else storm.start_worker()
            fates = wait_for_all(storm.db, QUEUE, storm.ids, what=last.state)
            assert fates == {"created": len(storm.ids)}
            orders = sandbox.orders()["orders"]
            assert len(orders) == len(storm.ids) and [o for o in orders if o["created"] != 1] == []
            audit = dray("audit", "-c", last.daemon.path)
            assert audit.returncode == 0, audit.stdout + audit.stderr
            assert in_bulk(storm.db)
        finally:
            storm.close()
