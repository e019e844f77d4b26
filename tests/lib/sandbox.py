"""`dray sandbox` as a child process, on a port of its own."""

import json
import re
import urllib.request

from .process import DRAY, Process


class Sandbox:
    """Flags go as they are: Sandbox("--latency", "50ms")."""

    def __init__(self, *flags):
        self.flags = flags
        self.process = None
        self.port = None

    def start(self):
        self.process = Process([DRAY, "sandbox", "--listen", "127.0.0.1:0", *self.flags], name="dray sandbox")
        found = []

        def has_port(line):
            match = re.search(r"127\.0\.0\.1:(\d+)", line)
            found.extend(match.groups() if match else [])
            return match and int(match.group(1)) > 0

        self.process.wait_line(has_port, 15, where="stdout")
        self.port = int(found[-1])
        return self

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def get(self, path, method="GET"):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(self.url + path, method=method, data=b"" if method == "POST" else None)
        with opener.open(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def post(self, path):
        return self.get(path, "POST")

    def orders(self):
        """What `GET /_sandbox/orders` says: the POSTs counted per order key."""
        return self.get("/_sandbox/orders?limit=100000")

    def close(self):
        if self.process is None:
            return
        if self.process.running:
            code = self.process.stop()
            assert code == 0, f"dray sandbox ended with {code}:\n{self.process.tail()}"
        report = self.process.sanitizer_report()
        assert report is None, report

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            if self.process is not None:
                self.process.kill()
            raise

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        elif self.process is not None:
            self.process.kill()
