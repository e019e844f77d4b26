"""A TCP line to a server that is far away, and keeps idle connections only for so long."""

import collections
import select
import socket
import threading
import time


class FarLine:
    """Forwards to 127.0.0.1:`port`, each byte `away` seconds later. The far end closes a connection that has been idle
    there for `keep` seconds since its last answer; what arrives there later is lost, and counted in `crossed`."""

    def __init__(self, port, away=0.05, keep=1.0):
        self.port, self.away, self.keep = port, away, keep
        self.connections = self.closed_idle = self.crossed = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        server = socket.create_connection(("127.0.0.1", self.port))
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._carry(client, server)
        except OSError:
            pass
        finally:
            client.close()
            server.close()

    def _carry(self, client, server):
        there, back = collections.deque(), collections.deque()  # (when it arrives, bytes)
        idle_since = ended = None
        while True:
            now = time.monotonic()
            if idle_since and not ended and now - idle_since >= self.keep and not (there and there[0][0] <= now):
                ended = now
                self.closed_idle += 1
                back.append((now + self.away, b""))
            while there and there[0][0] <= now:
                data = there.popleft()[1]
                if ended:
                    self.crossed += bool(data)
                elif not data:
                    return
                else:
                    idle_since = None
                    server.sendall(data)
            while back and back[0][0] <= now:
                data = back.popleft()[1]
                if not data:
                    return
                client.sendall(data)
            due = [q[0][0] for q in (there, back) if q]
            if idle_since and not ended:
                due.append(idle_since + self.keep)
            ready, _, _ = select.select([client] if ended else [client, server], [], [],
                                        max(0, min(due) - time.monotonic()) if due else None)
            if client in ready:
                there.append((time.monotonic() + self.away, client.recv(65536)))
                if not there[-1][1]:
                    if ended:
                        return
                    ready = [server] if server in ready else []
                    client_gone = there[-1][0]
                    time.sleep(max(0, client_gone - time.monotonic()))
                    return
            if server in ready:
                data = server.recv(65536)
                now = time.monotonic()
                back.append((now + self.away, data))
                idle_since = now if data else None
