"""The admin server: health, readiness, who may ask, and that nobody who asks can hurt the worker."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

import pytest

from lib.admin import TOKEN, AdminWorld
from lib.daemon import ini
from lib.peer import Answer, Raw, Silence
from lib.process import DRAY, ROOT
from lib.redis_rewriter import RedisRewriter
from lib.redis_server import RedisServer
from lib.wait import SLOW, stays_true, wait_until
from lib.world import created

# A lease of a second, so that "nothing claimed for four leases" is soon.
SHORT = {"worker": {"lease": "1s"}, "config_redis": {"command_timeout": "300ms"}}


@pytest.fixture
def world(empty_redis, peer):
    peer.default = lambda request: Answer(200, one.provider.answer(request.json))
    one = AdminWorld(empty_redis, peer)
    with one:
        yield one


# -- health ------------------------------------------------------------------------------------------


def test_an_idle_worker_is_healthy_and_ready(world):
    health = world.get("/healthz", token=None)
    assert health == {"healthy": True, "mode": "running", "redis": "up", "reason": None}
    assert world.get("/readyz", token=None) == {"ready": True, "reason": None}


def test_a_worker_whose_slots_are_all_taken_is_healthy(empty_redis, peer):
    """Jobs wait and nothing is claimed, but nothing could be."""
    peer.default = Silence()
    with AdminWorld(empty_redis, peer, queue={"concurrency": "1"}, **SHORT) as world:
        for n in range(5):
            world.send(f"j{n}")
        peer.wait_posts(1)
        wait_until(lambda: world.metrics().get('dray_queue_jobs{queue="orders"}') == 4, 10, "the figures to be read")
        stays_true(lambda: world.ask("/healthz").status == 200, 5.5, "healthy")
        peer.default = lambda request: created(world.provider, request)


def test_redis_away_is_healthy_and_not_ready(peer):
    with RedisServer() as redis, AdminWorld(redis, peer, **SHORT) as world:
        redis.stop()
        away = world.wait_status("/readyz", 503)
        assert away.json == {"ready": False, "reason": "Redis is away"}
        stays_true(lambda: world.ask("/healthz").status == 200, 5, "healthy")
        assert world.get("/healthz")["redis"] == "away"
        status = world.get("/api/v1/status")
        assert status["redis"]["up"] is False and status["redis"]["error"]
        redis.start()
        world.wait_status("/readyz", 200)


def test_a_worker_that_no_longer_claims_is_unhealthy(redis_server, peer):
    """As if it had lost track of the queue: its claims find nothing, its pick-ups look elsewhere."""
    peer.default = lambda request: created(world.provider, request)

    def rewrite(args):
        if args[0] == b"EVALSHA" and any(a.endswith(b":taken") for a in args) and any(a.endswith(b":results") for a in args):
            numbers = args[3 + int(args[2]) + 1]  # NUMBERS of turn_call.lua
            settles, _, begins = struct.unpack("<3H", numbers[:6])
            if settles == begins == 0:
                return [b"EVAL", b"return {'%d', '-1', {}, {}, {'OK'}}" % (time.time() * 1000), b"0"]
            quiet = numbers[:16] + bytes([numbers[16] & ~2]) + numbers[17:]  # what it has to settle goes through
            args = [quiet if a is numbers else a for a in args]
        if args[0] == b"BLMOVE":
            return [args[0], args[1] + b"-not", *args[2:]]
        return args

    with RedisRewriter(redis_server.port) as proxy:
        with AdminWorld(redis_server, peer, worker={"lease": "3s"}, config_redis={"url": proxy.url}) as world:
            world.alive()
            proxy.rewrite = rewrite
            wait_until(lambda: not redis_server.client.client_list() or
                       any(c["cmd"] == "blmove" for c in redis_server.client.client_list()), 10, "a pick-up")
            time_of_push = time.monotonic()
            world.send("stuck-1")  # the armed pick-up may still take one
            world.send("stuck-2")
            world.send("stuck-3")
            sick = world.wait_status("/healthz", 503, 30)
            assert time.monotonic() - time_of_push > 4
            assert sick.json["healthy"] is False
            assert "orders" in sick.json["reason"] and "nothing was claimed" in sick.json["reason"]
            proxy.rewrite = None
            world.wait_status("/healthz", 200, 30)
            world.results(3)


def test_a_quiet_or_draining_worker_is_healthy_and_not_ready(world, peer):
    world.daemon.send(signal.SIGUSR1)
    assert "quiet" in world.wait_status("/readyz", 503).json["reason"]
    assert world.ask("/healthz").status == 200
    world.daemon.send(signal.SIGHUP)
    world.wait_status("/readyz", 200)
    peer.default = lambda request: Answer(200, world.provider.answer(request.json), delay=2.0)
    world.send("slow")
    peer.wait_posts(1)
    world.daemon.send(signal.SIGTERM)
    assert "draining" in world.wait_status("/readyz", 503).json["reason"]
    assert world.ask("/healthz").json["mode"] == "draining"
    assert world.daemon.wait(15) == 0
    assert world.result()["status"] == "created"


# -- who may ask -------------------------------------------------------------------------------------


READS = ["/api/v1/status", "/api/v1/queues", "/api/v1/accounts", "/api/v1/workers"]


@pytest.mark.parametrize("path", READS)
def test_the_api_needs_the_token(world, path):
    assert world.ask(path).status == 200
    for wrong in (None, "open-sesam", "open-sesame1", "x" * 5000, "Open-sesame"):
        answer = world.ask(path, token=wrong)
        assert answer.status == 401, wrong
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.json["error"]["code"] == "token_needed"
    assert world.ask(path, token=None, headers={"Authorization": TOKEN}).status == 401
    assert world.ask(path, token=None, headers={"Authorization": f"bearer {TOKEN}"}).status == 200
    assert TOKEN not in "".join(world.daemon.process.stderr_lines)


def test_without_a_token_this_host_may_read(empty_redis, peer):
    with AdminWorld(empty_redis, peer, token=None) as world:
        for path in READS:
            assert world.ask(path).status == 200
            assert world.ask(path, headers={"Host": "localhost:9780"}).status == 200
            assert world.ask(path, headers={"Host": "[::1]"}).status == 200
            for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:9780"):
                answer = world.ask(path, headers={"Host": host})
                assert (answer.status, answer.json["error"]["code"]) == (403, "foreign_host")
        assert world.get("/api/v1/status")["access"] == {"token_configured": False, "may_act": False, "who": None}


def test_methods_paths_and_heads(world):
    assert world.ask("/healthz", "HEAD").body == b""
    assert world.ask("/healthz", "HEAD").status == 200
    for path in ("/healthz", "/metrics", "/api/v1/status"):
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
            answer = world.ask(path, method)
            assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD"), (path, method)
    for path in ("/nothing", "/api", "/api/v1/statuses", "/healthz/", "//healthz", "/api/v1/../v1/status"):
        assert world.ask(path).status == 404, path


def test_security_headers_on_every_answer(world):
    for path, token in (("/healthz", None), ("/metrics", None), ("/api/v1/status", True), ("/nothing", None),
                        ("/api/v1/status", None)):
        headers = world.ask(path, token=token, headers={"Origin": "https://evil.example"}).headers
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert not [name for name in headers if name.lower().startswith("access-control-")]


def test_the_port_is_taken(empty_redis, peer):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        world = AdminWorld(empty_redis, peer)
        world.config["admin"]["listen"] = f"127.0.0.1:{taken.getsockname()[1]}"
        world.daemon.set_config(world.config)
        world.daemon.launch()
        assert world.daemon.wait(10) == 1
        said = "".join(world.daemon.process.stderr_lines)
        assert "[admin] listen" in said and "in use" in said
        world.daemon.close()


# -- figures -----------------------------------------------------------------------------------------


def test_the_figures_are_right(world, peer):
    for n in range(20):
        world.send(f"j{n}", f"K{n}", enqueued_at=int(time.time() * 1000) - 2000)
    world.results(20)
    world.push("no json at all")
    world.wait_dead(1)
    queue = wait_until(lambda: (q := world.get("/api/v1/queues")["queues"][0])["dead"] == 1 and q, 10, "the figures")
    assert (queue["queue"], queue["jobs"], queue["results"], queue["delayed"], queue["waiting"]) == ("orders", 0, 0, 0, 0)
    assert queue["totals"]["taken"] == 21 and queue["totals"]["created"] == 20
    assert sum(queue["here"]["http"]["counts"]) == 20
    [account] = world.get("/api/v1/accounts")["accounts"]["list"]
    assert account["state"] == "ok" and account["here"]["attempts"] == {"created": 20}
    [worker] = world.get("/api/v1/workers")["workers"]
    assert worker["this"] and worker["alive"] and worker["info"]["pid"] == world.daemon.pid
    metrics = world.metrics()
    assert metrics['dray_attempts_total{queue="orders",account="shop",verdict="created"}'] == 20
    assert metrics['dray_results_total{queue="orders",account="shop",status="created"}'] == 20
    assert metrics['dray_dead_letters_total{queue="orders",reason="invalid"}'] == 1
    assert metrics['dray_http_request_duration_seconds_count{queue="orders"}'] == 20
    assert metrics['dray_pickup_duration_seconds_bucket{queue="orders",le="1"}'] == 0
    assert metrics['dray_pickup_duration_seconds_bucket{queue="orders",le="60"}'] == 20
    assert metrics["dray_http_requests_total"] == 20
    assert metrics["dray_redis_up"] == 1 and metrics["dray_redis_commands_total"] > 0


def test_an_account_in_trouble_says_why(empty_redis, peer):
    peer.default = lambda request: Answer(401, {"message": "no"})
    with AdminWorld(empty_redis, peer) as world:
        world.send("held")
        peer.wait_posts(1)
        account = wait_until(lambda: (a := world.get("/api/v1/accounts?state=troubled")["accounts"])["total"] == 1 and a,
                             15, "the account to be held")["list"][0]
        assert account["state"] == "held" and "401" in account["reason"] and account["until"] > time.time() * 1000
        name = 'dray_account_state{queue="orders",account="shop",state="held"}'
        wait_until(lambda: world.metrics()[name] == 1, 10, "the metric")
        peer.default = lambda request: created(world.provider, request)


def promtool(text):
    return subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed (package prometheus)")
def test_promtool_finds_nothing_wrong(world):
    for n in range(5):
        world.send(f"j{n}")
    world.results(5)
    text = world.ask("/metrics").body
    checked = promtool(text)
    assert checked.returncode == 0 and not checked.stderr, checked.stderr.decode()
    assert promtool(text.replace(b"_total", b"_count")).stderr, "promtool checks nothing"


def the_account(world):
    return world.get("/api/v1/accounts")["accounts"]["list"][0]


def test_the_figures_of_an_account_with_limits(empty_redis, peer):
    """As Redis keeps them: packed, as long as nothing holds the account up."""
    peer.default = Silence()
    limits = {"rate": "30/h", "burst": "50", "concurrency": "3"}
    with AdminWorld(empty_redis, peer, account=limits, **SHORT) as world:
        for n in range(3):
            world.send(f"j{n}")
        peer.wait_posts(3)
        account = wait_until(lambda: (a := the_account(world))["concurrency"] == 3 and a, 10, "the figures")
        assert (account["concurrency_limit"], account["burst"], account["here"]["inflight"]) == (3, 50, 3)
        assert 47 <= account["tokens"] < 48
        wait_until(lambda: [w["inflight"] for w in world.get("/api/v1/workers")["workers"]] == [3], 10, "what the worker holds")
        peer.default = lambda request: created(world.provider, request)


def test_requests_without_a_limit_are_not_counted_over_all_workers(empty_redis, peer):
    peer.default = Silence()
    with AdminWorld(empty_redis, peer, account={"rate": "0"}, **SHORT) as world:
        world.send("j0")
        peer.wait_posts(1)
        account = wait_until(lambda: (a := the_account(world))["here"]["inflight"] == 1 and a, 10, "the figures")
        assert account["concurrency"] is None and account["concurrency_limit"] == 0
        peer.default = lambda request: created(world.provider, request)


def test_a_thousand_accounts_do_not_blow_up_the_metrics(empty_redis, peer):
    many = {f"a{n:04}": {} for n in range(1100)}
    with AdminWorld(empty_redis, peer, accounts=many) as world:
        wait_until(lambda: any("account_state" in name for name in world.metrics()), 15, "the figures")
        began = time.monotonic()
        answer = world.ask("/metrics")
        assert time.monotonic() - began < 2 * SLOW
        assert len(answer.body) < 1_500_000
        assert answer.body.count(b"dray_account_inflight_orders{") == 1001
        assert b'account="_others"' in answer.body
        page = world.get("/api/v1/accounts?limit=200&offset=1000")["accounts"]
        assert page["total"] == 1101 and len(page["list"]) == 101
        assert len(world.get("/api/v1/status")["accounts"]["list"]) == 50


# -- limits ------------------------------------------------------------------------------------------


def test_headers_and_bodies_have_limits(world):
    with world.connect() as s:
        s.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X-Filler: " + b"a" * 40000 + b"\r\n\r\n")
        assert s.recv(100).split()[1] in (b"431", b"400", b"413")
    answer = world.ask("/api/v1/status?" + "a" * 20000)
    assert answer.status in (414, 431)
    assert world.ask("/healthz").status == 200


def test_slow_clients_are_cut_off(world):
    """One byte a second would keep a connection for ever if only silence counted."""
    def drip(text):
        s = world.connect()
        s.setblocking(False)
        return {"socket": s, "rest": text, "open": True, "began": time.monotonic()}

    clients = [drip(b"GET /healthz HTTP/1.1\r\nX-A: " + b"a" * 1000), drip(b""),
               drip(b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n" + b"a" * 999)]

    def step():
        for c in clients:
            if not c["open"]:
                continue
            try:
                if c["rest"]:
                    c["socket"].send(c["rest"][:1])
                    c["rest"] = c["rest"][1:]
                if c["socket"].recv(1000) == b"":
                    c["open"] = False
            except BlockingIOError:
                pass
            except OSError:
                c["open"] = False
        return not any(c["open"] for c in clients)

    wait_until(step, 40, "the slow clients to be cut off")
    assert world.metrics()["dray_admin_connections_cut_total"] >= 1


def test_a_thousand_idle_connections_do_not_hurt(world, peer):
    idle = [world.connect() for _ in range(1000)]
    for s in idle[::2]:
        s.sendall(b"GET /healthz HTTP/1.1\r\nHo")
    for n in range(200):
        world.send(f"j{n}", f"K{n}")
    results = world.results(200, 10)
    assert {r["status"] for r in results} == {"created"}
    assert world.ask("/healthz").status == 200
    assert world.metrics()["dray_admin_connections"] >= 1000
    for s in idle:
        s.close()
    wait_until(lambda: world.metrics()["dray_admin_connections"] < 10, 15, "the connections to be gone")


def test_many_clients_at_once_share_one_reading(world):
    """Dashboards must not multiply what Redis is asked."""
    before = world.db.info("commandstats").get("cmdstat_llen", {"calls": 0})["calls"]
    for _ in range(50):
        world.get("/api/v1/status")
    took = world.db.info("commandstats")["cmdstat_llen"]["calls"] - before
    assert took <= 20, took


def test_a_redis_that_hangs_does_not_hang_the_api(peer):
    peer.default = lambda request: created(world.provider, request)
    with RedisServer() as redis, AdminWorld(redis, peer, worker={"lease": "60s"}) as world:
        world.get("/api/v1/status")
        redis.sigstop()
        try:
            began = time.monotonic()
            wait_until(lambda: world.ask("/api/v1/status").status == 503, 12, "503 while Redis hangs")
            assert time.monotonic() - began < 12
            assert world.ask("/healthz").status == 200
        finally:
            redis.sigcont()
        world.alive()


# -- dead letters and actions ------------------------------------------------------------------------


def letters(world, query=""):
    return world.get(f"/api/v1/dead/orders?{query}")


def bury(world, peer, count=1, prefix="bad"):
    """So many jobs that the provider rejects."""
    peer.default = lambda request: Answer(400, {"code": "1001", "message": "no such sku"})
    for n in range(count):
        world.send(f"{prefix}-{n}", f"{prefix}-K{n}")
    world.results(count)
    peer.default = lambda request: created(world.provider, request)


def test_dead_letters_page_by_page(world, peer):
    bury(world, peer, 25)
    seen, cursor = [], ""
    while True:
        page = letters(world, f"limit=10{cursor}")
        assert page["total"] == 25
        seen += page["letters"]
        if not page["cursor"]:
            break
        cursor = f"&cursor={page['cursor']}"
    assert len(seen) == 25 and len({l["dead_id"] for l in seen}) == 25
    assert [l["died_at"] for l in seen] == sorted((l["died_at"] for l in seen), reverse=True)
    first = seen[0]
    assert (first["reason"], first["account"], first["http_status"], first["attempts"]) == ("rejected", "shop", 400, 1)
    assert first["message"] == "no such sku"
    assert [l["id"] for l in letters(world, "text=bad-7")["letters"]] == ["bad-7"]
    assert letters(world, "reason=invalid")["letters"] == []
    assert len(letters(world, "reason=rejected&account=shop&http_status=400&limit=200")["letters"]) == 25
    assert letters(world, "http_status=500")["letters"] == []
    assert letters(world, f"since={int(time.time() * 1000) + 60000}")["letters"] == []
    for wrong in ("cursor=x", "limit=1000", "limit=-1", "since=yesterday", "text=" + "x" * 300):
        assert world.ask(f"/api/v1/dead/orders?{wrong}").status == 400, wrong
    assert world.ask("/api/v1/dead/nothing").json["error"]["code"] == "no_such_queue"
    whole = world.get(f"/api/v1/dead/orders/{first['dead_id']}")["entry"]
    assert whole["attempts"][0]["answer"] and whole["job"].startswith("{")
    assert world.ask("/api/v1/dead/orders/1-1").status == 404


def test_retry_drop_and_what_is_gone(world, peer):
    bury(world, peer, 3)
    one, two, three = [l["dead_id"] for l in letters(world)["letters"]]
    assert world.post(f"/api/v1/dead/orders/{one}/retry") == {"done": "retried", "dead_id": one}
    assert world.result()["status"] == "created"
    world.post(f"/api/v1/dead/orders/{one}/retry", status=404)
    world.post(f"/api/v1/dead/orders/{two}/drop")
    world.post(f"/api/v1/dead/orders/{two}/drop", status=404)
    text = world.get(f"/api/v1/dead/orders/{three}")["entry"]["job"]
    fault = world.post(f"/api/v1/dead/orders/{three}/retry", {"job": text.replace('"order"', '"ordre"', 1)}, status=422)
    assert fault["error"]["faults"], fault
    world.post(f"/api/v1/dead/orders/{three}/retry", {"order": "text"}, status=400)
    world.post(f"/api/v1/dead/orders/{three}/retry", {"order": world.provider.order("corrected-1")})
    assert world.result()["order_key"] == "corrected-1"
    assert world.dead_letters() == []
    told = wait_until(lambda: len(e := world.daemon.events_named("admin_action")) >= 3 and e, 10, "the log's lines")
    assert [(e["what"], e["result"]) for e in told] == [("retried", "OK"), ("dropped", "OK"), ("retried", "OK")]


def test_an_unknown_outcome_takes_resolve(world, peer):
    peer.default = Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    for n in range(2):
        world.send(f"u{n}", f"U{n}")
    world.results(2)
    peer.default = lambda request: created(world.provider, request)
    one, two = [l["dead_id"] for l in letters(world)["letters"]]
    posts = len(peer.posts)
    refused = world.post(f"/api/v1/dead/orders/{one}/retry", status=409)
    assert refused["error"]["code"] == "unknown_outcome"
    for wrong in ({}, {"created": ""}, {"created": 5}, {"created": "1", "resend": True}, {"resend": "yes"}):
        world.post(f"/api/v1/dead/orders/{one}/resolve", wrong, status=400)
    world.post(f"/api/v1/dead/orders/{one}/resolve", {"created": "4711"})
    result = world.result()
    assert (result["status"], result["order_id"]) == ("created", "4711")
    assert len(peer.posts) == posts
    world.post(f"/api/v1/dead/orders/{two}/resolve", {"resend": True})
    assert world.result()["status"] == "created"
    assert len(peer.posts) == posts + 1


def test_pause_and_resume(world, peer):
    peer.default = lambda request: created(world.provider, request)
    world.post("/api/v1/queues/orders/pause", {"reason": "stocktaking", "for": "1h"})
    paused = world.get("/api/v1/queues")["queues"][0]["paused"]
    assert paused["reason"] == "stocktaking" and paused["until"] > time.time() * 1000
    assert world.post("/api/v1/queues/orders/resume") == {"paused": False, "was_paused": True}
    world.post("/api/v1/queues/orders/accounts/shop/pause")
    assert world.get("/api/v1/accounts")["accounts"]["list"][0]["state"] == "paused_by_operator"
    world.send("waits")
    wait_until(lambda: world.get("/api/v1/queues")["queues"][0]["waiting"] == 1, 10, "the job to wait for its account")
    world.no_result()
    world.post("/api/v1/queues/orders/accounts/shop/resume")
    assert world.result()["id"] == "waits"
    world.post("/api/v1/queues/orders/accounts/nobody/pause", status=404)
    world.post("/api/v1/queues/nothing/pause", status=404)
    for wrong in ({"for": "long"}, {"for": 5}, {"reason": "x" * 300}, {"reason": "a\nb"}):
        world.post("/api/v1/queues/orders/pause", wrong, status=400)
    assert world.ask("/api/v1/queues/orders/pause", "POST", body="no json").status == 400
    with world.connect() as s:
        s.sendall(b"POST /api/v1/queues/orders/pause HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n"
                  + f"Authorization: Bearer {TOKEN}\r\n\r\n".encode())
        assert s.recv(100).split()[1] == b"413"


def test_actions_and_contents_need_a_token(empty_redis, peer):
    paths = [("GET", "/api/v1/dead/orders/1-1"), ("POST", "/api/v1/dead/orders/1-1/drop"),
             ("POST", "/api/v1/dead/orders/1-1/retry"), ("POST", "/api/v1/dead/orders/1-1/resolve"),
             ("POST", "/api/v1/queues/orders/pause"), ("POST", "/api/v1/queues/orders/resume"),
             ("POST", "/api/v1/queues/orders/accounts/shop/pause")]
    with AdminWorld(empty_redis, peer, token=None) as world:
        bury(world, peer)
        for method, path in paths:
            answer = world.ask(path, method, token="guess")
            assert (answer.status, answer.json["error"]["code"]) == (403, "no_token_configured"), path
        [letter] = letters(world)["letters"]
        assert letter["message"] is None and letter["code"] == "1001"
        assert world.ask("/api/v1/dead/orders?text=sku").status == 403
    with AdminWorld(empty_redis, peer) as world:
        for method, path in paths:
            assert world.ask(path, method, token=None).status == 401, path
        for path in [path for method, path in paths if method == "POST"]:
            assert world.ask(path, "GET").status in (404, 405), path
        assert world.db.hlen(world.key("pauses")) == 0


# -- dray health -------------------------------------------------------------------------------------


def health(config, *args):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "dray.ini")
        with open(path, "w") as f:
            f.write(ini(config))
        return subprocess.run([DRAY, "health", "-c", path, *args], capture_output=True, text=True, timeout=30)


def test_dray_health_asks_the_worker_here(world):
    config = {**world.config, "admin": {"listen": f"127.0.0.1:{world.port}"}}
    well = health(config)
    assert (well.returncode, json.loads(well.stdout)["healthy"]) == (0, True), well.stderr
    everywhere = {**world.config, "admin": {"listen": f"0.0.0.0:{world.port}", "token": "t"}}
    assert health(everywhere).returncode == 0
    world.daemon.send(signal.SIGUSR1)
    world.wait_status("/readyz", 503)
    assert health(config).returncode == 0
    unready = health(config, "--ready")
    assert unready.returncode == 1 and "quiet" in unready.stderr
    world.daemon.stop()
    gone = health(config)
    assert gone.returncode == 1 and "127.0.0.1" in gone.stderr


def test_dray_health_without_an_admin_server(world):
    off = health({**world.config, "admin": {"listen": "off"}})
    assert off.returncode == 2 and "off" in off.stderr


def test_queues_that_a_reload_brings_and_takes_are_followed(world):
    world.config["account later"] = world.provider.settings(world.config["account shop"]["base_url"], queue="more")
    world.daemon.set_config(world.config)
    world.daemon.send(signal.SIGHUP)
    names = lambda: [q["queue"] for q in world.get("/api/v1/queues")["queues"]]  # noqa: E731
    wait_until(lambda: names() == ["orders", "more"], 15, "the new queue")
    assert 'dray_queue_jobs{queue="more"}' in wait_until(
        lambda: (m := world.metrics()) and 'dray_queue_jobs{queue="more"}' in m and m, 10, "its metrics")
    del world.config["account later"]
    world.daemon.set_config(world.config)
    world.daemon.send(signal.SIGHUP)
    wait_until(lambda: names() == ["orders"], 15, "the queue to be gone")
    assert world.ask("/api/v1/dead/more").status == 404
    world.alive()


def test_the_documentation_lists_each_metric_and_no_other(empty_redis, peer):
    with open(os.path.join(ROOT, "docs", "admin.md"), encoding="utf-8") as f:
        told = dict(re.findall(r"^\| `(dray_\w+)` \| (\w+) \|", f.read(), re.M))
    with AdminWorld(empty_redis, peer) as world:
        text = world.ask("/metrics").body.decode()
    assert dict(re.findall(r"^# TYPE (dray_\w+) (\w+)", text, re.M)) == told


def test_a_reload_changes_the_token_and_never_opens_the_api(empty_redis, peer):
    world = AdminWorld(empty_redis, peer)
    world.config["admin"]["listen"] = "0.0.0.0:0"
    world.daemon.set_config(world.config)
    with world:
        world.config["admin"]["token"] = world.token = "another"
        world.daemon.set_config(world.config)
        world.daemon.send(signal.SIGHUP)
        world.wait_status("/api/v1/status", 200)
        assert world.ask("/api/v1/status", token=TOKEN).status == 401
        world.config["admin"] = {"listen": "127.0.0.1:0"}  # allowed without a token; it still listens elsewhere
        world.daemon.set_config(world.config)
        world.daemon.send(signal.SIGHUP)
        world.wait_status("/api/v1/status", 403)
        assert world.ask("/api/v1/status", token=None).status == 403
        assert world.ask("/healthz", token=None).status == 200


def test_the_server_answers_until_the_very_end(world):
    """Asked all the time while the worker ends: no crash, and a clean exit."""
    over = []

    def hammer():
        while not over:
            for path in ("/metrics", "/api/v1/status", "/healthz", "/readyz", "/api/v1/dead/orders"):
                try:
                    world.ask(path, timeout=5)
                except OSError:
                    pass
                except http.client.HTTPException:
                    pass

    port = world.port
    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for t in threads:
        t.start()
    wait_until(lambda: world.metrics()["dray_admin_requests_total"] > 50, 15, "the requests")
    assert port == world.port and world.daemon.stop() == 0
    over.append(True)
    for t in threads:
        t.join()
