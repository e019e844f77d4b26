"""The producer helpers of docs/clients, as a program uses them: against a worker and the sandbox, in each language the
same. Each is driven by a program that reads one call a line and says what came of it."""

import json
import os
import re
import shutil
import subprocess

import pytest

from lib import contract
from lib.process import ROOT, Process, clean_env
from lib.sandbox import Sandbox
from lib.wait import stays_true, wait_until
from lib.world import World

FOLDER = os.path.join(ROOT, "docs", "clients")
with open(os.path.join(FOLDER, "README.md"), encoding="utf-8") as f:
    PAGE = dict(re.findall(r"^```(\w+) (?:place|acl)\n(.*?)^```$", f.read(), re.M | re.S))

DRIVERS = {
    "python": """
import json, os, sys, redis
from dray import Dray
dray = Dray(redis.Redis.from_url(os.environ["REDIS_URL"]), "orders", keep=1000, retry_for=float(os.environ["RETRY_FOR"]))
for line in sys.stdin:
    name, *args = json.loads(line)
    fields = args.pop() if name in ("push", "place", "job") else {}
    try:
        said = {"ok": getattr(dray, name)(*args, **fields)}
    except Exception as e:
        said = {"error": type(e).__name__, "text": str(e)}
    print(json.dumps(said), flush=True)
""",
    "node": """
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { Dray } from "./dray.mjs";
const redis = createRequire(import.meta.url)("redis").createClient({ url: process.env.REDIS_URL });
redis.on("error", () => {});
await redis.connect();
const dray = new Dray(redis, "orders", { keep: 1000, retryFor: Number(process.env.RETRY_FOR) });
for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...args] = JSON.parse(line);
  let said;
  try { said = { ok: (await dray[name](...args)) ?? null }; } catch (e) { said = { error: e.name, text: e.message }; }
  console.log(JSON.stringify(said));
}
await redis.disconnect();
""",
    "php": """<?php
require __DIR__ . '/Dray.php';
$url = parse_url(getenv('REDIS_URL'));
$redis = new Redis();
$redis->connect($url['host'], $url['port'], 5.0);
$redis->setOption(Redis::OPT_PREFIX, 'not-here:');
if (isset($url['user'])) { $redis->auth([$url['user'], $url['pass']]); }
$dray = new Dray($redis, 'orders', keep: 1000, retryFor: (float) getenv('RETRY_FOR'));
while (($line = fgets(STDIN)) !== false) {
    $args = json_decode($line, true);
    $name = array_shift($args);
    try {
        $said = ['ok' => $dray->$name(...$args)];
    } catch (Throwable $e) {
        $said = ['error' => get_class($e), 'text' => $e->getMessage()];
    }
    echo json_encode($said), "\\n";
}
""",
}
FILES = {"python": ("dray.py", "py", "/usr/bin/python3"), "node": ("dray.mjs", "mjs", "node"), "php": ("Dray.php", "php", "php")}
HAS = {"python": ["/usr/bin/python3", "-c", "import redis"], "node": ["node", "-e", "require('redis')"],
       "php": ["php", "-r", "exit(extension_loaded('redis') ? 0 : 1);"]}
NOT_PUSHED = {"python": "NotPushed", "node": "NotPushed", "php": "DrayNotPushed"}


def environment(url, retry_for=20):
    return clean_env({"REDIS_URL": url, "NODE_PATH": "/usr/share/nodejs", "RETRY_FOR": str(retry_for), "PYTHONDONTWRITEBYTECODE": "1"})


@pytest.fixture(scope="module", params=list(DRIVERS))
def language(request):
    if not shutil.which(HAS[request.param][0]) or subprocess.run(HAS[request.param], capture_output=True,
                                                                 env=environment("")).returncode != 0:
        pytest.skip(f"{request.param} or its Redis client is not installed")
    return request.param


class Client(Process):
    """One process with one helper. `at`: the address and the user it comes as."""

    def __init__(self, language, folder, url, retry_for=20):
        source, ending, command = FILES[language]
        shutil.copy(os.path.join(FOLDER, source), folder)
        path = os.path.join(folder, f"driver.{ending}")
        with open(path, "w", encoding="utf-8") as f:
            f.write(DRIVERS[language])
        super().__init__([command, path], cwd=str(folder), name=f"{language} helper", env=environment(url, retry_for),
                         stdin=subprocess.PIPE)
        self.asked = 0

    def ask(self, name, *args):
        self.popen.stdin.write(json.dumps([name, *args]).encode() + b"\n")
        self.popen.stdin.flush()
        self.asked += 1

    def answer(self):
        wait_until(lambda: len(self.stdout_lines) >= self.asked, 60, self.tail)
        return json.loads(self.stdout_lines[self.asked - 1])

    def call(self, name, *args):
        self.ask(name, *args)
        said = self.answer()
        assert "error" not in said, said
        return said["ok"]

    def fails(self, name, *args):
        self.ask(name, *args)
        return self.answer()["error"]


@pytest.fixture
def open_client(language, empty_redis, tmp_path):
    opened = []

    def open_one(url=empty_redis.tcp_url, **how):
        opened.append(Client(language, tmp_path, url, **how))
        return opened[-1]

    yield open_one
    for client in opened:
        client.kill()


@pytest.fixture
def client(open_client):
    return open_client()


@pytest.fixture
def world(empty_redis):
    with Sandbox() as sandbox, World(empty_redis, base_url=sandbox.url) as world:
        world.sandbox = sandbox
        yield world


def order(world, key):
    return json.dumps(world.provider.order(key))


def posts(world):
    return {o["key"]: o["posts"] for o in world.sandbox.orders()["orders"]}


def of(world, id):
    return world.key(f"results:of:{id}")


@pytest.mark.parametrize("name, form", [("dray.py", r"^    {}: "), ("dray.mjs", r"^ \* @property {{.*}} {}$"), ("Dray.php", r"[{{ ]{}: ")])
def test_the_types_name_every_field_of_a_result(name, form):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as f:
        text = f.read()
    missing = [field for field in contract.load("result.schema.json")["properties"] if not re.search(form.format(field), text, re.M)]
    assert not missing


def test_the_pages_program(world, language, tmp_path):
    source, ending, command = FILES[language]
    shutil.copy(os.path.join(FOLDER, source), tmp_path)
    program = tmp_path / f"place.{ending}"
    program.write_text(PAGE[{"node": "js"}.get(language, language)])
    said = []
    for key in ("1001", "1002-REJECT", "1001"):
        (tmp_path / "order.json").write_text(order(world, key))
        done = subprocess.run([command, str(program), key], cwd=tmp_path, capture_output=True, text=True, timeout=90,
                              env=environment(world.redis.tcp_url))
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.split())
    assert said[0] == said[2] and said[0][0] == "created" and said[0][1].isdigit()
    assert said[1] == ["failed", "rejected"]
    assert posts(world) == {"1001": 1, "1002-REJECT": 1}


def test_place(world, client):
    result = client.call("place", "shop-7/1", order(world, "1"), 30, {"meta": {"cart": 7}, "max_attempts": 3})
    contract.result(json.dumps(result))
    assert (result["id"], result["status"], result["meta"]) == ("shop-7/1", "created", {"cart": 7})
    assert 0 < world.db.ttl(of(world, "shop-7/1")) <= 1000
    assert client.call("wait", "shop-7/1", 5) == result, "reading takes nothing away"
    client.call("forget", "shop-7/1")
    assert world.db.exists(of(world, "shop-7/1")) == 0
    assert posts(world) == {"1": 1}


def test_pushing_again_makes_no_second_order(world, client):
    for _ in range(3):
        client.call("push", "again", order(world, "again"), {})
    wait_until(lambda: world.db.llen(of(world, "again")) == 3, 20, world.state)
    assert client.call("wait", "again", 5)["status"] == "created"
    assert posts(world) == {"again": 1}


def test_one_that_was_killed_while_it_waited_waits_again(world, open_client):
    first, second = open_client(), open_client()
    first.ask("wait", "late", 60)
    wait_until(lambda: any(c["cmd"] == "blmove" for c in world.db.client_list()), 20, first.tail)
    first.kill()
    second.call("push", "late", order(world, "late"), {})
    wait_until(lambda: world.db.llen(of(world, "late")) == 1, 20, world.state)
    assert second.call("wait", "late", 10)["status"] == "created"
    assert posts(world) == {"late": 1}


def test_a_wait_that_loses_its_connection_goes_on(world, client):
    client.ask("wait", "cut", 60)
    blocked = wait_until(lambda: [c for c in world.db.client_list() if c["cmd"] == "blmove" and c["flags"] == "b"], 20, client.tail)
    ours = {c["id"] for c in blocked}
    for number in ours:
        world.db.client_kill_filter(_id=number)
    wait_until(lambda: any(c["cmd"] == "blmove" and c["id"] not in ours for c in world.db.client_list()), 20, client.tail)
    world.push(world.job("cut", "cut", reply_to=of(world, "cut")))
    assert client.answer()["ok"]["status"] == "created"


def test_no_result_in_time_is_none(empty_redis, client):
    assert client.call("wait", "never", 0.3) is None
    assert client.call("wait", "never", 0) is None


def test_what_is_no_job_is_not_pushed(empty_redis, client):
    for id in ("", "x" * 129, "a\nb", "a\x7fb"):
        assert client.fails("push", id, "{}", {}) in ("ValueError", "TypeError", "InvalidArgumentException"), id
    for bad in ("[]", "7", "{", "null"):
        assert client.fails("push", "a", bad, {}) in ("ValueError", "JSONDecodeError", "TypeError", "SyntaxError",
                                                      "InvalidArgumentException", "JsonException"), bad
    assert client.fails("push", "a", "{}", {"priority": 1}) in ("ValueError", "TypeError", "InvalidArgumentException")
    assert client.fails("push", "\U0001f4e6" * 128, "{}", {}) is not None, "the list would have too long a name"
    assert empty_redis.client.dbsize() == 0


def test_an_order_given_as_text_is_kept(empty_redis, client):
    text = '{"price": 9.990,"id":1853726451928473601,  "name":"Zo\\u00eb \u4e2d\u6587"}'
    client.call("push", "caf\u00e9/\u4e2d\u6587", text, {"account": "shop", "order_key": "k"})
    [pushed] = empty_redis.client.lrange("dray:{orders}:jobs", 0, -1)
    assert text.encode() in pushed
    job = contract.check_envelope("job", pushed)
    assert (job["id"], job["account"], job["order_key"]) == ("caf\u00e9/\u4e2d\u6587", "shop", "k")
    assert job["reply_to"] == "dray:{orders}:results:of:caf\u00e9/\u4e2d\u6587" and job["enqueued_at"] > 1_700_000_000_000


def test_a_full_redis_is_tried_again(empty_redis, language, client, open_client):
    hasty = open_client(retry_for=0.5)
    empty_redis.client.config_set("maxmemory", "1")
    try:
        assert hasty.fails("push", "full", "{}", {}) == NOT_PUSHED[language]
        client.ask("push", "full", "{}", {})
        stays_true(lambda: len(client.stdout_lines) == 0, 0.5, "still trying")
    finally:
        empty_redis.client.config_set("maxmemory", "0")
    assert "error" not in client.answer()
    assert empty_redis.client.llen("dray:{orders}:jobs") == 1


def test_the_result_that_made_the_order_is_preferred(empty_redis, client):
    db, key = empty_redis.client, "dray:{orders}:results:of:several"
    for status in ("failed", "duplicate", "created", "duplicate"):
        db.lpush(key, json.dumps({"id": "several", "status": status}))
    assert client.call("wait", "several", 5)["status"] == "created"
    db.delete(key)
    for reason in ("exhausted", "rejected"):
        db.lpush(key, json.dumps({"id": "several", "status": "failed", "reason": reason}))
    assert client.call("wait", "several", 5)["reason"] == "rejected"


def test_tidy_lets_expire_what_nobody_waited_for(empty_redis, client):
    db = empty_redis.client
    for n in range(30):
        db.lpush(f"dray:{{orders}}:results:of:{n}", "{}")
    db.expire("dray:{orders}:results:of:7", 5)
    db.lpush("dray:{orders}:results", "{}")
    assert client.call("tidy") == 29 and client.call("tidy") == 0
    assert db.ttl("dray:{orders}:results") == -1 and 5 < db.ttl("dray:{orders}:results:of:8") <= 1000


def test_the_pages_user_is_enough_and_no_more(world, language, open_client):
    line = PAGE["text"].split()
    assert line[:2] == ["user", "shop"]
    world.db.execute_command("ACL", "SETUSER", "shop", *line[2:])
    try:
        world.db.execute_command("ACL", "LOG", "RESET")
        client = open_client(world.redis.tcp_url.replace("redis://", "redis://shop:a-long-password@"))
        assert client.call("place", "acl", order(world, "acl"), 30, {})["status"] == "created"
        assert client.call("tidy") == 0
        client.call("forget", "acl")
        denied = {e[e.index(b"object") + 1] for e in world.db.execute_command("ACL", "LOG")}
        assert denied <= {b"client|setinfo"}, denied  # newer clients say who they are, and go on when that is refused
        world.db.execute_command("ACL", "SETUSER", "shop", "-lpush", "-blmove")
        assert client.fails("push", "acl", "{}", {}) == NOT_PUSHED[language], "and at once: it does not pass"
        client.fails("wait", "acl", 30)
    finally:
        world.db.execute_command("ACL", "DELUSER", "shop")
