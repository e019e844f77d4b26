"""Every row of "What an answer means" (docs/protocol.md), with a peer that answers, or does not, at socket level.

Each row is proven by what can be seen from outside: the result, the dead letter with its history, how
many POSTs the peer saw, and what the ledger does to a second job with the same order key.
"""

import json
import time
from email.utils import formatdate

import pytest

from lib.peer import Answer, HangUp, Peer, Raw, Silence
from lib.providers import PROVIDERS
from lib.wait import stays_true, wait_until
from lib.world import World, created

ALL = list(PROVIDERS)
FIELDS_OF_RESULT = {"id", "status", "provider", "account", "queue", "order_key", "order_id", "order_ids", "order", "parts", "warnings", "error",
                    "attempts", "http_status", "enqueued_at", "finished_at", "duration_ms", "meta"}
FIELDS_OF_LETTER = {"dead_id", "job", "reason", "error", "attempts", "died_at", "worker", "queue", "account", "order_key"}
FIELDS_OF_ATTEMPT = {"at", "http_status", "code", "message", "ms", "answer"}


def check_dead(world, reason, attempts, code=None, status=None, burned=None):
    """The dead letter and the failed result tell the same story; returns the letter. `burned`: of the attempts in
    the history, where those are not all."""
    letter = world.dead()
    assert letter["reason"] == reason, letter
    assert letter["error"]["reason"] == reason
    assert FIELDS_OF_LETTER <= set(letter), FIELDS_OF_LETTER - set(letter)
    assert len(letter["attempts"]) == attempts, letter["attempts"]
    for attempt in letter["attempts"]:
        assert FIELDS_OF_ATTEMPT <= set(attempt), attempt
        assert attempt["http_status"] == (status or attempt["http_status"]), attempt
        assert attempt["code"], attempt
    if code is not None:
        assert letter["error"]["code"] == code, letter["error"]
    result = world.result()
    assert result["status"] == "failed", result
    assert result["error"]["reason"] == reason
    assert result["error"]["code"] == letter["error"]["code"]
    assert result["error"]["dead_id"] == letter["dead_id"]
    assert result["attempts"] == (attempts if burned is None else burned), result
    assert letter["job"] is not None
    world.no_result()
    return letter


def check_key_is_free(world, peer, key, good):
    """The same key makes an order now: the earlier attempts surely created nothing."""
    before = len(peer.posts)
    good()
    world.send("again", key)
    result = world.result()
    assert (result["id"], result["status"]) == ("again", "created"), result
    assert len(peer.posts) == before + 1


def answers_well(world, peer):
    def switch():
        peer.default = lambda request: created(world.provider, request)
        peer.script.clear()
    return switch


# -- 2xx and the provider's success test holds: CREATED -------------------------------------------------

@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("status", [200, 201])
def test_success_is_created(empty_redis, peer, name, status):
    with World(empty_redis, peer, name) as world:
        peer.default = lambda request: Answer(status, world.provider.answer(request.json))
        text = world.send("one", "KEY-1")
        result = world.result()
        assert FIELDS_OF_RESULT <= set(result), FIELDS_OF_RESULT - set(result)
        assert (result["id"], result["status"]) == ("one", "created")
        assert (result["provider"], result["account"], result["queue"]) == (name, "shop", "orders")
        assert (result["order_key"], result["attempts"], result["http_status"]) == ("KEY-1", 1, status)
        assert result["order_id"] == str(world.provider.id_for("KEY-1"))
        assert result["error"] is None
        [post] = peer.posts
        assert post.path == world.provider.path
        assert post.headers["authorization"] == world.provider.authorization
        assert post.headers["content-type"].startswith("application/json")
        assert post.body.decode() == json.dumps(json.loads(text)["order"])
        assert world.dead_letters() == []


def test_s2_names_its_organization(empty_redis, peer):
    with World(empty_redis, peer, "s2") as world:
        peer.default = lambda request: created(world.provider, request)
        world.send()
        world.result()
        assert peer.posts[0].headers["x-s2-organization"] == "95d73baf-76ba-4bea-86ac-1534c5e5d4aa"


@pytest.mark.parametrize("answer", [dict(chunked=True), dict(dribble=0.002), dict(close=True), dict(delay=0.3)])
def test_however_the_answer_comes(empty_redis, peer, answer):
    with World(empty_redis, peer) as world:
        peer.default = lambda request: Answer(200, world.provider.answer(request.json), **answer)
        world.send()
        world.send()
        assert {r["status"] for r in world.results(2)} == {"created"}
        assert len(peer.posts) == 2


# -- no body byte left us: RETRY, which burns no attempt -----------------------------------------------

UNSENT = {"max_attempts": "1", "max_age": "2s"}


def check_never_sent(world, code):
    """It was tried until max_age, whatever max_attempts is, and the history counts that in one entry."""
    letter = check_dead(world, "exhausted", 1, code="max_age", burned=0)
    [attempt] = letter["attempts"]
    assert attempt["code"] == code and attempt["times"] > 1, attempt
    assert attempt["since"] < attempt["at"], attempt


def test_refused_connection_is_retried_until_max_age(empty_redis, peer):
    peer.stop()
    with World(empty_redis, peer, account=UNSENT) as world:
        world.send("one", "KEY-1")
        check_never_sent(world, "connect")
        peer.start()
        check_key_is_free(world, peer, "KEY-1", answers_well(world, peer))


def test_refused_connection_is_retried_until_somebody_listens(empty_redis, peer):
    peer.stop()
    with World(empty_redis, peer, account={"max_attempts": "1"}) as world:
        peer.default = lambda request: created(world.provider, request)
        world.send("one", "KEY-1")
        for _ in range(5):
            world.daemon.wait_event("attempt")
        peer.start()
        result = world.result()
        assert (result["status"], result["attempts"], len(peer.posts)) == ("created", 1, 1)


def test_unknown_host_is_retried(empty_redis):
    with World(empty_redis, base_url="http://no-such-host.invalid", account=UNSENT) as world:
        world.send("one", "KEY-1")
        check_never_sent(world, "resolve")


def test_connect_timeout_is_retried(empty_redis):
    with Peer(accept="full") as peer:
        with World(empty_redis, peer, account={**UNSENT, "connect_timeout": "200ms"}) as world:
            world.send("one", "KEY-1")
            check_never_sent(world, "connect")
            peer.set_accept("serve")
            check_key_is_free(world, peer, "KEY-1", answers_well(world, peer))


def test_untrusted_certificate_is_retried_and_sends_nothing(empty_redis):
    with Peer(tls=True) as peer:
        with World(empty_redis, peer, account=UNSENT) as world:
            world.send("one", "KEY-1")
            check_never_sent(world, "tls")
            assert peer.posts == []


def test_trusted_certificate_is_fine(empty_redis):
    with Peer(tls=True) as peer:
        with World(empty_redis, peer, account={"ca_file": peer.cert}) as world:
            peer.default = lambda request: created(world.provider, request)
            world.send()
            assert world.result()["status"] == "created"


def test_tls_handshake_that_stalls_is_retried(empty_redis):
    with Peer(tls=True, accept="never") as peer:
        with World(empty_redis, peer, account={**UNSENT, "ca_file": peer.cert, "connect_timeout": "200ms",
                                               "request_timeout": "1s"}) as world:
            world.send("one", "KEY-1")
            check_never_sent(world, "tls")
            assert peer.posts == []


# -- 2xx with the provider's own error code: REJECTED, unless retryable --------------------------------

@pytest.mark.parametrize("name", ["kakaclo-v2", "kakaclo-v1", "kakaclo-custom"])
def test_kakaclo_code_other_than_10000_is_a_no(empty_redis, peer, name):
    with World(empty_redis, peer, name) as world:
        peer.default = Answer(200, {"code": 20013, "message": "sku is off the shelf"})
        world.send("one", "KEY-1")
        letter = check_dead(world, "rejected", 1, code="20013", status=200)
        assert "sku is off the shelf" in letter["error"]["message"]
        assert "sku is off the shelf" in letter["attempts"][0]["answer"]
        assert len(peer.posts) == 1
        check_key_is_free(world, peer, "KEY-1", answers_well(world, peer))


def test_message_of_success_never_makes_a_success(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = Answer(200, {"code": 10001, "message": "success", "data": 5})
        world.send()
        check_dead(world, "rejected", 1, code="10001")


def test_provider_code_listed_as_retryable_is_retried(empty_redis, peer):
    with World(empty_redis, peer, account={"retry_codes": "20013,30001"}) as world:
        peer.script = [Answer(200, {"code": 20013, "message": "busy"})] * 2
        peer.default = lambda request: created(world.provider, request)
        world.send("one")
        result = world.result()
        assert (result["status"], result["attempts"], len(peer.posts)) == ("created", 3, 3)


def test_generic_success_value_that_is_not_there(empty_redis, peer):
    with World(empty_redis, peer, "http-json", account={"code_pointer": "/error/code"}) as world:
        peer.default = Answer(200, {"result": {"ok": False}, "error": {"code": "E7"}})
        world.send("one", "KEY-1")
        check_dead(world, "rejected", 1, code="E7")
        check_key_is_free(world, peer, "KEY-1", answers_well(world, peer))


# -- 429, and 503 with Retry-After: RETRY, and the account pauses --------------------------------------

@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_pauses_the_whole_account_but_no_other(empty_redis, peer, status):
    with Peer() as other:
        with World(empty_redis, peer, accounts={"second": {"base_url": other.url}}) as world:
            peer.script = [Answer(status, headers={"Retry-After": "2"})]
            peer.default = lambda request: created(world.provider, request)
            other.default = peer.default
            world.send("one")
            [first] = peer.wait_posts(1)
            world.daemon.wait_event("attempt")
            wait_until(lambda: "one" not in str(world.waiting()), 5, "the answer to be settled")
            world.send("two")
            world.send("elsewhere", account="second")
            assert world.result()["id"] == "elsewhere"
            assert {r["id"] for r in world.results(2)} == {"one", "two"}
            times = [p.at - first.at for p in peer.posts[1:]]
            assert len(times) == 2 and min(times) >= 1.9, times


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0.1"}])
def test_429_burns_no_attempt(empty_redis, peer, headers):
    with World(empty_redis, peer, account={"max_attempts": "1", "retry_after_cap": "200ms"}) as world:
        peer.script = [Answer(429, headers=headers)] * 3  # without a time: pauses of 1, 2 and 4 s
        peer.default = lambda request: created(world.provider, request)
        world.send("one")
        result = world.result(30)
        assert (result["status"], result["attempts"], len(peer.posts)) == ("created", 1, 4)


def test_retry_after_with_a_fraction(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.script = [Answer(429, headers={"Retry-After": "1.7"})]
        peer.default = lambda request: created(world.provider, request)
        world.send()
        world.result()
        first, second = peer.posts
        assert second.at - first.at >= 1.65


def test_retry_after_as_a_date(empty_redis, peer):
    with World(empty_redis, peer) as world:
        date = formatdate(int(time.time()) + 3, usegmt=True)  # at least 2 s from now
        peer.script = [Answer(429, headers={"Retry-After": date})]
        peer.default = lambda request: created(world.provider, request)
        world.send()
        assert world.result()["attempts"] == 1
        first, second = peer.posts
        assert second.at - first.at >= 1.5


def test_retry_after_is_capped(empty_redis, peer):
    with World(empty_redis, peer, account={"retry_after_cap": "1s"}) as world:
        peer.script = [Answer(429, headers={"Retry-After": "86400"})]
        peer.default = lambda request: created(world.provider, request)
        world.send()
        assert world.result(10)["status"] == "created"
        first, second = peer.posts
        assert second.at - first.at >= 0.9


@pytest.mark.parametrize("header", [{}, {"Retry-After": "soon"}, {"Retry-After": "-5"}, {"Retry-After": "9" * 40}])
def test_429_with_a_useless_header_is_retried(empty_redis, peer, header):
    with World(empty_redis, peer, account={"retry_after_cap": "1s"}) as world:
        peer.script = [Answer(429, headers=header)]
        peer.default = lambda request: created(world.provider, request)
        world.send()
        assert world.result()["status"] == "created"
        assert len(peer.posts) == 2


# -- 503, 425, 404: RETRY; other 5xx, 408, 499, most 3xx: UNKNOWN -----------------------------------------

@pytest.mark.parametrize("status", [503, 425, 404])
@pytest.mark.parametrize("name", ["kakaclo-v2", "http-json"])
def test_troubled_server_is_asked_again(empty_redis, peer, name, status):
    with World(empty_redis, peer, name, account={"max_attempts": "3"}) as world:
        peer.default = Answer(status, b"<h1>oops</h1>", headers={"Content-Type": "text/html"})
        world.send("one", "KEY-1")
        letter = check_dead(world, "exhausted", 3, status=status)
        assert "oops" in letter["attempts"][0]["answer"]
        assert len(peer.posts) == 3
        check_key_is_free(world, peer, "KEY-1", answers_well(world, peer))


@pytest.mark.parametrize("status", [521, 522, 523, 525, 526, 511, 421])
def test_who_did_not_get_through_burns_no_attempt(empty_redis, peer, status):
    with World(empty_redis, peer, account={"max_attempts": "1"}) as world:
        peer.script = [Answer(status, b"<h1>error</h1>")] * 4
        peer.default = lambda request: created(world.provider, request)
        world.send("one")
        result = world.result()
        assert (result["status"], result["attempts"], len(peer.posts)) == ("created", 1, 5)


@pytest.mark.parametrize("status", [500, 502, 504, 520, 524, 527, 530, 599, 408, 499])
@pytest.mark.parametrize("name", ["kakaclo-v2", "http-json"])
def test_who_gave_up_may_have_created_it(empty_redis, peer, name, status):
    """A gateway's 502 says nothing of what lies behind it: never sent again blindly."""
    with World(empty_redis, peer, name) as world:
        peer.default = Answer(status, b"<h1>oops</h1>", headers={"Content-Type": "text/html"})
        world.send("one", "KEY-1")
        letter = check_dead(world, "unknown_outcome", 1, code=f"http_{status}", status=status)
        assert "oops" in letter["attempts"][0]["answer"]
        assert len(peer.posts) == 1


def test_fails_twice_and_then_succeeds(empty_redis, peer):
    with World(empty_redis, peer, account={"retry_codes": "http:502"}) as world:
        peer.script = [Answer(503), Answer(502)]
        peer.default = lambda request: created(world.provider, request)
        world.send("one")
        result = world.result()
        assert (result["status"], result["attempts"], len(peer.posts)) == ("created", 3, 3)
        bodies = {p.body for p in peer.posts}
        assert len(bodies) == 1


def test_status_listed_as_final_is_a_no(empty_redis, peer):
    with World(empty_redis, peer, account={"reject_codes": "http:500"}) as world:
        peer.default = Answer(500)
        world.send("one", "KEY-1")
        check_dead(world, "rejected", 1, status=500)
        check_key_is_free(world, peer, "KEY-1", answers_well(world, peer))


def test_status_listed_as_unknown_is_held(empty_redis, peer):
    """The order may exist: a person decides, and its key stays closed until then."""
    with World(empty_redis, peer, account={"unknown_codes": "http:503", "on_unknown": "hold"}) as world:
        peer.default = Answer(503)
        world.send("one", "KEY-1")
        check_dead(world, "unknown_outcome", 1, code="http_503", status=503)
        answers_well(world, peer)()
        world.send("two", "KEY-1")
        assert world.result()["error"]["code"] == "key_unknown"
        assert len(peer.posts) == 1


def test_status_listed_as_retryable_is_retried(empty_redis, peer):
    with World(empty_redis, peer, account={"retry_codes": "http:422"}) as world:
        peer.script = [Answer(422)]
        peer.default = lambda request: created(world.provider, request)
        world.send("one")
        assert world.result()["attempts"] == 2


# -- 401, 403: the account is held ---------------------------------------------------------------------

@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("name", ["kakaclo-v2", "s2", "vu"])
def test_refused_credentials_hold_the_account_and_burn_no_attempt(empty_redis, peer, name, status):
    account = {"max_attempts": "1", "breaker_cooldown": "100ms"}
    with World(empty_redis, peer, name, account=account) as world:
        peer.script = [Answer(status, {"errors": "[API] Invalid API key or secret"})] * 3
        peer.default = lambda request: created(world.provider, request)
        world.send("one")
        peer.wait_posts(1)
        world.send("two")
        results = world.results_by_id(2)
        assert {r["status"] for r in results.values()} == {"created"}
        assert len(peer.posts) == 5
        assert world.dead_letters() == []


def test_a_held_account_is_probed_by_one_job_at_a_time(empty_redis, peer):
    with World(empty_redis, peer, account={"breaker_cooldown": "300ms"}) as world:
        peer.default = Answer(401)
        world.send("one")
        peer.wait_posts(1)
        world.daemon.wait_event("attempt")
        for n in range(20):
            world.send(f"more-{n}")
        posts = peer.wait_posts(4)
        gaps = [b.at - a.at for a, b in zip(posts[1:], posts[2:])]
        assert all(gap >= 0.25 for gap in gaps), gaps
        peer.default = lambda request: created(world.provider, request)
        assert {r["status"] for r in world.results(21)} == {"created"}


def test_a_held_account_does_not_hold_others(empty_redis, peer):
    with Peer(default=Answer(401)) as locked:
        with World(empty_redis, peer, accounts={"locked": {"base_url": locked.url, "breaker_cooldown": "10m"}}) as world:
            peer.default = lambda request: created(world.provider, request)
            for n in range(100):  # more than the queue's concurrency
                world.send(f"locked-{n}", account="locked")
            locked.wait_posts(1)
            world.send("free")
            assert world.result()["id"] == "free"
            assert world.dead_letters() == []


def test_a_new_token_file_is_read_and_tried_at_once(empty_redis, peer, tmp_path):
    token = tmp_path / "token"
    token.write_text("old-token\n")
    account = {"token": None, "token_file": str(token), "breaker_cooldown": "10m"}
    with World(empty_redis, peer, account=account) as world:
        def answer(request):
            good = request.headers["authorization"] == "Bearer new-token"
            return created(world.provider, request) if good else Answer(401)
        peer.default = answer
        world.send("one")
        peer.wait_posts(1)
        stays_true(lambda: len(peer.posts) <= 2, 0.3, "few probes")
        token.write_text("new-token\n")
        assert world.result(20)["status"] == "created"


def test_our_proxys_refusal_holds_the_account(empty_redis, peer):
    with World(empty_redis, peer, account={"max_attempts": "1", "breaker_cooldown": "100ms"}) as world:
        peer.script = [Answer(407, headers={"Proxy-Authenticate": "Basic"})] * 3
        peer.default = lambda request: created(world.provider, request)
        world.send("one")
        result = world.result()
        assert (result["status"], result["attempts"], len(peer.posts)) == ("created", 1, 4)


# -- 400, 422, other 4xx, 307, 308: REJECTED ------------------------------------------------------------

@pytest.mark.parametrize("status", [400, 402, 405, 410, 413, 422, 451])
@pytest.mark.parametrize("name", ALL)
def test_a_no_is_final(empty_redis, peer, name, status):
    with World(empty_redis, peer, name) as world:
        peer.default = Answer(status, {"code": 4711, "message": "no such sku", "errors": "no such sku"})
        world.send("one", "KEY-1")
        letter = check_dead(world, "rejected", 1, status=status)
        assert "no such sku" in letter["attempts"][0]["answer"]
        assert len(peer.posts) == 1
        check_key_is_free(world, peer, "KEY-1", answers_well(world, peer))


@pytest.mark.parametrize("status,reason", [(300, "unknown_outcome"), (301, "unknown_outcome"), (302, "unknown_outcome"),
                                           (303, "unknown_outcome"), (304, "unknown_outcome"), (307, "rejected"),
                                           (308, "rejected")])
def test_a_redirect_is_never_followed(empty_redis, peer, status, reason):
    with Peer() as elsewhere:
        with World(empty_redis, peer) as world:
            headers = {"Location": elsewhere.url + "/openapi/v2/order/orders"}
            peer.default = Raw(f"HTTP/1.1 304 X\r\nLocation: {headers['Location']}\r\n\r\n".encode()) \
                if status == 304 else Answer(status, headers=headers)
            world.send("one", "KEY-1")
            check_dead(world, reason, 1, status=status)
            assert (len(peer.posts), elsewhere.connections) == (1, 0)
            if reason == "rejected":
                check_key_is_free(world, peer, "KEY-1", answers_well(world, peer))


def test_an_answer_is_kept_to_its_first_2_kib(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = Answer(400, b"A" * 10000)
        world.send()
        letter = check_dead(world, "rejected", 1)
        assert 2000 <= len(letter["attempts"][0]["answer"]) <= 2100


def test_an_answer_that_is_no_utf8_is_still_told(empty_redis, peer):
    with World(empty_redis, peer) as world:
        peer.default = Answer(400, b"bad \xff\xfe \x00 bytes")
        world.send()
        letter = check_dead(world, "rejected", 1)
        assert letter["attempts"][0]["answer"].startswith("bad ")


# -- bytes were sent, then no whole answer; 2xx that cannot be read: UNKNOWN ---------------------------

KAKACLO_OK = b'{"code": 10000, "message": "success", "data": 5}'
UNKNOWN = {  # what the peer does, and the code that the dead letter gives it
    "hang up after the request": (HangUp("after"), "connection_lost"),
    "reset after the request": (HangUp("after", reset=True), "connection_lost"),
    "hang up after the head": (HangUp("head"), "connection_lost"),
    "reset before reading": (HangUp("before", reset=True), "connection_lost"),
    "cut in the status line": (Raw(b"HTTP/1.1 2"), "connection_lost"),
    "cut in the head": (Raw(b"HTTP/1.1 200 OK\r\nContent-Le"), "unreadable_answer"),
    "cut in the body": (Answer(200, KAKACLO_OK, cut=20), "connection_lost"),
    "cut in the body by reset": (Answer(200, KAKACLO_OK, cut=20, reset=True), "connection_lost"),
    "cut in a chunk": (Answer(200, KAKACLO_OK, cut=20, chunked=True), "connection_lost"),
    "cut before the body": (Answer(200, KAKACLO_OK, cut=0), "connection_lost"),
    "an error status, cut": (Answer(500, KAKACLO_OK, cut=20), "connection_lost"),
    "silence": (Silence(), "timeout"),
    "garbage instead of HTTP": (Raw(b"\x00\x01\x02 what is this\r\n\r\n"), "connection_lost"),
    "2xx without a body": (Answer(200, b""), "unreadable_answer"),
    "204": (Raw(b"HTTP/1.1 204 No Content\r\n\r\n"), "unreadable_answer"),
    "2xx with HTML": (Answer(200, b"<html>login</html>"), "unreadable_answer"),
    "2xx with half a JSON": (Answer(200, b'{"code": 10000, "data"'), "unreadable_answer"),
    "2xx with an array": (Answer(200, b"[]"), "unreadable_answer"),
    "2xx with a NUL": (Answer(200, b'{"code": 10000\x00, "data": 5}'), "unreadable_answer"),
    "2xx with bad UTF-8": (Answer(200, b'{"code": 10000, "message": "\xff", "data": 5}'), "unreadable_answer"),
    "2xx nested too deep": (Answer(200, b"[" * 100000 + b"]" * 100000), "unreadable_answer"),
    "10000 without data": (Answer(200, {"code": 10000, "message": "success"}), "no_order_id"),
    "10000 with null": (Answer(200, {"code": 10000, "message": "success", "data": None}), "no_order_id"),
    "more than a MiB": (Answer(200, b'{"code": 10000, "data": 5, "x": "' + b"A" * (1 << 20) + b'"}'), "answer_too_large"),
    "an interim answer and no more": (Raw(b"HTTP/1.1 100 Continue\r\n\r\n"), "connection_lost"),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_what_nobody_knows_is_never_sent_again(empty_redis, peer, what):
    account = {"request_timeout": "500ms", "max_attempts": "5"}
    with World(empty_redis, peer, account=account) as world:
        action, code = UNKNOWN[what]
        peer.script = [action]
        peer.default = lambda request: created(world.provider, request)
        world.send("one", "KEY-1")
        letter = check_dead(world, "unknown_outcome", 1, code=code)
        seen = len(peer.posts)
        assert seen == (0 if "head" in what and "hang" in what or "before reading" in what else 1)
        # The same key again: nothing is sent, and the letter points at the first.
        world.send("again", "KEY-1")
        letters = world.wait_dead(2)
        assert letters[1]["reason"] == "unknown_outcome"
        assert letter["dead_id"] in letters[1]["error"]["message"], letters[1]["error"]
        assert world.result()["status"] == "failed"
        assert len(peer.posts) == seen
        world.alive()


@pytest.mark.parametrize("name,answer", [
    ("s2", {"id": "x-1", "channelOrderId": "ANOTHER"}),
    ("s2", {"id": "", "channelOrderId": "KEY-1"}),
    ("s2", {"channelOrderId": "KEY-1"}),
    ("vu", {"order": {}}),
    ("vu", {"ok": True}),
    ("kakaclo-v1", {"data": 5}),
    ("kakaclo-custom", {"code": 10000, "data": []}),
    ("http-json", {"result": {"ok": True}}),
])
def test_a_success_that_names_no_order_is_not_believed(empty_redis, peer, name, answer):
    with World(empty_redis, peer, name) as world:
        peer.default = Answer(200, answer)
        world.send("one", "KEY-1")
        check_dead(world, "unknown_outcome", 1)
        assert len(peer.posts) == 1


@pytest.mark.parametrize("what", ["2xx with HTML", "204", "10000 with null", "cut in the body", "2xx without a body"])
def test_after_a_2xx_not_even_resend_sends_again(empty_redis, peer, what):
    """Somebody said yes, if not clearly: a second POST is for a person to decide."""
    with World(empty_redis, peer, account={"on_unknown": "resend", "lookup_delay": "10ms", "lookup_attempts": "2"}) as world:
        empty = Answer(200, {"code": 10000, "data": {"total": 0, "list": []}})
        peer.default = lambda request: empty if request.method == "GET" else UNKNOWN[what][0]
        world.send("one", "KEY-1")
        letter = world.dead()
        assert letter["reason"] == "unknown_outcome", letter
        assert "without an answer" not in letter["error"]["message"]
        assert (len(peer.posts), len(peer.gets)) == (1, 2)


@pytest.mark.parametrize("what", ["hang up after the request", "silence", "reset after the request"])
def test_on_unknown_resend_sends_again(empty_redis, peer, what):
    account = {"on_unknown": "resend", "request_timeout": "500ms"}
    with World(empty_redis, peer, account=account) as world:
        peer.script = [UNKNOWN[what][0]]
        peer.default = lambda request: created(world.provider, request)
        world.send("one", "KEY-1")
        result = world.result()
        assert (result["status"], result["attempts"], len(peer.posts)) == ("created", 2, 2)


@pytest.mark.parametrize("reset", [False, True])
def test_libcurl_never_replays_a_post(empty_redis, peer, reset):
    """A server that reads the whole second request of a connection and hangs up: libcurl's own answer
    to that is to send the request again on a new connection."""
    with World(empty_redis, peer) as world:
        def answer(request):
            return created(world.provider, request) if request.nth == 0 else HangUp("after", reset=reset)
        peer.default = answer
        world.send("one", "KEY-1")
        assert world.result()["status"] == "created"
        world.send("two", "KEY-2")
        letter = check_dead(world, "unknown_outcome", 1)
        assert letter["order_key"] == "KEY-2"
        keys = [p.json["customOrderId"] for p in peer.posts]
        assert keys == ["KEY-1", "KEY-2"]
        assert [(p.connection, p.nth) for p in peer.posts] == [(0, 0), (0, 1)]  # the connection was reused


def test_killed_while_sending_is_unknown_to_the_next_worker(empty_redis, peer):
    with World(empty_redis, peer, worker={"lease": "1s", "name": "first"}, start=False) as world:
        peer.script = [Silence()]
        peer.default = lambda request: created(world.provider, request)
        world.start()
        world.send("one", "KEY-1")
        peer.wait_posts(1)
        world.daemon.kill()
        world.start()
        letter = world.dead(20)
        assert (letter["reason"], letter["order_key"]) == ("unknown_outcome", "KEY-1")
        assert world.result()["status"] == "failed"
        assert len(peer.posts) == 1
        world.alive()
