"""`auth = oauth2`: one request for a token however many orders wait, renewed before it ends, renewed once after 401; the
token is in no log line, and nobody reads it in Redis. Each test ends with what both peers received."""

import base64
import time

import pytest

from lib.oauth2 import Orders, Tokens, World
from lib.peer import Answer, HangUp, Peer
from lib.wait import wait_until
from lib.world import QUEUE


@pytest.fixture
def tokens():
    with Peer() as one:
        yield one


def test_one_token_for_all_that_wait(empty_redis, peer, tokens):
    tokens.default, peer.default = Tokens(delay=0.3), Orders(["tok-1"])
    with World(empty_redis, peer, tokens) as w:
        w.push(*[f"A-{n}" for n in range(40)])
        assert {r["status"] for r in w.results(40)} == {"created"}
        assert {e["verdict"] for e in w.daemon.events_named("attempt")} == {"created"}  # they waited; none was put off
    asked, = tokens.requests
    assert (asked.method, asked.target) == ("POST", "/oauth/token")
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(b"shop%3A1:hush%20hush").decode()
    assert tokens.default.forms == [{"grant_type": "client_credentials", "scope": "orders:write orders:read"}]
    assert sorted(peer.default.made) == sorted(f"A-{n}" for n in range(40)) and len(peer.posts) == 40


def test_the_client_in_the_form_with_more_of_it(empty_redis, peer, tokens):
    tokens.default, peer.default = Tokens(life=None), Orders()
    with World(empty_redis, peer, tokens, token_auth="body", token_params="audience=https%3A%2F%2Fapi.example", auth_prefix="JWT") as w:
        w.push("A-1")
        assert w.result()["status"] == "created"
    assert "authorization" not in tokens.requests[0].headers
    assert tokens.default.forms == [{"grant_type": "client_credentials", "scope": "orders:write orders:read", "client_id": "shop:1",
                                     "client_secret": "hush hush", "audience": "https://api.example"}]
    assert peer.requests[0].headers["authorization"] == "JWT tok-1"


def test_it_is_renewed_before_it_ends(empty_redis, peer, tokens):
    """No order waits, and none meets a token that has ended."""
    tokens.default, peer.default = Tokens(life=2), Orders()
    with World(empty_redis, peer, tokens) as w:
        start = time.monotonic()
        n = 0
        while time.monotonic() - start < 5 or tokens.default.count < 3:
            n += 1
            w.push(f"A-{n}")
            assert w.result()["status"] == "created"
    order = [int(t.partition("-")[2]) for t in peer.default.seen]
    assert order == sorted(order) and order[-1] >= 3
    assert len(peer.posts) == n == len(peer.default.made)


def test_a_token_that_ended_while_nothing_was_sent(empty_redis, peer, tokens):
    tokens.default, peer.default = Tokens(life=1), Orders()
    with World(empty_redis, peer, tokens) as w:
        w.push("A-1")
        assert w.result()["status"] == "created"
        began = time.monotonic()
        wait_until(lambda: time.monotonic() > began + 1.2, 10, lambda: "time passing")
        w.push("A-2")
        assert w.result()["status"] == "created"
    assert peer.default.seen == ["tok-1", "tok-2"]


def test_401_renews_once_and_the_order_is_created(empty_redis, peer, tokens):
    tokens.default, peer.default = Tokens(), Orders(["tok-2"])
    with World(empty_redis, peer, tokens) as w:
        w.push(*[f"A-{n}" for n in range(10)])
        assert {r["status"] for r in w.results(10)} == {"created"}
        assert not w.daemon.events_named("account_held")
    assert tokens.default.count == 2
    assert sorted(peer.default.made) == sorted(f"A-{n}" for n in range(10))


def test_a_second_401_holds_the_account(empty_redis, peer, tokens):
    tokens.default, peer.default = Tokens(), Orders([])
    with World(empty_redis, peer, tokens, breaker_cooldown="300ms") as w:
        w.push("A-1")
        w.daemon.wait_event("account_held")
        assert w.db.llen(f"dray:{{{QUEUE}}}:results") == 0
        assert peer.default.seen[:2] == ["tok-1", "tok-2"]
        peer.default.good = None
        assert w.result()["status"] == "created"
    assert peer.default.made == ["A-1"]


def test_an_endpoint_that_refuses_holds_the_account(empty_redis, peer, tokens):
    tokens.default = Tokens(script=[Answer(401, {"error": "invalid_client", "error_description": "hush"})] * 2)
    peer.default = Orders()
    with World(empty_redis, peer, tokens, breaker_cooldown="300ms") as w:
        w.push("A-1")
        event = w.daemon.wait_event("token_refused")
        assert "shop" in event["message"] and "401" in event["message"]
        assert w.result()["status"] == "created"
    assert peer.default.made == ["A-1"] and len(peer.posts) == 1


@pytest.mark.parametrize("trouble", [Answer(503), HangUp("after"), Answer(200, b"<html>"), Answer(200, {"access_token": "a b"}),
                                     Answer(200, {"access_token": ""}), Answer(200, {"expires_in": 5})],
                         ids=["503", "hangs up", "html", "no header's value", "empty", "none"])
def test_an_endpoint_in_trouble_costs_no_order(empty_redis, peer, tokens, trouble):
    """Nothing was sent, so nothing is unknown, and it is tried again."""
    tokens.default, peer.default = Tokens(script=[trouble]), Orders()
    with World(empty_redis, peer, tokens, max_attempts="5") as w:
        w.push("A-1")
        assert w.result()["status"] == "created"
        assert w.daemon.events_named("token_unavailable")
    assert peer.default.made == ["A-1"] and len(peer.posts) == 1


def test_a_refresh_token_and_the_newer_one_that_comes_with_the_answer(empty_redis, peer, tokens):
    tokens.default, peer.default = Tokens(life=1), Orders()
    tokens.default.more = {"refresh_token": "refresh-2"}
    w = World(empty_redis, peer, tokens, refresh_token_file="refresh")
    w.write("refresh", "refresh-1")
    with w:
        w.push("A-1")
        assert w.result()["status"] == "created"
        began = time.monotonic()
        wait_until(lambda: time.monotonic() > began + 1.2, 10, lambda: "time passing")
        w.push("A-2")
        assert w.result()["status"] == "created"
    assert [f["refresh_token"] for f in tokens.default.forms] == ["refresh-1", "refresh-2"]
    assert {f["grant_type"] for f in tokens.default.forms} == {"refresh_token"}


def test_another_secret_is_another_token_and_a_reload_keeps_it(empty_redis, peer, tokens):
    tokens.default, peer.default = Tokens(), Orders()
    with World(empty_redis, peer, tokens) as w:
        w.push("A-1")
        w.result()
        w.daemon.send(1)
        w.daemon.wait_event("reloaded")
        w.push("A-2")
        w.result()
        assert tokens.default.count == 1
        start = len(w.daemon.process.stderr_lines)
        w.write("secret", "hush again")
        w.daemon.wait_event("reloaded", start=start)
        w.push("A-3")
        w.result()
    assert peer.default.seen == ["tok-1", "tok-1", "tok-2"]


def test_the_look_up_carries_the_token(empty_redis, peer, tokens):
    """… and a 401 to it renews once."""
    tokens.default, api = Tokens(), Orders()

    def answer(request):
        token = request.headers["authorization"]
        if request.method == "GET":
            return Answer(200, {"ref": "A-1", "id": "o-1"}) if token == "Bearer tok-2" else Answer(401)
        api(request)
        return HangUp("after")
    peer.default = answer
    with World(empty_redis, peer, tokens, on_unknown="lookup", lookup_path="/orders/{key}", lookup_key_pointer="/ref",
               lookup_id_pointer="/id", lookup_delay="10ms") as w:
        w.push("A-1")
        assert (w.result()["status"], api.made) == ("created", ["A-1"])
    assert [r.headers["authorization"] for r in peer.gets] == ["Bearer tok-1", "Bearer tok-2"]


def test_a_worker_that_drains_gives_waiting_orders_back(empty_redis, peer, tokens):
    tokens.default, peer.default = Tokens(delay=30), Orders()
    w = World(empty_redis, peer, tokens)
    w.config["worker"]["drain_timeout"] = "500ms"
    w.daemon.set_config(w.config)
    with w:
        w.push("A-1")
        tokens.wait_posts(1)
        w.daemon.stop()
        assert w.db.llen(f"dray:{{{QUEUE}}}:jobs") == 1 and w.db.keys("*order:*") == []
    assert not peer.requests
