"""A TCP proxy before Redis that breaks connections at a chosen command."""

import socket
import threading


class RedisCutter:
    """Forwards to `port`. `cut(word, nth, when)` closes the connection over which the nth command with
    `word` comes: when="before" it reaches Redis, or "after" Redis has run it but before its answer is
    seen. Then `on_cut` is called once, and while `refusing` is true, new connections are closed.
    `rewrite` is (old, new), of one length: replaced in what the server says."""

    def __init__(self, port):
        self.port = port
        self.refusing = False
        self.rewrite = None
        self.on_cut = None
        self.was_cut = threading.Event()
        self._word = None
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self, word, nth=1, when="after", on_cut=None):
        self._word, self._left, self._when, self.on_cut = word, nth, when, on_cut
        return self

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.refusing:
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                client.close()
                continue
            link = {"swallow": False}
            threading.Thread(target=self._to_server, args=(client, server, link), daemon=True).start()
            threading.Thread(target=self._to_client, args=(client, server, link), daemon=True).start()

    def _matches(self, data):
        with self._lock:
            if self._word is None or self._word not in data:
                return False
            self._left -= 1
            if self._left > 0:
                return False
            self._word = None
            return True

    def _end(self, client, server):
        for s in (client, server):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def _done(self):
        if self.on_cut:
            self.on_cut()
        self.was_cut.set()

    def _to_server(self, client, server, link):
        try:
            while data := client.recv(1 << 16):
                if self._matches(data):
                    if self._when == "before":
                        self._done()
                        break
                    link["swallow"] = True
                server.sendall(data)
        except OSError:
            pass
        if not link["swallow"]:
            self._end(client, server)

    def _to_client(self, client, server, link):
        try:
            while data := server.recv(1 << 16):
                if link["swallow"]:
                    self._done()
                    break
                client.sendall(data.replace(*self.rewrite) if self.rewrite else data)
        except OSError:
            pass
        self._end(client, server)

    def close(self):
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
