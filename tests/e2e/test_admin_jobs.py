"""The admin API: where an order is, pages of what is queued, delayed, waiting and in flight, and many dead letters at once."""

import json
import time

import pytest

from lib.admin import AdminWorld
from lib.peer import Answer, HangUp
from lib.process import dray
from lib.wait import wait_until
from lib.world import QUEUE, created

FIND, JOBS, DEAD = (f"/api/v1/queues/{QUEUE}/{what}" for what in ("find", "jobs", "dead"))


@pytest.fixture
def world(empty_redis, peer):
    with AdminWorld(empty_redis, peer, accounts={"second": {}}, account={"max_attempts": "1"}) as world:
        peer.default = lambda request: created(world.provider, request)
        yield world
        done = dray("audit", QUEUE, "-c", world.daemon.path)
        assert done.returncode == 0, done.stdout


def die(world, peer, count, answer):
    known = set(world.dead_ids())
    peer.script = [answer] * count
    for n in range(count):
        world.send(f"dead-{len(known) + n}")
    world.results(count)
    return sorted(set(world.dead_ids()) - known)


def test_find_says_what_dray_find_says(world, peer):
    peer.script = [HangUp("after")]
    world.send("one", "K-1")
    world.result()
    by_api = world.get(f"{FIND}?q=K-1")
    by_cli = json.loads(dray("find", QUEUE, "K-1", "--json", "-c", world.daemon.path).stdout)
    assert [f.pop("differs") for f in by_cli["found"] if f["place"] == "dead"] == [None], "only dray find compares orders"
    assert by_api["found"] == by_cli["found"] and by_api["ledger"] == by_cli["ledger"] and by_api["cursor"] is None
    assert by_api["found"][0]["place"] == "dead" and by_api["ledger"][0]["state"] == "unknown"
    assert world.get(f"{FIND}?q=one")["ledger"] == by_cli["ledger"], "the key of what was found under the id"
    assert world.get(f"{FIND}?q=nope")["found"] == []
    assert world.get(f"{FIND}?q=K-%ff%22")["wanted"] == 'K-\ufffd"', "what is no UTF-8 makes no bad JSON"
    assert world.ask(FIND).status == 400 and world.ask(FIND.replace(QUEUE, "nope") + "?q=x").status == 404


def test_without_a_token_nothing_of_what_providers_said(empty_redis, peer):
    with AdminWorld(empty_redis, peer, token=None) as world:
        peer.script = [Answer(400, {"code": 7, "message": "no such person: A. Customer"})]
        world.send("one")
        world.result()
        answer = world.ask(f"{FIND}?q=one")
        assert answer.status == 200 and b"Customer" not in answer.body and answer.json["found"][0]["code"] == "7"


def test_a_page_of_each_place(world, peer):
    dray("pause", QUEUE, "second", "-c", world.daemon.path)
    for n in range(3):
        world.send(f"waits-{n}", account="second")
    due = int(time.time() * 1000) + 600_000
    world.send("later", not_before=due)
    wait_until(lambda: world.db.hlen(world.key("parked")) == 4, what="four to wait")
    page = world.get(f"{JOBS}?place=waiting&limit=2")
    assert [j["id"] for j in page["jobs"]] == ["waits-0", "waits-1"] and page["cursor"]
    page = world.get(f"{JOBS}?place=waiting&cursor={page['cursor'].replace(' ', '%20')}")
    assert [j["id"] for j in page["jobs"]] == ["waits-2"] and page["cursor"] is None
    [later] = world.get(f"{JOBS}?place=delayed")["jobs"]
    assert later["id"] == "later" and abs(later["due_at"] - due) < 2000 and later["next"] == "to_send"
    peer.default = Answer(200, {"code": 10000, "data": 1}, delay=20)
    world.send("flies")
    wait_until(lambda: any(r.path for r in peer.requests), what="the request")
    [flies] = world.get(f"{JOBS}?place=in_flight")["jobs"]
    assert (flies["id"], flies["doing"]) == ("flies", "sending")
    for query in ("", "?place=nowhere", "?place=delayed&limit=x", "?place=delayed&cursor=*"):
        assert world.ask(JOBS + query).status == 400
    world.daemon.kill()
    world.start()


def test_many_are_retried_and_what_must_stay_is_named(world, peer):
    bad = die(world, peer, 3, Answer(400, {"code": 1}))
    [unknown] = die(world, peer, 1, HangUp("after"))
    done = world.post(f"{DEAD}/retry", {"ids": [*bad, unknown, "7-7"]})
    assert (done["done"], done["count"]) == ("retried", 3)
    assert {(x["dead_id"], x["code"]) for x in done["left"]} == {(unknown, "unknown_outcome"), ("7-7", "no_such_letter")}
    assert [r["status"] for r in world.results(3)] == ["created"] * 3
    assert world.dead_ids() == [unknown]
    again = world.post(f"{DEAD}/retry", {"ids": bad})
    assert again["count"] == 0 and len(again["left"]) == 3, "each at most once"


def test_many_are_exported_and_dropped(world, peer):
    ids = die(world, peer, 4, Answer(400, b'{"code":1,"data":1853726451928473601,"price":9.990}'))
    lines = world.ask(f"{DEAD}/export", "POST", body={"ids": [*ids, "7-7"]})
    assert lines.status == 200 and lines.headers["Content-Type"] == "application/x-ndjson"
    assert lines.body == b"".join(world.db.hget(world.key("dead:entries"), i) + b"\n" for i in ids)
    assert world.post(f"{DEAD}/drop", {"ids": ids})["count"] == 4 and world.dead_ids() == []
    done = dray("dead", "import", QUEUE, "-c", world.daemon.path, input=lines.body)
    assert done.returncode == 0 and sorted(world.dead_ids()) == ids


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"ids": "x"}, {"ids": [1]}, {"ids": ["x"] * 201}, [1]], ids=lambda b: str(b)[:20])
def test_a_body_that_is_none(world, body):
    for verb in ("retry", "drop", "export"):
        assert world.ask(f"{DEAD}/{verb}", "POST", body=body).status == 400


def refused(world, path, body):
    answer = world.ask(path, "POST", body=body)
    return answer.status, answer.json["error"]["message"]


def test_a_body_that_cannot_be_read_whole_is_refused(world, peer):
    """Nothing is done by half of a text: a NUL ends none, and what stands behind the object is no part of it."""
    [id] = die(world, peer, 1, Answer(400, {"code": 1}))
    drop = f"{DEAD}/drop"
    assert refused(world, drop, '{"ids":["%s\\u0000x"]}' % id) == (400, "the body must be a JSON object: it has a NUL")
    assert refused(world, drop, b'{"ids":["%s"]}\0' % id.encode())[0] == 400
    assert refused(world, drop, b'{"ids":["%s"],"x":"\xff"}' % id.encode()) == (400, "the body must be a JSON object: it is no UTF-8")
    assert refused(world, drop, '{"ids":["%s"]} {}' % id)[0] == 400
    assert refused(world, drop, '{"ids":["%s",]}' % id) == (400, f"the body must be a JSON object: at byte {len(id) + 12}")
    assert refused(world, drop, '{"IDS":["%s"]}' % id)[0] == 400
    assert refused(world, drop, '{"ids":["%s"]%s}' % (id, " " * (256 << 10)))[0] == 413
    assert world.dead_ids() == [id]
    assert world.post(drop, {"ids": [id]})["count"] == 1


def test_what_others_wrote_is_never_broken_json(world, peer):
    """The API's own members are made by a library that takes any bytes: they are made valid before."""
    [id] = die(world, peer, 1, Answer(400, b'{"code":1,"data":1853726451928473601,"price":9.990}'))
    entry = world.db.hget(world.key("dead:entries"), id)
    assert b"1853726451928473601" in entry and b"9.990" in entry
    answer = world.ask(f"/api/v1/dead/{QUEUE}/{id}")
    assert b'"entry":' + entry + b"}" in answer.body, "byte for byte"
    world.db.hset(world.key("dead:entries"), id, b"no letter \xff")
    broken = world.get(f"/api/v1/dead/{QUEUE}/{id}")
    assert (broken["entry"], broken["text"]) == (None, "no letter \ufffd")
    infos = world.key("workers:info")
    [worker] = world.db.hkeys(infos)

    def told():
        world.db.hset(infos, worker, b'{"broken')  # its own beat may write it anew
        return world.get("/api/v1/workers")["workers"][0]["info"]

    wait_until(lambda: told() is None, what="the worker's own words to be none")


def test_who_may(world):
    for verb in ("retry", "drop", "export"):
        assert world.ask(f"{DEAD}/{verb}", "POST", body={"ids": ["x"]}, token=None).status == 401
        assert world.ask(f"{DEAD}/{verb}", "PUT").status == 405


def test_a_delayed_job_runs_now(world, peer):
    peer.script = [Answer(503, {"code": 5}, headers={"Retry-After": "1"})]
    world.daemon.stop()
    world.config["account shop"].update(max_attempts="3", backoff_base="1h", backoff_cap="1h")
    world.daemon.set_config(world.config)
    world.start()
    world.send("one", "K-1")
    wait_until(lambda: world.db.zcard(world.key("delayed")) == 1, what="the retry")
    world.db.zadd(world.key("delayed"), {world.db.zrange(world.key("delayed"), 0, 0)[0]: (time.time() + 3600) * 1000})
    [one] = world.get(f"{JOBS}?place=delayed")["jobs"]
    run = f"/api/v1/queues/{QUEUE}/run"
    assert world.post(run, {"tickets": [one["ticket"], "999999"]}) == {"done": "run", "count": 1}
    result = world.result()
    assert (result["status"], result["attempts"]) == ("created", 2) and len(peer.posts) == 2
    assert world.post(run, {"tickets": [one["ticket"]]})["count"] == 0
    for body in ({}, {"tickets": []}, {"tickets": [1]}, {"tickets": ["1"] * 201}):
        assert world.ask(run, "POST", body=body).status == 400


def test_ages_and_counts_include_what_waits(world):
    dray("pause", QUEUE, "second", "-c", world.daemon.path)
    for n in range(3):
        world.send(f"waits-{n}", account="second")
    wait_until(lambda: world.db.zcard(world.key("waiting")) == 3, what="them to wait")
    first = sorted(world.db.hkeys(world.key("parked")), key=int)[0]
    job = world.db.hget(world.key("parked"), first).partition(b"\n")[2]
    world.db.hset(world.key("parked"), first, b"0N%s {\"q\":%d}\n%s" % (first, int(time.time() * 1000) - 900_000, job))

    def seen():
        queue = next(q for q in world.get("/api/v1/queues")["queues"] if q["queue"] == QUEUE)
        return queue["oldest_age_ms"] >= 900_000 and queue
    assert wait_until(seen, what="the age")["queued"] == 3
    assert world.metrics()[f'dray_queue_oldest_job_age_seconds{{queue="{QUEUE}"}}'] >= 900
