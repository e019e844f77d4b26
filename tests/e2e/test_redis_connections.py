"""Few connections to Redis: every queue is served all the same, and it is said how."""

import json
import re
import time

import redis

from lib.admin import AdminWorld
from lib.balancer import Balancer
from lib.fates import none_doubled
from lib.process import dray
from lib.redis_server import RedisServer
from lib.wait import wait_until
from lib.world import QUEUE, World, created

QUEUES = 200


class ManyQueues(AdminWorld):
    """One account and one queue each: q0, q1, …"""

    def __init__(self, server, peer, count, **more):
        super().__init__(server, peer, **more)
        for n in range(count):
            self.config[f"account a{n}"] = {**self.config["account shop"], "queue": f"q{n}"}
        self.daemon.set_config(self.config)


def push_to_all(world, db, count, name):
    for n in range(count):
        db.lpush(f"dray:{{q{n}}}:jobs", world.job(f"{name}-{n}", f"K-{name}-{n}"))


def created_in_all(db, count, name):
    """How many of the queues have that job's result; takes it."""
    found = 0
    for n in range(count):
        for raw in db.lrange(f"dray:{{q{n}}}:results", 0, -1):
            result = json.loads(raw)
            found += result["id"] == f"{name}-{n}" and result["status"] == "created"
    return found


def test_200_queues_with_room_for_20_connections(peer):
    with RedisServer(maxclients="20") as server:
        world = ManyQueues(server, peer, QUEUES, worker={"lease": "6s"}, start=False)
        peer.default = lambda request: created(world.provider, request)
        with world:
            world.start()
            assert world.db.ping()
            event = world.daemon.wait_event("pickup_shared")
            assert "max number of clients" in event["reason"] and "maxclients" in event["message"]
            push_to_all(world, world.db, QUEUES, "first")
            start = time.monotonic()
            wait_until(lambda: created_in_all(world.db, QUEUES, "first") == QUEUES or world.check_running(), 20, "200 results")
            print(f"\n200 queues, maxclients 20: a job in each, all created after {time.monotonic() - start:.2f} s")
            # A lone job in a queue that was idle: a second at most until it is asked for.
            wait_until(lambda: world.metrics()["dray_queue_polled{queue=\"q0\"}"] in (0, 1), 10, "figures")
            slowest = 0.0
            for n in (0, 77, QUEUES - 1):
                start = time.monotonic()
                world.db.lpush(f"dray:{{q{n}}}:jobs", world.job(f"lone-{n}", f"K-lone-{n}"))
                wait_until(lambda: world.db.llen(f"dray:{{q{n}}}:results") == 2 or world.check_running(), 10, "the lone job")
                slowest = max(slowest, time.monotonic() - start)
            print(f"the slowest of three lone jobs: {slowest:.2f} s")
            assert slowest < 5
            # There is room for others: a producer and an operator get in.
            with redis.Redis(unix_socket_path=server.socket) as producer:
                assert producer.ping()
            metrics = world.metrics()
            polled = sum(v for k, v in metrics.items() if k.startswith("dray_queue_polled"))
            assert polled > QUEUES - 20 and metrics["dray_redis_connections"] < 20
            assert world.get("/api/v1/status")["redis"]["connections"] == metrics["dray_redis_connections"]
            wait_until(lambda: "asks for jobs: no connection of its own" in
                       dray("status", f"q{QUEUES - 1}", "-c", world.daemon.path).stdout.decode(), 20, "status to say it")
            assert len(world.daemon.events_named("pickup_shared")) == 1
            assert world.ask("/healthz").status == 200
            none_doubled(peer)
            assert len(peer.posts) == QUEUES + 3


def test_a_proxy_that_lets_one_connection_in(redis_server, peer):
    """Served over the worker's connection meanwhile, and said; a reload tries again."""
    with Balancer(redis_server.port, limit=1) as proxy, \
            AdminWorld(redis_server, peer, config_redis={"url": proxy.url}, worker={"lease": "3s"}) as world:
        peer.default = lambda request: created(world.provider, request)
        for n in range(5):
            world.send(f"job-{n}")
        world.results(5)
        event = world.daemon.wait_event("pickup_shared")
        assert event["queue"] == QUEUE and event["reason"]
        assert world.get("/api/v1/queues")["queues"][0]["here"]["pickup_mode"] == "polling"
        for n in range(3):
            world.alive()
        tried = proxy.accepted
        assert tried < 20, "in a hurry"
        proxy.limit = None
        world.daemon.send(1)
        wait_until(lambda: world.get("/api/v1/queues")["queues"][0]["here"]["pickup_mode"] == "blocking", 10, "its own connection")
        wait_until(lambda: any(c["cmd"] == "blmove" for c in redis_server.client.client_list()), 10, "a pick-up that blocks")
        world.alive()
        none_doubled(peer)


def test_no_pickup_connections_at_all(redis_server, peer):
    with World(redis_server, peer, config_redis={"pickup_connections": "0"}) as world:
        peer.default = lambda request: created(world.provider, request)
        for _ in range(3):
            world.alive()
        clients = [c for c in redis_server.client.client_list() if c["name"]]
        assert len(clients) == 1, clients
        text = json.loads(dray("status", "--json", "-c", world.daemon.path).stdout)["queues"][0]["workers"][0]
        assert text["pickup_mode"] == "polling" and text["connections"] == 1
        assert world.daemon.stop() == 0
        none_doubled(peer)


def test_full_and_emptied(peer):
    """A full Redis, and results at their mark: said by status, readiness, API and metrics, until it is over."""
    with RedisServer(maxmemory="64mb", maxmemory_policy="noeviction") as server, \
            AdminWorld(server, peer, worker={"lease": "3s"}, queue={"results_high_water": "2"}) as world:
        peer.default = lambda request: created(world.provider, request)

        def said():
            return json.loads(dray("status", "--json", "-c", world.daemon.path).stdout)["queues"][0]
        assert not said()["redis_full"] and not said()["results_full"]
        for n in range(2):
            world.send(f"job-{n}")
        wait_until(lambda: world.db.llen(world.key("results")) == 2, 10, world.state)
        assert said()["results_full"] and not said()["redis_full"]
        assert "RESULTS FULL: results_high_water (2)" in dray("status", "-c", world.daemon.path).stdout.decode()
        world.results(2)
        world.send("late")
        server.client.config_set("maxmemory", "1mb")
        event = world.daemon.wait_event("redis_error")
        assert re.match(r"OOM command not allowed when used memory > 'maxmemory'\.?$", event["message"]), event
        assert "Redis is full" in world.wait_status("/readyz", 503).json["reason"]
        assert world.metrics()['dray_queue_redis_full{queue="orders"}'] == 1
        assert world.get("/api/v1/queues")["queues"][0]["here"]["redis_full"] is True
        assert said()["redis_full"]
        assert "REDIS IS FULL" in dray("status", "-c", world.daemon.path).stdout.decode()
        assert world.ask("/healthz").status == 200
        server.client.config_set("maxmemory", "64mb")
        world.wait_status("/readyz", 200)
        world.alive()
        assert world.metrics()['dray_queue_redis_full{queue="orders"}'] == 0
        none_doubled(peer)


def test_one_key_of_a_wrong_type(redis_server, peer):
    """The queue and the key are named, and the other queue is shown."""
    world = ManyQueues(redis_server, peer, 2, start=False)
    with world:
        peer.default = lambda request: created(world.provider, request)
        redis_server.client.set("dray:{q0}:dead", "a string")
        done = dray("status", "-c", world.daemon.path)
        text = done.stdout.decode()
        assert done.returncode == 1
        assert "queue q0   BROKEN: dray:{q0}:dead holds a string where dray keeps a zset; rename it" in text
        assert "queue q1\n" in text and "queue orders\n" in text
        done = dray("status", "--json", "-c", world.daemon.path)
        queues = {q["queue"]: q for q in json.loads(done.stdout)["queues"]}
        assert done.returncode == 1 and "dray:{q0}:dead" in queues["q0"]["error"] and queues["q1"]["error"] is None


def test_healthz_fails_where_nothing_can_be_claimed(redis_server, peer):
    """Redis answers and refuses: the server has become a replica for good. Away, or full, is no reason."""
    world = AdminWorld(redis_server, peer, worker={"lease": "1s"},
                       config_redis={"command_timeout": "300ms", "url": redis_server.tcp_url})
    world.config["admin"]["liveness_after"] = "10s"
    world.daemon.set_config(world.config)
    with world:
        peer.default = lambda request: created(world.provider, request)
        world.alive()
        redis_server.client.replicaof("127.0.0.1", 1)
        start = time.monotonic()
        sick = world.wait_status("/healthz", 503, 40)
        assert time.monotonic() - start > 9
        assert "nothing could be claimed" in sick.json["reason"] and "although Redis answers" in sick.json["reason"], sick.json
        assert "replica" in sick.json["reason"] or "READONLY" in sick.json["reason"]
        redis_server.client.replicaof("NO", "ONE")
        world.wait_status("/healthz", 200)
        world.alive()
        none_doubled(peer)
