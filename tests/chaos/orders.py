"""What is pushed: mostly plain orders, and everything that producers get wrong or do twice."""

import json
import random
import threading
import time
from collections import Counter

import redis

from lib.providers import PROVIDERS

# Endings of order keys (docs/sandbox.md): what POSTs meet, and what look-ups meet behind one that hung up or was answered by
# a gateway. A 503 is taken as "nothing was created" unless there is an exact look-up, so only there may it lie. Nor may an exact look-up
# hide one order, and find others, for longer than absent_window: that is believed (docs/guarantees.md).
MAGIC = ["-HANGUPx1", "-HANGUPNOx1", "-HANGUPx2", "-FAIL503x2", "-FAIL500x1", "-REJECT", "-TRUNCx1", "-GARBAGEx1",
         "-EMPTYx1", "-SLOW4sx1", "-FAIL401x1", "-PAUSE1sx1", "-HTMLx2",
         "-YES202x1", "-YES204x1", "-GATEWAY502x1", "-GATEWAY504x1", "-LATE500x1", "-LATE303x1", "-LATE499x1", "-LATE408x1",
         "-FAIL421x1", "-RATE429x2", "-FRACTION300msx1", "-BLOCKED403x2", "-TWICEx1", "-TWICEx1", "-TWICEx1", "-KEEPALIVE500msx1",
         "-BOMx1", "-GZIPx1", "-CODETWICEx1", "-OTHERKEYx1", "-BLANKIDx1", "-NOIDx1", "-HUGEx1",
         "-ROUTER404x1", "-LOOKUPEMPTYx1", "-LOOKUPHTMLx2", "-LOOKUPHANGUPx1", "-LOOKUP429x3", "-LOOKUPEMPTYTOTALx1", "-LOOKUPOTHERx1",
         "-LOOKUPBLINDx1", "-GATEWAY502x1-ROUTER404x2", "-LATE500x1-LOOKUPEMPTYx1"]
MAGIC_EXACT = ["-LATE503", "-DUPx1", "-LATE503x1-ROUTER404x1", "-LATE503x1-LOOKUPBLINDx1"]


class Pushed:
    """What was pushed, exactly: how often each id, and which key it asks for."""

    def __init__(self):
        self.times = Counter()   # id -> pushes
        self.key_of = {}         # id -> (account, order key)
        self.invalid = set()     # ids of jobs that break a rule

    @property
    def total(self):
        return sum(self.times.values())


class Producer(threading.Thread):
    """Pushes `rate` jobs a second until stop(). A batch is pushed together with its mark, so that it may
    be sent again after a lost reply."""

    PUSH = """if redis.call('HSETNX', KEYS[2], ARGV[1], #ARGV - 1) == 1 then
                for i = 2, #ARGV do redis.call('LPUSH', KEYS[1], ARGV[i]) end
              end"""

    def __init__(self, redis_server, accounts, rate, seed):
        super().__init__(daemon=True)
        self.server, self.accounts, self.rate = redis_server, accounts, rate
        self.random = random.Random(seed)
        self.pushed = Pushed()
        self.error = None
        self._stop_now = threading.Event()
        self._serial = 0
        self._again = []  # jobs to be pushed once more, later

    def stop(self):
        self._stop_now.set()
        self.join(60)
        assert not self.is_alive(), "the producer did not end"
        if self.error:
            raise self.error

    def run(self):
        batch, started = 0, time.monotonic()
        try:
            while not self._stop_now.wait(0.1):
                batch += 1
                due = self.rate * (time.monotonic() - started) - self.pushed.total
                jobs = []
                while len(jobs) < min(due, 1000):
                    jobs += self._jobs()
                self._push(batch, jobs)
        except Exception as error:  # shown by stop()
            self.error = error

    def _push(self, batch, jobs):
        """`jobs`: (queue, id, account, key, text)."""
        client = redis.Redis(unix_socket_path=self.server.socket, socket_timeout=1, client_name="chaos")
        for queue in sorted({job[0] for job in jobs}):
            texts = [job[4] for job in jobs if job[0] == queue]
            mark = f"chaos:{{{queue}}}:pushed"
            while True:
                try:
                    client.eval(self.PUSH, 2, f"dray:{{{queue}}}:jobs", mark, batch, *texts)
                    break
                except redis.exceptions.RedisError:
                    time.sleep(0.05)  # Redis is away
        client.close()
        for _, id, account, key, _ in jobs:
            self.pushed.times[id] += 1
            self.pushed.key_of[id] = (account, key)

    def _jobs(self):
        name = self.random.choice(list(self.accounts))
        account = self.accounts[name]
        provider = PROVIDERS[account["provider"]]
        self._serial += 1
        id, key = f"{name}/{self._serial}", f"{name}-{self._serial}"
        dice = self.random.random()
        if dice < 0.06:
            key += self.random.choice(MAGIC + (MAGIC_EXACT if account["provider"] == "vu" else []))
        order = provider.order(key)
        jobs = [(account["queue"], id, name, key, self._text(id, name, order))]
        if 0.04 <= dice < 0.09:  # the same job twice, now or later
            jobs += jobs if self.random.random() < 0.5 else []
            self._again += [jobs[0]] if len(jobs) == 1 else []
        elif 0.09 <= dice < 0.13:  # another job with the same order
            jobs.append((account["queue"], id + "-twin", name, key, self._text(id + "-twin", name, order)))
        elif 0.13 <= dice < 0.16:  # another order under the same key
            other = json.dumps(order, indent=1)
            jobs.append((account["queue"], id + "-other", name, key, self._text(id + "-other", name, other)))
        elif 0.16 <= dice < 0.17:
            self.pushed.invalid.add(id)
            jobs = [(account["queue"], id, name, key, self._text(id, name, {}))]
        if self._again and self.random.random() < 0.05:
            jobs.append(self._again.pop(0))
        return jobs

    @staticmethod
    def _text(id, account, order):
        text = order if isinstance(order, str) else json.dumps(order)
        return f'{{"id": {json.dumps(id)}, "account": {json.dumps(account)}, "order": {text}}}'
