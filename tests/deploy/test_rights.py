"""The Redis users of docs/operations.md, "The rights of each role": each is enough for its role's whole work, nothing that it
was granted is refused on the way, and it can do nothing else."""

import contextlib
import glob
import json
import os
import re

import pytest
import redis

from lib.fates import none_doubled, posts_by_key
from lib.peer import Answer
from lib.process import ROOT, dray
from lib.redis_cluster import RedisCluster
from lib.redis_server import RedisServer
from lib.wait import wait_until
from lib.world import World, created

with open(os.path.join(ROOT, "docs", "operations.md"), encoding="utf-8") as f:
    ROLES = dict(re.findall(r"^```text acl-([\w-]+)\n(.*?)\n```$", f.read(), re.M | re.S))


@contextlib.contextmanager
def role(server, name, without=()):
    """The role's user as the page has it, and its name and password. Whatever Redis refused it fails the test, unless it
    is a `without`."""
    words = ROLES[name].split()
    assert words[0] == "user"
    acl = server.client.execute_command
    acl("ACL", "LOG", "RESET")
    acl("ACL", "SETUSER", words[1], *words[2:], *without)
    password = next(w[1:] for w in words if w.startswith(">"))
    try:
        yield {"username": words[1], "password": password}
        if not without:
            assert denied(server) == []
    finally:
        acl("ACL", "DELUSER", words[1])


def denied(server):
    return [entry[entry.index(b"object") + 1].decode() for entry in server.client.execute_command("ACL", "LOG")]


def cannot(server, user, *commands):
    client = redis.Redis.from_url(server.tcp_url, **user)
    for command in commands:
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*command)
    client.close()
    server.client.execute_command("ACL", "LOG", "RESET")


@pytest.fixture
def server():
    with RedisServer() as one:
        yield one


def test_every_role_is_on_the_page():
    assert set(ROLES) == {"producer", "worker", "operator", "exporter"}


def test_all_that_the_scripts_call_is_tried_at_the_start():
    """TIME comes first and changes nothing."""
    folder = os.path.join(ROOT, "src", "queue", "lua")
    called = set()
    for path in glob.glob(os.path.join(folder, "*.lua")):
        with open(path, encoding="utf-8") as f:
            called |= set(re.findall(r"\b(?:call|try|pcall)\('([A-Z]+)", f.read()))
    with open(os.path.join(ROOT, "src", "worker", "rights.c"), encoding="utf-8") as f:
        tried = set(re.findall(r'\{"([A-Z]+)", ', f.read()))
    assert len(called) > 30 and called - tried == {"TIME"}


def test_a_producer(server, peer):
    with World(server, peer) as world, role(server, "producer") as user:
        peer.default = lambda request: created(world.provider, request)
        shop = redis.Redis.from_url(server.tcp_url, **user)
        shop.lpush(world.key("jobs"), world.job("x1", "K1"))
        taken = wait_until(lambda: shop.blmove(world.key("results"), "shop:{orders}:mine", 1, "RIGHT", "LEFT"), 20, world.state)
        assert json.loads(taken)["status"] == "created"
        assert shop.lindex("shop:{orders}:mine", -1) == taken and shop.rpop("shop:{orders}:mine") == taken
        assert shop.llen(world.key("results")) == 0
        shop.close()
        cannot(server, user, ["DEL", world.key("jobs")], ["LRANGE", world.key("jobs"), 0, -1], ["LPUSH", "elsewhere", "x"],
               ["RPOP", world.key("dead")], ["HGETALL", world.key("parked")], ["KEYS", "*"], ["FLUSHALL"], ["EVAL", "return 1", 0])
        none_doubled(peer)


def test_a_worker(server, peer):
    """Orders that are created, retried, refused and invalid, a worker that is recovered, and the end."""
    with role(server, "worker") as user:
        with World(server, peer, config_redis=user, worker={"lease": "1s"}) as world:
            peer.default = lambda request: created(world.provider, request)
            peer.script = [Answer(503)]
            world.send("again")
            assert world.result()["attempts"] == 2
            world.push("no job at all")
            assert world.dead()["reason"] == "invalid"
            peer.script = [Answer(422, {"code": 7})]
            world.send("refused")
            assert world.result()["status"] == "failed"
            for n in range(60):
                world.send(f"many-{n}")
            world.results(60)
            peer.default = Answer(200, delay=20)
            world.send("cut off")
            peer.wait_posts(64)
            world.daemon.kill()
            peer.default = lambda request: created(world.provider, request)
            world.daemon.start()
            world.daemon.wait_event("worker_recovered")
            assert world.result()["error"]["reason"] == "unknown_outcome"
            world.alive()
            assert world.daemon.stop() == 0
            bad = [e for e in world.daemon.events if "NOPERM" in str(e) or e["event"] in ("redis_error", "redis_unchecked")]
            assert bad == []
        cannot(server, user, ["LPUSH", "elsewhere", "x"], ["KEYS", "*"], ["FLUSHALL"], ["CONFIG", "SET", "maxmemory", "1"], ["ACL", "LIST"],
               ["SHUTDOWN"])


@pytest.mark.parametrize("missing", ["zadd", "hset", "ltrim", "blmove", "evalsha", "sort", "memory", "unlink"])
def test_a_worker_that_may_not_do_all_says_what_and_begins_nothing(server, peer, missing):
    with role(server, "worker", without=[f"-{missing}"]) as user:
        world = World(server, peer, config_redis=user, start=False)
        text = world.send("untouched")
        world.daemon.launch()
        try:
            assert world.daemon.wait(20) == 1
            [event] = world.daemon.events_named("redis_rights")
            assert re.findall(r"\+[a-z]+", event["message"]) == [f"+{missing}"], event
            assert not world.daemon.events_named("ready")
            assert world.waiting() == [text.encode()] and peer.posts == []
        finally:
            world.close()


def test_an_operator(server, peer):
    world = World(server, peer)
    with world, role(server, "operator") as user:
        peer.default = lambda request: created(world.provider, request)
        path = os.path.join(world.daemon.dir, "operator.ini")
        with open(world.daemon.path) as f, open(path, "w") as out:
            out.write(f.read().replace("[redis]\n", "[redis]\nusername = {username}\npassword = {password}\n".format(**user)))

        def run(*words, code=0, **more):
            done = dray(*words, "-c", path, **more)
            assert done.returncode == code, (words, done.stdout, done.stderr)
            return done.stdout.decode()

        peer.script = [Answer(422, {"code": 7, "message": "no"})]
        world.send("refused")
        dead = world.wait_dead()[0]["dead_id"]
        world.result()
        run("status")
        run("dead", "ls", "orders")
        run("dead", "show", "orders", dead)
        run("dead", "export", "orders")
        run("find", "orders", "refused")
        run("pause", "orders")
        run("resume", "orders")
        run("pause", "orders", "shop")
        run("resume", "orders", "shop")
        run("dead", "retry", "orders", dead)
        assert world.result()["status"] == "created"
        world.push("no job at all")
        run("dead", "drop", "orders", world.wait_dead()[0]["dead_id"], "--yes")
        run("audit", "orders")
        order = world.job("pushed", "K-pushed")
        run("push", "orders", input=order.encode() + b"\n")
        wait_until(lambda: world.db.llen(world.key("results")) == 1, 20, world.state)
        assert "pushed" in run("results", "orders", "--no-wait")
        cannot(server, user, ["LPUSH", "elsewhere", "x"], ["KEYS", "*"], ["FLUSHALL"], ["CONFIG", "GET", "*"], ["ACL", "LIST"])
        assert posts_by_key(peer) == {"K-refused": 2, "K-pushed": 1}, "refused once, and sent again by the operator"


def test_what_only_looks(server, peer):
    world = World(server, peer)
    with world, role(server, "exporter") as user:
        peer.default = lambda request: created(world.provider, request)
        world.alive()
        path = os.path.join(world.daemon.dir, "exporter.ini")
        with open(world.daemon.path) as f, open(path, "w") as out:
            out.write(f.read().replace("[redis]\n", "[redis]\nusername = {username}\npassword = {password}\n".format(**user)))
        server.client.script_flush()
        done = dray("status", "--json", "-c", path)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["queues"][0]["queue"] == "orders"
        client = redis.Redis.from_url(server.tcp_url, **user)
        assert client.llen(world.key("jobs")) == 0 and client.zcard(world.key("dead")) == 0 and client.info("memory")
        sha = client.script_load("return redis.call('DEL', KEYS[1])")
        with pytest.raises(redis.exceptions.RedisError):
            client.evalsha(sha, 1, world.key("stats"))
        client.close()
        assert server.client.exists(world.key("stats"))
        cannot(server, user, ["LPUSH", world.key("jobs"), "x"], ["DEL", world.key("jobs")], ["KEYS", "*"], ["FLUSHALL"],
               ["BLMOVE", world.key("jobs"), world.key("taken"), "LEFT", "LEFT", 1])


def test_the_cli_names_the_missing_command(server, peer):
    world = World(server, peer, start=False)
    with world, role(server, "operator", without=["-lpush", "-evalsha"]) as user:
        path = os.path.join(world.daemon.dir, "operator.ini")
        with open(world.daemon.path) as f, open(path, "w") as out:
            out.write(f.read().replace("[redis]\n", "[redis]\nusername = {username}\npassword = {password}\n".format(**user)))
        done = dray("status", "-c", path)
        assert done.returncode == 1 and b"evalsha" in done.stdout + done.stderr, (done.stdout, done.stderr)


def test_a_cluster_whose_map_the_user_may_not_read(peer):
    """MOVED itself is followed: every queue is served, wherever it lives; the missing command is named."""
    with RedisCluster() as cluster:
        words = ROLES["worker"].split()
        for node in cluster.nodes:
            node.client.execute_command("ACL", "SETUSER", words[1], "on", ">word", "~dray:*", *words[5:], "-cluster|slots")
        world = World(cluster.nodes[0], peer, start=False,
                      config_redis={"url": cluster.url, "username": words[1], "password": "word"})
        names = [f"q{n}" for n in range(6)]
        for name in names:
            world.config[f"account a-{name}"] = {**world.config["account shop"], "queue": name}
        world.daemon.set_config(world.config)
        peer.default = lambda request: created(world.provider, request)
        client = cluster.client
        with world:
            world.start()
            for name in names:
                client.lpush(f"dray:{{{name}}}:jobs", world.job(f"job-{name}"))
            for name in names:
                wait_until(lambda name=name: client.llen(f"dray:{{{name}}}:results") == 1, 20, f"a result in {name}")
            assert any("+cluster|slots" in e["message"] for e in world.daemon.events_named("redis_unchecked"))
            none_doubled(peer)
