"""`dray status` with workers at work."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time

import pytest

from lib.peer import Answer, Silence
from lib.process import DRAY, clean_env, dray
from lib.scripts import Gate, write_gate
from lib.wait import SLOW, wait_until
from lib.world import QUEUE, World, created


@pytest.fixture
def world(empty_redis, peer):
    shop = {"rate": "5/s", "burst": "20", "concurrency": "3", "breaker_failures": "9", "request_timeout": "60s"}
    with World(empty_redis, peer, account=shop, accounts={"second": {}}) as world:
        peer.default = lambda request: created(world.provider, request)
        yield world


def status(world):
    done = dray("status", "--json", "-c", world.daemon.path)
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    [queue] = json.loads(done.stdout)["queues"]
    assert queue["queue"] == QUEUE
    return queue


def account(queue, name="shop"):
    return next(a for a in queue["accounts"] if a["account"] == name)


def text(world):
    done = dray("status", "-c", world.daemon.path)
    assert done.returncode == 0
    return done.stdout.decode()


def test_at_rest(world):
    queue = status(world)
    assert [queue[k] for k in ("jobs", "waiting", "delayed", "in_flight", "dead", "results")] == [0] * 6
    assert queue["oldest_age_ms"] is None and queue["in_per_s"] == 0 and queue["paused"] is None
    shop = account(queue)
    assert (shop["state"], shop["rate"], shop["burst"], shop["concurrency"], shop["breaker_failures"]) == ("ok", 5, 20, 3, 9)
    [worker] = queue["workers"]
    assert worker["pid"] == world.daemon.pid and worker["mode"] == "running" and worker["version"]
    assert 0 < worker["lease_left_ms"] <= 15000 and worker["uptime_ms"] > 0
    out = text(world)
    assert "queue orders" in out and "shop" in out and worker["worker"] in out and "ok" in out


def test_sizes_and_what_keeps_an_account(world, peer):
    peer.default = Silence()
    for n in range(5):
        world.send(f"j{n}")
    wait_until(lambda: world.db.zcard(world.key("waiting")) == 2, what="two to wait")
    queue = status(world)
    shop = account(queue)
    assert (queue["waiting"], queue["in_flight"], shop["waiting"], shop["under_way"]) == (2, 3, 2, 3)
    assert shop["state"] == "limited" and "limited: at its concurrency" in text(world)
    world.daemon.kill()


def test_pauses_and_why(world):
    dray("pause", QUEUE, "second", "--reason", "stock\x1btaking", "--for", "1h", "-c", world.daemon.path)
    second = account(status(world), "second")
    assert second["state"] == "paused_by_operator" and second["paused"]["reason"] == "stock\x1btaking"
    assert second["paused"]["until"] > time.time() * 1000 + 3_500_000
    dray("pause", QUEUE, "-c", world.daemon.path)
    world.send("one", enqueued_at=int(time.time() * 1000) - 60_000)
    queue = status(world)
    assert queue["paused"]["until"] == 0 and queue["jobs"] + queue["picked_up"] == 1
    out = text(world)
    assert "until resumed" in out and "stock\\u001btaking" in out and "\x1b" not in out


def test_the_age_of_the_oldest(world):
    dray("pause", QUEUE, "-c", world.daemon.path)
    wait_until(lambda: status(world)["paused"], what="the pause")
    world.send("warm")  # whoever waits in a blocking pick-up gives this back and stops
    wait_until(lambda: world.db.llen(world.key("jobs")) == 1, what="the job to be given back")
    world.db.delete(world.key("jobs"))
    world.send("one", enqueued_at=int(time.time() * 1000) - 60_000)
    world.send("two")
    assert 60_000 <= status(world)["oldest_age_ms"] < 90_000
    assert re.search(r"oldest ([6-9]\ds|1m)", text(world))


def test_held_and_retry_after(world, peer):
    peer.script = [Answer(401, {"code": 1})]
    world.send("one")
    wait_until(lambda: account(status(world))["state"] == "held", what="the account to be held")
    shop = account(status(world))
    assert shop["until"] > time.time() * 1000 and shop["waiting"] == 1
    assert "HELD" in text(world)
    peer.script = [Answer(429, {"code": 1}, headers={"Retry-After": "600"})]
    world.send("two", account="second")
    wait_until(lambda: account(status(world), "second")["state"] == "paused_by_provider", what="the pause")
    assert "paused by the provider for" in text(world)


def test_rates(world, peer):
    child = subprocess.Popen([DRAY, "status", "--json", "-c", world.daemon.path], env=clean_env(), stdout=subprocess.PIPE)
    end = time.monotonic() + 20
    while child.poll() is None and time.monotonic() < end:
        world.send(account="second")
        time.sleep(0.005)  # a stream of orders, not a wait
    [queue] = json.loads(child.stdout.read())["queues"]
    assert queue["in_per_s"] > 5 and queue["out_per_s"] > 5
    child.stdout.close()


def test_no_worker(world):
    assert world.daemon.stop() == 0
    assert status(world)["workers"] == [] and "NO WORKER" in text(world)


def test_it_never_scans_jobs(world):
    assert world.daemon.stop() == 0
    pipe = world.db.pipeline(transaction=False)
    for n in range(100_000):
        pipe.lpush(world.key("jobs"), "x")
        pipe.zadd(world.key("dead"), {str(n): n})
    pipe.execute()
    world.db.config_resetstat()
    queue = status(world)
    assert (queue["jobs"], queue["dead"]) == (100_000, 100_000)
    assert world.db.info("commandstats")["cmdstat_evalsha"]["usec_per_call"] < 5000 * SLOW


def test_watch_redraws_until_interrupted(world):
    main, terminal = pty.openpty()
    child = subprocess.Popen([DRAY, "status", "--watch", "-c", world.daemon.path], env=clean_env(), stdout=terminal)
    os.close(terminal)
    seen = b""
    while seen.count(b"queue orders") < 3:
        seen += os.read(main, 4096)
    assert seen.count(b"\x1b[H") >= 2
    child.send_signal(signal.SIGINT)
    try:
        while os.read(main, 4096):
            pass
    except OSError:
        pass
    assert child.wait(10) == 0
    os.close(main)


def test_accounts_in_trouble_come_first_then_by_name(world):
    for name, fails, mode in [("zeta", 0, "h"), ("alpha", 0, "n"), ("mid", 9, "b"), ("beta", 0, "n")]:
        till, cool = (0, 0) if mode == "n" else (9999999999999, 1000)
        world.db.hset(world.key("accounts"), name, write_gate(Gate(0, 0, 0, fails, mode, till, cool, "-")))
    names = [a["account"] for a in status(world)["accounts"]]
    assert names[:2] == ["zeta", "mid"] and names[2:] == sorted(names[2:])
    out = text(world)
    assert out.index("zeta") < out.index("mid") < out.index("alpha") < out.index("beta")


@pytest.mark.parametrize("rows,columns", [(8, 60), (24, 80)])
def test_watch_stays_within_the_terminal(world, rows, columns):
    """However many accounts: the first lines stay, and the rest is counted."""
    for n in range(40):
        world.db.hset(world.key("accounts"), f"shop-{n:02}", write_gate(Gate(0, 0, 0, 0, "n", 0, 0, "-")))
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    child = subprocess.Popen([DRAY, "status", "--watch", "-c", world.daemon.path], env=clean_env(), stdout=terminal)
    os.close(terminal)
    seen = b""
    while seen.count(b"\x1b[H") < 2:
        seen += os.read(main, 65536)
    child.send_signal(signal.SIGINT)
    try:
        while part := os.read(main, 65536):
            seen += part
    except OSError:
        pass
    assert child.wait(10) == 0
    os.close(main)
    screen = seen.split(b"\x1b[H")[1].replace(b"\x1b[K", b"").replace(b"\x1b[J", b"").decode()
    lines = screen.replace("\r", "").split("\n")
    assert lines[-1] == "" and len(lines) == rows, "the cursor stands on the last row, nothing has scrolled"
    assert lines[0].startswith("queue orders") and all(len(line) <= columns for line in lines)
    assert " more lines" in lines[-2]


def test_which_queues(world):
    assert dray("status", "other", "--json", "--force", "-c", world.daemon.path).returncode == 0
    assert dray("status", "--nonsense", "-c", world.daemon.path).returncode == 2


def test_the_age_of_what_waits_for_its_account(world):
    """A queue that is empty because everything waits is not young."""
    dray("pause", QUEUE, "second", "-c", world.daemon.path)
    for n in range(3):
        world.send(f"waits-{n}", account="second")
    wait_until(lambda: world.db.zcard(world.key("waiting")) == 3, what="them to wait")
    assert 0 <= status(world)["oldest_age_ms"] < 60_000
    first = sorted(world.db.hkeys(world.key("parked")), key=int)[0]
    old = int(time.time() * 1000) - 900_000
    text_of_job = world.db.hget(world.key("parked"), first).partition(b"\n")[2]
    world.db.hset(world.key("parked"), first, b"0N%s {\"q\":%d}\n%s" % (first, old, text_of_job))
    assert 900_000 <= status(world)["oldest_age_ms"] < 960_000 and "oldest 15m" in text(world)


def test_the_age_of_a_delayed_job_past_its_time(world):
    assert world.daemon.stop() == 0
    due = int(time.time() * 1000) - 600_000
    world.db.hset(world.key("parked"), "7", "0N {}\n{}")
    world.db.zadd(world.key("delayed"), {"7": due})
    assert 600_000 <= status(world)["oldest_age_ms"] < 660_000
    world.db.zadd(world.key("delayed"), {"7": due + 3_600_000})
    assert status(world)["oldest_age_ms"] is None
