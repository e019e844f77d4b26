"""`dray sandbox` by itself: the endpoints, look-ups, magic order keys, counts and faults, seen over HTTP."""

import base64
import http.client
import json
import os
import re
import socket
import threading
import time
import urllib.parse
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

import pytest

from lib.process import ROOT, dray
from lib.sandbox import Sandbox
from lib.sandbox_client import (ALL, BASIC, BEARER, CUSTOM, GENERIC, JSON, S2, S2_API, V1, V2, VU, Client, error_text, fixture,
                                id_in)
from lib.wait import wait_until


@pytest.fixture(scope="module")
def module_sandbox():
    with Sandbox("--quiet") as s:
        yield s


@pytest.fixture
def client(module_sandbox):
    c = Client(module_sandbox)
    assert c.ask("POST", "/_sandbox/reset").status == 200
    yield c
    c.connection.close()


@pytest.mark.parametrize("provider", ALL, ids=repr)
def test_an_order_is_created_in_the_providers_form(client, provider):
    answer = client.post(provider, "K-1")
    assert answer.status == (201 if provider is GENERIC else 200)
    assert answer.headers["Content-Type"] == "application/json"
    order_id = id_in(provider, answer.content)
    assert client.count("K-1") == (1, 1, [str(order_id)])
    if provider in (V1, V2, VU):
        assert isinstance(order_id, int) and order_id > 2**31
    if provider is CUSTOM:
        assert re.fullmatch(r"C20\d{6}\d{4,}", order_id)


def test_kakaclo_answers_byte_for_byte(client):
    content = client.post(V2, "K-1").content
    assert re.fullmatch(rb'\{"code":10000,"message":"success","data":\d{13}\}', content)


@pytest.mark.parametrize("provider,inside", [(S2_API, None), (VU, "order")], ids=["s2", "vu"])
def test_whole_orders_have_the_documents_members_and_the_requests_values(client, provider, inside):
    text = json.dumps(provider.order("K-1")).replace("9.99", "9.990")
    raw = client.ask("POST", provider.path, text, provider.headers).content
    got, documented, sent = json.loads(raw), fixture(provider.name, "answer"), json.loads(text)
    if inside:
        got, documented, sent = got[inside], documented[inside], sent[inside]

    def members(value, path=""):
        if isinstance(value, dict):
            for name, v in value.items():
                yield from members(v, f"{path}.{name}")
        elif isinstance(value, list):
            for v in value[:1]:
                yield from members(v, path + "[]")
        else:
            yield path

    # What only exists once an order was shipped is not in a new one; VU's "email" is not in a request.
    later = re.compile(r"\.fulfillments\[\]|\.changes\[\]|\.email$|otherIds")
    wanted = {m for m in members(documented) if not later.search(m) or (provider is S2_API and "email" in m)}
    assert wanted - set(members(got)) == set()
    for name, value in sent.items():
        if name not in ("items", "order_lines", "attachments", "ship_to", "sold_to", "accountId"):
            assert got[name] == value, name
    if provider is S2_API:
        assert raw.count(b'"unitPrice":9.990') == 1
        assert got["account"]["id"] == sent["accountId"]
        assert got["organization"]["id"] == S2["X-S2-Organization"]
        assert [i["product"]["id"] for i in got["items"]] == [i["productId"] for i in sent["items"]]
        assert [a["path"] for a in got["attachments"]] == [a["path"] for a in sent["attachments"]]
    else:
        assert sent["ship_to"].items() <= got["ship_to"].items()
        assert sent["order_lines"][0].items() <= got["order_lines"][0].items()


@pytest.mark.parametrize("provider", ALL, ids=repr)
def test_invalid_orders_are_refused_in_the_providers_form(client, provider):
    broken = provider.order("K-1")
    where = {"kakaclo-v2": "orderAddresses", "kakaclo-v1": "orderItemsList", "kakaclo-custom": "productName",
             "s2": "accountId", "vu": "order", "http-json": "reference"}[provider.name]
    del broken[where]
    answer = client.ask("POST", provider.path, json.dumps(broken), provider.headers)
    assert answer.status == provider.invalid
    text = error_text(provider, answer.content)
    assert where in text and not text.startswith("order."), text
    for body in ("", "nonsense", "[]", '{"a":', '{"a":1} x', '"text"', '\x00', '{"a":"\x00"}', "[" * 5000):
        answer = client.ask("POST", provider.path, body, provider.headers)
        assert answer.status == 400, body[:10]
        assert error_text(provider, answer.content)
    totals = json.loads(client.ask("GET", "/_sandbox/orders").content)["totals"]
    assert totals["created"] == 0 and totals["posts"] == totals["refused"] == 10


def test_vu_b2b_is_required_for_b2b(client):
    order = VU.order("K-1")
    del order["order"]["b2b"]
    answer = client.ask("POST", VU.path, json.dumps(order), BASIC)
    assert answer.status == 422 and "b2b" in error_text(VU, answer.content)
    order["order"]["sales_channel"] = "b2c"
    assert client.ask("POST", VU.path, json.dumps(order), BASIC).status == 200


@pytest.mark.parametrize("provider", ALL[:5], ids=repr)
def test_credentials_of_the_right_kind_are_required(client, provider):
    order = json.dumps(provider.order("K-1"))
    wrong = [None, "Bearer ", "token-1", "Basic !!!!", "Basic " + base64.b64encode(b"no colon").decode(),
             "Basic " + base64.b64encode(b":x").decode()]
    wrong.append(BEARER["Authorization"] if provider is VU else BASIC["Authorization"])
    for value in wrong:
        headers = {**provider.headers, "Authorization": value}
        if value is None:
            del headers["Authorization"]
        answer = client.ask("POST", provider.path, order, headers)
        assert answer.status == 401, value
        assert error_text(provider, answer.content)
    if provider is S2_API:
        assert client.ask("POST", provider.path, order, BEARER).status == 401
    assert client.count("K-1") == (0, 0, [])


def test_vu_says_401_as_documented(client):
    answer = client.ask("POST", VU.path, "{}", JSON)
    assert json.loads(answer.content) == fixture("vu", "answer-401")


def test_wrong_paths_methods_types_and_sizes(client):
    order = json.dumps(V2.order("K-1"))
    assert client.ask("POST", "/openapi/v2/order", order, BEARER).status == 404
    assert client.ask("GET", "/nowhere").status == 404
    assert client.ask("PUT", V2.path, order, BEARER).status == 405
    assert client.ask("POST", V2.path, order, {**BEARER, "Content-Type": "text/plain"}).status == 415
    assert client.ask("POST", V2.path, " " * (2 << 20), BEARER).status == 413
    assert client.ask("GET", "/_sandbox/nowhere").status == 404
    assert client.count("K-1") == (0, 0, [])


def test_a_repeated_key_creates_a_second_order_and_is_counted(client):
    first, second = (id_in(V2, client.post(V2, "K-1").content) for _ in range(2))
    assert first != second
    assert client.count("K-1") == (2, 2, [str(first), str(second)])
    report = json.loads(client.ask("GET", "/_sandbox/orders").content)
    assert [d["key"] for d in report["doubled"]] == ["K-1"]
    assert report["totals"]["doubled"] == 1 and report["totals"]["created"] == 2


def test_keys_are_apart_by_provider_and_credentials(client):
    client.post(V2, "K-1")
    client.post(V1, "K-1")
    client.post(V2, "K-1", Authorization="Bearer token-2")
    report = json.loads(client.ask("GET", "/_sandbox/orders").content)
    assert report["totals"] == {"posts": 3, "created": 3, "refused": 0, "lookups": 0, "keys": 3, "doubled": 0}
    only = json.loads(client.ask("GET", "/_sandbox/orders?provider=kakaclo-v2&account=token-2").content)
    assert len(only["orders"]) == 1
    assert len(json.loads(client.ask("GET", "/_sandbox/orders?limit=2").content)["orders"]) == 2


def test_repeats_can_be_refused(client):
    client.set(repeats="refuse")
    for provider in ALL:
        assert client.post(provider, "K-" + provider.name).status in (200, 201)
        answer = client.post(provider, "K-" + provider.name)
        assert answer.status == (422 if provider.name == "vu" else 409)
        if provider.name == "vu":
            assert json.loads(answer.content) == {"errors": {"order_number": ["has already been taken"]}}
        else:
            error_text(provider, answer.content)
        assert client.count("K-" + provider.name)[:2] == (2, 1)
    assert json.loads(client.post(S2_API, "K-s2").content)["code"] == "ALREADY_EXISTS"


# Magic order keys: the answer of each POST, and how many POSTs created an order.

@pytest.mark.parametrize("provider", ALL, ids=repr)
def test_fail_twice_then_succeed(client, provider):
    key = "K-FAIL503x2"
    statuses = [client.post(provider, key).status for _ in range(3)]
    assert statuses == [503, 503, 201 if provider is GENERIC else 200]
    assert client.count(key)[:2] == (3, 1)


@pytest.mark.parametrize("status", [401, 403, 404, 408, 422, 425, 429, 500, 504])
def test_fail_with_any_status_each_time(client, status):
    key = f"K-FAIL{status}"
    for _ in range(2):
        answer = client.post(V2, key)
        assert answer.status == status
        assert answer.headers["Retry-After"] == ("1" if status == 429 else None)
        assert error_text(V2, answer.content)
    assert client.count(key) == (2, 0, [])


@pytest.mark.parametrize("key", ["K-FAIL301", "K-FAIL308", "K-3XX"])
def test_redirects_point_to_the_same_path(client, key):
    answer = client.post(V2, key)
    assert answer.status == (307 if key == "K-3XX" else int(key[-3:]))
    assert answer.headers["Location"] == V2.path
    assert client.count(key)[:2] == (1, 0)


def test_late_failures_have_created_the_order(client):
    assert client.post(V2, "K-LATE504").status == 504
    assert client.count("K-LATE504")[:2] == (1, 1)


def test_retry_after_in_seconds_and_as_a_date(client):
    answer = client.post(V2, "K-PAUSE1500msx1")
    assert (answer.status, answer.headers["Retry-After"]) == (429, "2")
    assert client.post(V2, "K-PAUSE1500msx1").status == 200
    answer = client.post(V2, "K-BUSY2s")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
    answer = client.post(V2, "K-DATE60s")
    until = parsedate_to_datetime(answer.headers["Retry-After"])
    assert answer.status == 429
    assert timedelta(0) < until - datetime.now(timezone.utc) <= timedelta(seconds=62)
    assert client.count("K-DATE60s")[:2] == (1, 0)


@pytest.mark.parametrize("key,created", [("K-HANGUP", 1), ("K-HANGUPNO", 0)])
def test_hang_ups_give_no_byte_of_an_answer(client, module_sandbox, key, created):
    body = json.dumps(V2.order(key)).encode()
    with socket.create_connection(("127.0.0.1", module_sandbox.port), 20) as s:
        head = f"POST {V2.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        s.sendall((head + "".join(f"{n}: {v}\r\n" for n, v in BEARER.items()) + "\r\n").encode() + body[:100])
        s.settimeout(0.2)
        with pytest.raises(TimeoutError):
            s.recv(1)  # it reads the whole request first
        s.settimeout(20)
        s.sendall(body[100:])
        assert s.recv(1) == b""
    assert client.count(key)[:2] == (1, created)


def test_slow_orders_exist_before_they_are_answered(client, module_sandbox):
    slow = Client(module_sandbox)
    begun = time.monotonic()
    done = threading.Thread(target=lambda: slow.post(V2, "K-SLOW1500ms"))
    done.start()
    wait_until(lambda: client.count("K-SLOW1500ms")[:2] == (1, 1), 10, "the order to exist")
    assert done.is_alive()
    done.join(20)
    assert time.monotonic() - begun >= 1.5


def test_a_client_that_leaves_before_a_slow_answer_is_forgotten(client, module_sandbox):
    for _ in range(20):
        gone = Client(module_sandbox)
        gone.connection.request("POST", V2.path, json.dumps(V2.order("K-SLOW500ms")), BEARER)
        wait_until(lambda: client.count("K-SLOW500ms")[0] > 0, 10, "the POST to arrive")
        gone.connection.close()
    wait_until(lambda: client.count("K-SLOW500ms")[:2] == (20, 20), 10, "all POSTs to arrive")
    assert client.post(V2, "K-1").status == 200


@pytest.mark.parametrize("provider", ALL, ids=repr)
def test_dup_says_409_and_a_lookup_finds_the_order(client, provider):
    for _ in range(2):
        answer = client.post(provider, "K-DUP")
        assert answer.status == 409
        assert error_text(provider, answer.content)
    posts, created, ids = client.count("K-DUP")
    assert (posts, created, len(ids)) == (2, 0, 1)
    if provider is VU:
        assert json.loads(client.get(VU, "?order_number=K-DUP").content)["order"]["id"] == int(ids[0])


@pytest.mark.parametrize("provider", ALL, ids=repr)
def test_the_providers_own_no(client, provider):
    answer = client.post(provider, "K-REJECT")
    assert answer.status == provider.rejected
    assert "turned down" in error_text(provider, answer.content)
    assert client.count("K-REJECT") == (1, 0, [])


def test_answers_that_cannot_be_read(client):
    answer = client.post(V2, "K-HTML")
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/html"
    assert client.count("K-HTML")[:2] == (1, 0)

    answer = client.post(V2, "K-GARBAGE")
    with pytest.raises(ValueError):
        json.loads(answer.content)
    assert answer.status == 200 and client.count("K-GARBAGE")[:2] == (1, 1)

    answer = client.post(V2, "K-EMPTY")
    assert (answer.status, answer.content) == (200, b"") and client.count("K-EMPTY")[:2] == (1, 1)

    answer = client.post(V2, "K-HUGE")
    assert answer.status == 200 and len(answer.content) > 1 << 20 and client.count("K-HUGE")[:2] == (1, 1)


@pytest.mark.parametrize("provider", [V2, S2_API, VU], ids=repr)
def test_a_truncated_answer(client, provider):
    with pytest.raises(http.client.IncompleteRead) as cut:
        client.post(provider, "K-TRUNC")
    assert 0 < len(cut.value.partial) <= cut.value.expected + len(cut.value.partial) // 2 + 1
    client.connection.close()
    assert client.count("K-TRUNC")[:2] == (1, 1)


@pytest.mark.parametrize("provider", ALL, ids=repr)
def test_success_without_an_id(client, provider):
    answer = client.post(provider, "K-NOID")
    assert answer.status in (200, 201)
    with pytest.raises(KeyError):
        id_in(provider, answer.content)
    assert client.count("K-NOID")[:2] == (1, 1)


def test_split_orders(client):
    ids = id_in(V2, client.post(V2, "K-SPLIT3").content)
    assert len(set(ids)) == 3
    assert client.count("K-SPLIT3") == (1, 1, [str(i) for i in ids])
    assert isinstance(id_in(CUSTOM, client.post(CUSTOM, "C-SPLIT3").content), str)


def test_ordinary_keys_are_no_magic(client):
    for key in ("KA-401", "KA-429", "KA-503", "KA-FAIL", "KA-FAIL99", "FAIL503", "KA-hangup", "KA-FAIL503-1"):
        assert client.post(V2, key).status == 200, key


# Look-ups.

def test_kakaclo_list_by_window_and_page(client):
    ids = [str(id_in(V2, client.post(V2, f"K-{i}").content)) for i in range(5)]
    client.post(V2, "K-other", Authorization="Bearer token-2")
    seen = []
    for page in (1, 2, 3):
        data = json.loads(client.get(V2, f"?pageNumber={page}&pageSize=2").content)["data"]
        assert (data["total"], data["pageNumber"], data["pageSize"]) == (5, page, 2)
        seen += [(o["id"], o["customOrderId"]) for o in data["list"]]
    assert seen == [(ids[i], f"K-{i}") for i in range(5)]

    def listed(**query):
        answer = client.get(V2, "?" + urllib.parse.urlencode(query))
        return [o["customOrderId"] for o in json.loads(answer.content)["data"]["list"]]

    now = datetime.now(timezone.utc)
    hour_ago, in_an_hour = ((now + timedelta(hours=h)).strftime("%Y-%m-%dT%H:%M:%SZ") for h in (-1, 1))
    assert len(listed(createStartTime=hour_ago, createEndTime=in_an_hour)) == 5
    assert listed(createStartTime=in_an_hour) == []
    assert listed(createEndTime=hour_ago) == []
    assert listed(ids=f"{ids[1]},{ids[3]},999") == ["K-1", "K-3"]
    for bad in ("?createStartTime=yesterday", "?pageSize=251", "?pageSize=0", "?pageNumber=0"):
        assert client.get(V2, bad).status == 400
    assert client.get(V2, headers=JSON).status == 401


def test_s2_list_by_term_and_by_id(client):
    made = [json.loads(client.post(S2_API, key).content) for key in ("K-1", "K-10", "L-2")]
    found = json.loads(client.get(S2_API, "?term=K-1&limit=100").content)
    assert found == {"items": made[:2], "total": 2}  # whole orders; a term also matches a part
    page = json.loads(client.get(S2_API, "?limit=1&offset=1").content)
    assert (page["total"], page["items"]) == (3, made[1:2])
    assert json.loads(client.ask("GET", "/order/" + made[2]["id"], headers=S2).content) == made[2]
    assert client.ask("GET", "/order/nonsense", headers=S2).status == 404
    assert client.ask("GET", "/order/" + made[2]["id"], headers={**S2, "Authorization": "Bearer t"}).status == 404
    assert client.get(S2_API, "?limit=101").status == 400


def test_vu_lookup_is_exact(client):
    made = json.loads(client.post(VU, "K-1").content)
    assert json.loads(client.get(VU, "?order_number=K-1").content) == made
    answer = client.get(VU, "?order_number=K-")
    assert answer.status == 404 and error_text(VU, answer.content)
    assert client.get(VU).status == 422


def test_generic_lookups(client):
    made = json.loads(client.post(GENERIC, "a/b 1").content)
    assert json.loads(client.get(GENERIC, "/a%2Fb%201").content) == made
    assert json.loads(client.get(GENERIC, "?reference=a%2Fb%201").content) == {"items": [made], "total": 1}
    assert client.get(GENERIC, "/a").status == 404


def test_the_index_lags_for_lists_and_not_for_exact_lookups(client):
    client.set(index_lag="1h")
    order_id = json.loads(client.post(S2_API, "K-1").content)["id"]
    client.post(V2, "K-1")
    client.post(VU, "K-1")
    assert json.loads(client.get(S2_API, "?term=K-1").content)["total"] == 0
    assert json.loads(client.get(V2).content)["data"]["total"] == 0
    assert client.ask("GET", "/order/" + order_id, headers=S2).status == 200
    assert client.get(VU, "?order_number=K-1").status == 200
    client.set(index_lag="100ms")
    wait_until(lambda: json.loads(client.get(V2).content)["data"]["total"] == 1, 10, "the order to be listed")


# Settings at run time, faults at random, bounds.

def test_down_and_up_again_also_for_one_account_only(client):
    client.set(down=1)
    assert client.post(V2, "K-1").status == 503 and client.get(V2).status == 503
    client.set(down="hangup")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        client.post(V2, "K-1")
    client.connection.close()
    client.set(down=0)
    client.set(account="token-1", down=401)
    assert client.post(V2, "K-1").status == 401
    assert client.post(V2, "K-1", Authorization="Bearer token-2").status == 200
    client.set(account="token-1", down=0)
    assert client.post(V2, "K-1").status == 200
    client.set(account="key-1", latency="300ms")
    begun = time.monotonic()
    client.post(VU, "K-1")
    assert time.monotonic() - begun >= 0.3


def test_a_wrong_setting_changes_nothing(client):
    before = json.loads(client.ask("GET", "/_sandbox").content)["settings"]
    for query in ("latency=50ms&fail_rate=2", "nonsense=1", "down=20", "slow=1"):
        answer = client.ask("POST", "/_sandbox/set?" + query)
        assert answer.status == 400 and json.loads(answer.content)["message"]
    assert json.loads(client.ask("GET", "/_sandbox").content)["settings"] == before


def test_latency_and_rates(client):
    assert client.set(latency="100-200ms")["settings"]["latency_ms"] == [100, 200]
    begun = time.monotonic()
    client.post(V2, "K-1")
    assert time.monotonic() - begun >= 0.1
    client.set(latency=0, fail_rate=1)
    assert client.post(V2, "K-1").status in (500, 502, 503, 504)
    client.set(fail_rate=0.5)
    statuses = [client.post(V2, f"F-{i}").status for i in range(200)]
    assert 60 < statuses.count(200) < 140  # the seed is fixed: this is the same every time
    assert sum(client.count(f"F-{i}")[1] for i in range(200)) == statuses.count(200)
    client.set(fail_rate=0, hangup_rate=1)
    created = 0
    for i in range(20):
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            client.post(V2, f"H-{i}")
        client.connection.close()
        created += client.count(f"H-{i}")[1]
    assert 0 < created < 20
    client.set(hangup_rate=0, slow_rate=1, slow="300ms")
    begun = time.monotonic()
    assert client.post(V2, "K-2").status == 200
    assert time.monotonic() - begun >= 0.3


def test_arrivals_per_account(client):
    begun = time.time() * 1000
    for _ in range(3):
        client.post(V2, "K-1")
    client.post(VU, "K-1")
    seen = json.loads(client.ask("GET", "/_sandbox/arrivals?account=token-1").content)
    assert seen["count"] == 3 and len(seen["arrivals_ms"]) == 3
    assert begun - 1 <= seen["arrivals_ms"][0] <= seen["arrivals_ms"][2] <= time.time() * 1000 + 1
    assert json.loads(client.ask("GET", "/_sandbox/arrivals?account=key-1").content)["count"] == 1
    assert client.ask("GET", "/_sandbox/arrivals").status == 400


def test_ids_do_not_repeat_after_a_reset(client):
    first = id_in(V2, client.post(V2, "K-1").content)
    client.ask("POST", "/_sandbox/reset")
    assert client.count("K-1") == (0, 0, [])
    assert id_in(V2, client.post(V2, "K-1").content) > first


def test_a_full_sandbox_says_so_and_forgets_nothing():
    with Sandbox("--remember", "2") as sandbox:
        client = Client(sandbox)
        assert [client.post(V2, f"K-{i}").status for i in range(3)] == [200, 200, 507]
        assert client.post(V2, "K-0").status == 507  # a second order would not fit either
        assert client.count("K-0") == (2, 1, client.count("K-0")[2])
        assert client.count("K-2") == (0, 0, [])
        client.ask("POST", "/_sandbox/reset")
        assert client.post(V2, "K-2").status == 200
        sandbox.process.wait_line(lambda line: "--remember" in line)
        assert sum("--remember" in line for line in sandbox.process.stderr_lines) == 1
    with Sandbox("--memory", "1K") as sandbox:
        client = Client(sandbox)
        assert client.post(S2_API, "K-1").status == 507


def test_many_connections_with_delayed_answers():
    with Sandbox("--latency", "200ms") as sandbox:
        clients = [Client(sandbox) for _ in range(300)]
        begun = time.monotonic()
        for i, c in enumerate(clients):
            c.connection.request("POST", V2.path, json.dumps(V2.order(f"K-{i}")), BEARER)
        assert {c.connection.getresponse().status for c in clients} == {200}
        assert time.monotonic() - begun < 300 * 0.2 / 2  # side by side
        assert sandbox.orders()["totals"] == {
            "posts": 300, "created": 300, "refused": 0, "lookups": 0, "keys": 300, "doubled": 0}


def test_stopping_with_delayed_answers_is_clean():
    with Sandbox("--slow-rate", "1", "--slow", "1h") as sandbox:
        waiting = Client(sandbox)
        waiting.connection.request("POST", V2.path, json.dumps(V2.order("K-1")), BEARER)
        wait_until(lambda: sandbox.orders()["totals"]["created"] == 1, 10, "the order to exist")


def test_verbose_prints_a_line_per_request():
    with Sandbox("--verbose") as sandbox:
        client = Client(sandbox)
        client.post(V2, "K-FAIL503x1")
        client.post(V2, "K-\x1b[2J")
        sandbox.process.wait_line(lambda l: l == f'POST {V2.path} "K-FAIL503x1" 503 after 0 ms', 10, "stdout")
        sandbox.process.wait_line(lambda l: "\\u001b" in l and "\x1b" not in l, 10, "stdout")


@pytest.mark.parametrize("flags", [
    ["--listen", "nonsense"], ["--listen", "127.0.0.1:99999"], ["--latency", "fast"], ["--fail-rate", "2"],
    ["--nonsense"], ["--seed"], ["--remember", "x"], ["--memory", "much"], ["word"]])
def test_wrong_flags(flags):
    done = dray("sandbox", *flags)
    assert done.returncode == 2
    assert done.stderr.startswith(b"dray sandbox: ")


def test_a_taken_port_is_said():
    with Sandbox() as sandbox:
        done = dray("sandbox", "--listen", f"127.0.0.1:{sandbox.port}")
        assert done.returncode == 1 and b"cannot listen" in done.stderr


def test_help_and_docs_list_the_same_magic_keys():
    text = dray("sandbox", "--help").stdout.decode()
    rows = re.findall(r"^  -(\S+) +(\S.*)$", text, re.M)
    rows = [(word, what) for word, what in rows if not word.startswith("-")]
    assert len(rows) >= 18
    with open(os.path.join(ROOT, "docs", "sandbox.md"), encoding="utf-8") as f:
        docs = f.read()
    for word, what in rows:
        assert f"| `-{word}` | {what} |" in docs
    for flag in re.findall(r"^  (--[a-z-]+)", text, re.M):
        assert f"`{flag}" in docs, flag
