"""A TCP load balancer before Redis: one address that stays, whatever is behind it."""

import socket
import threading

from .redis_server import free_port


def free_everywhere(hosts):
    """A port that is free on all of these addresses of loopback."""
    for _ in range(20):
        port, sockets = free_port(), []
        try:
            sockets = [socket.create_server((host, port)) for host in hosts]
            return port
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()
    raise AssertionError("no port is free on all addresses")


class Balancer:
    """Leads new connections to 127.0.0.1:`to`; those that are there stay with the server they were made to.
    `to` None: whoever connects is hung up on. `limit`: so many connections at a time, others are hung up on."""

    def __init__(self, to, host="127.0.0.1", port=0, limit=None):
        self.to = to
        self.limit = limit
        self.open = 0
        self.accepted = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server((host, port), backlog=256)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.accepted += 1
                refused = self.to is None or (self.limit is not None and self.open >= self.limit)
                self.open += not refused
            if refused:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                client.close()
                with self._lock:
                    self.open -= 1
                continue
            ends = [client, server]
            for s in ends:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, sink, ends), daemon=True).start()

    def _pump(self, source, sink, ends):
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        with self._lock:
            ends.pop()
            if not ends:
                self.open -= 1
                source.close()
                sink.close()

    def close(self):
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
