"""Several workers on one Redis that share accounts, before a sandbox or a peer that notes what it saw."""

import json
import os
import time

from . import contract
from .daemon import Daemon, ini
from .providers import PROVIDERS
from .scripts import read_gate
from .wait import wait_until
from .world import QUEUE, QUICK


class Fleet:
    """`accounts` is {name: settings}; each account's token is its own name. With `folder` they are written
    as files of accounts.d. A context manager that starts the workers."""

    def __init__(self, redis, base_url, accounts, workers=3, provider="kakaclo-v2", queue=None, worker=None, folder=False,
                 sections=None, start=True):
        self.db = redis.client
        self.provider = PROVIDERS[provider]
        self.base_url = base_url
        self.folder = folder
        self.accounts = accounts
        self.sections = {
            "redis": {"url": redis.url}, "admin": {"listen": "off"},
            "worker": {"log_level": "info", "log_format": "json", "lease": "2s", **(worker or {})},
            f"queue {QUEUE}": queue or {}, **(sections or {})}
        self.workers = [Daemon("") for _ in range(workers)]
        self.autostart = start
        self.configure(accounts)

    def settings(self, name, more):
        more = dict(more)
        kind = PROVIDERS[more.pop("provider", self.provider.name)]
        if "token_file" in more:
            token = {"token": None}
        else:
            token = {"key": name, "secret": "x"} if kind.name == "vu" else {"token": name}
        return kind.settings(more.pop("base_url", self.base_url), **{"queue": QUEUE, **QUICK, "rate": "0", **token, **more})

    def configure(self, accounts, reload=False):
        self.accounts = accounts
        parts = {f"account {name}": self.settings(name, more) for name, more in accounts.items()}
        for daemon in self.workers:
            if self.folder:
                self._write_folder(daemon, parts)
                daemon.set_config(self.sections)
            else:
                daemon.set_config({**self.sections, **parts})
        if reload:
            self.reload()

    @staticmethod
    def _write_folder(daemon, parts):
        folder = os.path.join(daemon.dir, "accounts.d")
        os.makedirs(folder, exist_ok=True)
        for old in os.listdir(folder):
            os.remove(os.path.join(folder, old))
        for section, keys in parts.items():
            with open(os.path.join(folder, section.split()[1] + ".ini"), "w") as f:
                f.write(ini({section: keys}))

    def reload(self, event="reloaded"):
        """HUP to all; returns when all have said so."""
        from signal import SIGHUP
        marks = [len(d.process.stderr_lines) for d in self.workers]
        for daemon in self.workers:
            daemon.send(SIGHUP)
        for daemon, mark in zip(self.workers, marks):
            daemon.wait_event(event, 20, start=mark)

    # -- jobs -----------------------------------------------------------------------------------------

    def key(self, name, queue=QUEUE):
        return f"dray:{{{queue}}}:{name}"

    def job(self, account, n, **fields):
        order = self.provider.order(f"{account}-{n}")
        return json.dumps({"id": f"{account}/{n}", "order": order, "account": account,
                           "enqueued_at": int(time.time() * 1000), **fields})

    def push(self, *jobs, queue=QUEUE):
        self.db.lpush(self.key("jobs", queue), *jobs)

    def done(self):
        return self.db.llen(self.key("results"))

    def wait_done(self, count, deadline=30.0):
        wait_until(lambda: self.done() >= count or self.check_running(), deadline,
                   lambda: f"{count} results, have {self.done()}; {self.state()}")

    def results(self):
        return [contract.result(r) for r in self.db.lrange(self.key("results"), 0, -1)]

    def check_running(self):
        for daemon in self.workers:
            code = daemon.process.popen.returncode
            assert daemon.running or code in (0, -9), f"a worker ended with {code}:\n{daemon.process.tail(60)}"

    def state(self):
        kinds = {b"list": self.db.llen, b"zset": self.db.zcard, b"hash": self.db.hlen, b"set": self.db.scard}
        keys = [k for k in sorted(self.db.scan_iter(count=1000)) if b":order:" not in k]
        return f"Redis holds { {k.decode(): kinds[self.db.type(k)](k) for k in keys if self.db.type(k) in kinds} }"

    def gate(self, account):
        """mode and requests under way, as the scripts keep them."""
        gate = read_gate(self.db.hget(self.key("accounts"), account))
        return gate.mode, gate.conc

    def stat(self, name):
        return int(self.db.hget(self.key("stats"), name) or 0)

    def events(self, name):
        return [e for d in self.workers for e in d.events_named(name)]

    def calls(self):
        """How many scripts Redis has run since the last config_resetstat()."""
        return self.db.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]

    # -- life -----------------------------------------------------------------------------------------

    def __enter__(self):
        if self.autostart:
            try:
                for daemon in self.workers:
                    daemon.launch()
                for daemon in self.workers:
                    daemon.wait_event("ready", 30)
            except BaseException:
                self.__exit__(Exception)
                raise
        return self

    def __exit__(self, kind, *rest):
        failed = None
        for daemon in self.workers:
            try:
                daemon.__exit__(kind, *rest)
            except BaseException as e:  # the others must end too
                failed, kind = e, kind or type(e)
        if failed:
            raise failed


def most_in_window(times, seconds):
    """The largest number of `times` (seconds, any order) in any window of that length."""
    times, most, first = sorted(times), 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def over_the_rate(times, rate, burst, late=0.0):
    """By how many requests any window holds more than burst + rate * (its length + late); at most 0 is fine.
    The best window ends and begins with a request: a sweep over their pairs finds the worst in O(n)."""
    worst, best_start = float("-inf"), float("-inf")
    for n, at in enumerate(sorted(times)):
        best_start = max(best_start, rate * at - n)          # of the window's first request, number n
        worst = max(worst, (n + 1) - rate * at + best_start)
    return worst - burst - rate * late
