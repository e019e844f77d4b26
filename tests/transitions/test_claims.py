"""claims.lua: who may begin and settle. A claim is asked for by batch and place, and what stands there answers: so what comes twice,
late, from a worker that was recovered, or to a Redis that lost its last writes, does nothing a second time."""

import pytest
import redis

from lib.scripts import HASH, Batch

CREATED = f'C {HASH} 5 ["77"]'


def done(token, key="k", **more):
    return {"token": token, "op": "done:created", "key": key, "result": "r", "ledger": CREATED, **more}


def lose(q, *names):
    """Redis as it is now; the call gives back those keys as they were: it lost its last writes."""
    saved = {name: q.db.dump(q.key(name)) for name in names}

    def back():
        for name, value in saved.items():
            q.db.delete(q.key(name))
            if value is not None:
                q.db.restore(q.key(name), 0, value)
    return back


STATE = ("jobs", "taken", "stats", "claims:w", *[f"batch:w:{n}" for n in range(1, 5)], "accounts", "results", "order:shop:k")


# ---- twice, late ----

def test_a_settlement_that_runs_twice_counts_once(q):
    token = q.one()
    assert [q.settle(done(token)), q.settle(done(token), again=True)] == [["OK"], ["LOST"]]
    assert q.list("results") == ["r"] and q.stat("settled") == 1 and q.stat("fenced") == 0


def test_of_two_of_a_batch_each_is_settled_once(q):
    q.push("a", "b")
    (one, _), (two, _) = q.claim()
    assert q.begin((one, "k1"), (two, "k2")) == ["G", "G"]
    assert q.settle(done(one, "k1"), done(one, "k1")) == ["OK", "LOST"]
    assert q.settle(done(one, "k1"), done(two, "k2"), again=True) == ["LOST", "OK"]
    assert q.list("results") == ["r", "r"] and q.gate().conc == 0


def test_a_begin_that_runs_late_begins_nothing_that_has_ended(q):
    token = q.one()
    assert q.settle(done(token)) == ["OK"]
    q.db.delete(q.order_key("shop", "k"))
    assert q.begin((token, "k"), again=True) == ["L"]
    assert q.begun() == {} and q.ledger("k") is None and q.gate().conc == 0


def test_a_begin_that_runs_late_begins_nothing_that_was_given_back(q):
    q.push("a", "b")
    (one, _), (two, _) = q.claim()
    assert q.settle({"token": one, "op": "back", "account": "", "effect": "-"}) == ["OK"]
    assert q.begin((one, "k1"), (two, "k2")) == ["L", "G"]
    assert q.ledger("k1") is None and q.jobs() == ["a"]


def test_a_claim_that_runs_twice_takes_once_and_says_the_same(q):
    q.push("a", "b", "c")
    first = q.turn(claim=[2, 1 << 22, 0])[4]
    before = q.dump()
    assert q.turn(claim=[2, 1 << 22, 0], batch=1, again=True)[4] == first
    assert q.dump() == before and q.jobs() == ["c"]
    assert [t for t, _ in q.claimed(first)] == ["1.0", "1.1"]


def test_a_claim_that_runs_late_takes_nothing_of_a_batch_that_has_begun(q):
    token = q.one()
    q.push("b")
    before = q.dump()
    assert q.turn(claim=[1, 1 << 22, 0], batch=1)[4][0] == "OK"
    assert q.dump() == before and q.begun() == {token: "Pshop:k"}


def test_a_pick_up_that_runs_twice_claims_once(q):
    """Also where the same text was picked up once more."""
    q.push("lone", "lone")
    for _ in range(2):
        q.db.lmove(q.key("jobs"), q.key("taken"), "RIGHT", "LEFT")
    token, answer = q.pick("lone")
    assert answer == "G"
    before = q.dump()
    _, _, _, begun, claimed = q.turn(begin=[(token, "k")], picked="lone", batch=1)
    assert (begun, claimed) == (["L"], ["NONE"])
    assert q.dump() == before and q.list("taken") == ["lone"]


# ---- who does not hold it ----

@pytest.mark.parametrize("token", ["9.0", "1.1", "1.65535"])
def test_a_claim_that_there_never_was(q, token):
    q.one()
    before = q.dump("stats")
    assert q.begin((token, "k2")) == ["L"] and q.settle(done(token, "k2", ledger="")) == ["LOST"]
    assert q.dump("stats") == before


def test_of_one_turn_what_is_there_goes_on(q):
    q.push("a", "b")
    (one, _), (two, _) = q.claim()
    *_, settled, begun, _ = q.turn(settle=[done("7.0", "k7", ledger=""), done(one, "k1")], begin=[("8.3", "k8"), (two, "k2")])
    assert (settled, begun) == (["LO"], ["LG"])
    assert q.begun() == {two: "Pshop:k2"} and q.ledger("k8") is None


def test_what_was_recovered_is_lost_under_a_new_lease(q):
    token = q.one()
    q.push("b")
    [(unbegun, _)] = q.claim()
    q.expire()
    q.recover()
    q.beat()
    assert q.begin((unbegun, "kb")) == ["L"]
    assert q.settle(done(token)) == ["LOST"]
    assert q.list("results") == [] and q.ledger("k") == CREATED


def test_of_a_worker_that_is_recovered_in_pieces_the_rest_is_its_own_until_then(q):
    tokens = [q.one(f"j{n}", f"k{n}") for n in range(3)]
    q.expire()
    q.recover(most=1)  # the newest
    assert q.settle(*[done(t, f"k{n}") for n, t in enumerate(tokens)]) == ["OK", "OK", "LOST"]


def test_a_worker_that_is_not_known_leaves_nothing_behind(q):
    token = q.one()
    q.expire()
    q.recover()
    q.settle(done(token))
    assert not q.db.exists(q.key("claims:w")) and not list(q.db.scan_iter(q.key("batch:*")))


# ---- Redis lost its last writes ----

@pytest.mark.parametrize("begun", [False, True])
def test_a_claim_that_redis_lost_neither_begins_nor_settles(q, begun):
    q.push("a", "b")
    q.claim(1)
    back = lose(q, *STATE)
    [(token, _)] = q.claim(1)
    if begun:
        assert q.begin((token, "k")) == ["G"]
    back()
    if begun:
        assert q.settle(done(token)) == ["LOST"]
        assert q.list("results") == [] and q.ledger("k") == CREATED  # what it knows is kept
    else:
        assert q.begin((token, "k")) == ["L"]
        assert q.ledger("k") is None
    assert q.jobs() == ["b"]


def test_after_lost_writes_numbers_come_again_and_tokens_do_not(q):
    q.push("a", "b")
    back = lose(q, *STATE)
    [(lost, _), _] = q.claim(2)
    back()
    [(first, _)] = q.claim(1)
    assert q.number(first) == q.number(lost) and first != lost
    assert q.begin((lost, "k")) == ["L"]
    assert q.begin((first, "k")) == ["G"]
    assert q.settle(done(first)) == ["OK"]


def test_where_redis_lost_that_a_claim_began_it_is_settled_all_the_same(q):
    """The worker knows what the provider said."""
    q.push("a")
    [(token, _)] = q.claim()
    back = lose(q, *STATE)
    assert q.begin((token, "k")) == ["G"]
    back()
    assert q.settle(done(token)) == ["OK"]
    assert q.list("results") == ["r"] and q.ledger("k") == CREATED and q.gate().conc == 0


def test_where_redis_lost_a_settlement_the_claim_stands_and_ends_once(q):
    token = q.one()
    back = lose(q, *STATE)
    assert q.settle(done(token)) == ["OK"]
    back()
    assert q.begun() == {token: "Pshop:k"} and q.list("results") == []
    assert q.recover(living=True) == ["OK", "0", "0", "1"]
    assert q.settle(done(token), again=True) == ["LOST"]
    assert q.ledger("k") == CREATED and list(q.hash("parked").values()) == ["1U \njob"]


def test_a_pick_up_that_redis_lost(q):
    q.push("lone")
    q.db.lmove(q.key("jobs"), q.key("taken"), "RIGHT", "LEFT")
    back = lose(q, *STATE)
    token, answer = q.pick("lone")
    assert answer == "G"
    back()
    assert q.settle(done(token)) == ["LOST"]
    assert q.list("results") == [] and q.db.llen(q.key("taken")) == 1


def test_stats_deleted_by_hand_cost_nothing_but_the_counts(q):
    q.unbalanced = True
    token = q.one()
    q.push("b")
    [(unbegun, _)] = q.claim()
    q.db.delete(q.key("stats"))
    assert q.settle(done(token)) == ["OK"]
    assert q.begin((unbegun, "kb")) == ["G"]


# ---- several turns under way ----

def test_the_turn_behind_a_refused_one_runs_and_the_refused_one_runs_later(q):
    """Redis did nothing of the first (READONLY, …), and all of the second."""
    q.push("a", "b")
    [(first, _), (second, _)] = q.claim(2)
    assert q.begin((second, "k2")) == ["G"]
    assert q.begin((first, "k1"), again=True) == ["G"]
    assert q.settle(done(second, "k2"), done(first, "k1")) == ["OK", "OK"]
    assert q.list("results") == ["r", "r"] and q.stat("settled") == 2


def test_the_turn_behind_one_without_an_answer_counts_and_the_first_counts_once(q):
    """Both ran; the answer to the first was lost, so it is sent again behind the second."""
    q.limits(conc=5)
    q.push("a", "b")
    [(first, _), (second, _)] = q.claim(2)
    assert [q.begin((first, "k1")), q.begin((second, "k2")), q.begin((first, "k1"), again=True)] == [["G"]] * 3
    assert q.gate().conc == 2
    assert q.settle(done(first, "k1"), done(second, "k2")) == ["OK", "OK"]
    assert q.list("results") == ["r", "r"] and q.begun() == {} and q.gate().conc == 0


def test_what_may_have_begun_is_given_back_with_its_ledger_entry(q):
    """The worker asked to begin it, was not answered, and gives it back."""
    token = q.one()
    assert q.settle({"token": token, "op": "back", "effect": "-", "key": "k", "ledger": "D"}) == ["OK"]
    assert q.ledger("k") is None and q.jobs() == ["job"] and q.gate().conc == 0


# ---- the life of a batch ----

def test_a_batch_begins_and_ends_in_parts(q):
    q.limits("free")
    q.push("a", "b", "c", "d")
    a, b, c, d = [t for t, _ in q.claim()]
    assert q.batches_of() == {1: Batch(1, 4, 0, 0, 4, "----", {})}
    assert q.begin((c, "kc"), (a, "ka", "free")) == ["G", "G"]
    assert q.batches_of() == {1: Batch(1, 4, 0, 0, 4, "p-P-", {0: "free:ka", 2: "shop:kc"})}
    assert q.settle(done(c, "kc")) == ["OK"] and q.gate().conc == 0
    assert q.begin((d, "kd")) == ["G"]
    assert q.batches_of() == {1: Batch(1, 4, 0, 0, 3, "p-.P", {0: "free:ka", 2: "shop:kc", 3: "shop:kd"})}
    assert q.list("batch:w:1") == ["a", "b", "c", "d"]  # until the last has ended
    assert q.settle(done(a, "ka", account="free"), {"token": b, "op": "back", "account": "", "effect": "-"}, done(d, "kd")) == ["OK"] * 3
    assert q.batches_of() == {} and not q.db.exists(q.key("claims:w"), q.key("batch:w:1"))
    assert q.jobs() == ["b"]


def test_a_batch_of_more_than_a_byte_counts(q):
    q.push(*[f"j{n}" for n in range(300)])
    tokens = [t for t, _ in q.claim(300)]
    assert q.begin(*[(t, f"k{n}") for n, t in enumerate(tokens[250:])]) == ["G"] * 50
    assert list(q.begun()) == tokens[250:] and q.batches_of()[1].begun[299] == "shop:k49"
    assert q.settle(*[done(t, f"k{n}") for n, t in enumerate(tokens[250:])]) == ["OK"] * 50
    assert list(q.inflight().values()) == [f"j{n}" for n in range(250)]


def test_batches_end_in_any_order(q):
    tokens = [q.one(f"j{n}", f"k{n}") for n in range(4)]
    for n in (2, 0, 3, 1):
        assert q.settle(done(tokens[n], f"k{n}", result=f"r{n}")) == ["OK"]
    assert q.list("results") == ["r1", "r3", "r0", "r2"]


def test_one_claim_of_all_kinds(q):
    """First what is due, then what has waited for its account, then what is fresh, as they were pushed; each goes on as itself."""
    q.push("due", "waits", "fresh 1", "fresh 2")
    (due, _), (waits, _) = q.claim(2)
    q.settle({"token": due, "op": "retry", "due": 0, "body": 'N {"n":1}', "account": "", "effect": "-"},
             {"token": waits, "op": "wait", "due": 0, "effect": "-"})
    q.db.zadd(q.key("gates"), {"shop": 1})
    claims = q.claim(8)
    assert [t for t, _ in claims] == ["2.0", "2.1", "2.2", "2.3"] and q.number("2.0") + 3 == q.number("2.3") == 6
    records = [record for _, record in claims]
    assert records[0] == '0N {"n":1}\ndue' and records[1].startswith("0N2 {") and records[1].endswith("\nwaits")
    assert records[2:] == ["fresh 1", "fresh 2"]
    assert q.batches_of()[2] == Batch(3, 4, 1, 1, 4, "----", {})
    q.settle(*[{"token": t, "op": "retry", "due": 9, "body": "", "account": "", "effect": "-"} for t, _ in claims])
    assert [q.hash("parked")[str(n)] for n in (3, 4, 5, 6)] == [*records[:2], "0N \nfresh 1", "0N \nfresh 2"]


@pytest.mark.parametrize("there", [lambda q, key: q.db.rpush(key, "stale"), lambda q, key: q.db.set(key, "x")])
@pytest.mark.parametrize("parked", [False, True])
def test_what_a_turn_that_failed_half_way_left_of_its_batch_is_written_over(q, there, parked):
    there(q, q.key("batch:w:2"))
    q.push("a")
    [(token, _)] = q.claim(1)
    if parked:
        q.settle({"token": token, "op": "retry", "due": 0, "body": "N {}", "account": "", "effect": "-"})
    else:
        q.settle({"token": token, "op": "back", "account": "", "effect": "-"})
    assert [r for _, r in q.claim()] == ["0N {}\na" if parked else "a"]


@pytest.mark.parametrize("op", [{"op": "retry", "due": 5, "body": 'N {"n":1}'}, {"op": "wait"}, {"op": "back", "key": "k", "ledger": "D"}])
@pytest.mark.parametrize("now", ["nothing", "a string"])
def test_a_batch_without_its_texts_ends(q, op, now):
    """Somebody deleted the list: the job is an empty one now, which becomes a dead letter."""
    token = q.one()
    q.db.delete(q.key("batch:w:1"))
    if now == "a string":
        q.db.set(q.key("batch:w:1"), "x")
    assert q.settle({"token": token, "effect": "-", **op}) == ["OK"]
    assert q.jobs() == [""] or [r.partition("\n")[2] for r in q.hash("parked").values()] == [""]


# ---- a turn that fails ----

EVERY = ["jobs", "results", "dead", "dead:entries", "delayed", "parked", "waiting", "gates", "accounts", "limits", "pauses", "workers",
         "stats", "taken", "claims:w", "batch:w:3", "order:shop:k3", "order:shop:k1"]
KINDS = {"a string": lambda db, key: db.set(key, "x"), "a list": lambda db, key: db.rpush(key, "x"),
         "a hash": lambda db, key: db.hset(key, "x", "y"), "a zset": lambda db, key: db.zadd(key, {"x": 1})}


@pytest.mark.parametrize("key,kind", [(key, kind) for key in EVERY for kind in KINDS if (key, kind) != ("claims:w", "a hash")])
def test_whatever_key_is_of_the_wrong_type_every_job_is_somewhere(q, key, kind):
    """A turn that settles in every way, begins, has one wait, and claims, where nothing is yet: then, once the key is away."""
    q.unbalanced = True
    texts = ["<retry>", "<wait>", "<dead>", "<back>", "<go>", "<fresh>"]
    q.push(*texts)
    retry, wait, dead, back, go = [t for t, _ in q.claim(5)]
    assert q.begin((retry, "k1"), (wait, "k2"), (dead, "k4")) == ["G"] * 3
    was = q.db.dump(q.key(key))
    q.db.delete(q.key(key))
    KINDS[kind](q.db, q.key(key))
    turn = dict(settle=[{"token": retry, "op": "retry", "due": 5, "body": "N {}", "key": "k1", "ledger": "D"},
                        {"token": wait, "op": "wait", "key": "k2", "ledger": "D"},
                        {"token": dead, "op": "dead:rejected", "due": "1-1", "body": "<dead>", "key": "k4", "ledger": "D"},
                        {"token": back, "op": "back", "account": "", "effect": "-"}],
                begin=[(go, "k3")], claim=[5, 1 << 22, 0], batch=3)
    try:
        q.turn(**turn)
    except redis.ResponseError as error:
        assert "WRONGTYPE" in str(error)
    if key in ("jobs", "claims:w", "workers", "stats", "accounts", "limits") and was is not None:
        q.db.delete(q.key(key))
        q.db.restore(q.key(key), 0, was)
    held = list(q.inflight().values()) + list(q.hash("parked").values() if q.db.type(q.key("parked")) == b"hash" else [])
    held += q.jobs() if q.db.type(q.key("jobs")) == b"list" else []
    held += q.hash("dead:entries").values() if q.db.type(q.key("dead:entries")) == b"hash" else []
    assert [text for text in texts if not any(text in record for record in held)] == []


def test_a_user_without_dangerous_commands_needs_sort(q):
    q.push("a", "b")
    q.rules = ["-@dangerous", "+sort"]
    assert [r for _, r in q.claim(1)] == ["a"]


@pytest.mark.parametrize("command", ["-sort", "-memory"])
def test_a_user_who_may_not_claim_loses_no_job_and_settles_once(q, command):
    q.unbalanced = True
    token = q.one()
    q.push("a", "b")
    q.rules = [command]
    for again in (False, True):
        with pytest.raises(redis.ResponseError, match="can't run|no permissions"):
            q.turn(settle=[done(token)], claim=[2, 1 << 22, 0], batch=2, again=again)
    assert q.jobs() == ["a", "b"] and q.ledger("k") == CREATED
    assert q.list("results") == ["r"]


# ---- what it costs ----

def test_jobs_cost_no_commands_of_their_own(q):
    """Each job more of a turn is one PSETEX more, of its ledger entry: nothing is looked up one by one."""
    def commands(n):
        q.push(*[f"j{i}" for i in range(4 * n)])
        for _ in range(3):
            tokens = [t for t, _ in q.claim(n)]
            begun = [(t, f"k{t}") for t in tokens]
            assert q.begin(*begun) == ["G"] * n
            q.db.config_resetstat()
            q.turn(settle=[done(t, key) for t, key in begun], claim=[n, 1 << 22, 0])
            calls = {name: c["calls"] for name, c in q.db.info("commandstats").items()}
            q.settle(*[{"token": t, "op": "back", "effect": "-", "account": ""} for t in reversed(q.inflight())])
        return {name: calls[name] for name in calls if name.split("_")[1].split("|")[0] not in ("config", "acl", "info", "hget")}
    one, many = commands(1), commands(40)
    assert many.pop("cmdstat_psetex") == one.pop("cmdstat_psetex") + 39
    assert many.pop("cmdstat_memory|usage") == 1  # of one job nobody asks how long it is
    assert one == many
    assert sum(one.values()) <= 18, one
