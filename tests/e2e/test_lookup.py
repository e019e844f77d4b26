"""An order whose outcome nobody knows is looked up by its key before anything else is done."""

import json

import pytest

from lib.peer import Answer, HangUp
from lib.process import dray
from lib.wait import wait_until
from lib.world import QUEUE, World, created

NOT_FOUND = Answer(404, {"errors": "not found"})
LOOKUP = {"on_unknown": "lookup", "lookup_delay": "10ms", "lookup_attempts": "3", "absent_window": "100ms"}


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
        assert (result["status"], result["order_id"]) == ("created", str(world.provider.id_for("KEY-1"))), result
        assert world.provider.answer(json.loads(text)["order"])[len(b'{"order": '):-1].decode() in raw
        assert len(peer.posts) == 1
        assert peer.gets[0].target == "/api/v1/orders?order_number=KEY-1"
        assert peer.gets[0].headers["authorization"] == world.provider.authorization
        world.send("two", "KEY-1")
        assert world.result()["status"] == "duplicate"
        assert len(peer.posts) == 1


def with_control(world, peer, vu):
    """An order that is created as it should be: the control of what comes."""
    vu.world = world
    peer.default = vu
    before, vu.posts = vu.posts, []
    world.send("control", "CONTROL-1")
    assert world.result()["status"] == "created"
    vu.posts = before
    return vu


def keys_of(gets):
    return [g.target.partition("order_number=")[2] for g in gets]


@pytest.mark.parametrize("what", TROUBLE)
def test_surely_absent_is_sent_again(empty_redis, peer, what):
    with World(empty_redis, peer, "vu", account=LOOKUP) as world:
        with_control(world, peer, Vu(world, posts=[TROUBLE[what]()]))
        world.send("one", "KEY-1")
        result = world.result(20)
        assert result["status"] == "created", result
        assert [p.json["order"]["order_number"] for p in peer.posts] == ["CONTROL-1", "KEY-1", "KEY-1"]
        assert keys_of(peer.gets) == ["KEY-1", "KEY-1", "CONTROL-1"]
        assert peer.gets[1].at - peer.gets[0].at >= 0.095


FOREIGN = {"text": Answer(404, b"404 page not found"), "HTML": Answer(404, b"<html>404</html>"), "empty": Answer(404, b""),
           "another error": Answer(404, {"error": "Not Found", "path": "/orders"})}


@pytest.mark.parametrize("what", FOREIGN)
def test_a_404_that_is_not_the_providers_own_proves_nothing(empty_redis, peer, what):
    """A router without a backend."""
    with World(empty_redis, peer, "vu", account={**LOOKUP, "lookup_attempts": "6"}) as world:
        with_control(world, peer, Vu(world, posts=[creating(HangUp("after"))], gets=[FOREIGN[what]] * 3))
        world.send("one", "KEY-1")
        result = world.result(20)
        assert (result["status"], len(peer.posts)) == ("created", 2), result
        assert keys_of(peer.gets) == ["KEY-1"] * 4


def test_without_a_control_nothing_is_absent(empty_redis, peer):
    with World(empty_redis, peer, "vu", account=LOOKUP) as world:
        peer.default = Vu(world, posts=[HangUp("after")])
        world.send("one", "KEY-1")
        letter = world.dead(20)
        assert (letter["reason"], letter["error"]["code"]) == ("unknown_outcome", "lookup_absent"), letter["error"]
        assert [a["code"] for a in letter["attempts"] if a.get("control")][0] == "no_control"
        assert len(peer.posts) == 1


def test_a_look_up_that_finds_nothing_at_all_is_not_believed(empty_redis, peer):
    """Its index is empty, say: it says of an order that exists what it says of this one."""
    with World(empty_redis, peer, "vu", account=LOOKUP) as world:
        vu = with_control(world, peer, Vu(world, posts=[creating(HangUp("after"))]))
        vu.gets = [NOT_FOUND] * 100
        world.send("one", "KEY-1")
        letter = world.dead(20)
        assert (letter["reason"], letter["error"]["code"]) == ("unknown_outcome", "lookup_absent"), letter["error"]
        controls = [a for a in letter["attempts"] if a.get("control")]
        assert controls and all(a["code"] == "control_not_found" and "CONTROL-1" in a["message"] for a in controls)
        assert len(peer.posts) == 2


def test_a_control_outlives_its_worker(empty_redis, peer):
    with World(empty_redis, peer, "vu", account=LOOKUP, worker={"lease": "1s"}) as world:
        vu = with_control(world, peer, Vu(world))
        wait_until(lambda: world.db.hlen(world.key("controls")) == 1, 10, world.state)
        world.daemon.kill()
        world.start()
        vu.posts = [HangUp("after")]
        world.send("one", "KEY-1")
        result = world.result(20)
        assert (result["status"], len(peer.posts)) == ("created", 3), result
        assert keys_of(peer.gets) == ["KEY-1", "KEY-1", "CONTROL-1"]


def test_the_evidence_stands_in_the_history(empty_redis, peer):
    """Refused for good at the second attempt: both looks and the control are told."""
    with World(empty_redis, peer, "vu", account=LOOKUP) as world:
        with_control(world, peer, Vu(world, posts=[HangUp("after"), Answer(422, {"errors": "no"})]))
        world.send("one", "KEY-1")
        letter = world.dead(20)
        told = [(a.get("lookup", False), a.get("control", False), a["code"]) for a in letter["attempts"]]
        assert told[1:] == [(True, False, "not_found"), (True, False, "not_found"), (True, True, "control_found"),
                            (False, False, "http_422")]
        assert letter["attempts"][3]["answer"] == ""  # another customer's order
        shown = dray("dead", "show", QUEUE, letter["dead_id"], "-c", world.daemon.path)
        lines = [line.split() for line in shown.stdout.decode().splitlines() if line.startswith("attempt ")]
        assert [line[3] for line in lines] == ["order", "look-up", "look-up", "control", "order"], shown


PATHS = {"key_pointer": "/reference", "lookup_path": "/orders/{key}", "lookup_key_pointer": "/reference", "lookup_id_pointer": "/id",
         "lookup_absent_pointer": "/error", "lookup_exact": "yes", "on_absent": "retry"}


@pytest.mark.parametrize("control,sent_again", [("A/1", True), ("A1", False)])
def test_a_key_in_a_path_needs_a_control_of_its_kind(empty_redis, peer, control, sent_again):
    """A server that decodes %2F first finds no order with a slash."""
    with World(empty_redis, peer, "http-json", account={**LOOKUP, **PATHS}) as world:
        made, posts = {}, []

        def answer(request):
            if request.method == "GET":
                key = request.target.partition("/orders/")[2].replace("%2F", "/")
                return Answer(200, {"reference": key, "id": 5}) if key in made else Answer(404, {"error": "no such order"})
            posts.append(request.json["reference"])
            if posts.count("K/1") == 1 and posts[-1] == "K/1":
                return HangUp("after")
            made[request.json["reference"]] = True
            return created(world.provider, request)
        peer.default = answer
        world.send("control", control)
        assert world.result()["status"] == "created"
        world.send("one", "K/1")
        result = world.result(20)
        assert result["status"] == ("created" if sent_again else "failed"), result
        assert posts.count("K/1") == (2 if sent_again else 1)


def test_dots_alone_are_refused_where_they_would_change_the_path(empty_redis, peer):
    with World(empty_redis, peer, "http-json", account={**LOOKUP, **PATHS}) as world:
        peer.default = lambda request: created(world.provider, request)
        for n, key in enumerate((".", "..")):
            world.send(f"j{n}", key)
            assert world.result()["error"]["reason"] == "invalid"
        world.send("fine", "...")
        assert world.result()["status"] == "created"


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
        with_control(world, peer, Vu(world, posts=[creating(conflict)] if found else [conflict] * 9))
        world.send("one", "KEY-1")
        result = world.result(20)
        if found:
            assert (result["status"], result["order_id"]) == ("duplicate", str(world.provider.id_for("KEY-1"))), result
        else:
            assert (result["status"], result["error"]["code"]) == ("failed", "conflict"), result
        assert len(peer.posts) == 2
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


class Kakaclo:
    """KaKaClo's order lists: each POST's order is created, and answered by hanging up; lists know it, `size` a page."""

    def __init__(self, name, size=250, swapped=False, before=0):
        self.custom, self.size, self.swapped = name == "kakaclo-custom", size, swapped
        self.made = [{"id": n, "demandNo": f"C{n}", "customOrderId": f"other-{n}"} for n in range(before)]
        self.asked = []

    def __call__(self, request):
        if request.method == "POST" and not request.target.endswith("/search"):
            order = request.json
            key = order.get("customOrderId") or order.get("CustomOrderNumber")
            for sku in [i.get("sku") for i in order["orderItemsList"]]:
                n = len(self.made) + 4711
                self.made.append({"id": str(n), "demandNo": f"C{n}", "customOrderId": key, "orderItems": [{"skuCode": sku}]})
            return HangUp("after")
        if self.custom:
            assert request.headers["content-type"] == "application/json"
            page, size = request.json["pageNumber"], request.json["pageSize"]
            assert request.json["createDateLe"] - request.json["createDateGe"] >= 20 * 60 * 1000 and size <= 100
        else:
            asked = dict(p.split("=") for p in request.target.partition("?")[2].split("&"))
            page, size = int(asked["pageNumber"]), int(asked["pageSize"])
            if self.swapped:
                page, size = size, page
        self.asked.append((page, size))
        size = min(size, self.size)
        rows = self.made[(page - 1) * size:page * size]
        return Answer(200, {"code": 10000, "message": "ok", "data": {"total": len(self.made), "list": rows}})


@pytest.mark.parametrize("name,path", [("kakaclo-v1", "/openapi/v1/order/orders?"), ("kakaclo-v2", "/openapi/v2/order/orders?"),
                                       ("kakaclo-custom", "/openapi/v1/product/custom/orders/search")])
def test_kakaclo_finds_an_order_in_its_lists(empty_redis, peer, name, path):
    with World(empty_redis, peer, name, account={**LOOKUP, "lookup": "yes"}) as world:
        peer.default = shop = Kakaclo(name, before=150 if name == "kakaclo-custom" else 300)
        world.send("one", "KEY-1")
        result = world.result(20)
        assert (result["status"], result["order_id"]) == ("created", "C4861" if shop.custom else "5011"), result
        assert len(shop.asked) == 2 and [r.target.startswith(path) for r in peer.requests[1:]] == [True, True]
        assert len(shop.made) == (151 if shop.custom else 301)
        world.send("two", "KEY-1")
        assert world.result()["status"] == "duplicate"


@pytest.mark.parametrize("name", ["kakaclo-v1", "kakaclo-v2"])
def test_kakaclo_pages_may_be_counted_the_other_way_round(empty_redis, peer, name):
    with World(empty_redis, peer, name, account=LOOKUP) as world:
        peer.default = shop = Kakaclo(name, swapped=True, before=200)
        world.send("one", "KEY-1")
        assert world.result(20)["order_id"] == "4911"
        assert shop.asked == [(250, 1), (1, 250)] and len(shop.made) == 201


def test_a_split_order_says_what_went_where(empty_redis, peer):
    with World(empty_redis, peer, account=LOOKUP) as world:
        peer.default = Kakaclo("kakaclo-v2")
        order = world.provider.order("KEY-1")
        order["orderItemsList"] = [{"sku": "A", "quantity": 1}, {"sku": "B", "quantity": 2}]
        world.push(world.job("one", order=order))
        result = world.result(20)
        assert (result["status"], result["order_ids"]) == ("created", ["4711", "4712"])
        assert [(p["order_id"], p["order"]["orderItems"][0]["skuCode"]) for p in result["parts"]] == [("4711", "A"), ("4712", "B")]


def test_custom_orders_are_not_looked_up_unless_asked_for(empty_redis, peer):
    with World(empty_redis, peer, "kakaclo-custom", account=LOOKUP) as world:
        peer.default = Kakaclo("kakaclo-custom")
        world.send("one", "KEY-1")
        assert world.dead(20)["reason"] == "unknown_outcome"
        assert len(peer.requests) == 1


def test_lookup_no_asks_nobody(empty_redis, peer):
    with World(empty_redis, peer, account={**LOOKUP, "lookup": "no"}) as world:
        peer.default = Kakaclo("kakaclo-v2")
        world.send("one", "KEY-1")
        assert world.dead(20)["reason"] == "unknown_outcome"
        assert len(peer.requests) == 1


@pytest.mark.parametrize("found", [True, False])
def test_vu_says_taken_with_422(empty_redis, peer, found):
    """A repeated order_number: looked up, and no second order whatever comes of it."""
    with World(empty_redis, peer, "vu", account=LOOKUP) as world:
        taken = Answer(422, {"errors": {"order_number": ["has already been taken"]}})
        peer.default = vu = Vu(world, posts=[creating(taken) if found else taken])
        world.send("one", "KEY-1")
        result = world.result(20)
        assert result["status"] == ("duplicate" if found else "failed"), result
        assert len(peer.posts) == 1 and len(peer.gets) >= 1 and len(vu.made) == found
