"""A version meets data of another format: it takes over what it knows how to, and else says who must do what.

What a version of format 1 left was recorded from one (tests/fixtures/format-1/record).
"""

import json
import signal
import urllib.error
import urllib.request

import pytest

from lib import formats
from lib.admin import AdminWorld
from lib.daemon import Daemon
from lib.formats import FORMAT
from lib.peer import Answer
from lib.process import dray
from lib.providers import PROVIDERS
from lib.redis_server import RedisServer
from lib.wait import stays_true, wait_until

KEY = "dray:{orders}:"
QUICK = {"all": {"backoff_base": "10ms", "backoff_cap": "40ms", "reject_limit": "0", "repeated_ids": "yes"},
         "slow": {"rate": "0", "burst": "1", "repeated_ids": "yes"}}
FOREIGN = {"next": str(FORMAT + 1), "far": "99"}


class Upgrade:
    """A Redis with recorded data, a provider that notes what it creates, and workers of this version."""

    def __init__(self, redis, peer, recorded=None, prefix="dray", more=None):
        self.redis, self.db, self.peer = redis, redis.client, peer
        self.recorded = formats.fixture(recorded) if recorded else {"keys": {}, "created": {}, "recorded_at": 0}
        self.db.flushall()
        formats.load(self.db, self.recorded)
        peer.default = self.answer
        self.created = dict(self.recorded["created"])
        self.config = {
            "redis": {"url": redis.url, "prefix": prefix}, "worker": {"lease": "2s", "log_format": "json"}, "admin": {"listen": "127.0.0.1:0"},
            "queue orders": {"default_account": "shop"}, **formats.accounts(peer.url, **QUICK), **(more or {})}
        self.daemons = []

    def answer(self, request):
        provider = PROVIDERS["vu" if "order_number" in request.target + request.body.decode() else "kakaclo-v2"]
        if request.method == "GET":
            key = request.target.partition("order_number=")[2]
            found = provider.answer({"order": {"order_number": key}})
            return Answer(200, found) if key in self.created else Answer(404, {"errors": "not found"})
        key = provider.key_of(request.json)
        self.created[key] = self.created.get(key, 0) + 1
        return Answer(200, provider.answer(request.json))

    def worker(self, **how):
        daemon = Daemon(self.config, **how)
        self.daemons.append(daemon)
        return daemon

    def run(self, *args):
        daemon = self.daemons[0] if self.daemons else self.worker()
        done = dray(*args, "-c", daemon.path)
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        return done

    def refused(self):
        """A worker ends at its start: what it said."""
        daemon = self.worker().launch()
        assert daemon.wait(20) == 1
        [event] = daemon.events_named("wrong_format")
        assert not daemon.events_named("ready")
        return event["message"]

    def push(self, key, account="shop"):
        self.db.lpush(KEY + "jobs", json.dumps({"id": key.lower(), "account": account, "order": PROVIDERS["kakaclo-v2"].order(key)}))

    def results(self, count):
        got = {}
        wait_until(lambda: [got.setdefault(r["id"], []).append(r) for r in map(json.loads, self.db.rpop(KEY + "results", 100) or [])]
                   and False or sum(map(len, got.values())) >= count, 30, lambda: f"{count} results: {got} {formats.dump(self.db)}")
        assert sum(map(len, got.values())) == count, got
        return {id: result for id, [result] in got.items()}

    def format(self):
        return self.db.get(KEY + "format")

    def close(self):
        for daemon in self.daemons:
            daemon.close()


@pytest.fixture
def upgrade(empty_redis, peer):
    made = []

    def make(*args, **how):
        made.append(Upgrade(empty_redis, peer, *args, **how))
        return made[-1]
    yield make
    for one in made:
        one.close()


def old_worker(world, name="old.1234abcd", lease_ms=60000):
    """As if one of a version that knows no format were there: what it writes of itself."""
    now = world.db.time()[0] * 1000
    world.db.zadd(KEY + "workers", {name: now + lease_ms})
    world.db.hset(KEY + "workers:info", name, json.dumps({"host": "h", "pid": 1, "version": "0.1.0", "mode": "running"}))
    world.db.hset(KEY + "stats", "limits", "1")


def test_what_the_version_before_left_is_taken_over(upgrade):
    world = upgrade("drained")
    # What was to be tried again in an hour is tried now.
    world.db.zadd(KEY + "delayed", {m: 1 for m in world.db.zrange(KEY + "delayed", 0, -1)}, xx=True)
    worker = world.worker().start()
    event = worker.wait_event("format_taken_over")
    assert "format 1" in event["message"] and world.format() == b"%d" % FORMAT

    results = world.results(6 + 6)
    assert {id for id, r in results.items() if r["status"] == "failed"} == {"refused-1", "unknown-1"}
    after = {"busy-1", "slow-2", "slow-3", "new-1", "new-2", "look-1"}
    assert {id for id, r in results.items() if r["status"] == "created"} == after | {"made-1", "made-2", "slow-1", "long-1"}
    assert results["busy-1"]["attempts"] == 2, "the attempt of the version before counts"

    # A key that the old ledger knows is created no second time.
    world.push("MADE-1")
    again = world.results(1)["made-1"]
    assert (again["status"], again["order_id"]) == ("duplicate", "5001")
    # What is not due yet waits until then.
    [(later, due)] = world.db.zrange(KEY + "delayed", 0, -1, withscores=True)
    record = world.db.hget(KEY + "parked", later)
    head, _, job = record.partition(b"\n")
    not_before = json.loads(job)["not_before"]
    assert 0 <= due - not_before < 1000
    world.db.hset(KEY + "parked", later, head + b"\n" + job.replace(b"%d" % not_before, b"1500000000000"))
    world.db.zadd(KEY + "delayed", {later: 1})
    assert world.results(1)["later-1"]["status"] == "created"
    # An operator's pause holds, and is lifted.
    assert world.db.zcard(KEY + "waiting") == 2 and json.loads(world.run("status", "orders", "--json").stdout)["queues"][0]["format"] == FORMAT
    assert world.run("resume", "orders", "shut").returncode == 0
    assert {r["status"] for r in world.results(2).values()} == {"created"}
    # Dead letters are retried and resolved; the unknown one stays known to the ledger until then.
    letters = {json.loads(v)["id"]: k.decode() for k, v in world.db.hgetall(KEY + "dead:entries").items()}
    assert world.run("dead", "retry", "orders", letters["refused-1"]).returncode == 0
    assert world.results(1)["refused-1"]["status"] == "created"
    assert world.run("dead", "retry", "orders", letters["unknown-1"]).returncode != 0
    assert world.run("dead", "resolve", "orders", letters["unknown-1"], "--created", "4711").returncode == 0
    assert world.results(1)["unknown-1"]["order_id"] == "4711"

    assert set(world.created.values()) == {1}, world.created
    assert len(world.created) == len(after) + 4 + 1 + 2 + 1
    audit = world.run("audit", "orders")
    assert audit.returncode == 0, audit.stdout
    assert worker.stop() == 0 and not world.db.exists(KEY + "workers")


def test_a_worker_of_the_old_version_is_there(upgrade):
    """It is named, nothing is written, and once it has left we start."""
    world = upgrade("drained")
    old_worker(world)
    before = formats.dump(world.db)
    message = world.refused()
    for part in ("format 1, this dray 0.", f"works with {FORMAT}", "old.1234abcd (format 1)", "TERM", "dray status", "Upgrade"):
        assert part in message, message
    after = formats.dump(world.db)
    for keys in (before, after):
        for key in keys.values():
            key.pop("ttl_ms", None)
    assert after == before and world.peer.posts == []
    text = world.run("status", "orders")
    assert "WRONG FORMAT" in text.stdout and "old.1234abcd" in text.stdout
    [queue] = json.loads(world.run("status", "orders", "--json").stdout)["queues"]
    assert queue["format"] == 1 and "old.1234abcd" in queue["wrong_format"] and queue["workers"][0]["format"] == 1
    world.db.zrem(KEY + "workers", "old.1234abcd")
    world.db.hdel(KEY + "workers:info", "old.1234abcd")
    world.worker().start()
    assert world.format() == b"%d" % FORMAT


def test_a_dead_worker_of_the_old_version_that_holds_jobs(upgrade):
    """Only its own version knows how to recover them; when they are recovered, we start."""
    world = upgrade("killed")
    [holder] = world.db.zrange(KEY + "workers", 0, -1)
    world.db.zadd(KEY + "workers", {holder: 1})
    message = world.refused()
    assert "dead, holds 8 jobs" in message and "recovers these jobs" in message, message
    assert world.format() is None and world.peer.posts == []
    world.db.delete(KEY + "inflight:" + holder.decode(), KEY + "claims:" + holder.decode())  # as if it had been recovered; its lease is still there
    world.worker().start()
    assert world.format() == b"%d" % FORMAT and holder not in world.db.zrange(KEY + "workers", 0, -1)
    world.push("MADE-1")
    wait_until(lambda: world.db.llen(KEY + "results") == 2, 15, "a result more")
    assert json.loads(world.db.lindex(KEY + "results", 0))["status"] == "duplicate" and world.peer.posts == []


@pytest.mark.parametrize("stands", FOREIGN.values(), ids=FOREIGN)
def test_newer_data(upgrade, stands):
    world = upgrade("drained")
    world.db.set(KEY + "format", stands)
    message = world.refused()
    assert f"of format {stands}," in message and "newer version" in message, message
    assert world.format() == stands.encode() and world.peer.posts == []


@pytest.mark.parametrize("what", ["pause", "resume", "retry", "drop", "resolve", "import"])
def test_commands_that_write_refuse(upgrade, what, tmp_path):
    world = upgrade("drained")
    world.db.set(KEY + "format", "99")
    before = formats.dump(world.db)
    letters = {json.loads(v)["id"]: k.decode() for k, v in world.db.hgetall(KEY + "dead:entries").items()}
    exported = tmp_path / "letters"
    exported.write_text(json.dumps({**json.loads(world.db.hget(KEY + "dead:entries", letters["refused-1"])), "dead_id": "1-1"}) + "\n")
    args = {"pause": ["pause", "orders", "shop"], "resume": ["resume", "orders", "shut"],
            "retry": ["dead", "retry", "orders", letters["refused-1"]], "drop": ["dead", "drop", "orders", letters["refused-1"]],
            "resolve": ["dead", "resolve", "orders", letters["unknown-1"], "--created", "1"],
            "import": ["dead", "import", "orders", str(exported)]}[what]
    said = world.run(*args)
    assert said.returncode == 1 and "of format 99" in said.stderr and "nothing was done" in said.stderr, said
    after = formats.dump(world.db)
    for keys in (before, after):
        for key in keys.values():
            key.pop("ttl_ms", None)
    assert after == before


@pytest.mark.parametrize("args", [["audit", "orders"], ["dead", "ls", "orders"], ["find", "orders", "made-1"]], ids=lambda a: a[0])
def test_commands_that_read_warn(upgrade, args):
    world = upgrade("drained")
    world.db.set(KEY + "format", "99")
    said = world.run(*args)
    assert said.returncode == 0 and said.stdout and "warning: queue orders: its data in Redis are of format 99" in said.stderr, said


def test_a_fresh_queue_gets_the_number(upgrade):
    world = upgrade()
    assert world.run("status", "orders").returncode == 0 and world.format() is None, "looking writes nothing"
    assert json.loads(world.run("status", "orders", "--json").stdout)["queues"][0]["format"] is None
    world.push("FIRST")
    worker = world.worker().start()
    assert world.format() == b"%d" % FORMAT and world.results(1)["first"]["status"] == "created"
    assert not worker.events_named("format_taken_over")
    version = json.loads(dray("version", "--json").stdout)
    assert version["format"] == FORMAT


def test_a_fresh_queue_that_is_paused_first(upgrade):
    """The command is the first to write: it is of our format from then on."""
    world = upgrade()
    assert world.run("pause", "orders").returncode == 0 and world.format() == b"%d" % FORMAT
    assert world.run("resume", "orders").returncode == 0


def test_versions_of_one_format_work_beside_each_other(upgrade):
    """A rolling upgrade: nobody looks at the version, only at the format."""
    world = upgrade()
    first = world.worker().start()
    name = world.db.zrange(KEY + "workers", 0, -1)[0]
    said = json.loads(world.db.hget(KEY + "workers:info", name))
    world.db.hset(KEY + "workers:info", name, json.dumps({**said, "version": "9.9.9"}))
    second = world.worker().start()
    for n in range(20):
        world.push(f"K-{n}")
    assert {r["status"] for r in world.results(20).values()} == {"created"} and set(world.created.values()) == {1}
    assert not first.events_named("wrong_format") + second.events_named("wrong_format")


def test_an_old_worker_that_starts_beside_us_is_told_of(upgrade):
    """It asks nobody, so all that we can do is to say so; and we start no further worker beside it."""
    world = upgrade()
    worker = world.worker().start()
    old_worker(world)
    message = worker.wait_event("wrong_format", 30)["message"]
    assert "old.1234abcd (format 1)" in message and "harm" in message, message
    assert "workers of another format" in world.refused()
    world.push("STILL")
    assert world.results(1)["still"]["status"] == "created"


def test_an_old_worker_that_died_beside_us_is_struck_off_if_it_held_nothing(upgrade):
    world = upgrade()
    worker = world.worker().start()
    old_worker(world, lease_ms=-1000)
    wait_until(lambda: world.db.zcard(KEY + "workers") == 1 and world.db.hlen(KEY + "workers:info") == 1, 20, "it to be gone")
    assert worker.running


def test_the_number_changes_while_a_worker_runs(upgrade):
    """The consumer of the queue stands still, says so, and goes on when all is well; what was under way is settled then."""
    world = upgrade()
    worker = world.worker().start()
    world.push("ONE")
    world.results(1)
    world.db.set(KEY + "format", "99")
    message = worker.wait_event("wrong_format", 20)["message"]
    assert "of format 99" in message and "nothing of this queue is claimed" in message, message
    world.push("TWO")
    stays_true(lambda: world.db.llen(KEY + "jobs") + world.db.llen(KEY + "taken") == 1 and len(world.created) == 1, 1.5, "the job's rest")
    assert worker.running
    port = worker.events_named("admin_listening")[0]["port"]
    with pytest.raises(urllib.error.HTTPError) as unready:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10)
    assert unready.value.code == 503 and "another format" in json.loads(unready.value.read())["reason"]
    world.db.set(KEY + "format", str(FORMAT))
    worker.wait_event("format_right", 20)
    assert world.results(1)["two"]["status"] == "created" and set(world.created.values()) == {1}


def test_another_number_shows_in_health_and_the_api_writes_nothing(empty_redis, peer):
    world = AdminWorld(empty_redis, peer, worker={"lease": "1s"})
    world.config["admin"]["liveness_after"] = "10s"
    world.daemon.set_config(world.config)
    with world:
        world.db.set(KEY + "format", "99")
        sick = world.wait_status("/healthz", 503, 40)
        assert "nothing could be claimed" in sick.json["reason"] and "format" in sick.json["reason"], sick.json
        refused = world.post("/api/v1/queues/orders/pause", {"reason": "x"}, 503)
        assert refused["error"]["code"] == "wrong_format" and "99" in refused["error"]["message"], refused
        assert not world.db.exists(KEY + "pauses")
        world.db.set(KEY + "format", str(FORMAT))
        world.wait_status("/healthz", 200)
        world.post("/api/v1/queues/orders/pause", {"reason": "x"})
        assert world.db.exists(KEY + "pauses")


@pytest.mark.parametrize("left", ["nothing", "a worker"])
def test_a_failover_to_a_snapshot_from_before_the_upgrade(peer, left):
    """Redis comes back without the key: what nobody works on is taken over anew, else nothing moves until the old ones are gone."""
    with RedisServer(save="3600 1000000") as redis:
        world = Upgrade(redis, peer, "drained")
        try:
            if left == "a worker":
                old_worker(world)
            world.db.save()
            world.db.zrem(KEY + "workers", "old.1234abcd")
            world.db.hdel(KEY + "workers:info", "old.1234abcd")
            worker = world.worker().start()
            mark = len(worker.process.stderr_lines)
            assert world.format() is not None
            redis.restart(kill=True)
            if left == "nothing":
                worker.wait_event("format_taken_over", 30, start=mark)
            else:
                assert "old.1234abcd" in worker.wait_event("wrong_format", 30, start=mark)["message"]
                assert world.format() is None and not world.db.hexists(KEY + "workers:info", world.daemons[0].process.name)
                posts = len(world.peer.posts)
                stays_true(lambda: len(world.peer.posts) == posts and world.format() is None, 1.5, "that nothing is sent")
                world.db.zrem(KEY + "workers", "old.1234abcd")
                worker.wait_event("format_right", 30)
            wait_until(lambda: world.format() == b"%d" % FORMAT, 10, "the number")
            assert worker.running
        finally:
            world.close()


def test_one_of_two_queues_is_of_another_format(upgrade):
    """The worker refuses as a whole, names the queue, and what it had taken from the other is ended well first."""
    world = upgrade(more={"queue second": {"default_account": "other"},
                          "account other": {"provider": "kakaclo-v2", "token": "t", "base_url": "http://127.0.0.1:1", "queue": "second"}})
    world.db.set("dray:{second}:format", "99")
    world.db.hset("dray:{second}:stats", "seq", 1)
    for n in range(5):
        world.push(f"K-{n}")
    message = world.refused()
    assert message.startswith("queue second: its data in Redis are of format 99"), message
    assert not world.db.exists(KEY + "workers") and not world.db.keys("*claims*") and not world.db.keys("*batch*")
    assert world.db.llen(KEY + "jobs") + world.db.llen(KEY + "results") == 5 and set(world.created.values()) <= {1}
    assert world.db.hlen("dray:{second}:stats") == 1 and not world.db.exists("dray:{second}:limits")


def test_a_key_of_a_wrong_type(upgrade):
    world = upgrade()
    world.db.lpush(KEY + "format", "x")
    worker = world.worker().launch()
    assert "format holds no number" in worker.wait_event("redis_error", 20)["message"]
    assert "where dray keeps a string" in world.run("status", "orders").stdout
    worker.send(signal.SIGTERM)
    assert worker.wait(20) == 0
