"""docs/operations.md: what it tells people to type exists, and the steps that are written out are carried out."""

import json
import os
import re
import shutil
import signal
import subprocess
from datetime import datetime

import pytest

from lib.peer import Answer
from lib.process import DRAY, ROOT, clean_env
from lib.redis_server import RedisServer
from lib.wait import wait_until
from lib.world import World, created

with open(os.path.join(ROOT, "docs", "operations.md"), encoding="utf-8") as f:
    PAGE = f.read()
SNIPPETS = dict(re.findall(r"^```sh ([\w-]+)\n(.*?)^```$", PAGE, re.M | re.S))


def help_of(verb):
    return subprocess.run([DRAY, verb, "--help"], capture_output=True, text=True, check=True).stdout


def typed():
    """Every `dray …` of the page: in its code blocks, and inline."""
    code = "\n".join(re.findall(r"^```sh[^\n]*\n(.*?)^```$", PAGE, re.M | re.S) + re.findall(r"`(dray [^`]*)`", PAGE))
    return [match.split("#")[0].strip() for match in re.findall(r"(?:^|[;&|]\s*)(dray [a-z][^|\n;&>]*)", code, re.M)]


def test_what_people_are_told_to_type_exists():
    verbs = re.findall(r"^  ([a-z]+)\s", subprocess.run([DRAY, "--help"], capture_output=True, text=True).stdout, re.M)
    commands = typed()
    assert len(commands) > 25
    for command in commands:
        words = command.split()
        assert words[1] in verbs, command
        said = help_of(words[1])
        if words[1] in ("dead", "config") and len(words) > 2:
            assert words[2] in said.split("\n")[0].replace("|", " ").split(), command
        for option in re.findall(r"(?<=\s)--[a-z-]+", command):
            assert option in said, command


def test_the_events_named_are_events():
    source = ""
    for folder in ("src/worker", "src/queue/lua", "src/admin", "src/provider"):
        for name in os.listdir(os.path.join(ROOT, folder)):
            if name.endswith((".c", ".lua")):
                with open(os.path.join(ROOT, folder, name), encoding="utf-8") as f:
                    source += f.read()
    table = PAGE[PAGE.index("| event | means |"):]
    events = re.findall(r"`([a-z_]+)`", "\n".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `")))
    assert len(events) > 15
    for event in events:
        assert re.search(rf"""["']{event}["']""", source), event


def audit(world, redis):
    """{figure: number} of the queue, from `dray audit`."""
    world.config["redis"]["url"] = redis.url
    world.daemon.set_config(world.config)
    done = subprocess.run([DRAY, "audit", "orders", "--json", "-c", world.daemon.path], capture_output=True, text=True,
                          env=clean_env())
    assert done.returncode == 0, done.stdout + done.stderr
    queue = json.loads(done.stdout)["queues"][0]
    assert queue["ok"]
    return {k: v for k, v in queue.items() if isinstance(v, int)}


def shell(name, **env):
    done = subprocess.run(["sh", "-e", "-c", SNIPPETS[name]], capture_output=True, text=True, env=clean_env(env))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not shutil.which("redis-cli"), reason="redis-cli is not installed")
def test_a_queue_moves_to_another_redis(peer):
    """Jobs, delayed ones, dead letters, results and ledger: all there afterwards, and the old one is empty."""
    with RedisServer() as old, RedisServer() as new, World(old, peer) as world:
        peer.script = [Answer(400, {"message": "no"})]
        peer.default = lambda request: created(world.provider, request)
        world.send("dead", "K-dead")
        world.wait_dead()
        world.send("done", "K-done")
        wait_until(lambda: world.db.llen(world.key("results")) == 2, 15, world.state)
        world.send("later", "K-later", not_before=4102444800000)
        wait_until(lambda: world.db.zcard(world.key("delayed")) == 1, 15, world.state)
        assert world.daemon.stop() == 0
        for number in range(450):  # more than two batches of MIGRATE would have keys, and a long list
            world.send(f"w{number}", f"K-w{number}")
            world.db.set(world.key(f"order:shop:old-{number}"), f"C 0 {number} []", ex=3600)
        old.client.set("unrelated", "stays")
        before = audit(world, old)
        env = {"OLD": old.tcp_url, "NEW_HOST": "127.0.0.1", "NEW_PORT": str(new.port), "QUEUE": "orders"}
        shell("move-queue", **env)
        assert audit(world, new) == before
        assert new.client.get("unrelated") is None
        assert 3000 < new.client.ttl(world.key("order:shop:old-7")) <= 3600
        world.redis, world.db = new, new.client
        world.daemon.start()
        wait_until(lambda: world.db.llen(world.key("results")) == 2 + 450, 60, world.state)
        while world.db.llen(world.key("results")):
            assert world.result()["status"] in ("created", "failed")
        posts = len(peer.posts)
        world.send("again", "K-done")  # the ledger came along
        assert world.result()["status"] == "duplicate"
        assert len(peer.posts) == posts
        shell("remove-queue", **env)
        assert old.client.keys("*") == [b"unrelated"]


def test_a_token_is_rotated_without_a_restart(empty_redis, peer, tmp_path):
    token = tmp_path / "shop.token"
    token.write_text("old\n")
    good = ["old"]

    def answer(request):
        if request.headers.get("authorization") != f"Bearer {good[0]}":
            return Answer(401, {"message": "no"})
        return created(world.provider, request)

    peer.default = answer
    world = World(empty_redis, peer, account={"token": None, "token_file": str(token), "breaker_cooldown": "1h"})
    with world:
        world.send("one")
        assert world.result()["status"] == "created"
        good[0] = "new"  # the provider revokes too early: the account is held, nothing is lost
        world.send("two")
        world.daemon.wait_event("account_held")
        fresh = tmp_path / "shop.token.new"
        fresh.write_text("new\n")
        fresh.rename(token)
        assert world.result()["status"] == "created"  # long before breaker_cooldown
        assert world.daemon.events_named("reloaded")


def test_the_log_level_changes_at_run_time(empty_redis, peer):
    with World(empty_redis, peer, worker={"log_level": "info"}) as world:
        peer.default = lambda request: created(world.provider, request)

        def level(name):
            world.config["worker"]["log_level"] = name
            world.daemon.set_config(world.config)
            world.daemon.send(signal.SIGHUP)

        def attempts():
            return len(world.daemon.events_named("attempt"))

        world.send("one")
        world.result()
        wait_until(lambda: attempts() == 1, 10, "the attempt's line")
        level("error")
        wait_until(lambda: len(world.daemon.events_named("reloading")) == 1, 10, "the reload")
        wait_until(lambda: quiet_order(world, attempts), 20, "the level to be in effect")
        level("info")
        world.daemon.wait_event("reloaded")
        before = attempts()
        world.send("last")
        world.result()
        wait_until(lambda: attempts() == before + 1, 10, "the attempt's line")


def quiet_order(world, attempts):
    """One more order; true if it left no line. The state line after it, at info, would show that lines still come."""
    before = attempts()
    world.send(f"quiet-{world.count}")
    world.result()
    lines = len(world.daemon.process.stderr_lines)
    world.daemon.send(signal.SIGUSR2)
    try:
        wait_until(lambda: len(world.daemon.process.stderr_lines) > lines, 0.5, "a line")
    except AssertionError:
        return attempts() == before
    return False


def test_an_error_that_repeats_is_logged_once_a_second(peer):
    """A lease of a second is renewed three times in it; Redis refuses each."""
    with RedisServer(maxmemory_policy="noeviction") as redis, \
            World(redis, peer, worker={"lease": "1s"}) as world:
        redis.client.config_set("maxmemory", 1)
        wait_until(lambda: len(world.daemon.events_named("redis_error")) >= 4, 30, lambda: world.daemon.process.tail(30))
        errors = world.daemon.events_named("redis_error")
        assert all("OOM" in e["message"] for e in errors)
        stamps = [datetime.fromisoformat(e["time"].replace("Z", "+00:00")).timestamp() for e in errors]
        assert any(e.get("left_out", 0) > 0 for e in errors)
        assert all(later - earlier > 0.9 for earlier, later in zip(stamps, stamps[1:]))
        redis.client.config_set("maxmemory", 0)
        peer.default = lambda request: created(world.provider, request)
        world.alive()


def test_redis_was_killed_while_it_wrote():
    """The start after the next brings back nothing of what it wrote half of, once the file was written anew."""
    script = "redis.call('SET', 'mark', '1') for i = 1, 5 do redis.call('LPUSH', 'jobs', i) end"
    with RedisServer(appendonly=True) as server:
        server.client.eval(script, 0)
        server.kill()
        folder = os.path.join(server.dir, "appendonlydir")
        [incr] = [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".incr.aof")]
        with open(incr, "rb") as f:
            cut = f.read().rindex(b"$1\r\n4") + 3  # in the midst of the fourth
        os.truncate(incr, cut)
        server.start()
        assert not server.client.exists("mark", "jobs")
        shell("redis-was-killed", REDIS_URL=server.tcp_url)
        wait_until(lambda: server.client.info("persistence")["aof_rewrite_in_progress"] == 0 and
                   any(name.endswith(".2.base.rdb") for name in os.listdir(folder)), 10, "the file to be written anew")
        server.client.eval(script, 0)
        server.restart(kill=True)
        assert server.client.llen("jobs") == 5
