"""One run: a fleet, its Redis, the sandbox and a producer; faults for a while; then peace, and the books."""

import json
import os
import shutil
import tempfile
import time

from lib.cutting_proxy import CuttingProxy
from lib.providers import PROVIDERS
from lib.redis_server import RedisServer
from lib.sandbox import Sandbox
from lib.wait import SLOW

from .auditor import Auditor
from .books import Books, counted
from .faults import Faults, Worker
from .orders import Producer

LEASE = 1.5       # seconds
STOP_MAX = 2.8    # seconds; below REQUEST_TIMEOUT: see "the stop window" in docs/guarantees.md
REQUEST_TIMEOUT = 3
STUCK = 30        # seconds without a settlement, at the end
LAYOUT = {  # account -> provider, queue, further settings
    "v2a": ("kakaclo-v2", "orders", {"rate": "400/s", "burst": 50}),
    "vu1": ("vu", "orders", {"concurrency": 40}),
    "s2a": ("s2", "orders", {}),
    "v1a": ("kakaclo-v1", "orders", {}),
    "v2b": ("kakaclo-v2", "bulk", {"on_unknown": "hold"}),
    "vu2": ("vu", "bulk", {}),
}


class Options:
    def __init__(self, seconds=18, seed=1, rate=200, workers=4, stop_max=STOP_MAX, keep=False):
        self.seconds, self.seed, self.rate, self.workers = seconds, seed, rate, workers
        self.stop_max, self.keep = stop_max, keep


def accounts(url):
    made = {}
    for name, (provider, queue, more) in LAYOUT.items():
        secret = {"key": f"key-{name}"} if provider == "vu" else {"token": f"token-{name}"}
        made[name] = PROVIDERS[provider].settings(url, **{
            **secret, "queue": queue, "connect_timeout": "1s", "request_timeout": f"{REQUEST_TIMEOUT}s",
            "backoff_base": "50ms", "backoff_cap": "500ms", "max_attempts": 40, "lookup_delay": "300ms",
            "lookup_attempts": 10, "absent_window": "700ms", "repeated_ids": "no", "reject_limit": 20, "breaker_failures": 20, "breaker_cooldown": "200ms", **more})
    return made


def config(redis_url, made):
    return {"redis": {"url": redis_url}, "worker": {"lease": f"{int(LEASE * 1000)}ms", "log_format": "json"},
            "admin": {"listen": "off"}, "queue orders": {"concurrency": 24, "default_account": "v2a"},
            "queue bulk": {"concurrency": 24, "default_account": "v2b"},
            **{f"account {name}": settings for name, settings in made.items()}}


class Run:
    def __init__(self, options):
        self.options = options
        self.dir = tempfile.mkdtemp(prefix="dray-chaos-")
        self.queues = sorted({queue for _, queue, _ in LAYOUT.values()})
        self.books = None
        self.fleet = []

    def play(self, say=print):
        """The books. Faults in them are not raised here."""
        o = self.options
        with RedisServer(appendonly=True) as redis_server, Sandbox(
                "--latency", "50-150ms", "--hangup-rate", "0.03", "--fail-rate", "0.02", "--slow-rate", "0.003", "--slow",
                "4s", "--index-lag", "400ms", "--keep-alive", "700ms", "--seed", str(o.seed), "--quiet") as sandbox:
            made = accounts(sandbox.url)
            proxy = CuttingProxy(redis_server.port, o.seed)
            urls = [proxy.url, redis_server.url]
            self.fleet = [Worker(f"w{n}", self.dir, config(urls[n % 2], made)) for n in range(o.workers)]
            faults = Faults(self.fleet, redis_server, proxy, sandbox, made, o.seed, LEASE, o.stop_max)
            producer = Producer(redis_server, made, o.rate, o.seed)
            auditor = Auditor(self.fleet[-1].path)  # not through the proxy
            try:
                for worker in self.fleet:
                    worker.start()
                auditor.start()
                producer.start()
                say(f"faults for {o.seconds:g} s, seed {o.seed}, logs in {self.dir}")
                faults.run(o.seconds)
                producer.stop()
                say(f"peace; {producer.pushed.total} jobs were pushed; until all are settled …")
                self._drain(redis_server, faults)
                self._end_fleet()
                auditor.stop()
                balanced = auditor.audit()
                faults.count["audits"] = auditor.done
                self.books = Books(redis_server.client, self.queues, producer.pushed, all_orders(sandbox), faults.count)
                self.books.faults += auditor.breaches
                if not balanced:
                    self.books.fault("G7: dray audit does not balance at the end")
                self._explain()
            finally:
                self._close(proxy)
        return self.books

    def _drain(self, redis_server, faults):
        """Until all is settled, or nothing more is for a while: then the books say what is left."""
        ended, progress = -1, time.monotonic()
        while time.monotonic() < progress + STUCK * SLOW:
            faults.tend(time.monotonic())
            counts = [counted(redis_server.client, q) for q in self.queues]
            if all(pushed <= done for pushed, _, done in counts):
                return
            if sum(done for _, _, done in counts) > ended:
                ended, progress = sum(done for _, _, done in counts), time.monotonic()
            time.sleep(0.05)

    def _end_fleet(self):
        for worker in self.fleet:
            code = worker.process.stop(deadline=40)
            assert code == 0, f"{worker.name} ended with {code}:\n{worker.process.tail()}"
        for worker in self.fleet:
            for process in [*worker.ended, worker.process]:
                report = process.sanitizer_report()
                assert report is None, report

    def _explain(self):
        """For each doubled order, what the workers logged of it."""
        for key in self.books.doubled[:5]:
            ids = {i for i, (_, k) in self.books.pushed.key_of.items() if k == key}
            for worker in self.fleet:
                for line in worker.logs():
                    if any(f'"{i}"' in line for i in ids):
                        self.books.fault(f"  {worker.name}: {line}")

    def _close(self, proxy):
        proxy.close()
        for worker in self.fleet:
            if worker.process is not None:
                worker.process.kill()
        if self.options.keep or self.books is None or self.books.faults:
            self._write_logs()
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def _write_logs(self):
        for worker in self.fleet:
            with open(os.path.join(self.dir, f"{worker.name}.log"), "w") as f:
                f.write("\n".join(worker.logs()) + "\n")
        if self.books is not None:
            with open(os.path.join(self.dir, "books.json"), "w") as f:
                json.dump({"results": self.books.results, "dead": self.books.dead, "faults": self.books.faults,
                           "provider": list(self.books.at_provider.values())}, f)


def all_orders(sandbox):
    """The sandbox's whole list, page by page."""
    whole = sandbox.get("/_sandbox/orders?limit=100000")
    while whole.get("more"):
        page = sandbox.get(f"/_sandbox/orders?limit=100000&offset={len(whole['orders'])}")
        whole["orders"] += page["orders"]
        whole["more"] = page["more"]
    return whole
