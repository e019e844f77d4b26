"""A TCP proxy that cuts connections at a random byte."""

import random
import socket
import threading


class _Link:
    def __init__(self, client, server):
        self.client, self.server = client, server
        self.left = None  # bytes until the cut, in either direction; None: no cut is planned
        self.lock = threading.Lock()

    def allowed(self, size):
        with self.lock:
            if self.left is None:
                return size
            size = min(size, self.left)
            self.left -= size
            return size

    def end(self):
        for s in (self.client, self.server):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class CuttingProxy:
    """Forwards `url`'s port to 127.0.0.1:`port`. cut() ends one connection: at once, or in the middle
    of what passes next. `mangle` makes of what a client sent what the server gets."""

    def __init__(self, port, seed=1, mangle=lambda data: data):
        self.port = port
        self.mangle = mangle
        self.random = random.Random(seed)
        self.cuts = 0
        self._lock = threading.Lock()
        self._links = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self):
        """False where there is no connection to cut."""
        with self._lock:
            if not self._links:
                return False
            link = self.random.choice(self._links)
            self.cuts += 1
            if self.random.random() < 0.3:
                link.end()
            else:
                link.left = self.random.randrange(1, 2000)
        return True

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                client.close()
                continue
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = _Link(client, server)
            with self._lock:
                self._links.append(link)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(link, source, sink), daemon=True).start()

    def _pump(self, link, source, sink):
        try:
            while data := source.recv(1 << 16):
                data = self.mangle(data) if source is link.client else data
                size = link.allowed(len(data))
                sink.sendall(data[:size])
                if size < len(data):
                    break
        except OSError:
            pass
        link.end()
        with self._lock:
            if link in self._links:
                self._links.remove(link)
                return
        link.client.close()  # the second of the two to end
        link.server.close()

    def close(self):
        self._listener.close()
        with self._lock:
            links = list(self._links)
        for link in links:
            link.end()
