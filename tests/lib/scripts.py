"""The Lua transitions on a real Redis, called the way the worker calls them.

A script's keys are taken from its own opening comment ("-- KEYS  1 jobs  2 delayed …"), its text from
embed.py, which is what ships. Every call is made as a Redis user that may touch the declared keys
only, so that an undeclared one fails the test (in a cluster it would fail in production).
"""

import hashlib
import importlib.util
import itertools
import os
import re
import struct
from dataclasses import dataclass

import redis as redis_py

from .process import ROOT

LUA = os.path.join(ROOT, "src", "queue", "lua")
PREFIX = "dray:{q}:"
HASH = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
SETTLED = {"O": "OK", "L": "LOST", "W": "WRONGTYPE", "B": "BEGUN"}

_spec = importlib.util.spec_from_file_location("embed", os.path.join(LUA, "embed.py"))
_embed = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_embed)


# What EVALSHA is called with, by the script's name.
SCRIPT_SHA = {f[:-4]: hashlib.sha1(_embed.assemble(os.path.join(LUA, f)).encode()).hexdigest()
              for f in os.listdir(LUA) if f.endswith(".lua")}


# What stands in a call on the wire: a turn that begins orders of `shop`, one that settles created ones, any call of a script.
CALLS = {**{name: sha.encode() for name, sha in SCRIPT_SHA.items()}, "claim": SCRIPT_SHA["turn"].encode(),
         "begin": b"\r\nPshop\r\n", "settle": b" done:created "}


def as_text(value):
    if isinstance(value, list):
        return [as_text(v) for v in value]
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def fixed_keys(name):
    """The names in a script's KEYS comment, in order; those of further keys (per job) are left out."""
    with open(os.path.join(LUA, name + ".lua"), encoding="utf-8") as f:
        head = re.match(r"(?:--[^\n]*\n)*", f.read()).group(0).replace("\n--", " ")
    part = re.search(r"\bKEYS\b(.*?)(?:; then|; from|ARGV)", head).group(1)
    return [k for k in re.findall(r"\d+\s+([\w:<>]+)", part) if not k.startswith("order:")]


def runs(texts):
    """Equal neighbours, as begin and settle take them: how many runs, what each is, how long each is."""
    pieces = [(text, len(list(group))) for text, group in itertools.groupby(texts)]
    return [len(pieces), *[text for text, _ in pieces], *[length for _, length in pieces]]


@dataclass
class Gate:
    tokens: float
    ts: float
    conc: int
    fails: int
    mode: str
    till: float
    cool: float
    probe: str


def read_gate(stored):
    """What the hash `accounts` holds of an account: packed where nothing holds it up, else text (gate.lua)."""
    if stored[:1] == b"\1":
        _, tokens, ts, conc, fails = struct.unpack("<bddII", stored)
        return Gate(tokens, ts, conc, fails, "n", 0, 0, "-")
    t, s, c, f, m, u, o, p = stored.decode().split(" ")
    return Gate(float(t), float(s), int(c), int(f), m, float(u), float(o), p)


class Scripts:
    def __init__(self, server, queue="q"):
        self.db = server.client
        self.db.flushall()
        self.prefix = "dray:{%s}:" % queue
        self.texts = {f[:-4]: _embed.assemble(os.path.join(LUA, f)) for f in os.listdir(LUA) if f.endswith(".lua")}
        self.limited = redis_py.Redis(unix_socket_path=server.socket, username="script", password="x")

    def key(self, name):
        return self.prefix + name

    def order_key(self, account, key):
        return f"{self.prefix}order:{account}:{key}"

    def now(self):
        seconds, micros = self.db.time()
        return seconds * 1000 + micros / 1000

    def call(self, script, args, worker="w", more=(), names=None):
        keys = [self.key(k.replace("<worker>", worker).replace("<dead>", worker)) for k in fixed_keys(script)]
        keys += list(more)
        rules = ["reset", "on", ">x", "+@all"] + [f"~{k}" for k in dict.fromkeys(keys)]
        self.db.execute_command("ACL", "SETUSER", "script", *rules)
        return as_text(self.limited.eval(self.texts[script], len(keys), *keys, *args))

    # -- the calls ----------------------------------------------------------------------------------

    def beat(self, worker="w", lease=60000, info=""):
        return self.call("beat", [worker, lease, info], worker)

    def turn(self, worker="w", begin=(), settle=(), claim=(), keys=()):
        """One call of turn.lua with what begin(), settle() and claim() make: its reply."""
        columns = [c for part in (begin, settle) for c in part[1:]]
        counts = [part[0] if part else [0, 0] for part in (begin, settle)]
        again = [*counts[1][2:], 0, 0][:2]
        args = [worker, len(self.prefix) + len("order:"), *counts[0], *counts[1][:2], *again, *(claim or ["", 0, 0])]
        reply = self.call("turn", args + [a for column in columns for a in column], worker, keys)
        self.next = float(reply[1])
        return reply

    def claim(self, n=10, worker="w", room=1 << 22, high=0):
        *_, (self.status, *rest) = self.turn(worker, claim=[n, room, high])
        if self.status == "REFUSED":
            raise redis_py.ResponseError(rest[0])
        if not rest:
            return []
        number, nonce, marks, *records = rest
        assert len(marks) == len(records)
        return [(f"{int(number) + i}.{nonce}{mark.strip('-')}", record)
                for i, (mark, record) in enumerate(zip(marks, records), 1)]

    def begin(self, *jobs, worker="w"):
        """Each job: (token, order key[, account[, kind[, hash]]]). Per job the letter and its text in one."""
        jobs = [(list(job) + ["shop", "P", HASH][len(job) - 2:])[:5] for job in jobs]
        keys = [self.order_key(account, key) for _, key, account, _, _ in jobs]
        count, *its_runs = runs([kind + account for _, _, account, kind, _ in jobs])
        columns = [[len(jobs), count], its_runs, [token for token, *_ in jobs], [digest for *_, digest in jobs]]
        letters, *texts = self.turn(worker, begin=columns, keys=keys)[3]
        if jobs and not letters:
            raise redis_py.ResponseError(texts[0])
        assert len(letters) == len(jobs) and len(texts) == sum(letter in "DUW" for letter in letters)
        texts = iter(texts)
        return [letter + (next(texts) if letter in "DUW" else "") for letter in letters]

    def settle(self, *jobs, worker="w", again=False, jitter=0):
        """Each job a dict: token, op, and what it needs of account, effect, result, ledger, key, due,
        body, results. Returns the replies of the jobs; `self.next` is when to claim again."""
        whats, extras, keys, lists = [], [], [], []
        for job in jobs:
            op, account = job["op"], job.get("account", "shop")
            if "results" in job:
                lists.append(job["results"])
                op += f"@{len(lists)}"
            keys.append(self.order_key(account, job["key"]) if "key" in job else self.key("jobs"))
            whats.append(f"{account} {op} {job.get('effect', 's')}")
            if op.startswith(("dead", "retry", "wait")):
                extras += [job.get("due", 0), job.get("body", "")]
        count, *its_runs = runs(whats)
        columns = [[len(jobs), count, jitter, int(again)], its_runs, [job["token"] for job in jobs],
                   [job.get("result", "") for job in jobs], [job.get("ledger", "") for job in jobs], extras]
        letters, *self.turns = self.turn(worker, settle=columns, keys=keys + lists)[2]
        assert len(letters) == len(jobs)
        return [SETTLED[letter] for letter in letters]

    def pick(self, text, key="k", worker="w", account="shop", digest=HASH):
        """As an idle worker whose blocking pick-up moved `text`: (token, answer), or None."""
        return self.call("pick", [worker, len(self.prefix) + len("order:"), "P" + account, digest, text], worker,
                         [self.order_key(account, key)])[:2] or None

    def recover(self, dead="w", most=200):
        """One call as a worker makes it: it reads the begun claims first."""
        claims = self.db.hgetall(self.key(f"claims:{dead}"))
        begun = [(t.decode(), c.decode()) for t, c in claims.items() if c][:most]
        return self.call("recover", [dead, most, *[t for t, _ in begun]], dead,
                         [f"{self.prefix}order:{c[1:]}" for _, c in begun])

    def leave(self, worker="w"):
        return self.call("leave", [worker], worker)

    # -- planting and looking -----------------------------------------------------------------------

    def push(self, *texts):
        for text in texts:
            self.db.lpush(self.key("jobs"), text)

    def limits(self, account="shop", rate=0, burst=1, conc=0, failures=0, cooldown=30000, probe=60000, ttl=604800000):
        self.db.hset(self.key("limits"), account, f"{rate:.12g} {burst} {conc} {failures} {cooldown} {probe} {ttl}")

    def gate(self, account="shop"):
        return read_gate(self.db.hget(self.key("accounts"), account))

    def set_gate(self, account="shop", **changes):
        """Changes what is stored of a gate: how a test lets time pass."""
        g = self.gate(account)
        for name, value in changes.items():
            setattr(g, name, value)
        self.db.hset(self.key("accounts"), account,
                     f"{g.tokens:.6f} {g.ts:.3f} {g.conc} {g.fails} {g.mode} {g.till:.3f} {g.cool:.0f} {g.probe}")
        if self.db.zscore(self.key("gates"), account) is not None:
            self.db.zadd(self.key("gates"), {account: 0})

    def age(self, ms, account="shop"):
        """As if `ms` had passed for an account's gate."""
        g = self.gate(account)
        self.set_gate(account, ts=g.ts - ms, till=max(0, g.till - ms))

    def expire(self, worker="w"):
        """The worker's lease ran out a moment ago."""
        self.db.zadd(self.key("workers"), {worker: self.now() - 1})

    def stat(self, name):
        return int(self.db.hget(self.key("stats"), name) or 0)

    def ledger(self, key, account="shop"):
        value = self.db.get(self.order_key(account, key))
        return None if value is None else value.decode()

    def jobs(self):
        """What is on the queue, the next to be taken first."""
        return as_text(self.db.lrange(self.key("jobs"), 0, -1))[::-1]

    def list(self, name):
        return as_text(self.db.lrange(self.key(name), 0, -1))

    def zset(self, name):
        return {k.decode(): s for k, s in self.db.zrange(self.key(name), 0, -1, withscores=True)}

    def hash(self, name):
        return {k.decode(): v.decode("utf-8", "surrogateescape") for k, v in self.db.hgetall(self.key(name)).items()}

    def one(self, text="job", key="k", **how):
        """Pushes a job, claims and begins it: its token."""
        self.push(text)
        [(token, _)] = self.claim(1)
        assert self.begin((token, key), **how) == ["G"]
        return token

    def books(self):
        """Where every job is; the books must balance after whatever a test has done."""
        parked = self.hash("parked")
        waiting = [m.rpartition(" ")[2].lstrip("0") for m in self.zset("waiting")]
        delayed = list(self.zset("delayed"))
        assert sorted(parked) == sorted(waiting + delayed), (parked, waiting, delayed)
        inflight, begun = 0, {}
        for name in self.db.scan_iter(self.key("inflight:*")):
            inflight += self.db.hlen(name)
        for name in self.db.scan_iter(self.key("claims:*")):
            worker = name.decode().rpartition(":")[2]
            claims = self.hash(f"claims:{worker}")
            assert sorted(claims) == sorted(self.hash(f"inflight:{worker}"))
            for claim in claims.values():
                if claim:
                    account = claim[1:].partition(":")[0]
                    begun[account] = begun.get(account, 0) + 1
        for account in self.hash("accounts"):
            assert self.gate(account).conc == begun.get(account, 0), account
        assert self.stat("taken") == self.stat("settled") + self.stat("died") + len(parked) + inflight
        assert self.db.zcard(self.key("dead")) == self.db.hlen(self.key("dead:entries"))
