"""A peer that plays the providers at socket level and keeps its own ledger: each account (told apart by its
credentials) is a shop with a script of what its POSTs and its look-ups are answered; after the script,
and for control orders, it is honest. What a shop really made is what a test compares with what was told."""

import base64
import gzip
import itertools
import json
import threading
from dataclasses import dataclass
from typing import Callable
from urllib.parse import parse_qs, unquote, urlsplit

from .peer import Answer, HangUp, Peer
from .providers import PROVIDERS

CONTROL = "CTRL-"  # keys of orders that are created and found without trouble
FIRST_ID = 9007199254740993  # beyond what a double holds


# -- the providers' own words ---------------------------------------------------------------------------

@dataclass
class Form:
    """How a kind of provider speaks. `page` shows a shop's orders [(key, id)] to a look-up; `asked` reads the key
    that a look-up is about (None: it asks for a list of all)."""
    provider: str
    settings: dict
    made: Callable       # order, id -> body
    refused: Answer
    page: Callable       # shop, request -> Answer
    asked: Callable      # request -> key
    finds: bool = True   # dray has a look-up for it
    exact: bool = False  # … whose "not there" may prove something
    echoes: bool = False  # the answer shows the order's key

    @property
    def data(self):
        return PROVIDERS[self.provider]

    def make_id(self, number):
        if self.provider == "s2":
            return f"ae52b0ab-8f0c-4b11-9c13-{number:012d}"
        return f"C20260101{number % 10**8}" if self.provider == "kakaclo-custom" else FIRST_ID + number


def query(request):
    return {k: v[0] for k, v in parse_qs(urlsplit(request.target).query, keep_blank_values=True).items()}


def kakaclo_made(order, order_id):
    return {"code": 10000, "message": "ok", "data": order_id}


def kakaclo_page(shop, request):
    number = int(query(request).get("pageNumber", 1))
    orders = [{"id": i, "customOrderId": k} for k, i in shop.made] if number == 1 else []
    return Answer(200, {"code": 10000, "message": "ok", "data": {"list": orders, "total": len(shop.made)}})


SEARCH = "/openapi/v1/product/custom/orders/search"  # a look-up by POST


def kakaclo_search(shop, request):
    orders = [{"demandNo": i, "customOrderId": k} for k, i in shop.made] if request.json["pageNumber"] == 1 else []
    return Answer(200, {"code": 10000, "message": "ok", "data": {"list": orders, "total": len(shop.made)}})


def s2_order(key, order_id):
    return {"id": order_id, "channelOrderId": key, "status": "UNFULFILLED"}


def s2_page(shop, request):
    items = [s2_order(k, i) for k, i in shop.made if query(request)["term"] in k]
    return Answer(200, {"items": items, "total": len(items)})


def vu_order(key, order_id):
    return {"order": {"id": order_id, "order_number": key, "status": "new_order"}}


VU_ABSENT = Answer(404, {"errors": "[API] Order not found"})


def vu_page(shop, request):
    key = query(request)["order_number"]
    return next((Answer(200, vu_order(k, i)) for k, i in shop.made if k == key), VU_ABSENT)


def json_order(key, order_id):
    return {"result": {"ok": True, "id": order_id}, "reference": key}


JSON_ABSENT = Answer(404, {"error": {"code": "NO_SUCH_ORDER"}})
JSON_PATH = "/v3/orders/"


def json_key(request):
    return unquote(urlsplit(request.target).path[len(JSON_PATH):])


def json_one(shop, request):
    return next((Answer(200, json_order(k, i)) for k, i in shop.made if k == json_key(request)), JSON_ABSENT)


def json_list(shop, request):
    return Answer(200, {"items": [{"reference": k, "id": i} for k, i in shop.made if k == query(request)["ref"]]})


def json_pages(shop, request):
    """An order a page, the oldest first; those of before are on the first pages."""
    orders = [(f"OLD-{n}", n) for n in range(3)] + shop.made
    page = int(query(request)["page"])
    return Answer(200, {"items": [{"reference": k, "id": i} for k, i in orders[page - 1:page]]})


KAKACLO_NO = Answer(200, {"code": 20013, "message": "sku is off the shelf"})
JSON_NO = Answer(200, {"result": {"ok": False}, "error": {"code": "E7"}})
EXACT = {"lookup_path": JSON_PATH + "{key}", "lookup_key_pointer": "/reference", "lookup_id_pointer": "/result/id",
         "lookup_exact": "yes", "on_absent": "retry", "code_pointer": "/error/code", "lookup_absent_pointer": "/error/code", "lookup_absent_value": "NO_SUCH_ORDER"}
LIST = {"lookup_path": "/v3/orders?ref={key}", "lookup_items_pointer": "/items", "lookup_key_pointer": "/reference",
        "lookup_id_pointer": "/id", "code_pointer": "/error/code"}

PAGES = {**LIST, "lookup_path": "/v3/orders", "lookup_page_param": "page", "lookup_exact": "yes", "on_absent": "retry"}

FORMS = {
    "kakaclo-v2": Form("kakaclo-v2", {}, kakaclo_made, KAKACLO_NO, kakaclo_page, lambda r: None),
    "kakaclo-v1": Form("kakaclo-v1", {}, kakaclo_made, KAKACLO_NO, kakaclo_page, lambda r: None),
    "kakaclo-custom": Form("kakaclo-custom", {}, kakaclo_made, KAKACLO_NO, kakaclo_page, lambda r: None, finds=False),
    "kakaclo-custom, look-up": Form("kakaclo-custom", {"lookup": "yes"}, kakaclo_made, KAKACLO_NO, kakaclo_search, lambda r: None),
    "s2": Form("s2", {}, lambda o, i: s2_order(o["channelOrderId"], i), Answer(400, {"message": "no (reference ID 1)"}), s2_page,
               lambda r: query(r)["term"], echoes=True),
    "vu": Form("vu", {}, lambda o, i: vu_order(o["order"]["order_number"], i), Answer(422, {"errors": "no"}), vu_page,
               lambda r: query(r)["order_number"], exact=True, echoes=True),
    "http-json": Form("http-json", EXACT, lambda o, i: json_order(o["reference"], i), JSON_NO, json_one, json_key, exact=True),
    "http-json, a list": Form("http-json", LIST, lambda o, i: json_order(o["reference"], i), JSON_NO, json_list,
                              lambda r: query(r)["ref"]),
    "http-json, exact pages": Form("http-json", PAGES, lambda o, i: json_order(o["reference"], i), JSON_NO, json_pages, lambda r: None,
                                   exact=True),
    "http-json, no look-up": Form("http-json", {"code_pointer": "/error/code"}, lambda o, i: json_order(o["reference"], i),
                                  JSON_NO, json_one, json_key, finds=False),
}


# -- what a script may say ------------------------------------------------------------------------------

@dataclass
class Act:
    """One answer. `answer` is an action of lib.peer, or a function of (shop, request, honest answer) that gives one."""
    answer: object
    makes: bool = False
    name: str = ""

    def __call__(self, shop, request, honest):
        return self.answer(shop, request, honest) if callable(self.answer) else self.answer


def changed(status=None, body=None, **headers):
    """The honest answer, with another status or with its body as `body` makes it."""
    def make(shop, request, honest):
        data = honest.text()
        return Answer(status or honest.status, body(data) if body else data, {k.replace("_", "-"): v for k, v in headers.items()})
    return make


def compressed(shop, request, honest):
    return Answer(honest.status, gzip.compress(honest.text()), {"Content-Encoding": "gzip"})


def page(status):
    """A web page, as gateways, firewalls and routers answer."""
    return Answer(status, f"<html><h1>{status}</h1></html>", {"Content-Type": "text/html"})


def text(status, words):
    return Answer(status, words, {"Content-Type": "text/plain"})


def cut_short(shop, request, honest):
    return Answer(honest.status, honest.body, cut=max(1, len(honest.text()) // 2))


HANG_UP, RESET = HangUp("after"), HangUp("after", reset=True)


# -- the peer -------------------------------------------------------------------------------------------

class Shop:
    def __init__(self, name, form, ids, posts=(), gets=(), control=True):
        self.name, self.form, self.ids = name, form, ids
        self.posts, self.gets = list(posts), list(gets)
        self.control_found = control
        self.made = []       # (key, id), in order
        self.posted = []     # keys
        self.looked_up = []  # keys; None: the list
        self.for_good = False

    def settings(self, url, **more):
        data = self.form.data
        token = {"key": self.name, "secret": "x"} if data.name == "vu" else {"token": self.name}
        return data.settings(url, **{"rate": "0", **self.form.settings, **token, **more})

    def made_of(self, key):
        return [i for k, i in self.made if k == key]

    def post(self, request):
        key = self.form.data.key_of(request.json)
        self.posted.append(key)
        act = None
        if not key.startswith(CONTROL) and self.posts:
            act = self.posts.pop(0)
        number = self.form.make_id(next(self.ids))
        honest = Answer(200, self.form.made(request.json, number))
        if act is None or act.makes:
            self.made.append((key, number))
        return honest if act is None else act(self, request, honest)

    def get(self, request):
        key = self.form.asked(request)
        self.looked_up.append(key)
        honest = self.form.page(self, request)
        if key is not None and key.startswith(CONTROL):
            return honest if self.control_found else self.form.page(Shop(self.name, self.form, self.ids), request)
        if not self.gets:
            return honest
        act = self.gets[0] if self.for_good and len(self.gets) == 1 else self.gets.pop(0)
        return act(self, request, honest)


class EdgePeer(Peer):
    """`shops`: add them before their requests come. One lock for all: a shop's ledger is exact."""

    def __init__(self, **more):
        super().__init__(self._handle, **more)
        self.shops = {}
        self.turn = threading.Lock()
        self.ids = itertools.count(1)

    def open_shop(self, name, form, **more):
        self.shops[name] = Shop(name, FORMS[form], self.ids, **more)
        return self.shops[name]

    def _handle(self, request):
        with self.turn:
            shop = self.shops[credentials(request)]
            looks = request.method == "GET" or request.path == SEARCH
            return shop.get(request) if looks else shop.post(request)

    def owner_of(self, order_id):
        """(account, key) of an order that exists."""
        return next(((s.name, k) for s in self.shops.values() for k, i in s.made if str(i) == str(order_id)), None)


def credentials(request):
    kind, _, rest = request.headers["authorization"].partition(" ")
    return base64.b64decode(rest).decode().partition(":")[0] if kind == "Basic" else rest


