"""grant.lua and granted.lua: of all who ask for an access token one fetches it, and the others get what it was given."""

import pytest
import redis

from lib.scripts import Scripts

KEY = "grant:<credentials>"
KEEP = 1000000


@pytest.fixture
def q(shared_redis):
    return Scripts(shared_redis)


def ask(q, who="a", version="", fetch_ms=40000):
    return q.call("grant", [who, fetch_ms, version])


def told(q, version, who="a", good=60000, life=70000, refresh="", sealed="sealed"):
    return q.call("granted", [who, version, sealed if version else "", good, life, refresh, KEEP])


def test_one_fetches_and_all_get_it(q):
    assert ask(q) == ["F", ""]
    assert 39000 < q.db.pttl(q.key(KEY)) <= 40000
    letter, left = ask(q, "b")
    assert letter == "W" and 39000 < int(left) <= 40001
    assert told(q, "v1") == "OK"
    for who in "ab":
        letter, version, sealed, good, life = ask(q, who)
        assert (letter, version, sealed, life) == ("T", "v1", "sealed", "70000") and 59000 < int(good) <= 60000
    assert 59000 < q.db.pttl(q.key(KEY)) <= 60000


def test_a_refused_token_is_replaced_once(q):
    ask(q), told(q, "v1")
    assert ask(q, "b", "v1") == ["F", ""] and ask(q, "a", "v1")[0] == "W"
    assert ask(q, "c")[:2] == ["T", "v1"], "who has none may still take it"
    assert told(q, "v2", "b") == "OK"
    assert ask(q, "a", "v1")[:2] == ["T", "v2"]
    assert ask(q, "a", "v2") == ["F", ""]


def test_asked_again_by_who_may_fetch_already(q):
    """Its reply was lost."""
    assert ask(q) == ask(q) == ["F", ""]


def test_a_lost_reply_to_telling(q):
    ask(q)
    assert told(q, "v1") == "OK" and told(q, "v1") == "LOST"
    assert ask(q, "b")[:2] == ["T", "v1"]


def test_who_dies_is_waited_for_no_longer_than_it_may_take(q):
    ask(q, fetch_ms=40000)
    q.db.hset(q.key(KEY), "until", int(q.now()) - 1)
    assert ask(q, "b") == ["F", ""]
    assert told(q, "v1") == "LOST", "another fetches meanwhile"
    assert told(q, "v2", "b") == "OK"
    assert told(q, "v1") == "LOST", "another has fetched meanwhile"
    assert ask(q)[:2] == ["T", "v2"]


def test_a_token_that_ends_is_none(q):
    ask(q), told(q, "v1")
    q.db.hset(q.key(KEY), "ends", int(q.now()) - 1)
    assert ask(q, "b") == ["F", ""]


def test_a_life_that_is_not_told(q):
    ask(q)
    assert told(q, "v1", good=0, life=0) == "OK"
    assert ask(q, "b") == ["T", "v1", "sealed", "", "0"]
    assert KEEP - 5000 < q.db.pttl(q.key(KEY)) <= KEEP


def test_an_endpoint_that_fails_is_left_alone(q):
    ask(q)
    assert told(q, "", good=5000) == "OK"
    for who in "ab":
        letter, left = ask(q, who)
        assert letter == "P" and 4000 < int(left) <= 5001
    q.db.hset(q.key(KEY), "until", int(q.now()) - 1)
    assert ask(q, "b") == ["F", ""]
    assert told(q, "", "b", good=0) == "OK"
    assert not q.db.exists(q.key(KEY))
    assert ask(q, "a") == ["F", ""]


def test_a_failed_renewal_leaves_the_token(q):
    ask(q), told(q, "v1")
    ask(q, "a", "v1")
    assert told(q, "", good=5000) == "OK"
    assert ask(q, "b")[:2] == ["T", "v1"] and ask(q, "a", "v1")[0] == "P"
    assert q.db.pttl(q.key(KEY)) > 50000


def test_the_newer_refresh_token_outlives_the_token(q):
    ask(q)
    assert told(q, "v1", refresh="refresh sealed") == "OK"
    assert q.db.pttl(q.key(KEY)) > KEEP - 5000
    assert ask(q, "b", "v1") == ["F", "refresh sealed"]
    assert told(q, "v2", "b") == "OK"
    assert q.db.pttl(q.key(KEY)) > KEEP - 5000, "it is kept though no newer one came"
    assert ask(q, "b", "v2") == ["F", "refresh sealed"]


def test_who_trusts_nothing_that_is_there(q):
    ask(q), told(q, "v1")
    assert ask(q, "b", "*") == ["F", ""] and ask(q, "a", "*")[0] == "W"


def test_redis_has_forgotten(q):
    ask(q)
    q.db.delete(q.key(KEY))
    assert told(q, "v1") == "OK"
    assert ask(q, "b")[:2] == ["T", "v1"]


def test_another_kind_of_key_is_left_as_it_is(q):
    q.db.set(q.key(KEY), "mine")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE.*grant.*rename it"):
        ask(q)
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        told(q, "v1")
    assert q.db.get(q.key(KEY)) == b"mine"
