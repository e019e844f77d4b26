"""The examples of docs/providers.md, as they stand there, against a server that records what it gets and plays what the
public documentation shows. Only `base_url` and the paths of secrets are others."""

import base64
import json
import os
import re

import pytest

from lib.daemon import Daemon
from lib.peer import Answer, HangUp
from lib.wait import wait_until
from lib.world import QUICK

DOCS = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "providers.md")


def example(name):
    with open(DOCS, encoding="utf-8") as f:
        return re.search(rf"<!-- example {name} -->\n```ini\n(.*?)```", f.read(), re.S).group(1)


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Shop:
    """A worker with one of the examples. Secrets are files that hold their own names."""

    def __init__(self, redis, peer, name):
        self.db, self.name = redis.client, name
        account = re.sub(r"base_url = https://[^/\n]+", f"base_url = {peer.url}", example(name))
        quick = "".join(f"{k} = {v}\n" for k, v in QUICK.items() if f"\n{k} =" not in account and k != "on_unknown")
        self.daemon = Daemon(f"[redis]\nurl = {redis.url}\n[worker]\nlog_level = debug\nlog_format = json\n[admin]\nlisten = off\n"
                             f"{account}lookup_delay = 10ms\nlookup_attempts = 2\n{quick}")
        for file in re.findall(r"_file = (\S+)", account):
            os.makedirs(os.path.join(self.daemon.dir, os.path.dirname(file)), exist_ok=True)
            with open(os.path.join(self.daemon.dir, file), "w") as f:
                f.write(os.path.basename(file) + "\n")

    def __enter__(self):
        self.daemon.__enter__()
        return self

    def __exit__(self, *rest):
        self.daemon.__exit__(*rest)

    def order(self, text, id="job-1"):
        self.db.lpush(f"dray:{{{self.name}}}:jobs", f'{{"id": "{id}", "order": {text}}}')
        return json.loads(wait_until(lambda: self.db.rpop(f"dray:{{{self.name}}}:results"), 20,
                                     lambda: f"a result; the worker said:\n{self.daemon.process.tail(20)}"))


@pytest.fixture
def shop(empty_redis, peer):
    return lambda name: Shop(empty_redis, peer, name)


class Api:
    """What an API's page shows. `orders` is its own ledger: what it has created."""
    name, path, headers, key = "", "", {}, "K-1"
    order = "{}"
    order_id = ""
    finds = True

    def __init__(self):
        self.orders = {}

    def created(self, body):
        """The answer to an order; the order is in `orders` then."""
        raise NotImplementedError

    def refused(self):
        """The answer of a refusal, its code and words as dray reads them."""
        raise NotImplementedError

    def found(self, request):
        """The answer to a look-up."""
        raise NotImplementedError

    def __call__(self, request):
        if request.method == "GET":
            return self.found(request)
        return self.created(json.loads(request.body))


class Printful(Api):
    name, path, order_id = "printful", "/orders?confirm=1", "13"
    headers = {"authorization": "Bearer printful", "x-pf-store-id": "12"}
    order = ('{"external_id": "K-1", "recipient": {"name": "John Doe", "address1": "19749 Dearborn St", "city": "Chatsworth", '
             '"state_code": "CA", "country_code": "US", "zip": "91311"}, "items": [{"variant_id": 4018, "quantity": 1, '
             '"retail_price": "13.00", "files": [{"url": "https://example.com/poster.jpg"}]}]}')

    def result(self, key):
        return {"code": 200, "result": {"id": 13, "external_id": key, "status": "pending", "retail_costs": {"total": "13.00"}}}

    def created(self, body):
        self.orders[body["external_id"]] = 13
        return Answer(200, self.result(body["external_id"]))

    def refused(self):
        return Answer(400, {"code": 400, "result": "Recipient: State code is missing",
                            "error": {"reason": "BadRequest", "message": "Recipient: State code is missing"}}), \
            "BadRequest", "Recipient: State code is missing"

    def found(self, request):
        key = request.target.removeprefix("/orders/@")
        if key in self.orders:
            return Answer(200, self.result(key))
        return Answer(404, {"code": 404, "result": "Not Found", "error": {"reason": "NotFound", "message": "Not Found"}})


class ShipStation(Api):
    name, path, order_id = "shipstation", "/orders/createorder", "140335319"
    headers = {"authorization": basic("shipstation-key", "shipstation-secret")}
    order = ('{"orderNumber": "K-1", "orderKey": "K-1", "orderDate": "2015-06-29T08:46:27.0000000", "orderStatus": '
             '"awaiting_shipment", "billTo": {"name": "The President"}, "shipTo": {"name": "The President", "street1": '
             '"1600 Pennsylvania Ave", "city": "Washington", "state": "DC", "postalCode": "20500", "country": "US"}, "items": '
             '[{"lineItemKey": "vd08", "sku": "ABC123", "quantity": 2, "unitPrice": 99.90}], "amountPaid": 218.73}')

    def row(self, key):
        return {"orderId": 140335319, "orderNumber": key, "orderKey": key, "orderStatus": "awaiting_shipment"}

    def created(self, body):
        self.orders[body["orderKey"]] = 140335319
        return Answer(200, self.row(body["orderKey"]))

    def refused(self):
        return Answer(400, {"Message": "The request is invalid.", "ModelState": {"apiOrder.shipTo": ["required"]}}), \
            "http_400", "The request is invalid."

    def found(self, request):
        """Orders whose number begins with it: the other page has ours."""
        assert request.path == "/orders" and "orderNumber=K-1" in request.target and "pageSize=100" in request.target
        page = int(re.search(r"[?&]page=(\d+)", request.target).group(1))
        rows = {1: [self.row("K-10"), self.row("K-11")], 2: [self.row(k) for k in self.orders]}.get(page, [])
        return Answer(200, {"orders": rows, "total": 3, "page": page, "pages": 2})


class Shippo(Api):
    name, path, order_id = "shippo", "/orders/", "4f2bc588e4e5446cb3f9fdb7cd5e190b"
    headers = {"authorization": "ShippoToken shippo", "shippo-api-version": "2018-02-08"}
    order = ('{"to_address": {"name": "Mr Hippo", "street1": "215 Clayton St.", "city": "San Francisco", "state": "CA", "zip": '
             '"94117", "country": "US"}, "line_items": [{"quantity": 1, "sku": "HM-123", "title": "Hippo Magazines", '
             '"total_price": "12.10", "currency": "USD", "weight": "0.40", "weight_unit": "lb"}], "placed_at": '
             '"2016-09-23T01:28:12Z", "order_number": "K-1", "order_status": "PAID", "total_price": "24.93", "currency": "USD"}')

    def row(self, key, id="4f2bc588e4e5446cb3f9fdb7cd5e190b"):
        return {"object_id": id, "order_number": key, "order_status": "PAID"}

    def created(self, body):
        self.orders[body["order_number"]] = self.order_id
        return Answer(201, self.row(body["order_number"]))

    def refused(self):
        return Answer(400, {"placed_at": ["This field is required."], "detail": "Invalid order"}), "http_400", "Invalid order"

    def found(self, request):
        assert request.path == "/orders/" and "results=100" in request.target
        page = int(re.search(r"page=(\d+)", request.target).group(1))
        if page == 1:
            return Answer(200, {"next": "https://api.goshippo.com/orders/?page=2&results=100", "previous": None,
                                "results": [self.row("#1068", "other")]})
        return Answer(200, {"next": None, "previous": "…", "results": [self.row(k) for k in self.orders]})


class ShipBob(Api):
    name, path, order_id = "shipbob", "/2026-01/order", "85016253"
    headers = {"authorization": "Bearer shipbob", "shipbob_channel_id": "100"}
    order = ('{"reference_id": "K-1", "shipping_method": "Free 2-day Shipping", "type": "DTC", "recipient": {"name": "John Doe", '
             '"address": {"address1": "100 Nowhere Blvd", "city": "Gotham City", "state": "NJ", "zip_code": "07093", "country": '
             '"US"}}, "products": [{"reference_id": "TShirtBlueM", "name": "T-shirt", "quantity": 1}]}')

    def row(self, key):
        return {"id": 85016253, "reference_id": key, "status": "Processing", "shipments": []}

    def created(self, body):
        self.orders[body["reference_id"]] = 85016253
        return Answer(201, self.row(body["reference_id"]))

    def refused(self):
        return Answer(422, {"recipient.address.country": ["The country is required."]}), "http_422", "HTTP 422"

    def found(self, request):
        assert request.target == "/2026-01/order?ReferenceIds=K-1" and request.headers["shipbob_channel_id"] == "100"
        return Answer(200, [self.row(k) for k in self.orders])


class Sendcloud(Api):
    name, path, order_id = "sendcloud", "/api/v2/parcels?errors=verbose", "3"
    headers = {"authorization": basic("sendcloud-public", "sendcloud-secret")}
    order = ('{"parcel": {"name": "John Doe", "address": "Stadhuisplein", "house_number": "10", "city": "Eindhoven", '
             '"postal_code": "5611 EM", "country": "NL", "request_label": true, "shipment": {"id": 8}, "weight": "10.000", '
             '"order_number": "1234567890", "external_reference": "K-1", "total_order_value": "11.11"}}')

    def row(self, key):
        return {"id": 3, "external_reference": key, "weight": "10.000", "status": {"id": 1000, "message": "Ready to send"}}

    def created(self, body):
        self.orders[body["parcel"]["external_reference"]] = 3
        return Answer(200, {"parcel": self.row(body["parcel"]["external_reference"])})

    def refused(self):
        return Answer(400, {"error": {"code": 400, "message": "country: Invalid country.", "request": "api/v2/parcels"}}), \
            "400", "country: Invalid country."

    def found(self, request):
        assert request.target == "/api/v2/parcels?external_reference=K-1"
        return Answer(200, {"next": None, "previous": None, "parcels": [self.row(k) for k in self.orders]})


class GraphQL(Api):
    name, path, order_id = "graphql", "/admin/api/graphql.json", "gid://shop/Order/148977776"
    headers = {"x-access-token": "graphql"}
    order = ('{"query": "mutation ($input: OrderInput!) { orderCreate(input: $input) { order { id } userErrors { code message } } }", '
             '"variables": {"input": {"externalId": "K-1", "lines": [{"sku": "A", "price": 9.990}]}}}')
    finds = False

    def created(self, body):
        self.orders[body["variables"]["input"]["externalId"]] = self.order_id
        return Answer(200, {"data": {"orderCreate": {"order": {"id": self.order_id}, "userErrors": []}}})

    def refused(self):
        return Answer(200, {"data": {"orderCreate": {"order": None, "userErrors": [
            {"code": "OUT_OF_STOCK", "field": ["lines", "0"], "message": "none left"}]}}}), "OUT_OF_STOCK", "none left"


APIS = [Printful, ShipStation, Shippo, ShipBob, Sendcloud, GraphQL]
each = pytest.mark.parametrize("kind", APIS, ids=[a.name for a in APIS])


@each
def test_an_order_goes_as_the_page_shows_and_is_created(shop, peer, kind):
    api = peer.default = kind()
    with shop(api.name) as s:
        result = s.order(api.order)
        assert (result["status"], result["order_id"], result["order_key"]) == ("created", api.order_id, "K-1"), result
        assert result["order"] is not None
        again = s.order(api.order, id="job-2")
        assert (again["status"], again["order_id"]) == ("duplicate", api.order_id)
    request, = peer.requests
    assert (request.method, request.target, request.body) == ("POST", api.path, api.order.encode())
    assert request.headers["content-type"] == "application/json"
    for name, value in api.headers.items():
        assert request.headers[name] == value
    assert api.orders == {"K-1": api.orders["K-1"]}


@each
def test_a_refusal_is_read_and_the_key_is_free_again(shop, peer, kind):
    api = kind()
    answer, code, message = api.refused()
    peer.script, peer.default = [answer], api
    with shop(api.name) as s:
        error = s.order(api.order)["error"]
        assert (error["reason"], error["code"], error["message"]) == ("rejected", code, message), error
        assert s.order(api.order, id="job-2")["status"] == "created"
    assert len(peer.posts) == 2 and len(api.orders) == 1


@each
def test_an_unclear_outcome_is_looked_up_or_held(shop, peer, kind):
    """The order was created, and the connection ended before the answer."""
    api = kind()

    def lost(request):
        api(request)
        return HangUp("after")
    peer.script, peer.default = [lost], api
    with shop(api.name) as s:
        result = s.order(api.order)
        if api.finds:
            assert (result["status"], result["order_id"]) == ("created", api.order_id), result
            assert peer.gets[0].headers["authorization"] == api.headers["authorization"]
        else:
            assert result["error"]["reason"] == "unknown_outcome" and not peer.gets
    assert len(peer.posts) == 1 and len(api.orders) == 1


@each
def test_what_is_not_found_is_not_sent_again(shop, peer, kind):
    """It was not created; but no look-up of these proves that."""
    api = kind()
    peer.script, peer.default = [HangUp("after")], api
    with shop(api.name) as s:
        assert s.order(api.order)["error"]["reason"] == "unknown_outcome"
    assert len(peer.posts) == 1 and not api.orders


def test_shipstation_429_waits_as_told(shop, peer):
    api = ShipStation()
    peer.script, peer.default = [Answer(429, {"Message": "Too Many Requests"}, {"X-Rate-Limit-Reset": "1"})], api
    with shop("shipstation") as s:
        assert s.order(api.order)["status"] == "created"
    first, second = peer.posts
    assert 0.9 < second.at - first.at < 10


@pytest.mark.parametrize("code, end", [("THROTTLED", "created"), ("INTERNAL_SERVER_ERROR", "unknown_outcome"), ("BAD_INPUT", "rejected")])
def test_graphql_errors_go_by_their_code(shop, peer, code, end):
    api = GraphQL()
    peer.script, peer.default = [Answer(200, {"errors": [{"message": "no", "extensions": {"code": code}}]})], api
    with shop("graphql") as s:
        result = s.order(api.order)
    assert (result["status"] if end == "created" else result["error"]["reason"]) == end, result
    assert len(peer.posts) == (2 if end == "created" else 1)


def test_graphql_that_says_no_and_yes_is_unknown(shop, peer):
    api = GraphQL()
    peer.script = [Answer(200, {"errors": [{"message": "partial"}], "data": {"orderCreate": {"order": {"id": "1"}, "userErrors": []}}})]
    with shop("graphql") as s:
        error = s.order(api.order)["error"]
    assert (error["reason"], error["code"]) == ("unknown_outcome", "contradictory_answer")
    assert len(peer.posts) == 1
