"""`dray dead`: looking at dead letters, and every way out, with the books balanced afterwards."""

import json
import os
import random
import signal
import subprocess
import time

import pytest

from lib.formats import FORMAT
from lib.peer import Answer, HangUp
from lib.process import DRAY, clean_env, dray
from lib.wait import wait_until
from lib.world import QUEUE, World, created


@pytest.fixture
def world(empty_redis, peer):
    with World(empty_redis, peer, account={"max_attempts": "1"}) as world:
        peer.default = lambda request: created(world.provider, request)
        yield world
        if world.daemon.running:
            audit(world)


def audit(world):
    done = dray("audit", QUEUE, "-c", world.daemon.path)
    assert done.returncode == 0, done.stdout.decode()


def dead(world, verb, *args, code=0, input=None, env=None):
    done = dray("dead", verb, QUEUE, *args, "-c", world.daemon.path, input=input, env=env)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout.decode(), done.stderr.decode()


def listed(world, *filters):
    return json.loads(dead(world, "ls", "--json", *filters)[0])


def reject(world, peer, id, key=None, **fields):
    """One dead letter `rejected`: its id."""
    known = set(world.dead_ids())
    peer.script = [Answer(400, {"code": 40001, "message": "no such product"})]
    world.send(id, key, **fields)
    wait_until(lambda: set(world.dead_ids()) - known, what="the dead letter")
    assert world.result()["status"] == "failed"
    return (set(world.dead_ids()) - known).pop()


def lose(world, peer, id, key):
    """One dead letter `unknown_outcome`: its id."""
    known = set(world.dead_ids())
    peer.script = [HangUp("after")]
    world.send(id, key)
    wait_until(lambda: set(world.dead_ids()) - known, what="the dead letter")
    assert world.result()["status"] == "failed"
    return (set(world.dead_ids()) - known).pop()


def test_retry_leaves_at_once(world, peer):
    """Also where every worker is idle, which waits for what is pushed and nothing else (case 35 of the field)."""
    one = reject(world, peer, "one")
    time.sleep(1.5)  # it is idle now
    dead(world, "retry", one)
    ended = time.monotonic()
    assert world.result()["status"] == "created"
    assert peer.posts[-1].at - ended < 1.0  # the next beat would be 5 s away
    assert len(peer.posts) == 2


def test_retry_of_a_user_who_may_not_wake_workers_is_found_by_the_next_beat(world, peer):
    one = reject(world, peer, "one")
    world.db.execute_command("ACL", "SETUSER", "default", "-client|unblock")
    dead(world, "retry", one)
    world.db.execute_command("ACL", "SETUSER", "default", "+client|unblock")
    assert world.result(20)["status"] == "created"


def test_ls_and_show(world, peer):
    one = reject(world, peer, "one", "KEY-1")
    world.push('{"id": "bad"}')
    world.wait_dead(2)
    out, _ = dead(world, "ls")
    assert "2 dead letters" in out and one in out and "rejected" in out and "invalid" in out
    out, _ = dead(world, "show", one)
    assert "no such product" in out and "HTTP 400" in out and "KEY-1" in out and '"sku": "AMB01682_W_M_AU"' in out
    letter = json.loads(dead(world, "show", one, "--json")[0])
    assert letter == world.dead_letters()[0]
    assert "no dead letter 7-7" in dead(world, "show", "7-7", code=1)[1]


def test_filters(world, peer):
    one = reject(world, peer, "one", "KEY-1")
    world.push('{"id": "bad"}')
    world.wait_dead(2)
    [bad] = set(world.dead_ids()) - {one}

    def ids(*filters):
        return {letter["dead_id"] for letter in listed(world, *filters)["letters"]}

    assert ids() == {one, bad}
    assert ids("--reason", "rejected") == {one} and ids("--reason", "invalid") == {bad}
    assert ids("--account", "shop", "--reason", "rejected") == {one} and ids("--account", "other") == set()
    assert ids("--status", "400") == {one} and ids("--status", "500") == set()
    assert ids("--code", "40001") == {one}
    assert ids("--text", "KEY-1") == {one} and ids("--text", "AMB01682") == {one}
    assert ids("--provider", "kakaclo-v2", "--text", "KEY-1") == {one} and ids("--provider", "s2") == set()
    assert ids("--newer", "1h") == {one, bad} and ids("--older", "1h") == set()
    world.db.zadd(world.key("dead"), {one: (time.time() - 7200) * 1000})
    assert ids("--newer", "1h") == {bad} and ids("--older", "1h") == {one}
    said = listed(world, "--limit", "1")
    assert said["total"] == 2 and [letter["dead_id"] for letter in said["letters"]] == [bad]


def test_what_a_provider_wrote_plays_no_tricks_on_the_terminal(world, peer):
    peer.script = [Answer(400, {"code": 1, "message": "\x1b[2Jgone\x07"})]
    world.send("one")
    world.result()
    for out in (dead(world, "ls")[0], dead(world, "show", world.dead_ids()[0])[0]):
        assert "\x1b" not in out and "\x07" not in out and "gone" in out


def test_retry_sends_it_again_and_keeps_the_history(world, peer):
    one = reject(world, peer, "one", "KEY-1")
    assert "1 dead letter retried" in dead(world, "retry", one)[0]
    assert world.result()["status"] == "created"
    assert world.dead_ids() == [] and len(peer.posts) == 2
    two = reject(world, peer, "two", "KEY-2")
    peer.script = [Answer(400, {"code": 40002, "message": "still no"})]
    dead(world, "retry", two)
    assert world.result()["status"] == "failed"
    letter = world.dead()
    assert letter["dead_id"] != two
    assert [a["code"] for a in letter["attempts"]] == ["40001", "40002"]


def test_retry_of_what_is_gone(world, peer):
    one = reject(world, peer, "one")
    dead(world, "retry", one)
    assert world.result()["status"] == "created"
    assert "not there" in dead(world, "retry", one, code=1)[1]
    assert len(peer.posts) == 2


def test_retry_with_another_order(world, peer, tmp_path):
    one = reject(world, peer, "one", "KEY-1", meta={"cart": 7})
    order = world.provider.order("KEY-1")
    order["orderItemsList"][0]["quantity"] = 3
    text = json.dumps(order, indent=1)
    path = tmp_path / "order.json"
    path.write_text(text)
    dead(world, "retry", one, "--order", path)
    result = world.result()
    assert (result["status"], result["meta"]) == ("created", {"cart": 7})
    assert peer.posts[-1].body == text.encode()


def test_a_faulty_order_is_refused_before_anything_is_moved(world, peer, tmp_path):
    one = reject(world, peer, "one", "KEY-1")
    path = tmp_path / "order.json"
    for text in ("{}", "[1]", "{", '{"orderItemsList": 5}'):
        path.write_text(text)
        _, err = dead(world, "retry", one, "--order", path, code=1)
        assert "nothing was done" in err, err
    assert world.dead_ids() == [one]
    assert "Is a directory" in dead(world, "retry", one, "--order", tmp_path, code=1)[1] or True
    assert dead(world, "retry", one, "two", "--order", path, code=2)


def test_retry_with_an_editor(world, peer, tmp_path):
    one = reject(world, peer, "one", "KEY-1")
    env = clean_env({"EDITOR": "sed -i s/AMB01682_W_M_AU/OTHER-SKU/", "TMPDIR": str(tmp_path)})
    dead(world, "retry", one, "--edit", env=env)
    assert world.result()["status"] == "created"
    assert peer.posts[-1].json["orderItemsList"][0]["sku"] == "OTHER-SKU"
    assert os.listdir(tmp_path) == []  # it held an address


@pytest.mark.parametrize("editor", ["true", "false", "sed -i s/orderItemsList/x/"])
def test_an_edit_that_changes_nothing_or_spoils_it(world, peer, editor):
    one = reject(world, peer, "one", "KEY-1")
    assert "nothing was" in dead(world, "retry", one, "--edit", code=1, env=clean_env({"EDITOR": editor}))[1]
    assert world.dead_ids() == [one]


def test_an_unknown_outcome_is_not_retried(world, peer):
    one = lose(world, peer, "one", "KEY-1")
    _, err = dead(world, "retry", one, code=1)
    assert "dray dead resolve" in err
    assert dead(world, "retry", "--all", code=1)
    assert world.dead_ids() == [one] and len(peer.posts) == 1


def test_resolve_created(world, peer):
    one = lose(world, peer, "one", "KEY-1")
    assert "nothing" not in dead(world, "resolve", one, "--created", "4711", "--dry-run")[0]
    assert world.dead_ids() == [one]
    dead(world, "resolve", one, "--created", "4711")
    result = world.result()
    assert (result["id"], result["status"], result["order_id"], result["order_ids"]) == ("one", "created", "4711", ["4711"])
    assert (result["provider"], result["account"], result["order_key"], result["attempts"]) == ("kakaclo-v2", "shop", "KEY-1", 1)
    assert world.dead_ids() == []
    world.push(world.job("again", "KEY-1"))
    again = world.result()
    assert (again["status"], again["order_id"]) == ("duplicate", "4711")
    assert len(peer.posts) == 1
    dead(world, "resolve", one, "--created", "4711", code=1)
    world.no_result()


def test_resolve_by_sending_again(world, peer):
    one = lose(world, peer, "one", "KEY-1")
    dead(world, "resolve", one, "--resend")
    assert world.result()["status"] == "created"
    assert world.dead_ids() == [] and len(peer.posts) == 2


def test_resend_is_refused_where_the_order_exists(world, peer):
    one = lose(world, peer, "one", "KEY-1")
    entry = world.db.get(world.key("order:shop:KEY-1")).decode().split(" ")
    world.db.set(world.key("order:shop:KEY-1"), f'C {entry[1]} 1 ["7"]')
    assert "created" in dead(world, "resolve", one, "--resend", code=1)[1]
    assert world.dead_ids() == [one]


def test_a_later_job_of_the_key_is_retried_once_the_first_is_resolved(world, peer):
    one = lose(world, peer, "one", "KEY-1")
    world.push(world.job("two", "KEY-1", order=json.dumps(world.provider.order("KEY-1"))))
    world.wait_dead(2)
    world.result()
    [two] = set(world.dead_ids()) - {one}
    dead(world, "retry", two, code=1)
    dead(world, "resolve", one, "--created", "4711")
    assert world.result()["id"] == "one"
    dead(world, "retry", two)
    assert (world.result()["status"], len(peer.posts)) == ("duplicate", 1)


def test_the_result_of_a_resolved_job_goes_where_it_asked(world, peer):
    peer.script = [HangUp("after")]
    world.send("one", "KEY-1", reply_to=world.key("results:eu"))
    world.wait_dead(1)
    dead(world, "resolve", world.dead_ids()[0], "--created", "4711")
    assert [json.loads(r)["status"] for r in world.db.lrange(world.key("results:eu"), 0, -1)] == ["created", "failed"]


def test_drop(world, peer):
    one, two = reject(world, peer, "one"), lose(world, peer, "two", "KEY-2")
    assert "1 dead letter dropped" in dead(world, "drop", "--reason", "rejected")[0]
    assert world.dead_ids() == [two]
    dead(world, "drop", two)
    assert world.dead_ids() == [] and world.db.hlen(world.key("dead:entries")) == 0
    assert 604700 < world.db.ttl(world.key("order:shop:KEY-2")) <= 604800  # the key stays closed


def test_without_saying_which_nothing_is_done(world, peer):
    one = reject(world, peer, "one")
    for verb in ("retry", "drop"):
        assert "--all" in dead(world, verb, code=2)[1]
    assert world.dead_ids() == [one]
    assert "1 dead letter would be dropped" in dead(world, "drop", "--all", "--dry-run")[0]
    assert "1 dead letter would be retried" in dead(world, "retry", "--all", "--dry-run")[0]
    assert world.dead_ids() == [one]


def test_export_and_import_elsewhere(world, peer):
    reject(world, peer, "one", "KEY-1")
    lose(world, peer, "two", "KEY-2")
    lines, _ = dead(world, "export")
    assert [json.loads(line) for line in lines.splitlines()] == world.dead_letters()
    ledger = world.db.get(world.key("order:shop:KEY-2"))
    dead(world, "drop", "--all")
    world.db.delete(world.key("order:shop:KEY-2"))
    said = json.loads(dead(world, "import", "--json", input=lines.encode())[0])
    assert said == {"queue": QUEUE, "imported": 2, "there_already": 0}
    assert json.loads(dead(world, "import", "--json", input=lines.encode())[0])["there_already"] == 2
    assert dead(world, "export")[0] == lines
    assert world.db.get(world.key("order:shop:KEY-2")).split()[:2] == ledger.split()[:2]
    dead(world, "import", input=b'{"no": "letter"}\n', code=1)


@pytest.mark.parametrize("args,said", [
    (["ls"], "QUEUE"), (["look", QUEUE], "no verb 'look'"), (["ls", QUEUE, "--older", "soon"], "no duration"),
    (["ls", QUEUE, "--status", "x"], "no number"), (["show", QUEUE], "which"), (["resolve", QUEUE, "1"], "--created"),
    (["resolve", QUEUE, "1", "--created", "x", "--resend"], "--created"), (["retry", QUEUE, "1", "--resend"], "belong to resolve"),
    (["drop", QUEUE, "1", "--edit"], "belong to retry"), (["retry", QUEUE, "1", "--all"], "not both")])
def test_wrong_use(world, args, said):
    done = dray("dead", *args, "-c", world.daemon.path)
    assert done.returncode == 2 and said in done.stderr.decode()


# -- many -------------------------------------------------------------------------------------------

def plant(world, count):
    """Dead letters as the worker writes them; the books know them."""
    db, pipe = world.db, world.db.pipeline(transaction=False)
    for n in range(count):
        job = world.job(f"j{n}", f"K{n}")
        letter = {"dead_id": f"{1000 + n}-{n}.5f", "reason": "exhausted", "queue": QUEUE, "account": "shop", "order_key": f"K{n}",
                  "id": f"j{n}", "died_at": 1000 + n, "worker": "w", "error": {"reason": "exhausted", "code": "max_attempts", "message": "x"},
                  "attempts": [{"at": 5, "http_status": 503, "code": "http_503", "message": "", "ms": 3, "answer": ""}], "job": job}
        pipe.hset(world.key("dead:entries"), letter["dead_id"], json.dumps(letter))
        pipe.zadd(world.key("dead"), {letter["dead_id"]: 1000 + n})
        if n % 5000 == 4999:
            pipe.execute()
    pipe.hincrby(world.key("stats"), "taken", count)
    pipe.hincrby(world.key("stats"), "died", count)
    pipe.set(world.key("format"), FORMAT)
    pipe.execute()


def test_killed_at_random_none_is_lost_or_doubled(empty_redis, peer):
    world = World(empty_redis, peer, start=False)
    plant(world, 20000)
    rng, runs = random.Random(5), 0
    while world.db.zcard(world.key("dead")):
        child = subprocess.Popen([DRAY, "dead", "retry", QUEUE, "--all", "-c", world.daemon.path], env=clean_env(),
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        left = world.db.zcard(world.key("dead"))
        wait_until(lambda: child.poll() is not None or world.db.zcard(world.key("dead")) < left, 30, "it to begin")
        time.sleep(rng.random() * 0.08)  # when it is killed is what is random
        child.send_signal(signal.SIGKILL)
        child.wait()
        runs += 1
        audit(world)
        assert runs < 200
    assert runs >= 3
    texts = [r.partition(b"\n")[2] for r in world.db.hvals(world.key("parked"))]
    assert len(texts) == 20000
    assert {json.loads(t)["id"] for t in texts} == {f"j{n}" for n in range(20000)}
    ids = [i.decode() for i in world.db.zrange(world.key("delayed"), 0, -1)]
    order = [json.loads(world.db.hget(world.key("parked"), i).partition(b"\n")[2])["id"] for i in ids[:50]]
    assert order == [f"j{n}" for n in range(50)]
    world.daemon.close()


def test_spread_over_a_while(empty_redis, peer):
    world = World(empty_redis, peer, start=False)
    plant(world, 1200)
    dead(world, "retry", "--all", "--over", "1h")
    due = [s for _, s in world.db.zrange(world.key("delayed"), 0, -1, withscores=True)]
    assert 3_590_000 < due[-1] - due[0] < 3_610_000
    assert all(2900 < b - a < 3200 for a, b in zip(due, due[1:]))
    audit(world)
    world.daemon.close()


@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_bulk_change_asks_on_a_terminal(world, peer, answer):
    import pty
    one = reject(world, peer, "one")
    main, terminal = pty.openpty()
    child = subprocess.Popen([DRAY, "dead", "drop", QUEUE, "--reason", "rejected", "-c", world.daemon.path], env=clean_env(),
                             stdin=terminal, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    seen = b""
    while b"[y/N]" not in seen:
        seen += os.read(main, 1000)
    assert b"drop 1 dead letter of queue orders?" in seen
    os.write(main, answer.encode() + b"\n")
    assert child.wait(20) == (0 if answer == "y" else 1)
    assert world.dead_ids() == ([] if answer == "y" else [one])
    child.stdout.close()
    os.close(main)
