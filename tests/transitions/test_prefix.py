"""Redis runs a script whole, but one that was killed while it wrote its append-only file may bring back the first few of
the script's writes (docs/operations.md). So each script puts a job where it goes first, and takes it from where it was
last: however many of its writes there are, the job is somewhere. It may be in two places; then the ledger keeps it from
being sent twice."""

import copy
import os

import pytest

from lib.redis_server import RedisServer
from lib.scripts import HASH, Scripts

CREATED = f'C {HASH} 5 ["77"]'
TEXTS = [f"<job {i}>" for i in range(6)]


@pytest.fixture(scope="module")
def written():
    """A Redis that writes down what is done to it."""
    with RedisServer(appendonly=True, appendfsync="no", auto_aof_rewrite_percentage=0) as server:
        yield server


@pytest.fixture(scope="module")
def half(written):
    """Another, that is shown a part of that."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def q(written, half):
    scripts = Scripts(written)
    scripts.begin_at, scripts.half = len(log(written)), half
    scripts.limits()
    scripts.beat()
    settled = scripts.one("first", "first")
    scripts.settle({"token": settled, "op": "done:created", "key": "first", "result": "<first>", "ledger": CREATED})
    return scripts


def log(server):
    """All commands of the append-only file."""
    folder = os.path.join(server.dir, "appendonlydir")
    [name] = [f for f in os.listdir(folder) if f.endswith(".incr.aof")]
    with open(os.path.join(folder, name), "rb") as f:
        data = f.read()
    commands, at = [], 0
    while at < len(data):
        end = data.index(b"\r\n", at)
        count, at, args = int(data[at + 1:end]), end + 2, []
        for _ in range(count):
            end = data.index(b"\r\n", at)
            size, at = int(data[at + 1:end]), end + 2
            args.append(data[at:at + size])
            at += size + 2
        commands.append(args)
    return commands


def at(db, q):
    """The scripts' view of another Redis."""
    other = copy.copy(q)
    other.db = db
    return other


def found(db, q, text):
    """Where the text of a job is, if it is somewhere from where it goes on."""
    def values(name):
        return [v.decode() for v in db.hvals(q.key(name))]
    places = [name for name in ("jobs", "taken", "results") if any(text in v.decode() for v in db.lrange(q.key(name), 0, -1))]
    places += ["dead"] * any(text in v for v in values("dead:entries"))
    due = {m.decode() for m in db.zrange(q.key("delayed"), 0, -1)}
    due |= {m.decode().rpartition(" ")[2].lstrip("0") for m in db.zrange(q.key("waiting"), 0, -1)}
    parked = {k.decode(): v.decode() for k, v in db.hgetall(q.key("parked")).items()}
    places += ["parked"] * any(text in v and k in due for k, v in parked.items())
    places += ["inflight"] * any(text in record for record in at(db, q).inflight().values())
    return places


def no_job_is_lost(q, deed, texts, begun=()):
    """Each beginning of what `deed` writes leaves each job somewhere, and no claim that had `begun` as one that has not."""
    before = len(log(q.db_server))
    deed()
    all_of = log(q.db_server)
    history = [c for c in all_of[q.begin_at:before] if c[0].upper() not in (b"MULTI", b"EXEC", b"FLUSHALL")]
    writes = [c for c in all_of[before:] if c[0].upper() not in (b"MULTI", b"EXEC")]
    assert len(writes) > 1
    db = q.half.client
    db.flushall()
    for command in history:
        db.execute_command(*command)
    for n, command in enumerate([None, *writes]):
        if command:
            db.execute_command(*command)
        for text in texts:
            assert found(db, q, text), f"{text} is nowhere after {n} of {len(writes)} writes:\n" + "\n".join(map(str, writes))
        last = max([b.first + b.count - 1 for b in at(db, q).batches_of().values()], default=0)
        assert int(db.hget(q.key("stats"), "seq") or 0) >= last, f"numbers would come again after {n} of {len(writes)} writes"
        fresh = set(at(db, q).inflight()) - set(at(db, q).begun())
        assert not fresh & set(begun), f"{n} of {len(writes)} writes:\n" + "\n".join(map(str, writes))
    assert db.lrange(q.key("jobs"), 0, -1) == q.db.lrange(q.key("jobs"), 0, -1)
    assert db.hgetall(q.key("parked")) == q.db.hgetall(q.key("parked"))
    assert at(db, q).inflight() == q.inflight() and at(db, q).begun() == q.begun()


@pytest.fixture(autouse=True)
def server_of(q, written):
    q.db_server = written


def claimed(q, n=4):
    q.push(*TEXTS)
    return [token for token, _ in q.claim(n)]


def begun(q, n=4):
    tokens = claimed(q, n)
    assert q.begin(*[(token, f"k{i}") for i, token in enumerate(tokens)]) == ["G"] * n
    return tokens


def test_a_claim_of_fresh_jobs(q):
    q.push(*TEXTS)
    no_job_is_lost(q, lambda: q.claim(4), TEXTS)


def test_a_claim_that_has_not_room_for_all(q):
    texts = [f"<{i} {'x' * 5000}>" for i in range(6)]
    q.push(*texts)
    no_job_is_lost(q, lambda: q.claim(6, room=12000), texts)
    assert 0 < q.db.llen(q.key("jobs")) < 6


def done(tokens):
    return [{"token": t, "op": "done:created", "key": f"k{i}", "result": TEXTS[i], "ledger": CREATED} for i, t in enumerate(tokens)]


@pytest.mark.parametrize("ends", [2, 4])
def test_what_ends_while_others_begin_and_another_comes(q, ends):
    tokens = begun(q)
    [fifth, sixth] = [token for token, _ in q.claim(2)]
    q.push("<another>")
    no_job_is_lost(q, lambda: q.turn(settle=done(tokens[:ends]), begin=[(fifth, "k4"), (sixth, "k5")], claim=[1, 1 << 22, 0]),
                   [*TEXTS, "<another>"], tokens)


def test_a_claim_of_what_was_picked_up(q):
    q.push(*TEXTS)
    for _ in range(2):
        q.db.lmove(q.key("jobs"), q.key("taken"), "RIGHT", "LEFT")
    no_job_is_lost(q, lambda: q.claim(4), TEXTS)


def test_what_was_picked_up_goes_back(q):
    q.push(*TEXTS)
    for _ in range(3):
        q.db.lmove(q.key("jobs"), q.key("taken"), "RIGHT", "LEFT")
    no_job_is_lost(q, lambda: q.claim(0), TEXTS)
    assert q.jobs() == TEXTS


def test_a_worker_leaves(q):
    q.push(*TEXTS)
    for _ in range(3):
        q.db.lmove(q.key("jobs"), q.key("taken"), "RIGHT", "LEFT")
    no_job_is_lost(q, q.leave, TEXTS)
    assert q.jobs() == TEXTS


def test_a_pick_up(q):
    q.push(*TEXTS[:1])
    q.db.lmove(q.key("jobs"), q.key("taken"), "RIGHT", "LEFT")
    no_job_is_lost(q, lambda: q.pick(TEXTS[0]), TEXTS[:1])


def test_a_claim_of_jobs_that_are_due(q):
    tokens = begun(q)
    q.settle(*[{"token": t, "op": "retry", "key": f"k{i}", "ledger": "D", "due": -i, "body": "N {}"} for i, t in enumerate(tokens)])
    no_job_is_lost(q, lambda: q.claim(10), TEXTS)
    assert len(q.inflight()) == 6


def test_a_claim_of_jobs_that_wait_for_their_account(q):
    tokens = claimed(q)
    q.settle(*[{"token": t, "op": "wait", "due": 0} for t in tokens])
    q.db.zadd(q.key("gates"), {"shop": 1})
    no_job_is_lost(q, lambda: q.claim(10), TEXTS)
    assert len(q.inflight()) == 6


def test_jobs_that_have_to_wait_at_their_begin(q):
    q.limits(rate=0.001, burst=1)
    tokens = claimed(q)
    no_job_is_lost(q, lambda: q.begin(*[(token, f"k{i}") for i, token in enumerate(tokens)]), TEXTS)
    assert len(q.zset("waiting")) == 3


@pytest.mark.parametrize("op,more", [
    ("back", {}), ("retry", {"due": 5, "body": "N {}"}), ("wait", {"due": 5}), ("done:created", {}), ("dead:rejected", {})])
def test_a_settlement(q, op, more):
    def settlement(i, token):
        text = {"result": TEXTS[i]} if op[:4] in ("done", "dead") else {}
        entry = {"due": f"letter {i}", "body": TEXTS[i]} if op[:4] == "dead" else {}
        return {"token": token, "op": op, "key": f"k{i}", "ledger": CREATED if op[:4] == "done" else "D", **text, **entry, **more}
    tokens = begun(q)
    no_job_is_lost(q, lambda: q.settle(*[settlement(i, token) for i, token in enumerate(tokens)]), TEXTS)


@pytest.mark.parametrize("begins", [False, True])
def test_a_recovery(q, begins):
    (begun if begins else claimed)(q)
    q.expire()
    no_job_is_lost(q, q.recover, TEXTS)


def test_a_dead_letter_goes_back(q):
    [token] = begun(q, 1)
    q.settle({"token": token, "op": "dead:rejected", "key": "k0", "ledger": "D", "result": "r", "due": "letter", "body": TEXTS[0]})
    no_job_is_lost(q, lambda: q.call("dead_retry", ["retry", 0, 0, "letter", f"0N \n{TEXTS[0]}"], more=[q.order_key("shop", "k0")]),
                   TEXTS)
