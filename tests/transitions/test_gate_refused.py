"""gate_learn.lua and settle.lua, where an account is refused: pauses of a 429 that names no time, probes that go round,
runs of one refusal (reject_limit)."""

from lib.gates import begin_all, fail, go, settle, waiting
from lib.scripts import HASH

SECOND = 1000


def keys(claims):
    return [r.rpartition("\n")[2] for _, r in claims]


def refuse(q, token, key, code, **more):
    """As a worker settles an order that the provider refused."""
    return q.settle({"token": token, "op": "dead:rejected", "effect": f"r{code}", "due": f"dead-{key}", "body": "{}",
                     "result": f'{{"id":"{key}"}}', "key": key, "ledger": "D", **more})


def held_once(q, token, key, refused, first=None, code="http_403"):
    """As a worker settles an order that was answered 403 for the `refused`-th time, the first time in claim `first`."""
    first = q.number(token) if first is None else first
    return q.settle({"token": token, "op": "wait:held", "effect": "h" + code, "key": key, "ledger": "D",
                     "body": f'N {{"n":0,"l":0,"f":0,"s":0,"r":{refused},"c":{first},"h":[{{"r":2,"x":1}}]}}'})


def probe(q, gap=10 ** 7):
    q.age(gap)
    [(token, record)] = q.claim(1)
    key = record.rpartition("\n")[2]
    assert q.begin((token, key)) == ["G"]
    return token, record, key


# -- a 429 that names no time ---------------------------------------------------------------------------

def test_a_pause_without_a_time_doubles_up_to_the_cool_down_until_a_success(q):
    q.limits(cooldown=5 * SECOND)
    [(token, _)] = go(q, 1)
    for pause in (1, 2, 4, 5, 5):
        begun = q.now()
        fail(q, token, "p", "shop-0")
        assert begun <= q.gate().till - pause * SECOND <= q.now(), pause
        assert q.claim() == []
        q.age(pause * SECOND + 1)
        [(token, answer)] = begin_all(q, q.claim())
        assert answer == "G" and q.gate().mode == "n"
    settle(q, token, "s")
    assert q.gate().cool == 0
    [(token, _)] = go(q, 1, start=1)
    begun = q.now()
    settle(q, token, "p")
    assert begun <= q.gate().till - SECOND <= q.now()


def test_what_was_sent_before_a_pause_does_not_lengthen_it(q):
    q.limits()
    tokens = [t for t, _ in go(q, 4)]
    for token in tokens[:3]:
        settle(q, token, "p")
    assert 0 < q.gate().till - q.now() <= SECOND and q.gate().cool == SECOND
    settle(q, tokens[3], "p3000")  # and one that says how long does
    assert 2 * SECOND < q.gate().till - q.now() <= 3 * SECOND


def test_a_pause_of_less_than_a_second_of_cool_down_is_a_second(q):
    q.limits(cooldown=0)
    for _ in range(2):
        [(token, _)] = go(q, 1)
        settle(q, token, "p")
        assert q.gate().cool == SECOND
        q.age(SECOND + 1)


# -- probes go round ------------------------------------------------------------------------------------

def test_a_refused_order_goes_to_the_end_and_its_refusals_are_counted(q):
    """The first counts; the second only once a probe of the account went through since; then each."""
    q.limits(cooldown=SECOND)
    tokens = [t for t, _ in go(q, 3)]
    assert held_once(q, tokens[0], "shop-0", 1) == ["OK"]
    for n in (1, 2):
        fail(q, tokens[n], "h", f"shop-{n}")
    assert waiting(q) == ["shopshop-0", "shopshop-1", "shopshop-2"]

    token, record, key = probe(q)
    assert key == "shop-0" and '"r":1,' in record
    first = q.number(tokens[0])
    held_once(q, token, key, 2, first)  # nobody went through
    assert waiting(q) == ["shopshop-1", "shopshop-2", "shopshop-0"]
    token, record, key = probe(q)
    assert key == "shop-1"
    settle(q, token)  # went through
    assert q.gate().mode == "n"
    assert keys(claims := q.claim()) == ["shop-2", "shop-0"]
    assert '"r":1,' in claims[1][1]
    q.begin((claims[0][0], "shop-2"), (claims[1][0], "shop-0"))
    settle(q, claims[0][0])
    held_once(q, claims[1][0], "shop-0", 2, first)
    token, record, key = probe(q)
    assert key == "shop-0" and f'"r":2,"c":{first},"h":[{{"r":2,"x":1}}]' in record
    held_once(q, token, key, 3, first)
    assert '"r":3,' in probe(q)[1]


def test_a_later_order_that_was_created_is_a_sign_where_a_firewall_may_have_refused(q):
    """Whoever settles it; an earlier one is none, nor is any where credentials were refused: they end at a moment."""
    q.limits(cooldown=SECOND)
    for n, (code, counts) in enumerate((("http_403", 2), ("http_401", 1))):
        (before, _), (bad, _), (after, _) = go(q, 3, start=10 * n)
        held_once(q, bad, f"shop-{10 * n + 1}", 1, code=code)
        settle(q, before)
        token, _, key = probe(q)
        held_once(q, token, key, 2, q.number(bad), code)
        settle(q, after)
        token, record, key = probe(q)
        assert '"r":1,' in record
        held_once(q, token, key, 2, q.number(bad), code)
        token, record, key = probe(q)
        assert f'"r":{counts},' in record
        settle(q, token)


def test_an_older_success_is_no_sign_either(q):
    q.limits(cooldown=SECOND)
    [(bad, _)] = go(q, 1)
    fail(q, bad, "h", "shop-0")
    settle(q, probe(q)[0])
    [(bad, _)] = go(q, 1, start=1)
    held_once(q, bad, "shop-1", 1)
    token, _, _ = probe(q)
    held_once(q, token, "shop-1", 2, q.number(bad))
    assert '"r":1,' in probe(q)[1]


def test_where_the_worker_knows_that_a_later_order_was_created_the_second_refusal_counts(q):
    q.limits(cooldown=SECOND)
    [(bad, _)] = go(q, 1)
    held_once(q, bad, "shop-0", 1, 0)
    held_once(q, probe(q)[0], "shop-0", 2, 0)
    assert '"r":2,"c":0,' in probe(q)[1]


# -- a storm of one refusal -----------------------------------------------------------------------------

def test_so_many_refusals_in_a_row_hold_the_account_and_the_rest_waits(q):
    q.limits(rejects=3, cooldown=SECOND)
    tokens = [t for t, _ in go(q, 6)]
    replies = [refuse(q, t, f"shop-{n}", "20017") for n, t in enumerate(tokens)]
    assert replies == [["OK"]] * 3 + [["HELD"]] * 3
    g = q.gate()
    assert (g.mode, g.refused, g.code, g.probe) == ("h", 6, "20017", "-")
    assert waiting(q) == [f"shopshop-{n}" for n in (3, 4, 5)]
    assert len(q.list("results")) == 3 == q.stat("rejected") == q.stat("died") and q.stat("held") == 3
    assert q.begun() == {} == q.inflight() and q.ledger("shop-4") is None


def test_one_turn_of_all_of_them(q):
    q.limits(rejects=2)
    tokens = [t for t, _ in go(q, 5)]
    assert q.settle(*[{"token": t, "op": "dead:rejected", "effect": "r9", "due": f"d{n}", "body": "{}", "result": "{}",
                       "key": f"shop-{n}", "ledger": "D"} for n, t in enumerate(tokens)]) == ["OK"] * 2 + ["HELD"] * 3
    assert q.turns[0][:3] == "account_held"[:3] and q.turns[2].endswith(" 5 9")
    assert waiting(q) == [f"shopshop-{n}" for n in (2, 3, 4)] and q.stat("rejected") == 2


def test_probes_of_a_storm_go_round_and_one_created_ends_it(q):
    q.limits(rejects=2, cooldown=SECOND)
    tokens = [t for t, _ in go(q, 4)]
    for n, t in enumerate(tokens):
        refuse(q, t, f"shop-{n}", "9")
    for key, cool in (("shop-2", 2), ("shop-3", 4), ("shop-2", 8)):
        token, _, probed = probe(q)
        assert probed == key and q.claim() == []
        assert refuse(q, token, key, "9") == ["HELD"]
        assert q.gate().cool == cool * SECOND
    token, _, key = probe(q)
    settle(q, token, key=key, ledger=f"C {HASH} 1 []")
    assert (q.gate().mode, q.gate().refused, q.gate().code) == ("n", 0, "-")
    assert keys(q.claim()) == ["shop-2"]


def test_another_refusal_is_the_orders_own_and_ends_no_storm(q):
    q.limits(rejects=2, cooldown=SECOND)
    tokens = [t for t, _ in go(q, 4)]
    for n, t in enumerate(tokens):
        refuse(q, t, f"shop-{n}", "9")
    token, _, key = probe(q)
    assert refuse(q, token, key, "4711") == ["OK"]
    g = q.gate()
    assert (g.mode, g.code, g.cool) == ("h", "9", SECOND) and g.till > q.now()
    assert waiting(q) == ["shopshop-3"]


def test_neither_another_code_nor_an_order_created_between_adds_up(q):
    q.limits(rejects=3)
    for n, what in enumerate(("a", "a", "b", "a", "a", "s", "a", "a")):
        [(token, _)] = go(q, 1, start=n)
        settle(q, token) if what == "s" else refuse(q, token, f"shop-{n}", what)
        assert q.gate().mode == "n", n
    assert q.gate().refused == 2


def test_without_a_limit_nothing_is_counted(q):
    q.limits()
    for n in range(30):
        [(token, _)] = go(q, 1, start=n)
        assert refuse(q, token, f"shop-{n}", "a") == ["OK"]
    assert q.gate().mode == "n"


def test_looked_up_orders_end_no_storm(q):
    q.limits(rejects=1, cooldown=SECOND)
    (one, _), (two, _), (three, _) = go(q, 3)
    refuse(q, one, "shop-0", "9")
    settle(q, two, "l")
    fail(q, three, "-", "shop-2")
    settle(q, probe(q)[0], "l")
    assert q.gate().mode == "h"
