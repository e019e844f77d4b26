"""A real redis-server of one test's own, on a Unix socket and a loopback port."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile

import redis

from .process import Process
from .wait import wait_until


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class RedisServer:
    """Usable as a context manager. Data stay over stop() or kill() and start() as far as
    `appendonly` (and `appendfsync`, "always" by default) keeps them.

    TESTS_REDIS=valkey-server in the environment: another server is tested with.
    `options` are further configuration lines: RedisServer(maxmemory="5mb").
    """

    def __init__(self, appendonly=False, password=None, port=True, binary=None, **options):
        self.dir = tempfile.mkdtemp(prefix="dray-redis-")  # a socket's path is limited to 107 bytes
        self.socket = os.path.join(self.dir, "redis.sock")
        self.password = password
        self.binary = binary or os.environ.get("TESTS_REDIS", "redis-server")
        self.with_port = port
        self.port = None
        self.process = None
        self.options = {"save": "", "appendonly": "yes" if appendonly else "no", "appendfsync": "always",
                        "daemonize": "no", "dir": self.dir, "unixsocket": self.socket,
                        "enable-debug-command": "yes", "loglevel": "notice"}
        if password:
            self.options["requirepass"] = password
        self.options.update({k.replace("_", "-"): v for k, v in options.items()})
        self._client = None
        self._sentinel = None  # its configuration file

    def as_sentinel(self, path, text):
        """Starts it as a sentinel with that configuration, which it rewrites."""
        self.port = free_port()
        with open(path, "w") as f:
            f.write(f"port {self.port}\nbind 127.0.0.1\ndir {self.dir}\nunixsocket {self.socket}\n{text}")
        self._sentinel = path
        return self.start()

    @property
    def url(self):
        return f"unix://{self.socket}"

    @property
    def tcp_url(self):
        return f"redis://127.0.0.1:{self.port}"

    @property
    def client(self):
        """A redis-py client that gives bytes. It reconnects by itself after a restart."""
        if self._client is None:
            self._client = redis.Redis(unix_socket_path=self.socket, password=self.password, socket_timeout=15)
        return self._client

    def _args(self):
        if self._sentinel:
            return [self.binary, self._sentinel, "--sentinel"]
        args = [self.binary, "--port", str(self.port or 0), "--bind", "127.0.0.1"]
        for name, value in self.options.items():
            args += ["--" + name, str(value)]
        return args

    def mend(self):
        """Takes away what a killed server wrote half of a transaction. Redis itself leaves some of it (docs/operations.md,
        "Redis was killed")."""
        manifest = os.path.join(self.dir, "appendonlydir", "appendonly.aof.manifest")
        if os.path.exists(manifest):
            checker = self.binary.replace("-server", "-check-aof")
            subprocess.run([checker, "--fix", manifest], input=b"y\n", capture_output=True, check=True)

    def start(self):
        # Between finding a free port and binding it somebody else may take it: then another is tried.
        for _ in range(5):
            if self.with_port and self.port is None:
                self.port = free_port()
            self.process = Process(self._args(), name="redis-server")
            try:
                wait_until(self._answers, 10, "redis-server to answer")
                return self
            except AssertionError:
                self.process.kill()
                if not any("in use" in line for line in self.process.stdout_lines):
                    raise AssertionError(f"redis-server did not start:\n{self.process.tail()}") from None
                self.port = None
                if "cluster-port" in self.options:
                    self.options["cluster-port"] = str(free_port())
        raise AssertionError("redis-server found no free port five times")

    def _answers(self):
        if not self.process.running:
            raise AssertionError("redis-server ended")
        try:
            return self.client.ping()
        except redis.exceptions.RedisError:  # not there yet, or still loading
            return False

    def stop(self):
        """A clean end, as by an operator."""
        if self.process:
            self.process.stop(signal.SIGTERM, 10)
            self._disconnect()

    def kill(self):
        """kill -9: what it had not written is lost."""
        if self.process:
            self.process.kill()
            self._disconnect()

    def restart(self, kill=False):
        self.kill() if kill else self.stop()
        return self.start()

    def sigstop(self):
        """It hangs: connections stay, nothing is answered."""
        self.process.sigstop()

    def sigcont(self):
        self.process.sigcont()

    def _disconnect(self):
        if self._client is not None:
            self._client.connection_pool.disconnect()

    def close(self):
        try:
            self.kill()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()
