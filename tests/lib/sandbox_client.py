"""The sandbox as a client sees it: its endpoints, with orders of the providers' documents."""

import base64
import http.client
import json
import os
import urllib.parse

from .process import ROOT

JSON = {"Content-Type": "application/json"}
BEARER = {**JSON, "Authorization": "Bearer token-1"}
S2 = {**BEARER, "X-S2-Organization": "95d73baf-76ba-4bea-86ac-1534c5e5d4aa"}
BASIC = {**JSON, "Authorization": "Basic " + base64.b64encode(b"key-1:secret").decode()}


def fixture(provider, name="order"):
    with open(os.path.join(ROOT, "tests", "fixtures", provider, name + ".json"), encoding="utf-8") as f:
        return json.load(f)


def _vu(order, key):
    order["order"]["order_number"] = key
    order["order"]["b2b"] = {}  # required for b2b, and missing from the document's example


class Provider:
    def __init__(self, name, path, headers, set_key, invalid=400, rejected=400):
        self.name, self.path, self.headers, self.set_key = name, path, headers, set_key
        self.invalid, self.rejected = invalid, rejected

    def order(self, key):
        order = {"reference": None, "lines": [1.50]} if self.name == "http-json" else fixture(self.name)
        self.set_key(order, key)
        return order

    def __repr__(self):
        return self.name


V2 = Provider("kakaclo-v2", "/openapi/v2/order/orders", BEARER, lambda o, k: o.update(customOrderId=k), 400, 200)
V1 = Provider("kakaclo-v1", "/openapi/v1/order/order", BEARER, lambda o, k: o.update(CustomOrderNumber=k), 400, 200)
CUSTOM = Provider("kakaclo-custom", "/openapi/v1/product/custom/order", BEARER,
                  lambda o, k: o.update(customOrderId=k), 400, 200)
S2_API = Provider("s2", "/order", S2, lambda o, k: o.update(channelOrderId=k))
VU = Provider("vu", "/api/v1/orders", BASIC, _vu, 422, 422)
GENERIC = Provider("http-json", "/json/orders", BEARER, lambda o, k: o.update(reference=k), 422, 200)
ALL = [V2, V1, CUSTOM, S2_API, VU, GENERIC]


class Client:
    """One keep-alive connection."""

    def __init__(self, sandbox):
        self.connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=20)

    def ask(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body=body, headers=headers or {})
        answer = self.connection.getresponse()
        answer.content = answer.read()
        return answer

    def post(self, provider, key, **headers):
        return self.ask("POST", provider.path, json.dumps(provider.order(key)), {**provider.headers, **headers})

    def get(self, provider, query="", headers=None):
        return self.ask("GET", provider.path + query, headers=headers or provider.headers)

    def set(self, **settings):
        answer = self.ask("POST", "/_sandbox/set?" + urllib.parse.urlencode(settings))
        assert answer.status == 200, answer.content
        return json.loads(answer.content)

    def count(self, key):
        """(POSTs, orders created, ids) of one order key."""
        found = json.loads(self.ask("GET", "/_sandbox/orders?key=" + urllib.parse.quote(key)).content)["orders"]
        assert len(found) <= 1, found
        return (found[0]["posts"], found[0]["created"], found[0]["ids"]) if found else (0, 0, [])


def id_in(provider, content):
    answer = json.loads(content)
    if provider in (V2, V1, CUSTOM):
        assert answer["code"] == 10000
        return answer["data"]
    return answer["order"]["id"] if provider is VU else answer["id"]


def error_text(provider, content):
    answer = json.loads(content)
    if provider in (V2, V1, CUSTOM):
        assert isinstance(answer["code"], int) and answer["code"] != 10000
        return answer["message"]
    if provider is VU:
        return answer["errors"]
    if provider is S2_API:
        assert "reference ID" in answer["message"]
    return answer["message"]
