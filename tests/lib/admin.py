"""A worker's admin server, as its clients see it."""

import http.client
import json
import socket

from . import contract
from .wait import wait_until
from .world import World

TOKEN = "open-sesame"


class Answered:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class AdminWorld(World):
    """A World whose admin server listens on a port of its own; `token=None` is none."""

    def __init__(self, *args, token=TOKEN, **more):
        super().__init__(*args, **more)
        self.token = token
        self.config["admin"] = {"listen": "127.0.0.1:0", "token": token}
        self.daemon.set_config(self.config)

    @property
    def port(self):
        return self.daemon.wait_event("admin_listening")["port"]

    @property
    def admin_url(self):
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path, method="GET", body=None, token=True, headers=None, timeout=15):
        """One request on a connection of its own, and its answer as the API's document says. `token` True: the right one; a
        text: that one; None: none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            given = self.token if token is True else token
            more = {"Authorization": f"Bearer {given}"} if given else {}
            connection.request(method, path, body if body is None or isinstance(body, (str, bytes)) else json.dumps(body),
                               {**more, **(headers or {})})
            answer = Answered(connection.getresponse())
        finally:
            connection.close()
        contract.check_exchange(method, path, body, answer)
        return answer

    def get(self, path, **more):
        answer = self.ask(path, **more)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer.json

    def post(self, path, body=None, status=200):
        answer = self.ask(path, "POST", body=body)
        assert answer.status == status, (path, answer.status, answer.body)
        return answer.json

    def wait_status(self, path, status, deadline=15.0):
        return wait_until(lambda: (a := self.ask(path)).status == status and a, deadline,
                          lambda: f"{path} to answer {status}; it says {self.ask(path).body}")

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def metrics(self):
        """{'name{labels}': value}"""
        text = self.ask("/metrics").body.decode()
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}
