"""What goes wrong, at random: workers killed, stopped and ended; Redis killed and stopped; connections
cut; the providers failing in all their ways."""

import os
import random
import signal
import time
from collections import Counter

import redis

from lib.daemon import ini
from lib.process import DRAY, Process, clean_env
from lib.wait import wait_until


MUSTS = ("kills", "stops past the lease", "Redis killed", "connections cut")  # no run is a proof without each


class Worker:
    """One place of the fleet: its process may die and is started again."""

    def __init__(self, name, directory, config):
        self.name, self.directory = name, directory
        self.path = os.path.join(directory, f"{name}.ini")
        self.spool = os.path.join(directory, f"{name}.spool")
        config = {**config, "worker": {**config["worker"], "name": name, "spool_dir": self.spool}}
        with open(self.path, "w") as f:
            f.write(ini(config))
        self.process = None
        self.ended = []        # processes of the past, for their logs
        self.resume_at = None  # stopped until then
        self.start_at = 0      # dead until then
        self.ending = False    # TERM was sent

    def start(self):
        self.process = Process([DRAY, "run", "--wait", "-c", self.path], env=clean_env(), cwd=self.directory,
                               name=self.name)
        self.start_at = None
        self.ending = False

    @property
    def up(self):
        return self.start_at is None and self.resume_at is None and not self.ending

    def kill(self, dead_for):
        self.process.kill()
        self._over(dead_for)

    def _over(self, dead_for):
        self.ended.append(self.process)
        self.start_at = time.monotonic() + dead_for
        self.resume_at = None

    def tend(self, now, dead_for):
        """Resumes or starts it when that is due; a worker that ended by itself fails the run."""
        if self.resume_at is not None and now >= self.resume_at:
            self.process.sigcont()
            self.resume_at = None
        if self.start_at is None and self.resume_at is None and not self.process.running:
            code = self.process.wait(5)  # TERM ends a process that has not set its handler yet
            assert self.ending and code in (0, -signal.SIGTERM), f"{self.name} ended with {code}:\n{self.process.tail()}"
            self._over(dead_for)
        if self.start_at is not None and now >= self.start_at:
            self.start()

    def logs(self):
        for process in [*self.ended, self.process]:
            yield from process.stderr_lines


class Faults:
    """run(seconds) breaks things; calm() repairs everything and ends the faults."""

    def __init__(self, fleet, redis_server, proxy, sandbox, accounts, seed, lease, stop_max):
        self.fleet, self.server, self.proxy, self.sandbox, self.accounts = fleet, redis_server, proxy, sandbox, accounts
        self.random = random.Random(seed)
        self.lease, self.stop_max = lease, stop_max
        self.count = Counter()
        self._redis_back = 0
        self._redis_stopped = None
        self._trouble_until = {}

    def run(self, seconds):
        end = time.monotonic() + seconds
        deeds = [(self.kill_worker, 5), (self.stop_worker, 8), (self.end_worker, 2), (self.cut, 8),
                 (self.client_kill, 6), (self.kill_redis, 3), (self.stop_redis, 1.5), (self.provider_trouble, 3)]
        while (now := time.monotonic()) < end:
            self.tend(now)
            owed = [deed for name, deed in self._musts() if not self.count[name]]
            if owed and self.random.random() < 0.4:  # a short run on a slow machine has few deeds, but these
                self.random.choice(owed)()
            else:
                self.random.choices([d for d, _ in deeds], [w for _, w in deeds])[0]()
            time.sleep(self.random.uniform(0.05, 0.35))
        self.calm()

    def _musts(self):
        return [(MUSTS[0], self.kill_worker), (MUSTS[1], self.stop_worker), (MUSTS[2], self.kill_redis), (MUSTS[3], self.cut)]

    def tend(self, now):
        for worker in self.fleet:
            worker.tend(now, self.random.uniform(0, 1.5))
        if self._redis_stopped and now >= self._redis_stopped:
            self.server.sigcont()
            self._redis_stopped = None
        for account in [a for a, until in self._trouble_until.items() if now >= until]:
            self._set(account, "down=0&balance=enough")
            del self._trouble_until[account]

    def calm(self):
        if self._redis_stopped:
            self.server.sigcont()
            self._redis_stopped = None
        self._trouble_until = {}
        for account in self.accounts:
            self._set(account, "down=0&balance=enough&latency=1ms&hangup_rate=0&fail_rate=0&slow_rate=0")
        for worker in self.fleet:
            if worker.resume_at is not None:
                worker.resume_at = 0
            if worker.start_at is not None:
                worker.start_at = 0

        def all_up():
            self.tend(time.monotonic())
            return all(w.up for w in self.fleet)
        wait_until(all_up, 60, "all workers to be up again")

    def _pick(self):
        up = [w for w in self.fleet if w.up]
        return self.random.choice(up) if len(up) > 1 else None  # one stays, so that there is progress

    def kill_worker(self):
        if worker := self._pick():
            worker.kill(self.random.uniform(0, 1.5))
            self.count["kills"] += 1

    def stop_worker(self):
        if not (worker := self._pick()):
            return
        long = self.random.random() < 0.6 or not self.count["stops past the lease"]
        seconds = self.random.uniform(self.lease, self.stop_max) if long else self.random.uniform(0.05, self.lease)
        worker.process.sigstop()
        worker.resume_at = time.monotonic() + seconds
        self.count["stops past the lease" if long else "stops"] += 1

    def end_worker(self):
        if worker := self._pick():
            worker.process.send(signal.SIGTERM)
            worker.ending = True
            self.count["drains"] += 1

    def cut(self):
        self.count["connections cut"] += self.proxy.cut()

    def client_kill(self):
        try:
            client = redis.Redis(unix_socket_path=self.server.socket, socket_timeout=0.3, client_name="chaos")
            ids = [c["id"] for c in client.client_list() if c["name"] != "chaos"]
            if ids:
                client.client_kill_filter(_id=self.random.choice(ids))
                self.count["connections killed"] += 1
        except redis.exceptions.RedisError:
            pass  # it is stopped, or has just been killed

    def kill_redis(self):
        if not self._redis_stopped:
            self.server.kill()
            self.server.mend()
            time.sleep(self.random.uniform(0, 0.7))
            self.server.start()
            self.count["Redis killed"] += 1

    def stop_redis(self):
        if not self._redis_stopped:
            self.server.sigstop()
            self._redis_stopped = time.monotonic() + self.random.uniform(0.2, 1.5 * self.lease)
            self.count["Redis stopped"] += 1

    def _set(self, account, what):
        settings = self.accounts[account]
        self.sandbox.post(f"/_sandbox/set?{what}&account={settings.get('token') or settings['key']}")

    def provider_trouble(self):
        account = self.random.choice(list(self.accounts))
        self._set(account, self.random.choice(["down=503", "down=500", "down=429", "down=401", "down=hangup", "balance=spent"]))
        self._trouble_until[account] = time.monotonic() + self.random.uniform(0.2, 1.5)
        self.count["provider outages"] += 1
