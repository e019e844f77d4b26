"""`dray sandbox` by itself: magic order keys of the edge, i.e. of answers and look-ups that prove nothing. Over raw HTTP."""

import gzip
import json
import select
import socket
import time

import pytest

from lib.sandbox import Sandbox
from lib.sandbox_client import ALL, BEARER, CUSTOM, GENERIC, S2_API, V1, V2, VU, Client, error_text, id_in
from lib.wait import SLOW

ECHO = [S2_API, VU, GENERIC]
LOOKED_UP = [V2, S2_API, VU, GENERIC]


@pytest.fixture
def client(sandbox):
    c = Client(sandbox)
    assert c.ask("POST", "/_sandbox/reset").status == 200
    yield c
    c.connection.close()


class Line:
    """One connection, seen byte by byte."""

    def __init__(self, sandbox):
        self.socket = socket.create_connection(("127.0.0.1", sandbox.port), 20)
        self.reader = self.socket.makefile("rb")

    def post(self, key):
        body = json.dumps(V2.order(key))
        head = f"POST {V2.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        self.socket.sendall((head + "".join(f"{n}: {v}\r\n" for n, v in BEARER.items()) + "\r\n" + body).encode())

    def answer(self):
        """The next answer's status, headers and body; None: the connection was closed."""
        first = self.reader.readline()
        if not first:
            return None
        headers = {}
        while (line := self.reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return int(first.split()[1]), headers, self.reader.read(int(headers["content-length"]))

    def silent_for(self, seconds):
        return not select.select([self.socket], [], [], seconds)[0]

    def close(self):
        self.reader.close()
        self.socket.close()


@pytest.fixture
def line(sandbox):
    one = Line(sandbox)
    yield one
    one.close()


# -- answers to the POST -------------------------------------------------------------------------------

def test_twice_answers_again_on_the_same_connection(client, line):
    line.post("K-TWICEx1")
    status, _, first = line.answer()
    assert line.silent_for(0.1)
    assert line.answer()[::2] == (status, first)  # 0.2 s later, and nobody asked
    line.post("K-2")
    assert line.answer()[2] != first
    assert client.count("K-TWICEx1")[:2] == (1, 1)


def test_the_second_answer_is_taken_for_that_of_the_next_order(client, line):
    """What a client sees that does not look before it sends."""
    line.post("K-TWICEx1")
    first = line.answer()[2]
    time.sleep(0.4)
    line.post("K-REJECT")
    assert line.answer()[2] == first
    assert json.loads(line.answer()[2])["code"] == 20001
    assert client.count("K-REJECT")[:2] == (1, 0)


def test_a_client_that_left_has_no_second_answer(client, sandbox):
    for n in range(5):
        gone = Line(sandbox)
        gone.post(f"K-{n}-TWICE")
        gone.answer()
        gone.close()
    time.sleep(0.4)
    assert client.post(V2, "K-1").status == 200


def test_keep_alive_closes_when_idle(client, line):
    begun = time.monotonic()
    line.post("K-KEEPALIVE1s")
    _, headers, _ = line.answer()
    assert headers["keep-alive"] == "timeout=1"
    assert line.answer() is None
    assert 1 <= time.monotonic() - begun < 5 * SLOW


def test_keep_alive_of_all_connections_counts_from_the_last_answer(client, sandbox, line):
    client.set(keep_alive="2s")
    for n in range(3):
        line.post(f"K-{n}")
        assert "keep-alive" not in line.answer()[1]
        assert line.silent_for(0.8)
    begun = time.monotonic()
    assert line.answer() is None
    assert time.monotonic() - begun < 5 * SLOW
    client.connection.close()


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_yes_without_a_body(client, status):
    answer = client.post(VU, f"K-YES{status}")
    assert (answer.status, answer.content) == (status, b"")
    assert client.count(f"K-YES{status}")[:2] == (1, 1)


@pytest.mark.parametrize("status", [502, 504, 520])
def test_a_gateway_gives_up_on_an_order_that_was_created(client, status):
    answer = client.post(V2, f"K-GATEWAY{status}")
    assert (answer.status, answer.headers["Content-Type"]) == (status, "text/html")
    assert client.count(f"K-GATEWAY{status}")[:2] == (1, 1)


def test_a_redirect_after_the_order_was_created(client):
    answer = client.post(V2, "K-LATE303")
    assert answer.status == 303 and answer.headers["Location"]
    assert client.count("K-LATE303")[:2] == (1, 1)


def test_a_firewall_refuses_one_order_only(client):
    answer = client.post(V2, "K-BLOCKED403")
    assert (answer.status, answer.headers["Content-Type"]) == (403, "text/html")
    assert client.count("K-BLOCKED403")[:2] == (1, 0)
    assert client.post(V2, "K-1").status == 200


@pytest.mark.parametrize("key, header", [("K-RATE429", None), ("K-FRACTION3500ms", "3.5"), ("K-FRACTION250ms", "0.25"),
                                         ("K-FRACTION2s", "2")])
def test_a_rate_limit_with_and_without_a_time(client, key, header):
    answer = client.post(V2, key)
    assert (answer.status, answer.headers["Retry-After"]) == (429, header)
    assert client.count(key)[:2] == (1, 0)


@pytest.mark.parametrize("provider", ALL, ids=repr)
def test_a_spent_balance_refuses_all_orders_of_the_account_until_it_is_topped_up(client, provider):
    def refused(key):
        answer = client.post(provider, key)
        assert answer.status == provider.rejected
        assert "balance" in error_text(provider, answer.content)
        if provider in (V2, V1, CUSTOM):
            assert json.loads(answer.content)["code"] == 20017
        assert client.count(key)[:2] == (1, 0)

    account = "key-1" if provider is VU else "token-1"
    refused("K-REFUSEALLx1")
    refused("K-1")
    if provider is not VU:
        assert client.post(provider, "K-2", Authorization="Bearer token-2").status in (200, 201)
    client.set(balance="enough", account=account)
    assert client.post(provider, "K-1").status in (200, 201)
    assert client.post(provider, "K-REFUSEALLx1").status in (200, 201)


def test_balance_is_a_flag_too():
    with Sandbox("--balance", "spent") as broke:
        client = Client(broke)
        assert json.loads(client.post(V2, "K-1").content) == {"code": 20017, "message": "Insufficient balance"}
        client.set(balance="enough")
        assert id_in(V2, client.post(V2, "K-1").content)


@pytest.mark.parametrize("provider", ALL, ids=repr)
def test_a_byte_order_mark_and_compression(client, provider):
    content = client.post(provider, "K-BOM").content
    assert content[:3] == b"\xef\xbb\xbf" and id_in(provider, content.decode("utf-8-sig"))
    answer = client.post(provider, "K-GZIP")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert str(id_in(provider, gzip.decompress(answer.content))) in client.count("K-GZIP")[2]


@pytest.mark.parametrize("provider, name, values", [(V2, "code", [500, 10000]), (CUSTOM, "code", [500, 10000]), (S2_API, "id", ["0", str]),
                                                    (VU, "id", [1, int]), (GENERIC, "status", ["error", "ok"])],
                         ids=["kakaclo-v2", "kakaclo-custom", "s2", "vu", "http-json"])
def test_a_name_stands_twice(client, provider, name, values):
    twice = []

    def look(pairs):
        found = [v for k, v in pairs if k == name]
        twice.extend([found] if len(found) > 1 else [])
        return dict(pairs)

    json.loads(client.post(provider, "K-CODETWICE").content, object_pairs_hook=look)
    [[no, yes]] = twice
    assert no == values[0] and (isinstance(yes, values[1]) if isinstance(values[1], type) else yes == values[1])
    assert client.count("K-CODETWICE")[:2] == (1, 1)


@pytest.mark.parametrize("provider", ECHO, ids=repr)
def test_another_key(client, provider):
    content = client.post(provider, "K-OTHERKEY").content
    assert b'"ANOTHER-ORDER"' in content and b"K-OTHERKEY" not in content
    assert str(id_in(provider, content)) in client.count("K-OTHERKEY")[2]


@pytest.mark.parametrize("provider", ALL, ids=repr)
def test_another_id_and_a_blank_one(client, provider):
    first = id_in(provider, client.post(provider, "K-1").content)
    assert id_in(provider, client.post(provider, "K-OTHERID").content) == first
    assert str(first) not in client.count("K-OTHERID")[2]
    assert id_in(provider, client.post(provider, "K-BLANKID").content) == " "
    assert client.count("K-BLANKID")[:2] == (1, 1)


# -- look-ups ------------------------------------------------------------------------------------------

def look_up(client, provider, key):
    query = {V2: "?pageNumber=1&pageSize=100", S2_API: f"?term={key}", VU: f"?order_number={key}", GENERIC: f"/{key}"}[provider]
    return client.get(provider, query)


def post_and_lose(client, provider, key):
    try:
        client.post(provider, key)
        raise AssertionError("there was an answer")
    except OSError:  # RemoteDisconnected and ConnectionResetError are both
        client.connection.close()
    assert client.count(key)[:2] == (1, 1)


def shows(provider, answer, key):
    return answer.status == 200 and key.encode() in answer.content


@pytest.mark.parametrize("provider", LOOKED_UP, ids=repr)
@pytest.mark.parametrize("ending, status, text", [
    ("LOOKUP429", 429, b""), ("LOOKUP500", 500, b""), ("ROUTER404", 404, b"404 page not found\n"), ("LOOKUPEMPTY", 200, b""),
    ("LOOKUPHTML", 200, b"<!DOCTYPE html>")])
def test_a_look_up_is_answered_by_somebody_else(client, provider, ending, status, text):
    key = f"K-{ending}x1"
    post_and_lose(client, provider, key)
    answer = look_up(client, provider, key)
    assert answer.status == status and answer.content.startswith(text)
    assert answer.headers["Retry-After"] == ("1" if status == 429 else None)
    assert ending != "LOOKUPEMPTY" or answer.content == b""
    assert shows(provider, look_up(client, provider, key), key)


@pytest.mark.parametrize("provider", LOOKED_UP, ids=repr)
def test_a_look_up_gets_no_answer(client, provider):
    post_and_lose(client, provider, "K-LOOKUPHANGUPx1")
    with pytest.raises(OSError):
        look_up(client, provider, "K-LOOKUPHANGUPx1")
    client.connection.close()
    assert shows(provider, look_up(client, provider, "K-LOOKUPHANGUPx1"), "K-LOOKUPHANGUPx1")


@pytest.mark.parametrize("provider", LOOKED_UP, ids=repr)
def test_blind_look_ups_say_what_they_say_of_an_order_that_is_not_there(client, provider):
    key = "K-LATE504-LOOKUPBLINDx2"
    nothing = look_up(client, provider, key)
    assert client.post(provider, key).status == 504
    for _ in range(2):
        blind = look_up(client, provider, key)
        assert blind.status == nothing.status
        if provider is not S2_API:
            assert blind.content == nothing.content
    assert shows(provider, look_up(client, provider, key), key)


@pytest.mark.parametrize("provider, total", [(V2, 2), (S2_API, 1)], ids=repr)
def test_an_empty_page_whose_total_counts_the_order(client, provider, total):
    key = "K-LOOKUPEMPTYTOTALx1"
    client.post(provider, "K-1")
    post_and_lose(client, provider, key)
    page = json.loads(look_up(client, provider, key).content)
    page = page["data"] if provider is V2 else page
    assert page.get("list", page.get("items")) == [] and page["total"] == total
    assert shows(provider, look_up(client, provider, key), key)


@pytest.mark.parametrize("provider", LOOKED_UP, ids=repr)
def test_the_order_stands_there_under_another_key(client, provider):
    key = "K-LOOKUPOTHERx1"
    post_and_lose(client, provider, key)
    answer = look_up(client, provider, key)
    assert shows(provider, answer, "ANOTHER-ORDER") and key.encode() not in answer.content
    assert shows(provider, look_up(client, provider, key), key)
