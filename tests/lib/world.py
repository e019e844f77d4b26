"""A worker with its Redis and one or more accounts, seen as producers and consumers see it."""

import base64
import contextlib
import json
import time

from . import contract
from .daemon import Daemon
from .peer import Answer
from .providers import PROVIDERS
from .wait import wait_until

QUEUE = "orders"

# Short times, so that a test of retrying takes a fraction of a second.
QUICK = {"backoff_base": "10ms", "backoff_cap": "40ms", "connect_timeout": "1s", "request_timeout": "5s",
         "on_unknown": "hold", "breaker_failures": "0", "reject_limit": "0"}


def created(provider, request):
    """The answer of a provider that has created the order."""
    return Answer(200, provider.answer(request.json))


class World:
    """World(redis, peer) has one account `shop` of kakaclo-v2; `account=` changes its settings,
    `accounts=` names others: {"second": {...}}. A context manager that starts the worker."""

    def __init__(self, redis, peer=None, provider="kakaclo-v2", base_url=None, account=None, accounts=None, queue=None,
                 worker=None, config_redis=None, start=True, env=None):
        self.redis = redis
        self.db = redis.client
        self.provider = PROVIDERS[provider]
        self.config = {
            "redis": {"url": redis.url, **(config_redis or {})},
            "worker": {"log_level": "debug", "log_format": "json", **(worker or {})},
            "admin": {"listen": "off"},
            f"queue {QUEUE}": {"default_account": "shop", **(queue or {})},
            "account shop": self.provider.settings(base_url or peer.url, queue=QUEUE, **{**QUICK, **(account or {})}),
        }
        for name, settings in (accounts or {}).items():
            kind = PROVIDERS[settings.get("provider", provider)]
            more = {k: v for k, v in settings.items() if k not in ("base_url", "provider")}
            self.config[f"account {name}"] = kind.settings(
                settings.get("base_url") or base_url or peer.url, queue=QUEUE, **{**QUICK, **more})
        self.daemon = Daemon(self.config, env=env)
        self.autostart = start
        self.count = 0
        self.pushed = {}  # by id, as far as that can be read: what a result belongs to

    # -- producers ----------------------------------------------------------------------------------

    def key(self, name, queue=QUEUE):
        return f"dray:{{{queue}}}:{name}"

    def job(self, id=None, key=None, order=None, provider=None, **fields):
        """A job envelope as text; `order` may be the order's own text, which is kept as it is."""
        self.count += 1
        id = id if id is not None else f"job-{self.count}"
        order = order if order is not None else (provider or self.provider).order(key or f"K-{id}")
        text = order if isinstance(order, str) else json.dumps(order)
        rest = "".join(f", {json.dumps(k)}: {json.dumps(v)}" for k, v in fields.items())
        return f'{{"id": {json.dumps(id)}, "order": {text}{rest}}}'

    def push(self, *jobs):
        """Pushes texts (or bytes) as they are; the first is taken first."""
        for job in jobs:
            text = job if isinstance(job, (str, bytes)) else json.dumps(job)
            self.db.lpush(self.key("jobs"), text)
            with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
                self.pushed[json.loads(text)["id"]] = text
        return jobs[0] if jobs else None

    def send(self, id=None, key=None, **fields):
        return self.push(self.job(id, key, **fields))

    # -- consumers ----------------------------------------------------------------------------------

    def result(self, deadline=15.0, queue_key=None):
        """The next result, as a consumer pops it."""
        return json.loads(self.raw_result(deadline, queue_key))

    def raw_result(self, deadline=15.0, queue_key=None):
        name = queue_key or self.key("results")
        raw = wait_until(lambda: self.db.rpop(name) or self.check_running(), deadline,
                         lambda: f"a result on {name}; {self.state()}")
        result = contract.result(raw)
        if result["status"] == "created" and result["id"] in self.pushed:
            contract.check_envelope("job", self.pushed[result["id"]])
        return raw

    def results(self, count, deadline=30.0):
        return [self.result(deadline) for _ in range(count)]

    def results_by_id(self, count, deadline=30.0):
        return {r["id"]: r for r in self.results(count, deadline)}

    def no_result(self):
        assert self.db.llen(self.key("results")) == 0, self.db.lrange(self.key("results"), 0, -1)

    def dead_ids(self):
        return [i.decode() for i in self.db.zrange(self.key("dead"), 0, -1)]

    def dead_letters(self):
        """All dead letters, oldest first. The set of ids and the hash of entries must agree."""
        ids = self.dead_ids()
        assert self.db.hlen(self.key("dead:entries")) == len(ids)
        return [contract.dead_letter(self.db.hget(self.key("dead:entries"), i)) for i in ids]

    def wait_dead(self, count=1, deadline=15.0):
        wait_until(lambda: self.db.zcard(self.key("dead")) >= count or self.check_running(), deadline,
                   lambda: f"{count} dead letters; {self.state()}")
        letters = self.dead_letters()
        assert len(letters) == count, letters
        return letters

    def dead(self, deadline=15.0):
        """The one dead letter."""
        return self.wait_dead(1, deadline)[0]

    def waiting(self):
        return self.db.lrange(self.key("jobs"), 0, -1)[::-1]

    def check_running(self):
        """Nothing, or a failure at once if the worker died by itself: nobody waits in vain then."""
        process = self.daemon.process
        if process is not None and not process.running and process.popen.returncode not in (0, -9):
            raise AssertionError(f"the worker ended with {process.wait(5)}:\n{process.tail(60)}")

    def state(self):
        """What stands in Redis: for the message of a test that waited in vain."""
        kinds = {b"list": self.db.llen, b"zset": self.db.zcard, b"hash": self.db.hlen, b"set": self.db.scard}
        keys = {k.decode(): kinds.get(self.db.type(k), lambda k: "")(k) for k in sorted(self.db.scan_iter())}
        log = self.daemon.process.tail(15) if self.daemon.process else "not started"
        return f"Redis holds {keys}; the worker said:\n{log}"

    # -- life ---------------------------------------------------------------------------------------

    def start(self):
        self.daemon.start()
        return self

    def close(self):
        self.daemon.close()

    def alive(self):
        """The worker still does its work: one more order goes through."""
        text = self.job(f"alive-{time.monotonic_ns()}")
        self.push(text)
        result = self.result()
        assert result["status"] == "created", result
        assert self.daemon.running

    def __enter__(self):
        if self.autostart:
            self.daemon.__enter__()
        return self

    def __exit__(self, kind, *rest):
        self.daemon.__exit__(kind, *rest)


def text_of(letter):
    """The exact text that was pushed, from a dead letter."""
    if letter["job"] is None:
        return base64.b64decode(letter["job_base64"], validate=True)
    return letter["job"].encode()
