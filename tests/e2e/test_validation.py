"""`validation`, `allow_empty`, `max_length`: what is refused, what only warned of, and who hears of it."""

import json

import pytest

from lib.providers import PROVIDERS
from lib.world import World, created

V2 = PROVIDERS["kakaclo-v2"]


def abroad(key="KEY-1", recipient="R" * 40, province=""):
    """An order of a country without provinces, for somebody with a long name."""
    order = V2.order(key)
    order["orderAddresses"].update(recipient=recipient, province=province)
    return order


def warned(world):
    return world.daemon.events_named("order_warnings")


def test_lenient_warns_and_sends(empty_redis, peer):
    with World(empty_redis, peer, account={"validation": "lenient"}) as world:
        peer.default = lambda request: created(world.provider, request)
        world.push(world.job("a", order=abroad()))
        result = world.result()
        assert (result["status"], result["warnings"]) == ("created", [
            {"path": "order.orderAddresses.recipient", "rule": "must be at most 32 characters"},
            {"path": "order.orderAddresses.province", "rule": "must not be empty"}])
        assert len(peer.posts) == 1 and peer.posts[0].json == abroad()
        line = world.daemon.wait_event("order_warnings")
        assert len(warned(world)) == 1
        assert sorted(line["paths"].split(", ")) == ["order.orderAddresses.province", "order.orderAddresses.recipient"]
        assert "RRRR" not in "".join(world.daemon.process.stderr)
        world.send("b", "KEY-2")
        assert world.result()["warnings"] == []


@pytest.mark.parametrize("what,change", [
    ("type", lambda o: o["orderAddresses"].update(recipient=5)),
    ("missing", lambda o: o["orderAddresses"].pop("province")),
    ("quantity", lambda o: o["orderItemsList"][0].update(quantity=0)),
    ("channelType", lambda o: o.update(channelType="Nonesuch")),
    ("no items", lambda o: o.update(orderItemsList=[])),
    ("two keys", lambda o: o.update(CustomOrderNumber="other"))])
def test_lenient_still_refuses(empty_redis, peer, what, change):
    order = V2.order("KEY-1")
    change(order)
    with World(empty_redis, peer, account={"validation": "lenient"}) as world:
        world.push(world.job("a", order=order))
        result = world.result()
        assert (result["status"], result["error"]["reason"]) == ("failed", "invalid"), what
        assert peer.posts == []


def test_strict_by_default(empty_redis, peer):
    with World(empty_redis, peer) as world:
        world.push(world.job("a", order=abroad()))
        assert [f["path"] for f in world.result()["error"]["faults"]] == [
            "order.orderAddresses.recipient", "order.orderAddresses.province"]


def test_paths_that_may_be_empty_or_longer(empty_redis, peer):
    settings = {"allow_empty": "orderAddresses.province", "max_length": "orderAddresses.recipient:40, orderItemsList[].sku:4"}
    with World(empty_redis, peer, account=settings) as world:
        peer.default = lambda request: created(world.provider, request)
        order = abroad()
        order["orderItemsList"][0]["sku"] = "ABCD"
        world.push(world.job("a", order=order))
        result = world.result()
        assert (result["status"], result["warnings"]) == ("created", [])
        order["orderItemsList"][0]["sku"] = "ABCDE"
        order["orderAddresses"].update(recipient="R" * 41, phone="")
        order["customOrderId"] = "KEY-2"
        world.push(world.job("b", order=order))
        assert {f["path"]: f["rule"] for f in world.result()["error"]["faults"]} == {
            "order.orderItemsList[0].sku": "must be at most 4 characters",
            "order.orderAddresses.recipient": "must be at most 40 characters",
            "order.orderAddresses.phone": "must not be empty"}
        assert len(peer.posts) == 1


def test_the_rule_holds_under_the_documents_other_name(empty_redis, peer):
    with World(empty_redis, peer, account={"allow_empty": "orderAddresses.province"}) as world:
        peer.default = lambda request: created(world.provider, request)
        order = abroad(recipient="R")
        order["orderAddress"] = order.pop("orderAddresses")
        world.push(world.job("a", order=order))
        assert world.result()["status"] == "created"


def test_off_leaves_all_to_the_provider(empty_redis, peer):
    with World(empty_redis, peer, account={"validation": "off"}) as world:
        peer.default = lambda request: created(world.provider, request)
        world.push(world.job("a", order={"customOrderId": "KEY-1", "orderItemsList": "none"}))
        result = world.result()
        assert (result["status"], result["order_key"], result["warnings"]) == ("created", "KEY-1", [])
        world.push(world.job("b", order={"customOrderId": {"a": 1}}))
        assert [f["path"] for f in world.result()["error"]["faults"]] == ["order.customOrderId"]
        assert len(peer.posts) == 1


def test_an_order_key_is_never_let_pass_empty(empty_redis, peer):
    """Nobody could find the order again."""
    with World(empty_redis, peer, "s2", account={"validation": "lenient"}) as world:
        world.push(world.job("a", order=world.provider.order("")))
        assert [f["path"] for f in world.result()["error"]["faults"]] == ["order.channelOrderId"]


def test_a_failed_result_has_its_warnings(empty_redis, peer):
    with World(empty_redis, peer, account={"validation": "lenient"}) as world:
        order = abroad()
        order["orderItemsList"][0]["quantity"] = 0
        world.push(world.job("a", order=order))
        result = world.result()
        assert [f["path"] for f in result["error"]["faults"]] == ["order.orderItemsList[0].quantity"]
        assert [w["path"] for w in result["warnings"]] == ["order.orderAddresses.recipient", "order.orderAddresses.province"]
