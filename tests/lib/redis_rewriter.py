"""A TCP proxy before Redis that rewrites commands: for what a real Redis can't be made to say."""

import socket
import threading


def command(*args):
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in args)


class RedisRewriter:
    """Forwards to `port`. While `rewrite` is set, each command (a list of bytes) goes through it; what
    it returns is sent instead."""

    def __init__(self, port):
        self.port = port
        self.rewrite = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}"

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                return
            threading.Thread(target=self._commands, args=(client, server), daemon=True).start()
            threading.Thread(target=self._replies, args=(client, server), daemon=True).start()

    def _read(self, stream):
        line = stream.readline()
        if not line:
            raise EOFError
        assert line[:1] == b"*", line
        args = []
        for _ in range(int(line[1:])):
            size = int(stream.readline()[1:])
            args.append(stream.read(size + 2)[:-2])
        return args

    def _commands(self, client, server):
        stream = client.makefile("rb")
        try:
            while True:
                args = self._read(stream)
                rewrite = self.rewrite
                server.sendall(command(*(rewrite(args) if rewrite else args)))
        except (OSError, EOFError, ValueError):
            self._end(client, server)

    def _replies(self, client, server):
        try:
            while data := server.recv(1 << 16):
                client.sendall(data)
        except OSError:
            pass
        self._end(client, server)

    @staticmethod
    def _end(*sockets):
        for s in sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
