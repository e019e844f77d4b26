"""An HTTP peer at socket level that answers, or misbehaves, exactly as a test says.

    peer = Peer([Answer(503), Answer(200, body)])      # one entry per request, in order of arrival
    peer = Peer(lambda request: Answer(200, …))        # or a function of the request
    peer = Peer(default=HangUp())                      # after the script, and without one

What a connection does before its first byte is `accept`: "serve", "hangup" (close at once), "rst",
"never" (the kernel completes the connection, nobody reads), "full" (the backlog is full: a connection
attempt gets no answer). It may be changed at any time with set_accept().
"""

import json
import os
import select
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field

from .wait import wait_until


@dataclass
class Request:
    method: str
    target: str
    headers: dict          # names in lower case
    body: bytes
    connection: int        # which connection, counted from 0
    nth: int               # which request of this connection, counted from 0
    at: float              # time.monotonic() when the whole request had been read

    @property
    def path(self):
        return self.target.partition("?")[0]

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Answer:
    """A whole answer, after `delay` seconds. `body` may be bytes, str, or anything for json.dumps.

    `cut`: only so many bytes of the body are sent (the head promises all), then the connection ends.
    `close`: "Connection: close", and done. `chunked`: in two chunks. `dribble`: seconds between bytes.
    `again`: it is sent once more, so many seconds later, or once the event is set. `early`: it is sent when the request's head has been read,
    and once more when the body has (of the script only).
    """
    status: int = 200
    body: object = b""
    headers: dict = field(default_factory=dict)
    delay: float = 0
    cut: int | None = None
    close: bool = False
    chunked: bool = False
    dribble: float = 0
    reset: bool = False    # with `cut`: RST instead of FIN
    again: float | threading.Event | None = None
    tail: bytes = b""      # follows the answer at once, though nobody asked for it
    early: bool = False

    def text(self):
        if isinstance(self.body, bytes):
            return self.body
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()

    def head(self, body):
        lines = [f"HTTP/1.1 {self.status} Status"]
        names = {k.lower() for k in self.headers}
        if "content-type" not in names:
            lines.append("Content-Type: application/json")
        lines.append("Transfer-Encoding: chunked" if self.chunked else f"Content-Length: {len(body)}")
        if self.close:
            lines.append("Connection: close")
        lines += [f"{k}: {v}" for k, v in self.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


@dataclass
class HangUp:
    """Ends the connection: `when` "after" the whole request was read, "head" (after its head), or
    "before" (nothing of it read). With `reset` the peer sends RST instead of FIN."""
    when: str = "after"
    reset: bool = False
    delay: float = 0


@dataclass
class Raw:
    """Bytes as they are, then the connection ends (or stays open and silent, with `keep`)."""
    data: bytes = b""
    keep: bool = False


@dataclass
class Silence:
    """The request is read and never answered; the connection stays open until the client ends it."""


def certificate(directory):
    """A self-signed certificate for 127.0.0.1: the paths of certificate and key."""
    cert, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


class Peer:
    def __init__(self, script=None, default=None, accept="serve", tls=False):
        self.lock = threading.Lock()
        self.script = [] if script is None or callable(script) else list(script)
        self.default = script if callable(script) else (default if default is not None else Answer(200, b"{}"))
        self.accept_mode = accept
        self.requests = []
        self.connections = 0
        self.repeats = 0       # answers that were sent again
        self.idle_close = None  # seconds after which a silent connection is ended
        self.errors = []
        self.dir = None
        self.tls = None
        if tls:
            self.dir = tempfile.mkdtemp(prefix="dray-peer-")
            self.cert, key = certificate(self.dir)
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(self.cert, key)
        self.port = 0
        self._stopping = False
        self._open = set()
        self._fillers = []

    # -- life ---------------------------------------------------------------------------------------

    def start(self):
        self._stopping = False
        self._listen()
        return self

    def _listen(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(0 if self.accept_mode == "full" else 512)
        self.port = self.listener.getsockname()[1]
        if self.accept_mode == "full":
            self._fill_backlog()
        self._thread = threading.Thread(target=self._accept_loop, args=(self.listener,), daemon=True)
        self._thread.start()

    def _fill_backlog(self):
        # listen(0) lets the kernel hold one connection; further SYNs are dropped.
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def stop(self):
        """Nobody listens any more: connecting is refused. All connections end."""
        self._stopping = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self._thread.join(5)
        self.drop_connections()
        for filler in self._fillers:
            filler.close()
        self._fillers = []

    def drop_connections(self):
        with self.lock:
            connections = list(self._open)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def set_accept(self, mode):
        """Takes the same port again with another way of accepting."""
        self.stop()
        self.accept_mode = mode
        self.start()

    def close(self):
        self.stop()
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)
        assert not self.errors, f"the peer itself failed: {self.errors}"

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    # -- what it saw --------------------------------------------------------------------------------

    @property
    def posts(self):
        """The POSTs whose whole body was read."""
        with self.lock:
            return [r for r in self.requests if r.method == "POST"]

    @property
    def connects(self):
        """What came as to a proxy."""
        with self.lock:
            return [r for r in self.requests if r.method == "CONNECT"]

    @property
    def gets(self):
        with self.lock:
            return [r for r in self.requests if r.method == "GET"]

    def wait_posts(self, count, deadline=15.0):
        wait_until(lambda: len(self.posts) >= count, deadline,
                   lambda: f"{count} POSTs at the peer; it saw {len(self.posts)}")
        return self.posts

    # -- serving ------------------------------------------------------------------------------------

    def _accept_loop(self, listener):
        if self.accept_mode in ("never", "full"):
            while not self._stopping:
                time.sleep(0.02)
            return
        while not self._stopping:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                number = self.connections
                self.connections += 1
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, plain, number):
        connection = plain
        try:
            if self.accept_mode == "hangup":
                return
            if self.accept_mode == "rst":
                self._reset(connection)
                return
            if self.tls:
                connection = self.tls.wrap_socket(plain, server_side=True)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._requests_of(connection, number)
        except (OSError, ssl.SSLError):
            pass  # the client went away, or stop() did
        except Exception as error:  # a mistake in a test's function: shown when the peer is closed
            self.errors.append(repr(error))
        finally:
            with self.lock:
                self._open.discard(plain)
            connection.close()

    def _requests_of(self, connection, number):
        reader = connection.makefile("rb")
        nth = 0
        while not self._stopping:
            if nth and self.idle_close is not None and not select.select([connection], [], [], self.idle_close)[0]:
                return
            early = self._peek()
            if isinstance(early, HangUp) and early.when == "before":
                if connection.recv(1, socket.MSG_PEEK) == b"":  # waits for the request's first byte
                    return
                self._next(None)
                time.sleep(early.delay)
                self._end(connection, early.reset)
                return
            first = reader.readline(65536)
            if not first:
                return
            method, target, _ = first.decode("latin-1").split(" ", 2)
            headers = {}
            while (line := reader.readline(65536)) not in (b"\r\n", b""):
                name, _, value = line.decode("utf-8").partition(":")
                headers[name.strip().lower()] = value.strip()
            early = self._peek()
            if isinstance(early, HangUp) and early.when == "head":
                self._next(None)
                time.sleep(early.delay)
                self._end(connection, early.reset)
                return
            if isinstance(early, Answer) and early.early:
                self._next(None)
                connection.sendall(early.head(early.text()) + early.text())
                time.sleep(0.1)
            else:
                early = None
            if headers.get("expect", "").lower() == "100-continue":
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            length = int(headers.get("content-length", 0))
            body = reader.read(length) if "transfer-encoding" not in headers else self._chunks(reader)
            if len(body) < length:
                return
            request = Request(method, target, headers, body, number, nth, time.monotonic())
            with self.lock:
                self.requests.append(request)
            nth += 1
            if not self._act(connection, early or self._next(request)):
                return

    @staticmethod
    def _chunks(reader):
        body = b""
        while (size := int(reader.readline(64).split(b";")[0], 16)) > 0:
            body += reader.read(size)
            reader.readline(8)
        while reader.readline(65536) not in (b"\r\n", b""):
            pass
        return body

    def _peek(self):
        with self.lock:
            if self.script:
                return self.script[0]
        return None if callable(self.default) else self.default

    def _next(self, request):
        with self.lock:
            if self.script:
                action = self.script.pop(0)
            else:
                action = self.default
        return action(request) if callable(action) else action

    def _act(self, connection, action):
        """Does what the script says; false: the connection ends."""
        if isinstance(action, Silence):
            while connection.recv(4096):
                pass
            return False
        if isinstance(action, HangUp):
            time.sleep(action.delay)
            self._end(connection, action.reset)
            return False
        if isinstance(action, Raw):
            connection.sendall(action.data)
            if action.keep:
                while connection.recv(4096):
                    pass
            return False
        return self._answer(connection, action)

    def _answer(self, connection, answer):
        if answer.delay:
            time.sleep(answer.delay)
        body = answer.text()
        payload = body if answer.cut is None else body[:answer.cut]
        if answer.chunked:
            half = len(payload) // 2
            parts = [p for p in (payload[:half], payload[half:]) if p]
            data = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts)
            data += b"0\r\n\r\n" if answer.cut is None else b""
        else:
            data = payload
        data = answer.head(body) + data + answer.tail
        if answer.dribble:
            for i in range(len(data)):
                connection.sendall(data[i:i + 1])
                time.sleep(answer.dribble)
        else:
            connection.sendall(data)
        if answer.again is not None:
            if isinstance(answer.again, threading.Event):
                answer.again.wait(30)
            else:
                time.sleep(answer.again)
            try:
                connection.sendall(data)
            finally:
                with self.lock:
                    self.repeats += 1
        if answer.cut is not None:
            self._end(connection, answer.reset)
            return False
        return not answer.close

    def _end(self, connection, reset):
        if reset:
            self._reset(connection)
        else:
            try:
                connection.shutdown(socket.SHUT_WR)
                # Unread bytes would turn close() into an RST; read them away so that FIN is what is seen.
                connection.settimeout(1)
                while connection.recv(65536):
                    pass
            except OSError:
                pass

    @staticmethod
    def _reset(connection):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
