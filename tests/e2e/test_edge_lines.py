"""Whose answer is it? Connections on which bytes come that nobody asked for, that the server closes when they are idle, and HTTP/2
streams that were refused unread. Every test ends with the peer's own ledger."""

import socket
import ssl
import struct
import threading
import time

import pytest

from lib.admin import AdminWorld
from lib.edge_peer import Act, EdgePeer, page
from lib.peer import Answer, certificate
from lib.wait import wait_until
from lib.world import QUEUE, QUICK, World

TIMES = {**QUICK, "on_unknown": "lookup", "lookup_delay": "20ms", "lookup_attempts": "4"}
FORMS = ["kakaclo-v2", "vu", "s2", "http-json", "http-json, a list"]


@pytest.fixture(params=["http", "https"])
def edge_peer(request):
    with EdgePeer(tls=request.param == "https") as peer:
        yield peer


@pytest.fixture
def plain_peer():
    with EdgePeer() as peer:
        yield peer


class Shops(AdminWorld):
    """A worker with an account for each shop {name: form} of an EdgePeer."""

    def __init__(self, redis, peer, shops, worker=None, queue=None, **account):
        super().__init__(redis, peer, "kakaclo-v2", start=True, queue=queue, worker=worker)
        self.peer = peer
        self.told = {}
        more = {"ca_file": peer.cert} if peer.tls else {}
        for name, form in shops.items():
            shop = peer.open_shop(name, form)
            self.config[f"account {name}"] = shop.settings(peer.url, queue=QUEUE, **{**TIMES, **more, **account})
        self.daemon.set_config(self.config)

    def order(self, shop, key):
        """Sends it and waits for its result."""
        self.push_order(shop, key)
        return self.wait_told(1)[key]

    def push_order(self, shop, key):
        self.push(self.job(key, provider=self.peer.shops[shop].form.data, key=key, account=shop))

    def wait_told(self, count, deadline=30.0):
        told = {r["order_key"]: r for r in self.results(count, deadline)}
        self.told.update(told)
        return told

    def ledger(self):
        """Nothing is created twice, nothing told created that is not, no id told that is another's."""
        for key, result in self.told.items():
            own = [str(i) for shop in self.peer.shops.values() for i in shop.made_of(key)]
            assert len(own) <= 1, f"{key} was created as {own}"
            if result["status"] in ("created", "duplicate"):
                assert result["order_id"] in own, f"{key} was told {result['order_id']}, which is {self.peer.owner_of(result['order_id'])}'s"
            elif result["error"]["reason"] != "unknown_outcome":
                assert not own, f"{key} was told {result['error']}, and exists as {own}"

    def strays(self):
        return sum(v for name, v in self.metrics().items() if name.startswith("dray_http_stray_answers_total"))


def twice(again):
    """The order is created and answered, and answered once more."""
    return Act(lambda shop, request, honest: Answer(honest.status, honest.body, again=again), makes=True)


def refused():
    return Act(lambda shop, request, honest: shop.form.refused)


# -- case 1: a second answer ------------------------------------------------------------------------------

@pytest.mark.parametrize("form", FORMS)
def test_a_second_answer_on_a_kept_connection_is_nobody_elses(empty_redis, edge_peer, form):
    with Shops(empty_redis, edge_peer, {"one": form}) as world:
        shop, told = edge_peer.shops["one"], threading.Event()
        shop.posts = [twice(told), refused()]
        assert world.order("one", "A")["status"] == "created"
        told.set()
        wait_until(lambda: edge_peer.repeats == 1, 10, "the second answer")
        result = world.order("one", "B")
        assert (result["status"], result["error"]["reason"]) == ("failed", "rejected"), result
        first, second = edge_peer.posts
        assert second.connection != first.connection
        assert world.strays() == 1
        assert world.order("one", "C")["status"] == "created"
        world.ledger()


@pytest.mark.parametrize("form", FORMS)
def test_orders_behind_a_second_answer_are_not_each_others(empty_redis, edge_peer, form):
    """The second answer comes while the next request is under way already: what it is answered is in doubt, and whatever
    follows on that connection would be the answer of the one before it."""
    with Shops(empty_redis, edge_peer, {"one": form}, queue={"concurrency": "1"}) as world:
        edge_peer.shops["one"].posts = [twice(0.25)]
        for n in range(12):
            world.push_order("one", f"K{n}")
        told = world.wait_told(12)
        assert sum(r["status"] == "created" for r in told.values()) >= 11, told
        world.ledger()


def test_a_late_second_answer_on_every_other_order(empty_redis, edge_peer):
    with Shops(empty_redis, edge_peer, {"one": "kakaclo-v2"}, queue={"concurrency": "2"}) as world:
        edge_peer.shops["one"].posts = [twice(0.03 if n % 2 else None) for n in range(40)]
        for n in range(40):
            world.push_order("one", f"K{n}")
        world.wait_told(40, 60)
        world.ledger()


# -- case 28: … and across the accounts that share the connection ------------------------------------------

def test_a_second_answer_is_not_another_accounts(empty_redis, edge_peer):
    with Shops(empty_redis, edge_peer, {"one": "kakaclo-v2", "two": "kakaclo-v2"}) as world:
        edge_peer.shops["one"].posts = [twice(0.05)]
        edge_peer.shops["two"].posts = [refused()]
        assert world.order("one", "A")["status"] == "created"
        wait_until(lambda: edge_peer.repeats == 1, 10, "the second answer")
        assert world.order("two", "B")["error"]["reason"] == "rejected"
        assert world.order("two", "B")["status"] == "created"  # its key is free: nothing of it was created
        assert world.strays() == 1
        world.ledger()


def test_a_second_answer_while_another_accounts_order_is_under_way(empty_redis, edge_peer):
    with Shops(empty_redis, edge_peer, {"one": "kakaclo-v2", "two": "kakaclo-v2"}, queue={"concurrency": "1"}) as world:
        edge_peer.shops["one"].posts = [twice(0.25)]
        for n in range(6):
            world.push_order("one" if n % 2 == 0 else "two", f"K{n}")
        world.wait_told(6)
        world.ledger()


def test_a_late_408_is_nobodys_answer(empty_redis, edge_peer):
    """Some servers say 408 to a connection that was idle, and then close it."""
    with Shops(empty_redis, edge_peer, {"one": "kakaclo-v2"}) as world:
        late = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        edge_peer.shops["one"].posts = [Act(lambda s, r, h: Answer(200, h.text(), tail=late), makes=True)]
        assert world.order("one", "A")["status"] == "created"
        assert world.order("one", "B")["status"] == "created"
        assert len(edge_peer.shops["one"].posted) == 2
        world.ledger()


# -- case 9: a server that closes idle connections ---------------------------------------------------------

class Far:
    """A wire that is `delay` seconds long, each way."""

    def __init__(self, port, delay):
        self.port_there, self.delay = port, delay
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                here, _ = self.listener.accept()
            except OSError:
                return
            there = socket.create_connection(("127.0.0.1", self.port_there))
            for a, b in ((here, there), (there, here)):
                threading.Thread(target=self._carry, args=(a, b), daemon=True).start()

    def _carry(self, source, sink):
        try:
            while data := source.recv(65536):
                time.sleep(self.delay)
                sink.sendall(data)
            time.sleep(self.delay)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


@pytest.mark.parametrize("says", [False, True], ids=["without a word", "Keep-Alive: timeout"])
def test_a_server_that_closes_idle_connections_costs_no_unknown_outcome(empty_redis, plain_peer, says):
    """An order comes about when the server gives the connection up, on a wire where that crosses the request."""
    idle = 1.0
    plain_peer.idle_close = idle
    with Shops(empty_redis, plain_peer, {"one": "kakaclo-v1"}) as world:  # no look-up would hide it
        far = Far(plain_peer.port, 0.05)  # which TCP's own measure of the way does not see
        world.config["account one"]["base_url"] = f"http://127.0.0.1:{far.port}"
        world.daemon.set_config(world.config)
        world.daemon.stop()
        world.start()
        if says:
            act = Act(lambda s, r, h: Answer(200, h.body, {"Keep-Alive": "timeout=1"}), makes=True)
            plain_peer.shops["one"].posts = [act] * 99
        # The first two may teach what the server does; then the waits go around the moment at which it closes.
        told = []
        for n in range(16):
            told.append(world.order("one", f"K{n}"))
            time.sleep(idle - 0.15 + 0.01 * n)
        assert [r["status"] for r in told] == ["created"] * 16, [r["error"] for r in told if r["error"]]
        world.ledger()
        far.close()


# -- case 12: HTTP/2 ---------------------------------------------------------------------------------------

class H2Peer:
    """As much HTTP/2 as it takes to refuse streams: answers the request number n by `script[n]`: "refused" (RST_STREAM,
    REFUSED_STREAM), "goaway" (the last stream is the one before it, and the connection ends), or the bytes of a body."""

    DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7

    def __init__(self, directory, script):
        self.cert, key = certificate(directory)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.cert, key)
        self.context.set_alpn_protocols(["h2"])
        self.script, self.requests = list(script), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                plain, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(self.context.wrap_socket(plain, server_side=True),), daemon=True).start()
            except OSError:
                return

    def _frame(self, line, kind, flags, stream, payload=b""):
        line.sendall(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload)

    def _serve(self, line):
        reader = line.makefile("rb")
        assert reader.read(24).startswith(b"PRI * HTTP/2.0")
        self._frame(line, self.SETTINGS, 0, 0)
        last = 0
        try:
            while head := reader.read(9):
                size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
                stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
                reader.read(size)
                if kind == self.SETTINGS and not flags & 1:
                    self._frame(line, self.SETTINGS, 1, 0)
                if kind in (self.HEADERS, self.DATA) and flags & 1:  # END_STREAM: the whole request
                    last = self._answer(line, stream, last)
        except (OSError, ValueError):
            pass

    def _answer(self, line, stream, last):
        what = self.script.pop(0)
        self.requests.append(what)
        if what == "refused":
            self._frame(line, self.RST_STREAM, 0, stream, struct.pack(">I", 7))
        elif what == "goaway":
            self._frame(line, self.GOAWAY, 0, 0, struct.pack(">II", last, 0))
            line.shutdown(socket.SHUT_WR)
            line.settimeout(10)
            while line.recv(65536):  # closed with something unread, it would be a reset, which may overtake the GOAWAY
                pass
            raise OSError
        else:
            self._frame(line, self.HEADERS, 4, stream, b"\x88")  # :status 200
            self._frame(line, self.DATA, 1, stream, what)
            return stream
        return last

    def close(self):
        self.listener.close()


MADE = b'{"code":10000,"message":"ok","data":9007199254740995}'


@pytest.mark.parametrize("script", [["refused", MADE], ["goaway", MADE], ["refused", "refused", "goaway", MADE]],
                         ids=["REFUSED_STREAM", "GOAWAY below the stream", "one after the other"])
def test_a_stream_that_was_refused_unread_is_sent_again(empty_redis, tmp_path, script):
    peer = H2Peer(str(tmp_path), script)
    account = {"ca_file": peer.cert, "on_unknown": "hold", "max_attempts": "1"}
    with World(empty_redis, base_url=peer.url, account=account) as world:
        world.send("one")
        result = world.result()
        assert (result["status"], result["order_id"]) == ("created", "9007199254740995"), result
        assert peer.requests == script
    peer.close()


def test_a_stream_that_was_reset_in_another_way_is_unknown(empty_redis, tmp_path):
    class Reset(H2Peer):
        def _answer(self, line, stream, last):
            self.requests.append(self.script.pop(0))
            self._frame(line, self.RST_STREAM, 0, stream, struct.pack(">I", 2))  # INTERNAL_ERROR
            return last

    peer = Reset(str(tmp_path), ["reset", "reset"])
    with World(empty_redis, base_url=peer.url, account={"ca_file": peer.cert, "on_unknown": "hold"}) as world:
        world.send("one")
        assert world.result()["error"]["reason"] == "unknown_outcome"
        assert peer.requests == ["reset"]
    peer.close()


def test_pages_of_gateways_are_used_up_with_their_connection(empty_redis, edge_peer):
    """504 with a body, kept connection: what follows is the next order's own."""
    with Shops(empty_redis, edge_peer, {"one": "kakaclo-v2"}, queue={"concurrency": "1"}) as world:
        edge_peer.shops["one"].posts = [Act(page(502))] * 3
        for n in range(6):
            world.push_order("one", f"K{n}")
        told = world.wait_told(6)
        assert sorted(r["status"] for r in told.values()) == ["created"] * 3 + ["failed"] * 3, told
        world.ledger()
