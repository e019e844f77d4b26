"""The table of the edge: what a peer does to an order's POST and to look-ups, and what dray must make of it. Each
row has an account, an order, and a shop of its own at one peer (lib/edge_peer.py). The expectations are those
of "What an answer means" in docs/protocol.md, written down here once more and on purpose."""

from dataclasses import dataclass, field

from .edge_peer import FORMS, HANG_UP, RESET, Act, changed, compressed, cut_short, page, text
from .peer import Answer

CREATED, DUPLICATE = "created", "duplicate"
REJECTED, UNKNOWN, INVALID, EXHAUSTED = "rejected", "unknown_outcome", "invalid", "exhausted"


@dataclass
class Row:
    form: str
    post: str             # in words, for the table
    want: str             # the result's status, or the dead letter's reason
    posts: int            # POSTs of the order
    orders: int           # orders that exist at the peer afterwards
    acts: list = field(default_factory=list)   # what POSTs are answered, then honestly
    look: str = "honest"  # in words
    gets: list = field(default_factory=list)   # what look-ups of the order are answered, then honestly
    for_good: bool = False  # the last of `gets` over and over
    control: bool = True  # an order of the account is known before; "blind": it is, but look-ups do not find it
    code: str | None = None   # of the error
    says: str | None = None   # somewhere in the dead letter
    looks: int | None = None  # look-ups of the order
    key: str | None = None
    account: dict = field(default_factory=dict)
    case: int | None = None   # of the field's cases

    @property
    def name(self):
        tail = f", look-up {self.look}" if self.look != "honest" else ""
        return f"{self.form}: {self.post}{tail}"


ROWS = []


def row(form, post, want, posts, orders, answer=None, makes=False, times=1, **more):
    acts = [Act(answer, makes)] * times if answer is not None else []
    ROWS.append(Row(form, post, want, posts, orders, acts=acts, **more))


# -- the outcome is unknown: whoever answered may not know what became of the order --------------------------

UNCLEAR = {
    **{str(s): page(s) for s in (500, 502, 504, 520, 524, 527, 599, 408, 499)},
    "301": Answer(301, b"", {"Location": "/orders/1"}), "302": Answer(302, b"", {"Location": "/orders/1"}),
    "303": Answer(303, b"", {"Location": "/orders/1"}),
    "hangs up": HANG_UP, "RST": RESET, "cut short": cut_short,
}
CASES_OF_UNCLEAR = {("kakaclo-v2", "502"): 10, ("http-json", "502"): 10, ("kakaclo-v2", "303"): 30}


def unclear(form, names, makes):
    how = FORMS[form]
    for name in names:
        post = f"{name}, {'created' if makes else 'not created'}"
        case = CASES_OF_UNCLEAR.get((form, name)) if makes else None
        if makes and how.finds:
            row(form, post, CREATED, 1, 1, UNCLEAR[name], True, case=case)
        elif not makes and how.exact:
            row(form, post, CREATED, 2, 1, UNCLEAR[name], case=case)
        else:
            row(form, post, UNKNOWN, 1, int(makes), UNCLEAR[name], makes, case=case)


unclear("kakaclo-v2", UNCLEAR, True)
unclear("kakaclo-v2", ["502", "303", "hangs up"], False)
unclear("vu", ["500", "502", "504", "408", "499", "303", "hangs up", "cut short"], True)
unclear("vu", ["500", "504", "408", "303", "RST"], False)
unclear("http-json", ["500", "502", "520", "302", "hangs up", "cut short"], True)
unclear("http-json", ["502", "527", "hangs up"], False)
unclear("http-json, a list", ["504", "RST"], True)
unclear("http-json, a list", ["504"], False)
unclear("http-json, exact pages", ["504", "hangs up"], True)
unclear("http-json, exact pages", ["504", "hangs up"], False)
unclear("http-json, no look-up", ["500", "502", "hangs up"], True)
unclear("s2", ["500", "504", "301", "hangs up"], True)
unclear("s2", ["502", "hangs up"], False)
unclear("kakaclo-v1", ["502", "hangs up"], True)
unclear("kakaclo-custom", ["504", "cut short"], True)
unclear("kakaclo-custom, look-up", ["504", "hangs up"], True)
unclear("kakaclo-custom, look-up", ["502"], False)

# -- any other 2xx: never sent again, whatever a look-up says -------------------------------------------------

def other_key(body):
    return body.replace(b"K-", b"X-")


def without_id(body):
    return body.replace(b'"data"', b'"date"').replace(b'"id"', b'"ID"')


def blank_id(blank):
    def change(body):
        head, _, tail = body.partition(b'"data": ' if b'"data"' in body else b'"id": ')
        name = b'"data": ' if b'"data"' in body else b'"id": '
        rest = tail[min(i for i in (tail.find(b","), tail.find(b"}")) if i >= 0):]
        return head + name + b'"' + blank + b'"' + rest
    return change


def name_twice(body):
    for name, no in ((b'{"code"', b'{"code":500,"code"'), (b'{"order": {"id"', b'{"order": {"id":1,"id"'),
                     (b'{"id"', b'{"id":"1","id"'), (b'{"ok"', b'{"ok":false,"ok"')):
        if name in body:
            return body.replace(name, no, 1)
    raise AssertionError(body)


VAGUE = {
    **{f"{s} without a body": Answer(s, b"") for s in (200, 201, 202, 204)},
    "200 and a web page": page(200), "200 as text": text(200, "OK"), "200 []": Answer(200, b"[]"), "200 null": Answer(200, b"null"),
    "202 accepted": Answer(202, {"status": "accepted"}),
    "201 without an id": changed(201, without_id), "a blank id": changed(200, blank_id(b"  ")),
    "an id of control characters": changed(200, blank_id(b"\\u0000\\n")), "a name twice": changed(200, name_twice),
    "200 cut short": cut_short, "another key": changed(201, other_key),
}
CASES_OF_VAGUE = {("vu", "202 without a body"): 4, ("kakaclo-v2", "a name twice"): 11, ("vu", "another key"): 3,
                  ("http-json", "200 and a web page"): 26}


def vague(form, names, found):
    """`found`: a look-up shows the order. Else none was made, and a look-up says so: no second POST follows."""
    for name in names:
        case = CASES_OF_VAGUE.get((form, name)) if not found or form == "kakaclo-v2" else None
        if found and FORMS[form].finds:
            row(form, f"{name}, created", CREATED, 1, 1, VAGUE[name], True, looks=1, case=case)
        elif found:
            row(form, f"{name}, created", UNKNOWN, 1, 1, VAGUE[name], True, case=case)
        else:
            row(form, f"{name}, not created", UNKNOWN, 1, 0, VAGUE[name], case=case)


vague("kakaclo-v2", [n for n in VAGUE if n != "another key"], True)
vague("kakaclo-v2", ["200 without a body", "201 without an id", "202 accepted", "204 without a body"], False)
vague("vu", ["200 without a body", "202 without a body", "another key", "a name twice", "200 and a web page", "a blank id"], True)
vague("vu", [n for n in VAGUE if n not in ("200 null", "200 cut short", "a name twice", "another key")], False)
vague("http-json", ["201 without an id", "a name twice", "202 accepted"], True)
vague("http-json", ["200 without a body", "201 without a body", "202 without a body", "204 without a body", "200 and a web page",
                    "200 []", "an id of control characters"], False)
vague("http-json, no look-up", ["204 without a body", "200 as text"], True)
vague("s2", ["200 without a body", "another key", "a name twice", "a blank id"], True)
vague("s2", ["202 without a body", "201 without an id"], False)
vague("kakaclo-v1", ["202 accepted", "a name twice"], True)
vague("kakaclo-custom", ["201 without an id", "a blank id", "200 and a web page"], True)

row("vu", "201 with id 901 and the key in capitals", UNKNOWN, 1, 0,
    lambda s, r, h: Answer(201, {"order": {"id": 901, "order_number": r.json["order"]["order_number"].upper()}}), key="K-ord-7",
    says="901", case=3)
row("s2", "200 with id 902 and the key with blanks", UNKNOWN, 1, 0,
    lambda s, r, h: Answer(200, {"id": "902", "channelOrderId": f" {r.json['channelOrderId']} "}), says="902")

# -- a yes in another dress ------------------------------------------------------------------------------------

BOM = b"\xef\xbb\xbf"
for name in ("kakaclo-v2", "vu", "http-json", "s2"):
    row(name, "a byte order mark before the answer", CREATED, 1, 1, changed(200, lambda b: BOM + b), True, looks=0)
    row(name, "gzip, not asked for", CREATED, 1, 1, compressed, True, looks=0, case=31)
for name, status in (("kakaclo-v2", 201), ("vu", 201), ("http-json", 202), ("kakaclo-custom", 202)):
    row(name, f"a whole answer with {status}", CREATED, 1, 1, changed(status), True, looks=0)

# -- nothing was done ------------------------------------------------------------------------------------------

ONE = {"max_attempts": "1"}  # the first answer may not burn it
for status in (421, 511, 521, 522, 523, 525, 526):
    row("kakaclo-v2", f"{status}", CREATED, 2, 1, page(status), looks=0, account=ONE)
for status in (421, 522):
    row("vu", f"{status}", CREATED, 2, 1, page(status), account=ONE)
for status in (404, 425, 503):
    row("kakaclo-v2", f"{status}", CREATED, 2, 1, page(status), looks=0)
row("vu", "404", CREATED, 2, 1, page(404))
row("http-json", "425", CREATED, 2, 1, page(425))
row("vu", "503, created", CREATED, 1, 1, page(503), True)
row("vu", "503, not created", CREATED, 2, 1, page(503))
row("kakaclo-v2", "404 each time", EXHAUSTED, 3, 0, page(404), times=9, account={"max_attempts": "3"})

# -- too many requests: the account pauses, no attempt burns ---------------------------------------------------

for name in ("kakaclo-v2", "vu", "s2"):
    row(name, "429 three times, without Retry-After", CREATED, 4, 1, page(429), times=3, account=ONE, case=7)
row("kakaclo-v2", "429, Retry-After: 0.3", CREATED, 2, 1, Answer(429, b"", {"Retry-After": "0.3"}), account=ONE, case=14)
row("kakaclo-v2", "429, Retry-After: soon", CREATED, 2, 1, Answer(429, b"", {"Retry-After": "soon"}), account=ONE)
row("kakaclo-v2", "503, Retry-After: 1", CREATED, 2, 1, Answer(503, b"", {"Retry-After": "1"}))
row("vu", "503, Retry-After: 1, created", CREATED, 1, 1, Answer(503, b"", {"Retry-After": "1"}), True)

# -- the account is refused: it is held, and a probe goes through ----------------------------------------------

for name in ("kakaclo-v2", "vu", "s2", "http-json"):
    for status in (401, 403):
        row(name, f"{status} once", CREATED, 2, 1, page(status), account=ONE)
row("kakaclo-v2", "403 six times, nobody else goes through", CREATED, 7, 1, page(403), times=6, account=ONE)
row("kakaclo-v2", "407 twice", CREATED, 3, 1, page(407), times=2, account=ONE, case=13)

# -- the provider says no --------------------------------------------------------------------------------------

for name in FORMS:
    if "," not in name:
        row(name, "its own no", REJECTED, 1, 0, FORMS[name].refused, looks=0)
for status in (400, 405, 410, 413, 422, 307, 308):
    row("kakaclo-v2", f"{status}", REJECTED, 1, 0, page(status), looks=0)
for status in (400, 307):
    row("vu", f"{status}", REJECTED, 1, 0, page(status), looks=0)
for name in ("kakaclo-v2", "vu", "s2", "http-json"):
    row(name, "409, it exists", DUPLICATE, 1, 1, Answer(409, {"code": "ALREADY_EXISTS"}), True)
row("vu", "409, it does not exist", REJECTED, 1, 0, Answer(409, {"code": "ALREADY_EXISTS"}))
for name in ("kakaclo-v2", "s2", "http-json, a list", "http-json, no look-up", "kakaclo-custom"):
    row(name, "409, it does not exist", UNKNOWN, 1, 0, Answer(409, {"code": "ALREADY_EXISTS"}))

# -- the account's own lists of codes --------------------------------------------------------------------------

CODE = Answer(200, {"code": 20044, "message": "…"})
row("kakaclo-v2", "a code in retry_codes", CREATED, 2, 1, CODE, account={"retry_codes": "20044"})
row("kakaclo-v2", "a code in hold_codes", CREATED, 2, 1, CODE, account={"hold_codes": "20044", **ONE})
row("kakaclo-v2", "a code in pause_codes", CREATED, 2, 1, CODE, account={"pause_codes": "20044", **ONE})
row("kakaclo-v2", "a code in duplicate_codes", DUPLICATE, 1, 1, CODE, True, account={"duplicate_codes": "20044"})
row("kakaclo-v2", "a code in unknown_codes", CREATED, 1, 1, CODE, True, account={"unknown_codes": "20044"})
row("kakaclo-v2", "500 in retry_codes", CREATED, 2, 1, page(500), looks=0, account={"retry_codes": "http:500"})
row("kakaclo-v2", "500 in reject_codes", REJECTED, 1, 0, page(500), looks=0, account={"reject_codes": "http:500"})
row("kakaclo-v2", "422 in unknown_codes, created", CREATED, 1, 1, page(422), True, account={"unknown_codes": "http:422"})
row("vu", "500, on_unknown = hold", UNKNOWN, 1, 1, page(500), True, looks=0, account={"on_unknown": "hold"})
row("kakaclo-v2", "hangs up, on_unknown = resend", CREATED, 2, 1, HANG_UP, looks=0, account={"on_unknown": "resend"})
row("kakaclo-v2", "202 without a body, on_unknown = resend", UNKNOWN, 1, 0, Answer(202, b""), account={"on_unknown": "resend"})

# -- look-ups that say nothing of the order --------------------------------------------------------------------

OWN_404 = lambda s, r, h: s.form.page(type(s)(s.name, s.form, s.ids), r)  # "no such order", in the provider's own words  # noqa: E731


def other_order(shop, request, honest):
    return Answer(honest.status, honest.text().replace(b"K-", b"X-"))


def empty_with_total(shop, request, honest):
    body = {"code": 10000, "message": "ok", "data": {"list": [], "total": 7}} if "kakaclo" in shop.form.provider \
        else {"items": [], "total": 7}
    return Answer(200, body)


def twice_in_page(shop, request, honest):
    return Answer(200, honest.text().replace(b'"code": 10000', b'"code": 500, "code": 10000').replace(b'"items"', b'"items": [], "items"')
                  .replace(b'{"order": {"id"', b'{"order": {"id": 1, "id"').replace(b'{"ok"', b'{"ok": false, "ok"'))


NOTHING_SAID = {
    "404 of a router, as text": text(404, "404 page not found\n"), "404 and a web page": page(404), "404 without a body": Answer(404, b""),
    "404 {}": Answer(404, b"{}"), "404 of a gateway, as JSON": Answer(404, {"message": "no Route matched with those values"}),
    "200 and a web page": page(200), "200 without a body": Answer(200, b""), "204": Answer(204, b""), "500": page(500), "502": page(502),
    "410": page(410), "302": Answer(302, b"", {"Location": "/login"}), "hangs up": HANG_UP, "cut short": cut_short,
    "another order": other_order, "a name twice": twice_in_page, "401": page(401), "403 of a firewall": page(403),
}
SOMETIMES = {"vu": list(NOTHING_SAID), "http-json": list(NOTHING_SAID),
             "kakaclo-v2": ["404 of a router, as text", "200 and a web page", "200 without a body", "500", "hangs up", "another order",
                            "a name twice", "401"],
             "s2": ["404 and a web page", "200 without a body", "502", "another order"]}
ALWAYS = {"vu": ["404 of a router, as text", "404 and a web page", "404 without a body", "404 {}", "404 of a gateway, as JSON",
                 "200 and a web page", "200 without a body", "204", "500", "410", "another order"],
          "http-json": ["404 of a router, as text", "404 without a body", "404 {}", "404 of a gateway, as JSON", "204", "another order"],
          "kakaclo-v2": ["200 without a body", "500", "another order"], "s2": ["404 and a web page", "204"]}
CASES_OF_LOOKS = {("vu", "404 of a router, as text"): 2}

for name, looks in SOMETIMES.items():
    for look in looks:
        row(name, "hangs up, created", CREATED, 1, 1, HANG_UP, True, look=f"once {look}", gets=[Act(NOTHING_SAID[look])],
            case=CASES_OF_LOOKS.get((name, look)))
for name, looks in ALWAYS.items():
    for look in looks:
        row(name, "hangs up, created", UNKNOWN, 1, 1, HANG_UP, True, look=f"always {look}", gets=[Act(NOTHING_SAID[look])], for_good=True,
            account={"max_age": "2s"} if look == "500" else {})  # an outage of look-ups burns none of them

for name in ("kakaclo-v2", "s2", "http-json, a list"):
    row(name, "hangs up, created", CREATED, 1, 1, HANG_UP, True, look="once an empty page whose total is 7", gets=[Act(empty_with_total)])
for name in ("vu", "http-json"):
    row(name, "504, created", CREATED, 1, 1, page(504), True, look="once its own words, then it is there", gets=[Act(OWN_404)])
    row(name, "504, created", UNKNOWN, 1, 1, page(504), True, look="its own words, of all orders", gets=[Act(OWN_404)], for_good=True,
        control="blind")
    row(name, "hangs up, not created", UNKNOWN, 1, 0, HANG_UP, control=False, look="its own words, no order is known")
    row(name, "504, created", UNKNOWN, 1, 1, page(504), True, look="its own words, on_absent = hold", gets=[Act(OWN_404)], for_good=True,
        account={"on_absent": "hold"}, case=27 if name == "vu" else None)
    row(name, "hangs up, created", CREATED, 1, 1, HANG_UP, True, look="six times 429", gets=[Act(page(429))] * 6,
        account={"lookup_attempts": "2"}, case=33)
for name in ("kakaclo-v2", "vu", "http-json", "s2"):
    row(name, "hangs up, created", CREATED, 1, 1, HANG_UP, True, look="gzip, not asked for", gets=[Act(compressed)], looks=1, case=31)
    row(name, "hangs up, created", CREATED, 1, 1, HANG_UP, True, look="a byte order mark", gets=[Act(changed(200, lambda b: BOM + b))],
        looks=1)

# -- keys in paths ---------------------------------------------------------------------------------------------

for key in (".", ".."):
    row("http-json", f"the key is {key}", INVALID, 0, 0, key=key, case=8)
for key in ("K-../x", "K-%2e%2e", "K-a?b#c", "K- é"):
    row("http-json", f"hangs up, created; the key is {key}", CREATED, 1, 1, HANG_UP, True, key=key, case=8 if ".." in key else None)
row("http-json", "hangs up, created; the key is K-a/b", UNKNOWN, 1, 1, HANG_UP, True, key="K-a/b",
    look="the server decodes first: its own words", gets=[Act(OWN_404)], for_good=True, case=32)
