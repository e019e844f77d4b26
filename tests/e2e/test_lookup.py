"""An order whose outcome nobody knows is looked up by its key before anything else is done."""

import json

import pytest

from lib.peer import Answer, HangUp
from lib.world import World, created

NOT_FOUND = Answer(404, {"errors": "not found"})
LOOKUP = {"on_unknown": "lookup", "lookup_delay": "10ms", "lookup_attempts": "3"}


class Vu:
    """VU's two endpoints: each has a script of its own; then orders are created, and found if they were."""

    def __init__(self, world, posts=(), gets=()):
        self.world, self.posts, self.gets, self.made = world, list(posts), list(gets), {}

    def __call__(self, request):
        if request.method == "GET":
            return self.gets.pop(0) if self.gets else self.find(request)
        action = self.posts.pop(0) if self.posts else None
        if action is None or getattr(action, "creates", False):
            self.made[request.json["order"]["order_number"]] = self.world.provider.answer(request.json)
        return action or created(self.world.provider, request)

    def find(self, request):
        _, _, key = request.target.partition("order_number=")
        return Answer(200, self.made[key]) if key in self.made else NOT_FOUND


def creating(action):
    """The order is created, whatever is answered."""
    action.creates = True
    return action


TROUBLE = {"hang up": lambda: HangUp("after"), "500": lambda: Answer(500), "503": lambda: Answer(503),
           "504": lambda: Answer(504), "303": lambda: Answer(303), "cut": lambda: Answer(500, b'{"order": {}}', cut=5)}
YES = {"empty": lambda: Answer(202, b""), "HTML": lambda: Answer(200, b"<html>"), "cut": lambda: Answer(200, b'{"order": {}}', cut=5)}


@pytest.mark.parametrize("what", [*TROUBLE, *YES])
def test_found_is_created(empty_redis, peer, what):
    with World(empty_redis, peer, "vu", account=LOOKUP) as world:
        peer.default = Vu(world, posts=[creating({**TROUBLE, **YES}[what]())])
        text = world.send("one", "KEY-1")
        raw = world.raw_result().decode()
        result = json.loads(raw)
        assert (result["status"], result["order_id"]) == ("created", "12345"), result
        assert world.provider.answer(json.loads(text)["order"])[len(b'{"order": '):-1].decode() in raw
        assert len(peer.posts) == 1
        assert peer.gets[0].target == "/api/v1/orders?order_number=KEY-1"
        assert peer.gets[0].headers["authorization"] == world.provider.authorization
        world.send("two", "KEY-1")
        assert world.result()["status"] == "duplicate"
        assert len(peer.posts) == 1


@pytest.mark.parametrize("what", TROUBLE)
def test_surely_absent_is_sent_again(empty_redis, peer, what):
    with World(empty_redis, peer, "vu", account=LOOKUP) as world:
        peer.default = Vu(world, posts=[TROUBLE[what]()])
        world.send("one", "KEY-1")
        result = world.result(20)
        assert result["status"] == "created", result
        assert len(peer.posts) == 2
        assert len(peer.gets) >= 1


def test_a_look_up_that_fails_is_asked_again(empty_redis, peer):
    with World(empty_redis, peer, "vu", account={**LOOKUP, "lookup_attempts": "6"}) as world:
        peer.default = Vu(world, posts=[creating(HangUp("after"))], gets=[Answer(500), HangUp("after"), Answer(200, b"<html>")])
        world.send("one", "KEY-1")
        assert world.result(20)["status"] == "created"
        assert (len(peer.posts), len(peer.gets)) == (1, 4)


def test_a_look_up_that_never_works_ends_as_unknown(empty_redis, peer):
    with World(empty_redis, peer, "vu", account=LOOKUP) as world:
        peer.default = Vu(world, posts=[HangUp("after")], gets=[Answer(200, b"<html>")] * 50)
        world.send("one", "KEY-1")
        letter = world.dead(20)
        assert letter["reason"] == "unknown_outcome"
        assert world.result()["status"] == "failed"
        assert (len(peer.posts), len(peer.gets)) == (1, 3)


@pytest.mark.parametrize("trouble", [429, 500, 503])
def test_a_look_up_that_nobody_answers_burns_none(empty_redis, peer, trouble):
    """An outage, and a rate limit, say nothing of the order: it waits for them to end."""
    account = {**LOOKUP, "lookup_attempts": "1", "retry_after_cap": "50ms"}
    with World(empty_redis, peer, "vu", account=account) as world:
        gets = [Answer(trouble, headers={"Retry-After": "0.01"} if trouble != 500 else {})] * 5
        peer.default = Vu(world, posts=[creating(HangUp("after"))], gets=gets)
        world.send("one", "KEY-1")
        assert world.result(20)["status"] == "created"
        assert (len(peer.posts), len(peer.gets)) == (1, 6)


def test_a_look_up_that_nobody_answers_ends_with_max_age(empty_redis, peer):
    with World(empty_redis, peer, "vu", account={**LOOKUP, "max_age": "1s"}) as world:
        peer.default = Vu(world, posts=[HangUp("after")], gets=[Answer(500)] * 500)
        world.send("one", "KEY-1")
        letter = world.dead(20)
        assert (letter["reason"], letter["error"]["code"]) == ("unknown_outcome", "lookup_failed"), letter["error"]
        assert len(letter["attempts"]) == 2 and letter["attempts"][1]["times"] > 3
        assert len(peer.posts) == 1


@pytest.mark.parametrize("what", YES)
def test_a_yes_is_never_followed_by_a_second_order(empty_redis, peer, what):
    with World(empty_redis, peer, "vu", account=LOOKUP) as world:
        peer.default = Vu(world, posts=[YES[what]()] * 9)
        world.send("one", "KEY-1")
        letter = world.dead(20)
        assert letter["reason"] == "unknown_outcome"
        assert "without an answer" not in letter["error"]["message"]
        assert (len(peer.posts), len(peer.gets)) == (1, 3)


@pytest.mark.parametrize("what", TROUBLE)
def test_on_absent_hold_holds_whatever_led_to_the_look_up(empty_redis, peer, what):
    with World(empty_redis, peer, "vu", account={**LOOKUP, "on_absent": "hold"}) as world:
        peer.default = Vu(world, posts=[TROUBLE[what]()])
        world.send("one", "KEY-1")
        letter = world.dead(20)
        assert (letter["reason"], letter["error"]["code"]) == ("unknown_outcome", "lookup_absent"), letter["error"]
        assert len(peer.posts) == 1


def test_absent_is_no_proof_where_the_document_does_not_say_so(empty_redis, peer):
    """KaKaClo's list lags: an order that is not in it may still have been created."""
    with World(empty_redis, peer, account=LOOKUP) as world:
        empty = Answer(200, {"code": 10000, "message": "ok", "data": {"total": 0, "list": []}})
        peer.default = lambda request: empty if request.method == "GET" else HangUp("after")
        world.send("one", "KEY-1")
        assert world.dead(20)["reason"] == "unknown_outcome"
        assert len(peer.posts) == 1 and len(peer.gets) >= 1


def test_kakaclo_finds_its_order_on_a_later_page(empty_redis, peer):
    with World(empty_redis, peer, account=LOOKUP) as world:
        def answer(request):
            if request.method == "POST":
                return HangUp("after")
            page = int(request.target.partition("pageNumber=")[2].partition("&")[0])
            orders = [{"id": 1000 * page + n, "customOrderId": f"OTHER-{page}-{n}"} for n in range(250 if page < 3 else 7)]
            if page == 3:
                orders[5] = {"id": 1853726451928473601, "customOrderId": "KEY-1"}
            return Answer(200, {"code": 10000, "message": "ok", "data": {"total": 507, "list": orders}})
        peer.default = answer
        world.send("one", "KEY-1")
        result = world.result(20)
        assert (result["status"], result["order_id"]) == ("created", "1853726451928473601")
        assert (len(peer.posts), len(peer.gets)) == (1, 3)


@pytest.mark.parametrize("status", [500, 502, 504])
def test_an_order_behind_a_gateway_that_gave_up_is_looked_up(empty_redis, peer, status):
    """Sent again, a provider that creates and then answers 5xx would have the order twice."""
    with World(empty_redis, peer, account=LOOKUP) as world:
        found = Answer(200, {"code": 10000, "message": "ok", "data": {"total": 1, "list": [{"id": 77, "customOrderId": "KEY-1"}]}})
        peer.default = lambda request: found if request.method == "GET" else Answer(status)
        world.send("one", "KEY-1")
        result = world.result(20)
        assert (result["status"], result["order_id"], len(peer.posts)) == ("created", "77", 1), result


@pytest.mark.parametrize("found", [True, False])
def test_409_is_a_duplicate_if_the_order_is_found(empty_redis, peer, found):
    with World(empty_redis, peer, "vu", account={**LOOKUP, "max_attempts": "2"}) as world:
        conflict = Answer(409, {"code": "ALREADY_EXISTS"})
        vu = Vu(world, posts=[creating(conflict)] if found else [conflict] * 9)
        peer.default = vu
        world.send("one", "KEY-1")
        result = world.result(20)
        if found:
            assert (result["status"], result["order_id"]) == ("duplicate", "12345"), result
            assert len(peer.posts) == 1
        else:
            assert result["status"] == "failed", result
        assert len(peer.gets) >= 1


def test_409_without_a_look_up_is_unknown(empty_redis, peer):
    with World(empty_redis, peer, "kakaclo-v1", account=LOOKUP) as world:
        peer.default = Answer(409, {"code": "ALREADY_EXISTS"})
        world.send("one", "KEY-1")
        assert world.dead(20)["reason"] == "unknown_outcome"
        assert len(peer.posts) == 1


def test_a_look_up_outlives_its_worker(empty_redis, peer):
    account = {**LOOKUP, "lookup_delay": "1s"}
    with World(empty_redis, peer, "vu", account=account) as world:
        peer.default = Vu(world, posts=[creating(HangUp("after"))])
        world.send("one", "KEY-1")
        peer.wait_posts(1)
        world.daemon.wait_event("attempt")
        assert world.daemon.stop() == 0
        assert peer.gets == []
        world.start()
        assert world.result(20)["status"] == "created"
        assert len(peer.posts) == 1
