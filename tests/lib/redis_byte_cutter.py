"""A TCP proxy before Redis that breaks a connection at a chosen byte."""

import socket
import threading

from .redis_cutter import RedisCutter


class RedisByteCutter(RedisCutter):
    """Forwards to `port`. `cut(word, at, to)`: on the connection over which the next command with `word` comes, `at` bytes more go through,
    counted from that command on, to the client or to the server; then it is closed. `was_cut` says whether it was."""

    _armed = None

    def cut(self, word, at, to):
        self.was_cut.clear()
        with self._lock:
            self._armed = (word, at, to)

    def disarm(self):
        with self._lock:
            self._armed = None

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                return
            left = {}  # direction -> bytes that may still go through
            for source, target, to in ((client, server, "server"), (server, client, "client")):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._forward, args=(source, target, to, left), daemon=True).start()

    def _is_it(self, data, left):
        with self._lock:
            if self._armed is None or self._armed[0] not in data:
                return
            _, at, to = self._armed
            self._armed = None
            left[to] = at + (data.index(b"*") if to == "server" else 0)

    def _forward(self, source, target, to, left):
        try:
            while data := source.recv(1 << 16):
                if to == "server":
                    self._is_it(data, left)
                if to in left and left[to] < len(data):
                    target.sendall(data[:left[to]])
                    self.was_cut.set()
                    break
                if to in left:
                    left[to] -= len(data)
                target.sendall(data)
        except OSError:
            pass
        for s in (source, target):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
