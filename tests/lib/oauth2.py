"""A token endpoint, an API that takes its tokens, and workers of an account with `auth = oauth2`."""

import json
import os
import threading
from urllib.parse import parse_qs

from .daemon import Daemon
from .peer import Answer
from .wait import wait_until
from .world import QUEUE, QUICK


class Tokens:
    """A token endpoint: tok-1, tok-2, … for `life` seconds each (a list: the last goes on). `script`: answers that come first."""

    def __init__(self, life=3600, script=(), delay=0):
        self.life, self.script, self.delay, self.count, self.lock = life, list(script), delay, 0, threading.Lock()
        self.forms = []
        self.more = {}

    def __call__(self, request):
        with self.lock:
            self.forms.append({k: v[0] for k, v in parse_qs(request.body.decode(), strict_parsing=True).items()})
            if self.script and (answer := self.script.pop(0)) is not None:
                return answer
            self.count += 1
            body = {"access_token": f"tok-{self.count}", "token_type": "bearer", **self.more}
            life = self.life[min(self.count, len(self.life)) - 1] if isinstance(self.life, list) else self.life
        if life is not None:
            body["expires_in"] = life
        return Answer(200, body, delay=self.delay)


class Orders:
    """The API: takes the tokens in `good` (None: any), and keeps what it created."""

    def __init__(self, good=None):
        self.good, self.made, self.lock, self.seen = good, [], threading.Lock(), []

    def __call__(self, request):
        token = request.headers["authorization"].removeprefix("Bearer ")
        with self.lock:
            self.seen.append(token)
            if self.good is not None and token not in self.good:
                return Answer(401, {"message": "expired"})
            self.made.append(request.json["ref"])
            return Answer(201, {"id": f"o-{request.json['ref']}"})


class World:
    def __init__(self, redis, api, tokens, **account):
        self.db, self.redis = redis.client, redis
        settings = {"provider": "http-json", "queue": QUEUE, "base_url": api.url, "create_path": "/orders", "key_pointer": "/ref",
                    "id_pointer": "/id", "auth": "oauth2", "token_url": tokens.url + "/oauth/token", "client_id": "shop:1",
                    "client_secret_file": "secret", "scope": "orders:write orders:read", **QUICK, **account}
        self.config = {"redis": {"url": redis.url}, "worker": {"log_level": "debug", "log_format": "json"}, "admin": {"listen": "off"},
                       "account shop": settings}
        self.daemon = Daemon(self.config)
        self.write("secret", "hush hush")

    def write(self, name, text):
        path = os.path.join(self.daemon.dir, name)
        with open(path + ".new", "w") as f:
            f.write(text)
        os.rename(path + ".new", path)

    def __enter__(self):
        self.daemon.__enter__()
        return self

    def __exit__(self, *rest):
        log = self.daemon.process.tail(10000) if self.daemon.process else ""
        self.daemon.__exit__(*rest)
        stored = b"".join(self.db.dump(k) or b"" for k in self.db.scan_iter())
        for secret in ("tok-", "hush", "refresh-"):
            assert secret not in log, log
            assert secret.encode() not in stored

    def push(self, *refs):
        for ref in refs:
            self.db.lpush(f"dray:{{{QUEUE}}}:jobs", json.dumps({"id": ref, "order": {"ref": ref}}))

    def results(self, count, deadline=20):
        found = []

        def more():
            raw = self.db.rpop(f"dray:{{{QUEUE}}}:results")
            found.extend([json.loads(raw)] if raw else [])
            return len(found) >= count
        wait_until(more, deadline, lambda: f"{count} results; there are {found}; {self.daemon.process.tail(20)}")
        return found

    def result(self):
        return self.results(1)[0]
