"""beat.lua, format.lua, takeover.lua: the format of a queue's data, and workers that work with another."""

import json

import pytest

from lib.scripts import FORMAT, FORMAT_OLDEST

OURS, NEXT = str(FORMAT), str(FORMAT + 1)


def info(number=FORMAT):
    return json.dumps({"host": "a \"format\":7 b", "version": "x", **({"format": number} if number else {})})


def look(q, how="look"):
    return q.call("format", [FORMAT, FORMAT_OLDEST, how])


def takeover(q, *workers):
    keys = [q.key(kind + w) for w in workers for kind in ("inflight:", "claims:")]
    return q.call("takeover", [FORMAT, FORMAT_OLDEST, *workers], more=keys)


@pytest.fixture
def fresh(q):
    q.db.flushall()
    yield q
    q.db.flushall()  # some is planted here that balances no books


def old(q, name="old", lease=60000, number=None):
    """A worker of a version before: of one that knows no format, or of the format `number`."""
    q.db.hset(q.key("stats"), mapping={"seq": 1, f"turn:{name}": 5})
    q.db.zadd(q.key("workers"), {name: q.now() + lease})
    q.db.hset(q.key("workers:info"), name, info(number))
    if number:
        q.db.set(q.key("format"), number)


def test_a_fresh_queue(fresh):
    assert look(fresh) == ["OK", ""] and not list(fresh.db.scan_iter())
    assert fresh.beat()[2] == "N" and fresh.db.get(fresh.key("format")) == OURS.encode()
    assert look(fresh) == ["OK", OURS]


def test_a_fresh_queue_that_a_command_writes_first(fresh):
    assert look(fresh, "write") == ["OK", OURS] and fresh.db.get(fresh.key("format")) == OURS.encode()


@pytest.mark.parametrize("own", ["stats", "delayed", "gates", "pauses", "accounts"])
def test_data_of_before_that_nobody_works_on(fresh, own):
    q = fresh
    (q.db.zadd if own in ("delayed", "gates") else q.db.hset)(q.key(own), *([{"1": 1}] if own in ("delayed", "gates") else ["f", "v"]))
    if own != "accounts":  # which has nothing without stats
        assert look(q, "write") == ["FORMAT", "1", []], "a command takes nothing over"
    assert q.db.get(q.key("format")) is None
    *_, told = q.beat()
    assert told == ["1", []] and q.db.get(q.key("format")) == OURS.encode()
    assert len(q.beat()) == 5, "told once"


def test_a_worker_of_before_is_there(fresh):
    q = fresh
    old(q)
    before = q.dump()
    word, number, others = q.beat()
    assert (word, number, others[:2]) == ("FORMAT", "1", ["old", "1"]) and 0 < int(others[2]) <= 60000
    assert look(q)[:2] == look(q, "write")[:2] == ["FORMAT", "1"] and takeover(q, "old")[0] == "FORMAT"
    assert q.dump() == before


def test_who_asks_is_no_stranger_to_itself(fresh):
    """What it had said of itself is gone, and so is the number."""
    q = fresh
    q.beat(info=info())
    q.db.delete(q.key("workers:info"), q.key("format"))
    assert q.beat(info=info())[2] == "K" and q.db.get(q.key("format")) == OURS.encode()


@pytest.mark.parametrize("number", [None, 2])
@pytest.mark.parametrize("holds", ["inflight", "claims"])
def test_a_dead_worker_of_before(fresh, holds, number):
    """Both formats kept jobs in flight, and what had begun of them, by tokens of their own."""
    q, its = fresh, str(number or 1)
    old(q, lease=-1, number=number)
    q.db.hset(q.key(holds + ":old"), "1.1f", "Pshop:key-of-some-length")
    assert q.beat() == ["FORMAT", its, ["old", its, "0"]]
    before = q.dump()
    assert takeover(q, "old") == ["FORMAT", its, ["old", its, "-1"]] and q.dump() == before
    q.db.delete(q.key(holds + ":old"))
    assert takeover(q, "old") == ["OK", its] and q.zset("workers") == {} and q.hash("workers:info") == {}
    assert q.hash("stats") == {"seq": "1"} and q.db.get(q.key("format")) == OURS.encode()
    assert q.beat()[2] == "N"


def test_claims_of_before_are_none_of_ours(fresh):
    """Whoever looks while a worker of another format still works finds nothing that it takes for batches."""
    q = fresh
    q.db.hset(q.key("claims:old"), mapping={"1.1f": "Pshop:key-of-some-length", "12345.7c": ""})
    assert q.call("held", [], "old") == []
    assert q.call("in_flight", [], more=[q.key("claims:old"), q.key("claims:none")]) == [0, 0]


def test_one_of_two_dead_holds(fresh):
    q = fresh
    old(q, "one", -1)
    old(q, "two", -1)
    q.db.hset(q.key("inflight:two"), "1.1f", "x")
    assert takeover(q, "one", "two") == ["FORMAT", "1", ["two", "1", "-1"]]
    assert list(q.zset("workers")) == ["two"] and q.db.get(q.key("format")) is None


@pytest.mark.parametrize("stands", [NEXT, "0", "x", ""])
def test_other_numbers_are_nobodys(fresh, stands):
    q = fresh
    q.db.set(q.key("format"), stands)
    before = q.dump()
    assert q.beat() == look(q) == look(q, "write") == ["FORMAT", stands, []] and takeover(q)[0] == "FORMAT"
    assert q.dump() == before


def test_a_key_of_another_type(fresh):
    fresh.db.lpush(fresh.key("format"), "x")
    with pytest.raises(Exception, match="holds no number"):
        fresh.beat()


def test_our_own_worker_may_lose_the_number(fresh):
    """Somebody removed the key: who is registered with our format brings it back."""
    q = fresh
    q.beat("a", info=info())
    q.beat("b", info=info())
    q.db.hset(q.key("stats"), "seq", 1)
    q.db.delete(q.key("format"))
    assert q.beat("a")[2] == "K" and q.db.get(q.key("format")) == OURS.encode()


def test_beside_one_of_another_format(fresh):
    """Who is there goes on and is told; who comes goes nowhere; nobody recovers what it does not know."""
    q = fresh
    q.beat("a", info=info())
    old(q)
    assert len(q.beat("a")) == 5 and q.beat("a", info=info())[5][1][:2] == ["old", "1"], "with its info, every fourth beat"
    assert q.beat("b")[:2] == ["FORMAT", OURS] and "b" not in q.zset("workers")
    q.db.zadd(q.key("workers"), {"old": 1, "c": 1})
    reply = q.beat("a")
    assert reply[5:] == ["c", ["", ["old", "1", "0"]]], "of those whose lease ran out, only ours are ours to recover"
    assert takeover(q, "old") == ["OK", ""] and sorted(q.zset("workers")) == ["a", "c"]


def test_without_memory(fresh):
    """A lease is renewed where Redis is full."""
    q = fresh
    q.beat("a", info=info())
    q.db.config_set("maxmemory", 1)
    try:
        assert q.beat("a")[2] == "K"
    finally:
        q.db.config_set("maxmemory", 0)
