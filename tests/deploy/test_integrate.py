"""Every program of docs/integrate.md, as it stands there, against a worker and the sandbox: pushes, takes results, and
loses none when it is killed in between."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from lib.process import ROOT, Process, clean_env
from lib.sandbox import Sandbox
from lib.wait import wait_until
from lib.world import World

with open(os.path.join(ROOT, "docs", "integrate.md"), encoding="utf-8") as f:
    PROGRAMS = dict(re.findall(r"^```\w+ ([\w-]+)\n(.*?)^```$", f.read(), re.M | re.S))

# language: file ending, command, a command that succeeds where runtime and client library are installed
RUNTIMES = {
    "shell": (".sh", ["sh"], ["redis-cli", "--version"]),
    "python": (".py", ["/usr/bin/python3"], ["/usr/bin/python3", "-c", "import redis"]),
    "node": (".js", ["node"], ["node", "-e", "require('redis')"]),
    "php": (".php", ["php"], ["php", "-r", "exit(extension_loaded('redis') ? 0 : 1);"]),
    "ruby": (".rb", ["ruby"], ["ruby", "-e", "require 'redis'"]),
    "go": (".go", ["go", "run"], ["go", "list", "github.com/gomodule/redigo/redis"]),
}


def environment(redis, folder=None):
    env = {"REDIS_URL": redis.tcp_url, "NODE_PATH": "/usr/share/nodejs", "GO111MODULE": "off",
           "GOPATH": "/usr/share/gocode", "GOFLAGS": "", "GOCACHE": os.path.join(folder or "/tmp", "go-cache"),
           "PYTHONUNBUFFERED": "1"}
    return clean_env(env)


@pytest.fixture(scope="module", params=list(RUNTIMES))
def language(request, shared_redis):
    ending, command, probe = RUNTIMES[request.param]
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(probe, capture_output=True, env=environment(shared_redis))
    if done.returncode != 0:
        pytest.skip(f"the Redis client of {request.param} is not installed: {done.stderr.decode()[-200:]}")
    return request.param


@pytest.fixture
def world(empty_redis, tmp_path):
    with Sandbox() as sandbox, World(empty_redis, base_url=sandbox.url) as world:
        world.sandbox = sandbox
        world.folder = tmp_path
        world.programs = []
        try:
            yield world
        finally:  # one left over would take the next test's results
            for program in world.programs:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(program.pid, signal.SIGKILL)  # the shell's redis-cli too
                program.wait(10)


class Program:
    """One program of the page, in a folder of its own."""

    def __init__(self, world, language, name):
        self.ending, self.command, _ = RUNTIMES[language]
        self.world, self.language, self.name = world, language, name
        self.path = world.folder / (name + self.ending)
        self.path.write_text(PROGRAMS[f"{language}-{name}"])

    def args(self):
        if self.language != "go":
            return [*self.command, str(self.path)]
        binary = self.world.folder / self.name  # built: `go run` would be a parent in between
        if not binary.exists():
            subprocess.run(["go", "build", "-o", str(binary), str(self.path)], check=True, cwd=self.world.folder,
                           env=environment(self.world.redis, str(self.world.folder)))
        return [str(binary)]

    def run(self, *args):
        done = subprocess.run([*self.args(), *args], cwd=self.world.folder, capture_output=True, text=True, timeout=60,
                              env=environment(self.world.redis, str(self.world.folder)))
        assert done.returncode == 0, done.stderr
        return done

    def start(self):
        program = Process(self.args(), cwd=str(self.world.folder), name=f"{self.language} {self.name}",
                          env=environment(self.world.redis, str(self.world.folder)))
        self.world.programs.append(program)
        return program


def write_order(world, key):
    order = world.provider.order(key)
    (world.folder / "order.json").write_text(json.dumps(order))


def mine(language):
    return f"shop:{{orders}}:{language}"


def test_the_page_has_a_producer_and_a_consumer_for_each_language():
    assert set(PROGRAMS) == {f"{lang}-{what}" for lang in RUNTIMES for what in ("produce", "consume")} | {"acl"}


def test_produce_and_consume(world, language):
    produce, consume = Program(world, language, "produce"), Program(world, language, "consume")
    taker = consume.start()
    for number in ("1001", "1002-REJECT", "1001"):
        write_order(world, number)
        produce.run(number)
        wait_until(lambda: world.db.llen(mine(language)) == 0 and len(taker.stdout_lines), 20, taker.tail)
    wait_until(lambda: len(taker.stdout_lines) == 3, 20, taker.tail)
    wait_until(lambda: world.db.llen(world.key("results")) == world.db.llen(mine(language)) == 0, 10, world.state)
    said = taker.stdout_lines
    if language == "shell":
        results = [json.loads(line) for line in said]
        said = [f"{r['status']} {r['id']} {r['order_id'] or r['error']['reason']}" for r in results]
    first, refused, again = [line.split() for line in said]
    assert first[:2] == ["created", "shop-7/1001"] and first[2].isdigit()
    assert refused[:3] == ["failed", "shop-7/1002-REJECT", "rejected"]
    assert again == ["duplicate", "shop-7/1001", first[2]]
    posts = {o["key"]: o["posts"] for o in world.sandbox.orders()["orders"]}
    assert posts == {"1001": 1, "1002-REJECT": 1}


def test_a_consumer_that_was_killed_finds_its_result_first(world, language):
    """Between taking and handling: the result stands in the consumer's own list."""
    write_order(world, "2001")
    Program(world, language, "produce").run("2001")
    wait_until(lambda: world.db.lmove(world.key("results"), mine(language), "RIGHT", "LEFT"), 20, world.state)
    taker = Program(world, language, "consume").start()
    wait_until(lambda: any("shop-7/2001" in line for line in taker.stdout_lines), 20, taker.tail)
    wait_until(lambda: world.db.llen(mine(language)) == 0, 10, taker.tail)


def test_the_acl_user_is_enough_and_no_more(world):
    """The consumer and producer of the page work as that user, and it can do nothing else."""
    import redis

    line = PROGRAMS["acl"].split()
    assert line[:2] == ["user", "shop"]
    world.db.execute_command("ACL", "SETUSER", "shop", *line[2:])
    try:
        world.db.execute_command("ACL", "LOG", "RESET")
        shop = redis.Redis.from_url(world.redis.tcp_url, username="shop", password="a-long-password")
        world.push(world.job("x1", "3001"))
        taken = wait_until(lambda: shop.blmove(world.key("results"), mine("acl"), 1, "RIGHT", "LEFT"), 20, world.state)
        assert json.loads(taken)["status"] == "created"
        assert shop.lindex(mine("acl"), -1) == taken and shop.rpop(mine("acl")) == taken
        shop.lpush(world.key("jobs"), world.job("x2", "3002"))
        assert world.result()["id"] == "x2"
        for command in (["DEL", world.key("jobs")], ["RPOP", world.key("dead")], ["KEYS", "*"], ["FLUSHALL"],
                        ["LRANGE", world.key("jobs"), 0, -1], ["LPUSH", "elsewhere", "x"], ["HGETALL", world.key("parked")]):
            with pytest.raises(redis.exceptions.NoPermissionError):
                shop.execute_command(*command)
    finally:
        world.db.execute_command("ACL", "DELUSER", "shop")
