"""bundle.lua: claims of many fresh jobs, whose texts lie in a list of their own. Whatever becomes of such a job, its text
goes with it; the list stays as long as one of its claims may need it, and no longer."""

import re

import pytest
import redis as redis_py

from lib.scripts import HASH, Scripts

CREATED = f'C {HASH} 5 ["77"]'
ROOM = 1 << 22
JOBS = [f"job {i}" for i in range(6)]


def without_since(parked):
    """Records as if they did not say since when they wait."""
    return {id: re.sub(r'^(0N\d+ )\{"q":\d{13}\}', r"\1", record) for id, record in parked.items()}


@pytest.fixture
def q(shared_redis):
    scripts = Scripts(shared_redis)
    scripts.limits()
    scripts.beat()
    scripts.settle(done(scripts.one("first", "first"), "first"))  # from now on turns are calm
    scripts.db.delete(scripts.key("results"))
    yield scripts
    scripts.books()


def claim(q, n=10, bundle=1, room=ROOM, worker="w", **how):
    """A claim that may make a bundle: what it says of itself, its tokens and texts."""
    *_, claimed = q.turn(worker, claim=[n, room, 0], bundle=bundle, **how)
    return claimed[0], q.claimed_of(claimed)


def filled(q, jobs=JOBS, **how):
    """The jobs, claimed as a bundle: their tokens."""
    q.push(*jobs)
    status, got = claim(q, **how)
    assert status == "BUNDLE" and [text for _, text in got] == list(jobs)
    return [token for token, _ in got]


def done(token, key):
    return {"token": token, "op": "done:created", "key": key, "result": "r", "ledger": CREATED}


def bundles(q):
    return sorted(k.decode()[len(q.prefix):] for k in q.db.scan_iter(q.key("bundle:*")))


def test_the_oldest_come_first_and_the_rest_stays(q):
    q.push(*JOBS)
    status, got = claim(q, 4, bundle=7)
    assert status == "BUNDLE" and [text for _, text in got] == JOBS[:4] and q.jobs() == JOBS[4:]
    assert q.list("bundle:w:7") == JOBS[:4]
    first = int(got[0][0].split(".")[0])
    assert [int(token.split(".")[0]) for token, _ in got] == [first, first + 1, first + 2, first + 3]
    assert all(token.endswith("b") for token, _ in got)
    assert q.hash("inflight:w") == {token: f"7:{first}" for token, _ in got}
    assert q.stat("taken") == 5


def test_all_that_there_are(q):
    filled(q)
    assert q.jobs() == [] and not q.db.exists(q.key("jobs"))


@pytest.mark.parametrize("text", ["123", "-7", "", "a\x00b", "\udcff\udcfe", pytest.param("x" * 4000, id="long")])
def test_texts_come_out_as_they_went_in(q, text):
    raw = text.encode("utf-8", "surrogateescape")
    q.db.lpush(q.key("jobs"), raw, b"other")
    claim(q)
    assert q.db.lrange(q.key("bundle:w:1"), 0, -1) == [raw, b"other"]


def test_no_more_than_there_is_room_for(q):
    q.push(*["x" * 5000] * 8)
    status, got = claim(q, room=20000)
    assert status == "OK" and 0 < len(got) < 8 and bundles(q) == []


def test_a_bundle_that_is_there_is_not_written_to(q):
    filled(q)
    q.push("new")
    status, got = claim(q)
    assert status == "OK" and [text for _, text in got] == ["new"] and q.list("bundle:w:1") == JOBS


def test_what_stands_in_a_bundles_place_stays(q):
    q.db.set(q.key("bundle:w:1"), "mine")
    q.push(*JOBS)
    status, got = claim(q)
    assert status == "OK" and len(got) == 6 and q.db.get(q.key("bundle:w:1")) == b"mine"


@pytest.mark.parametrize("refused", ["-sort", "-memory|usage"])
def test_a_user_who_may_not_sort_or_measure_claims_one_by_one(q, refused, monkeypatch):
    q.push(*JOBS)
    limited = q.limited

    class Refused:
        def eval(self, text, count, *args):
            q.db.execute_command("ACL", "SETUSER", "script", refused)
            return limited.eval(text, count, *args)

    monkeypatch.setattr(q, "limited", Refused())
    status, got = claim(q)
    assert status == "OK" and [text for _, text in got] == JOBS and bundles(q) == []


def test_it_goes_when_its_claims_have_ended(q):
    tokens = filled(q)
    assert q.begin(*[(t, f"k{i}") for i, t in enumerate(tokens)]) == ["G"] * 6
    q.turn(settle=[done(t, f"k{i}") for i, t in enumerate(tokens)])
    assert bundles(q) == ["bundle:w:1"]
    q.turn(ended=[1])
    assert bundles(q) == [] and q.hash("inflight:w") == q.hash("claims:w") == {} and len(q.list("results")) == 6


def test_one_goes_while_another_comes(q):
    tokens = filled(q)
    q.turn(settle=[{"token": t, "op": "done:created", "result": "r"} for t in tokens])
    q.push("next")
    assert claim(q, bundle=2, ended=[1]) == ("BUNDLE", [(f"{number(tokens[-1]) + 1}.{last_nonce(q)}b", "next")])
    assert bundles(q) == ["bundle:w:2"]


def number(token):
    return int(token.split(".")[0])


def last_nonce(q):
    [token] = q.hash("inflight:w")
    return token.split(".")[1][:-1]


def test_what_is_put_aside_takes_its_text_along(q):
    tokens = filled(q)
    q.settle({"token": tokens[1], "op": "retry", "due": 5000, "body": "N {}"},
             {"token": tokens[3], "op": "back"},
             {"token": tokens[4], "op": "wait", "due": 0, "body": "", "account": "shop"})
    assert without_since(q.hash("parked")) == {str(number(tokens[1])): "0N {}\njob 1",
                                               str(number(tokens[4])): f"0N{number(tokens[4])} \njob 4"}
    assert q.jobs() == ["job 3"]


def test_what_must_wait_for_its_account_takes_its_text_along(q):
    q.limits(rate=1, burst=1)
    tokens = filled(q)
    assert q.begin(*[(t, f"k{i}") for i, t in enumerate(tokens)]) == ["G"] + ["Wr"] * 5
    assert sorted(without_since(q.hash("parked")).values()) == [f"0N{number(t)} \n{text}" for t, text in zip(tokens[1:], JOBS[1:])]


def test_one_that_nobody_knew_of_goes_back(q):
    tokens = filled(q)
    q.settle({"token": tokens[0], "op": "back"}, doubt=True)
    assert q.jobs() == ["job 0"]


def test_the_dead_workers_go_on_elsewhere(q):
    tokens = filled(q)
    assert q.begin((tokens[1], "k")) == ["G"]
    q.expire()
    assert q.recover() == ["OK", "0", "5", "1"]
    assert q.jobs() == ["job 0", *JOBS[2:]] and list(q.hash("parked").values()) == ["1U \njob 1"]
    assert bundles(q) == []


def test_recovered_in_pieces_the_texts_stay_until_the_last(q):
    filled(q)
    q.expire()
    assert q.recover(most=4)[:2] == ["OK", "2"] and bundles(q) == ["bundle:w:1"]
    assert q.recover(most=4)[:2] == ["OK", "0"] and bundles(q) == []
    assert q.jobs() == JOBS


def test_who_leaves_leaves_none(q):
    tokens = filled(q)
    assert q.leave() == "HOLDS" and bundles(q) == ["bundle:w:1"]
    q.settle(*[{"token": t, "op": "done:created", "result": "r"} for t in tokens])
    assert q.leave() == "OK" and bundles(q) == []


def test_none_is_taken_away_while_its_claims_may_have_come_back(q):
    """Redis lost its last writes: the claims are there again, the worker has their settlements answered."""
    tokens = filled(q)
    before = {k: q.db.dump(k) for k in q.db.keys()}
    q.settle(*[{"token": t, "op": "done:created", "result": "r"} for t in tokens])
    q.db.flushall()
    for key, value in before.items():
        q.db.restore(key, 0, value)
    q.turn(ended=[1], claim=[1, ROOM, 0])
    assert q.list("bundle:w:1") == JOBS
    q.turn(ended=[1], claim=[1, ROOM, 0])  # now Redis has the last turn that was answered, but the claims are in doubt
    assert q.list("bundle:w:1") == JOBS
    q.expire()
    q.recover()
    assert q.jobs() == JOBS and bundles(q) == []


def test_a_turn_that_runs_late_makes_none(q):
    filled(q)
    q.push("new")
    number = q.turn_sent["w"] - 1
    status, got = claim(q, bundle=2, number=number)
    assert status == "OK" and bundles(q) == ["bundle:w:1"] and len(got) == 1


def test_a_paused_queue_and_results_that_nobody_reads(q):
    q.push(*JOBS)
    q.db.lpush(q.key("results"), "a", "b")
    *_, claimed = q.turn(claim=[10, ROOM, 2], bundle=1)
    assert claimed == ["FULL"] and bundles(q) == []
    q.db.hset(q.key("pauses"), "", "0 why")
    assert claim(q)[0] == "PAUSED" and bundles(q) == []


def test_a_worker_without_a_lease_makes_none(q):
    q.push(*JOBS)
    q.expire()
    assert claim(q) == ("LOST", []) and bundles(q) == [] and q.jobs() == JOBS


def test_a_text_that_somebody_took_away_is_told(q):
    """Nothing of it is lost unseen: what is left of the job is claimed again, and dies as invalid."""
    tokens = filled(q)
    q.db.delete(q.key("bundle:w:1"))
    q.settle({"token": tokens[0], "op": "retry", "due": 0, "body": "N {}"})
    assert q.hash("parked") == {str(number(tokens[0])): "0N {}\n"}


def test_in_flight_stays_a_table(q):
    """A hash of few short values is a list to Redis, and finding a claim in it a walk."""
    tokens = filled(q, [f"job {i}" for i in range(100)], n=100)
    assert q.settle({"token": tokens[0], "op": "retry", "due": 0, "body": "N {}"}) == ["OK"]
    assert q.db.object("encoding", q.key("inflight:w")) == b"hashtable"


def test_out_of_memory_nothing_is_claimed(q):
    q.push(*JOBS)
    q.db.config_set("maxmemory", 1)
    try:
        *_, claimed = q.turn(claim=[10, ROOM, 0], bundle=1)
    finally:
        q.db.config_set("maxmemory", 0)
    assert claimed[0] == "REFUSED" and bundles(q) == [] and q.jobs() == JOBS


def test_the_commands_are_there(q):
    """What bundle.lua relies on: SORT with a constant BY takes from the tail, as many as there are."""
    q.push("a", "b", "c")
    assert q.db.execute_command("SORT", q.key("jobs"), "BY", "nosort", "DESC", "LIMIT", 0, 9, "STORE", q.key("bundle:w:9")) == 3
    assert q.list("bundle:w:9") == ["a", "b", "c"]
    with pytest.raises(redis_py.ResponseError):
        q.db.execute_command("MEMORY", "USAGE")
    q.db.delete(q.key("bundle:w:9"))
