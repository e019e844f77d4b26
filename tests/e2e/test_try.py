"""`dray try`: one order, now, outside the queue: what is shown, what the ledger then knows, and that nothing doubles."""

import json
import os
import signal
import subprocess
import threading
import time

import pytest

from lib.daemon import ini
from lib.peer import Answer, HangUp, Silence
from lib.process import DRAY, Process, clean_env
from lib.redis_server import RedisServer
from lib.scripts import Gate, write_gate
from lib.wait import wait_until
from lib.world import QUEUE, World

ORDER = '{"ref": "A-1", "total": 9.990, "name": "Zo\\u00eb"}'
KEY = f"dray:{{{QUEUE}}}:order:shop:A-1"


class Desk:
    """A configuration, an order in a file, and `dray try`."""

    def __init__(self, redis, peer, folder, more=None, **account):
        self.db, self.folder = redis.client, folder
        settings = {"provider": "http-json", "queue": QUEUE, "base_url": peer.url, "token": "sesame-1", "create_path": "/orders",
                    "key_pointer": "/ref", "id_pointer": "/id", "request_timeout": "5s", "on_unknown": "hold",
                    "header X-Store": "12", "header X-Api-Key": "sesame-2", **account}
        self.ini = {"redis": {"url": redis.url, **(more or {})}, "worker": {"lease": "2s"},
                    "admin": {"listen": "off"}, "account shop": settings}
        (folder / "dray.ini").write_text(ini(self.ini))
        self.write(ORDER)

    def write(self, order):
        (self.folder / "order.json").write_text(order)

    def args(self, *more, name="shop"):
        return [DRAY, "try", name, "order.json", "-c", "dray.ini", *more]

    def try_(self, *more, name="shop"):
        run = subprocess.run(self.args(*more, name=name), cwd=self.folder, env=clean_env(), capture_output=True, text=True,
                             timeout=120)
        assert "AddressSanitizer" not in run.stderr and "LeakSanitizer" not in run.stderr, run.stderr
        return run

    def json(self, *more):
        run = self.try_("--json", *more)
        return run.returncode, json.loads(run.stdout)

    def keys(self):
        """What is left in Redis but the queue's books and the workers' access token."""
        names = {k.decode().rpartition("}:")[2] for k in self.db.scan_iter()}
        return {n for n in names if not n.startswith("grant:")} - {"stats", "limits", "accounts", "workers:info", "format"}

    def audit(self):
        run = subprocess.run([DRAY, "audit", QUEUE, "-c", "dray.ini"], cwd=self.folder, env=clean_env(), capture_output=True,
                             text=True)
        assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture
def desk(empty_redis, peer, tmp_path):
    def make(**account):
        return Desk(empty_redis, peer, tmp_path, **account)
    return make


def test_everything_is_shown_and_the_order_is_known(desk, peer):
    peer.default = Answer(201, {"id": "o-7", "note": "thanks"})
    d = desk(idempotency_header="Idempotency-Key")
    run = d.try_()
    assert run.returncode == 0, run.stdout + run.stderr
    for line in (f"POST {peer.url}/orders", "Authorization: Bearer (hidden)", "Content-Type: application/json", "X-Store: 12",
                 "X-Api-Key: (hidden)", "Idempotency-Key: A-1", ORDER, "HTTP 201, application/json",
                 '{"id": "o-7", "note": "thanks"}', "verdict: created", 'order ids: ["o-7"]'):
        assert line in run.stdout.splitlines() or any(seen.startswith(line) for seen in run.stdout.splitlines()), line
    assert "sesame" not in run.stdout + run.stderr
    assert d.keys() == {"order:shop:A-1"}
    assert d.db.get(KEY).startswith(b"C ") and d.db.get(KEY).endswith(b'["o-7"]') and d.db.pttl(KEY) > 0
    d.audit()
    assert [r.body for r in peer.posts] == [ORDER.encode()]


def test_the_same_key_twice_is_a_duplicate_with_the_id(desk, peer):
    peer.default = Answer(201, {"id": "o-7"})
    d = desk()
    assert d.json()[1]["verdict"] == "created"
    code, said = d.json()
    assert (code, said["verdict"], said["order_ids"], said["answer"]) == (0, "duplicate", ["o-7"], None)
    d.write(ORDER.replace("9.990", "10"))
    code, said = d.json()
    assert (code, said["verdict"], said["order_ids"]) == (1, "not_sent", []) and "key_conflict" in said["message"]
    assert len(peer.posts) == 1
    d.audit()


def test_an_order_without_a_key_is_known_by_its_bytes(desk, peer):
    peer.default = Answer(201, {"id": 7})
    d = desk()
    d.write('{"total": 1}\n')
    assert d.json()[1]["order_ids"] == ["7"]
    assert d.json()[1]["verdict"] == "duplicate"
    assert d.json("--key", "B-2")[1]["verdict"] == "created"
    assert d.db.exists(KEY.replace("A-1", "B-2"))
    assert [r.body for r in peer.posts] == [b'{"total": 1}'] * 2


def test_a_worker_knows_what_was_tried(desk, peer):
    peer.default = Answer(201, {"id": "o-7"})
    d = desk()
    assert d.try_().returncode == 0
    world = World(type("R", (), {"client": d.db, "url": d.ini["redis"]["url"]}), peer, start=False)
    world.daemon.set_config(d.ini)
    world.start()
    try:
        world.push(f'{{"id": "job-1", "order": {ORDER}}}')
        result = world.result()
        assert (result["status"], result["order_id"]) == ("duplicate", "o-7")
    finally:
        world.close()
    assert len(peer.posts) == 1


def test_a_dry_run_sends_nothing_and_needs_no_redis(peer, tmp_path):
    away = type("R", (), {"client": None, "url": "redis://127.0.0.1:1"})
    d = Desk(away, peer, tmp_path)
    run = d.try_("--dry-run")
    assert run.returncode == 0 and f"POST {peer.url}/orders" in run.stdout and ORDER in run.stdout
    assert json.loads(d.try_("--dry-run", "--json").stdout)["request"]["body"] == ORDER
    assert d.try_().returncode == 3
    assert not peer.requests


@pytest.mark.parametrize("answer, verdict, code", [
    (Answer(422, {"code": "no_stock", "message": "none left"}), "rejected", "no_stock"),
    (Answer(401), "hold", "http_401"),
    (Answer(429), "pause", "http_429"),
])
def test_what_created_nothing_leaves_nothing(desk, peer, answer, verdict, code):
    peer.default = answer
    d = desk(error_code_pointer="/code", message_pointer="/message")
    rc, said = d.json()
    assert (rc, said["verdict"], said["code"], said["dead_id"]) == (1, verdict, code, None), said
    assert said["answer"]["status"] == answer.status
    assert d.keys() <= {"gates"}
    d.audit()
    books = {k.decode(): v for k, v in d.db.hgetall(f"dray:{{{QUEUE}}}:stats").items()}
    assert [books[n] for n in ("taken", "died", "dead_dropped")] == [b"1"] * 3, "a job like any, and a dead letter that was dropped"
    assert len(peer.posts) == 1


def test_a_refused_try_holds_nobody_up(desk, peer):
    """Who mends the token tries again at once, and the workers never heard of it."""
    peer.script = [Answer(401), Answer(403), Answer(500), Answer(201, {"id": 7})]
    d = desk(breaker_failures="1", reject_codes="http:500")
    assert [d.json()[1]["verdict"] for _ in range(4)] == ["hold", "hold", "rejected", "created"]
    assert len(peer.posts) == 4


def test_nobody_there(desk, peer):
    d = desk()
    peer.stop()
    rc, said = d.json()
    assert (rc, said["verdict"], said["sent"], said["code"]) == (1, "retry", False, "connect")
    assert d.keys() == set()
    d.audit()


def test_an_unknown_outcome_stays_until_somebody_decides(desk, peer):
    peer.default = HangUp("after")
    d = desk(on_unknown="resend")
    rc, said = d.json()
    assert (rc, said["verdict"], said["code"]) == (1, "unknown", "connection_lost")
    assert d.keys() == {"order:shop:A-1", "dead", "dead:entries"}
    assert d.db.get(KEY).startswith(b"U ") and said["dead_id"].encode() in d.db.get(KEY)
    rc, said = d.json()
    assert (rc, said["verdict"]) == (1, "not_sent") and "unknown" in said["message"]
    run = subprocess.run([DRAY, "dead", "resolve", QUEUE, d.db.zrange(f"dray:{{{QUEUE}}}:dead", 0, 0)[0].decode(), "--created", "o-9",
                          "-c", "dray.ini", "--yes"], cwd=d.folder, env=clean_env(), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert d.json()[1]["order_ids"] == ["o-9"]
    assert len(peer.posts) == 1
    d.audit()


def test_a_try_that_is_killed_is_unknown_to_the_workers(desk, peer):
    """kill -9 while the provider has the order: the lease runs out, a worker recovers it, nobody sends it again."""
    peer.default = Silence()
    d = desk(request_timeout="60s")
    process = Process(d.args(), env=clean_env(), cwd=d.folder, name="dray try")
    peer.wait_posts(1)
    assert d.db.get(KEY).startswith(b"S ")
    assert "being sent right now" in d.try_().stdout
    process.kill()
    world = World(type("R", (), {"client": d.db, "url": d.ini["redis"]["url"]}), peer, start=False)
    world.daemon.set_config(d.ini)
    world.start()
    try:
        letter = world.dead(30)
        assert (letter["reason"], letter["order_key"]) == ("unknown_outcome", "A-1")
    finally:
        world.close()
    assert d.db.get(KEY).startswith(b"U ")
    assert len(peer.posts) == 1
    d.audit()


def interrupt(process):
    """Returns when it has seen the signal: it listens for one only, the next would end it."""
    def listens():
        with open(f"/proc/{process.pid}/status") as f:
            caught = next(line for line in f if line.startswith("SigCgt:"))
        return int(caught.split()[1], 16) & 1 << (signal.SIGINT - 1) != 0
    assert listens()
    process.send(signal.SIGINT)
    wait_until(lambda: not listens(), 20, "dray try to see the signal")


@pytest.fixture
def later():
    """An answer that comes when the test says so."""
    now = threading.Event()

    def make(answer):
        def give(request):
            now.wait(60)
            return answer
        return give
    make.now = now.set
    yield make
    now.set()


def test_interrupted_it_waits_for_the_answer(desk, peer, later):
    peer.default = later(Answer(201, {"id": 7}))
    d = desk(request_timeout="60s")
    process = Process(d.args("--json"), env=clean_env(), cwd=d.folder, name="dray try")
    peer.wait_posts(1)
    interrupt(process)
    assert process.running
    later.now()
    assert process.wait(30) == 0
    assert d.db.get(KEY).startswith(b"C ")
    assert len(peer.posts) == 1


def test_what_the_account_may_not_do_now_is_not_done_later(desk, peer):
    """Paused, or at its rate: nothing is sent, and nothing is left for a worker to send."""
    peer.default = Answer(201, {"id": 7})
    d = desk(rate="1/h", burst="1")
    subprocess.run([DRAY, "pause", QUEUE, "-c", "dray.ini"], cwd=d.folder, env=clean_env(), check=True, capture_output=True)
    rc, said = d.json()
    assert (rc, said["verdict"]) == (1, "not_sent") and "queue is paused by an operator" in said["message"], said
    subprocess.run([DRAY, "resume", QUEUE, "-c", "dray.ini"], cwd=d.folder, env=clean_env(), check=True, capture_output=True)
    assert d.json()[0] == 0
    d.write('{"ref": "A-2"}')
    rc, said = d.json()
    assert (rc, said["verdict"]) == (1, "not_sent") and "at its rate" in said["message"], said
    assert d.keys() == {"order:shop:A-1"}
    d.audit()
    assert len(peer.posts) == 1


def test_an_account_that_the_workers_hold(desk, peer):
    peer.default = Answer(201, {"id": 7})
    d = desk()
    d.db.hset(f"dray:{{{QUEUE}}}:accounts", "shop", write_gate(Gate(0, 0, 0, 1, "h", time.time() * 1000 + 3600000, 30000, "-")))
    rc, said = d.json()
    assert (rc, said["verdict"]) == (1, "not_sent") and "the account is held" in said["message"], said
    assert not peer.requests


def test_replicas_must_know_first(peer, tmp_path):
    peer.default = Answer(201, {"id": 7})
    with RedisServer() as redis:
        d = Desk(redis, peer, tmp_path, more={"min_replicas": "1", "min_replicas_timeout": "100ms"})
        rc, said = d.json()
        assert (rc, said["sent"]) == (1, False) and not peer.requests
        d.audit()
        assert d.keys() == set()


def test_what_a_worker_would_refuse(desk, peer):
    d = desk()
    d.write('{"ref": 1.5}')
    run = d.try_()
    assert run.returncode == 1 and "order.ref: is the order key" in run.stderr
    d.write("nothing")
    assert "is not JSON" in d.try_().stderr
    assert d.try_(name="shpo").returncode == 2
    assert d.try_("--dry-run", name=QUEUE).returncode == 1  # a queue stands for its default account; the order is still none
    assert not peer.requests


def test_oauth2_is_fetched_when_the_order_leaves(desk, peer):
    def answer(request):
        if request.path == "/token":
            return Answer(200, {"access_token": "tok-1", "expires_in": 60})
        return Answer(201, {"id": 7}) if request.headers["authorization"] == "Bearer tok-1" else Answer(401)
    peer.default = answer
    d = desk(token=None, auth="oauth2", token_url=f"{peer.url}/token", client_id="c", client_secret="hush")
    run = d.try_("--dry-run")
    assert run.returncode == 0 and "Authorization: Bearer (hidden)" in run.stdout and not peer.requests
    run = d.try_()
    assert run.returncode == 0 and "tok-1" not in run.stdout + run.stderr and "hush" not in run.stdout
    assert [r.path for r in peer.requests] == ["/token", "/orders"]
    d.write('{"ref": "A-2"}')
    assert d.try_().returncode == 0
    assert [r.path for r in peer.requests] == ["/token", "/orders", "/orders"], "the first one's token is still good"
    d.audit()


def test_interrupted_while_it_waits_for_a_token(desk, peer, later):
    peer.default = later(Answer(200, {"access_token": "tok-1"}))
    d = desk(token=None, auth="oauth2", token_url=f"{peer.url}/token", client_id="c", client_secret="hush", request_timeout="60s")
    process = Process(d.args("--json"), env=clean_env(), cwd=d.folder, name="dray try")
    peer.wait_posts(1)
    interrupt(process)
    later.now()
    assert process.wait(30) == 1
    said = json.loads("".join(process.stdout_lines))
    assert (said["verdict"], said["sent"], said["settled"]) == ("not_sent", False, True) and "not sent" in said["message"], said
    assert [r.path for r in peer.requests] == ["/token"]
    assert d.keys() == set()
    d.audit()


def test_no_token_is_said(desk, peer):
    peer.default = Answer(400, {"error": "invalid_client"})
    d = desk(token=None, auth="oauth2", token_url=f"{peer.url}/token", client_id="c", client_secret="hush")
    rc, said = d.json()
    assert (rc, said["verdict"], said["code"], said["sent"]) == (1, "hold", "token_refused", False)
    assert [r.path for r in peer.requests] == ["/token"]
    assert d.keys() == set() and not d.db.keys("*grant*")
    d.audit()


def test_what_a_refusal_says_is_shown(desk, peer):
    peer.default = Answer(422, {"errors": [{"details": "no destination"}]})
    run = desk().try_()
    assert "verdict: rejected (http_422)" in run.stdout and "no destination" in run.stdout.split("verdict")[1]
    assert len(peer.posts) == 1
