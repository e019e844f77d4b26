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
with open(os.path.join(ROOT, "src", "queue", "format.h"), encoding="utf-8") as _header:
    FORMAT, FORMAT_OLDEST = map(int, re.findall(r"^#define QUEUE_FORMAT(?:_OLDEST)? +(\d+)", _header.read(), re.M))
HASH = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
OPS = {"done": "O", "dead": "D", "retry": "R", "wait": "W", "back": "B"}
SETTLED = {"O": "OK", "H": "HELD", "L": "LOST", "W": "WRONGTYPE", "B": "BEGUN"}

_spec = importlib.util.spec_from_file_location("embed", os.path.join(LUA, "embed.py"))
_embed = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_embed)


# What EVALSHA is called with, by the script's name.
SCRIPT_SHA = {f[:-4]: hashlib.sha1(_embed.assemble(os.path.join(LUA, f)).encode()).hexdigest()
              for f in os.listdir(LUA) if f.endswith(".lua")}


# What stands in a call on the wire: a turn that begins orders, one that settles created ones, one that claims what a pick-up
# gave (NUMBERS: nothing to settle, one job to begin), any call of a script.
CALLS = {**{name: sha.encode() for name, sha in SCRIPT_SHA.items()}, "claim": SCRIPT_SHA["turn"].encode(),
         "begin": b"\r\nS ", "settle": b"\r\nOs", "pick": b"$50\r\n\0\0\0\0\1\0\1\0"}


def as_text(value):
    if isinstance(value, list):
        return [as_text(v) for v in value]
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def head_of(name):
    """A script's opening comment, in one line."""
    with open(os.path.join(LUA, name + ".lua"), encoding="utf-8") as f:
        return re.match(r"(?:--[^\n]*\n)*", f.read()).group(0).replace("\n--", " ")


def fixed_keys(name):
    """The names in a script's KEYS comment, in order; those of further keys (per job) are left out."""
    part = re.search(r"\bKEYS\b(.*?)(?:; then|; from|ARGV)", head_of(name)).group(1)
    return [k for k in re.findall(r"\d+\s+([\w:<>]+)", part) if not k.startswith("order:")]


def runs(items):
    """Equal neighbours, as turn.lua takes them: what each run is, and how long."""
    pieces = [(item, list(group)) for item, group in itertools.groupby(items)]
    return [(item, len(group[at:at + 255])) for item, group in pieces for at in range(0, len(group), 255)]


def packed_limits(rate=0, burst=1, conc=0, failures=0, cooldown=30000, probe=60000, rejects=0, ttl=604800000):
    """An account's limits, as a worker tells them and Redis keeps them (gate.lua)."""
    return struct.pack("<b7d", 1, rate, burst, conc, failures, cooldown, probe, rejects) + str(ttl).encode()


def op_of(job, lists):
    """A settlement's op, as settle.lua takes it; its results list goes to `lists`."""
    verb, _, counter = job["op"].partition(":")
    effect = job.get("effect", "s")
    op = OPS[verb] + effect[0] + counter
    if "results" in job:
        lists.append(job["results"])
    if "results" in job or effect[1:]:
        op += f":{len(lists) if 'results' in job else ''}:{effect[1:]}"
    return op


def turn_call(prefix, worker, begin, settle, claim, limits_of, bits, batch, version, jitter, picked):
    """A call of turn.lua as a worker makes it: its keys behind the fixed ones, its arguments. `begin`: [token, order key, account,
    kind, hash] each; `settle`: dicts of token, op, account, and what else it needs; `limits_of`: an account's, or None; `batch`:
    the number of the one that is claimed, 0 for none."""
    lists, limits, extras = [], [], []
    ops = [op_of(job, lists) for job in settle]
    distinct = list(dict.fromkeys(ops))
    for job, op in zip(settle, ops):
        if op[0] in "DRW":
            extras += [job.get("due", 0), job.get("body", "")]

    def limits_index(account):
        text = limits_of(account)
        if text is not None and text not in limits:
            limits.append(text)
        return 0 if text is None else limits.index(text) + 1

    settle_runs = runs([(job["account"], op) for job, op in zip(settle, ops)])
    begin_runs = runs([(account, kind) for _, _, account, kind, _ in begin])
    packed = b"".join(bytes([n, limits_index(account), distinct.index(op) + 1]) for (account, op), n in settle_runs)
    packed += b"".join(bytes([n, limits_index(account), ord(kind)]) for (account, kind), n in begin_runs)
    claims = [token.split(".") for token in [job["token"] for job in settle] + [job[0] for job in begin]]
    batches = list(dict.fromkeys(n for n, _ in claims))
    places = b"".join(struct.pack("<BH", batches.index(n) + 1, int(place)) for n, place in claims)
    bits += 2 * bool(claim) + 4 * any(op.startswith("D") for op in ops)
    numbers = struct.pack("<9H4d", len(settle), len(settle_runs), len(begin), len(begin_runs), len(limits), len(distinct), len(batches),
                          len(prefix) + len("order:"), bits, batch, *(claim or (0, 0, 0)))
    args = [worker, numbers, packed, version, jitter, picked, places, *limits, *distinct, *batches]
    args += [account for (account, _), _ in settle_runs + begin_runs]
    args += [f"S {digest} {worker} {token}" for token, *_, digest in begin]
    args += [job.get("result", "") for job in settle] + [job.get("ledger", "") for job in settle] + extras
    keys = [f"{prefix}order:{job['account']}:{job['key']}" if "key" in job else prefix + "jobs" for job in settle]
    keys += [f"{prefix}order:{account}:{key}" for _, key, account, _, _ in begin]
    return keys + [f"{prefix}batch:{worker}:{n}" for n in batches] + lists, args


@dataclass
class Batch:
    """What claims:<worker> has of a batch (claims.lua)."""
    first: int
    count: int
    due: int
    passed: int
    left: int
    letters: str
    begun: dict  # place -> account:key


def read_batch(stored):
    head = struct.unpack_from("<d4H", stored)
    letters, at, begun = stored[16:16 + head[1]].decode(), 16 + head[1], {}
    while at < len(stored):
        place, length = struct.unpack_from("<HH", stored, at)
        begun[place] = stored[at + 4:at + 4 + length].decode()
        at += 4 + length
    return Batch(int(head[0]), *head[1:], letters, begun)


def write_batch(b):
    begun = b"".join(struct.pack("<HH", place, len(key)) + key.encode() for place, key in b.begun.items())
    return struct.pack("<d4H", b.first, b.count, b.due, b.passed, b.left) + b.letters.encode() + begun


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
    refused: int = 0
    code: str = "-"


HEAD, TAIL = "<bddII", "<cddI"


def read_gate(stored):
    """What the hash `accounts` holds of an account (gate.lua)."""
    if stored[:1] != b"\1" or len(stored) < 25:
        return Gate(0, 0, 0, 0, "n", 0, 0, "-")
    _, tokens, ts, conc, fails = struct.unpack_from(HEAD, stored)
    if len(stored) == 25:
        return Gate(tokens, ts, conc, fails, "n", 0, 0, "-")
    mode, till, cool, refused = struct.unpack_from(TAIL, stored, 25)
    probe, code = stored[46:].decode().split(" ")
    return Gate(tokens, ts, conc, fails, mode.decode(), till, cool, probe, refused, code)


def write_gate(g):
    head = struct.pack(HEAD, 1, g.tokens, g.ts, int(g.conc), int(g.fails))
    if g.mode == "n" and g.probe == "-" and not (g.till or g.cool or g.refused):
        return head
    return head + struct.pack(TAIL, g.mode.encode(), g.till, g.cool, int(g.refused)) + f"{g.probe} {g.code}".encode()


class Scripts:
    def __init__(self, server, queue="q"):
        self.db = server.client
        self.db.flushall()
        self.prefix = "dray:{%s}:" % queue
        self.texts = {f[:-4]: _embed.assemble(os.path.join(LUA, f)) for f in os.listdir(LUA) if f.endswith(".lua")}
        self.batches = {}  # worker -> the number of its last batch
        self.numbers = {}  # worker, token -> the claim's number
        self.rules = []    # further ones of the Redis user who runs the scripts
        self.limited = redis_py.Redis(unix_socket_path=server.socket, username="script", password="x")

    def key(self, name):
        return self.prefix + name

    def order_key(self, account, key):
        return f"{self.prefix}order:{account}:{key}"

    def now(self):
        seconds, micros = self.db.time()
        return seconds * 1000 + micros / 1000

    def keys_of(self, script, worker, batch):
        names = {"<worker>": worker, "<dead>": worker, "<n>": str(batch)}
        return [self.key(re.sub("<.*?>", lambda name: names.get(name[0], name[0]), k)) for k in fixed_keys(script)]

    def call(self, script, args, worker="w", more=(), batch=0):
        keys = self.keys_of(script, worker, batch) + list(more)
        rules = ["reset", "on", ">x", "+@all"] + [f"~{k}" for k in dict.fromkeys(keys)]
        rules += [f"~{self.key(f'batch:{worker}:*')}"] * ("reads batch:<worker>:*" in head_of(script)) + self.rules
        self.db.execute_command("ACL", "SETUSER", "script", *rules)
        return as_text(self.limited.eval(self.texts[script], len(keys), *keys, *args))

    # -- the calls ----------------------------------------------------------------------------------

    def beat(self, worker="w", lease=60000, info="", ours=FORMAT, oldest=FORMAT_OLDEST):
        return self.call("beat", [worker, lease, info, ours, oldest], worker)

    def turn(self, worker="w", begin=(), settle=(), claim=(), again=False, jitter=0, batch=None, version=None, told=None, picked="",
             outside=False):
        """One call of turn.lua: its reply. `begin`: (token, order key[, account[, kind[, hash]]]) each; `settle`: dicts,
        as settle() takes them; `claim`: (how many, bytes, high water); `batch`: as whose number it is claimed, where it is not the
        next. `picked`: a text that is claimed and begun (pick.lua)."""
        begin = [(list(job) + ["shop", "P", HASH][len(job) - 2:])[:5] for job in begin]
        settle = [{"account": "shop", **job} for job in settle]

        def stored(name, field):
            """None, too, where the key is no hash: a test wants to see what the script says."""
            try:
                return self.db.hget(self.key(name), field)
            except redis_py.ResponseError:
                return None

        if batch is None:
            batch = self.next_batch(worker) if claim or picked else 0
        stray = {job["account"] for job in settle} | {job[2] for job in begin}
        bits = again + 8 * any(a and stored("limits", a) is None for a in stray) + 16 * outside
        keys, args = turn_call(self.prefix, worker, begin, settle, claim, lambda account: told or stored("limits", account), bits=bits,
                               batch=batch, version=version or stored("stats", "limits") or b"", jitter=jitter, picked=picked)
        reply = self.call("turn", args, worker, keys, batch)
        self.next = float(reply[1])
        return reply

    def next_batch(self, worker="w"):
        self.batches[worker] = self.batches.get(worker, 0) + 1
        return self.batches[worker]

    def claimed(self, claimed, worker="w", batch=None):
        """The tokens and texts of a claim's answer, which a worker reads from the batch: the texts of the last one, or of `batch`."""
        if len(claimed) < 2 or claimed[0] != "OK" or int(claimed[2]) == 0:
            return []
        n = batch or self.batches[worker]
        records = self.list(f"batch:{worker}:{n}")
        number, count, due, passed, self.left = map(int, claimed[1:])
        assert len(records) == count
        for i, record in enumerate(records[:due + passed]):
            assert re.match(r"\d[A-Z]\d* .*\n", record), (i, record)
        for i in range(count):
            self.numbers[worker, f"{n}.{i}"] = number + 1 + i
        return [(f"{n}.{i}", record) for i, record in enumerate(records)]

    def claim(self, n=10, worker="w", room=1 << 22, high=0):
        *_, claimed = self.turn(worker, claim=[n, room, high])
        self.status = claimed[0]
        if self.status == "REFUSED":
            raise redis_py.ResponseError(claimed[1])
        return self.claimed(claimed, worker)

    def begin(self, *jobs, worker="w", **how):
        """Each job: (token, order key[, account[, kind[, hash]]]). Per job the letter and its text in one."""
        letters, *texts = self.turn(worker, begin=jobs, **how)[3]
        if jobs and not letters:
            raise redis_py.ResponseError(texts[0])
        assert len(letters) == len(jobs) and len(texts) == sum(letter in "DUW" for letter in letters)
        texts = iter(texts)
        return [letter + (next(texts) if letter in "DUW" else "") for letter in letters]

    def settle(self, *jobs, worker="w", **how):
        """Each job a dict: token, op, and what it needs of account, effect, result, ledger, key, due,
        body, results. Returns the replies of the jobs; `self.next` is when to claim again."""
        letters, *self.turns = self.turn(worker, settle=jobs, **how)[2]
        assert len(letters) == len(jobs)
        return [SETTLED[letter] for letter in letters]

    def pick(self, text, key="k", worker="w", account="shop", digest=HASH, kind="P", **how):
        """As an idle worker whose blocking pick-up moved `text`: (token, answer), or None where it is not claimed; `self.left`:
        how many more jobs there are. `outside`: as `dray try`, with a job that lies in no list."""
        token = f"{self.next_batch(worker)}.0"
        *_, (letters, *texts), claimed = self.turn(worker, [(token, key, account, kind, digest)], picked=text,
                                                   batch=self.batches[worker], **how)
        if claimed[0] != "OK":
            assert claimed == ["NONE"] and letters in ("L", "")  # "": Redis is full
            return None
        self.numbers[worker, token], self.left = int(claimed[1]) + 1, claimed[2]
        return [token, letters + "".join(texts)]

    def recover(self, dead="w", most=1000, living=False):
        """Calls as a worker makes them, until nothing is left or `most` batches were looked at: it reads what is held, then takes
        it batch by batch, the newest first. The last answer, with the sums of what was given back and made unknown. `living`: the
        worker itself, of begun claims that it does not know."""
        held = self.call("held", [], dead)
        batches = list(zip(held[::2], held[1::2]))[::-1][:most] or [("", b"")]
        given = unknown = 0
        for n, stored in batches:
            b = read_batch(stored.encode("utf-8", "surrogateescape")) if stored else None
            places = [i for i, letter in enumerate(b.letters) if letter not in "-."] if b else []
            status, *reply = self.call("recover", [dead, n, "1" if living else "", *places], dead,
                                       [f"{self.prefix}order:{b.begun[i]}" for i in places], n)
            if status != "OK":
                return [status]
            given, unknown = given + int(reply[1]), unknown + int(reply[2])
        return ["OK", reply[0], str(given), str(unknown)]

    def leave(self, worker="w"):
        return self.call("leave", [worker], worker)

    # -- planting and looking -----------------------------------------------------------------------

    def push(self, *texts):
        for text in texts:
            self.db.lpush(self.key("jobs"), text)

    def limits(self, account="shop", rate=0, burst=1, conc=0, failures=0, cooldown=30000, probe=60000, ttl=604800000, rejects=0):
        self.db.hset(self.key("limits"), account, packed_limits(rate, burst, conc, failures, cooldown, probe, rejects, ttl))
        self.db.hincrby(self.key("stats"), "limits", 1)

    def gate(self, account="shop"):
        """What is stored of an account's gate; nothing is of one that never had anything to store."""
        stored = self.db.hget(self.key("accounts"), account)
        if stored is not None:
            return read_gate(stored)
        limits = self.db.hget(self.key("limits"), account) or packed_limits()
        return Gate(struct.unpack_from("<d", limits, 9)[0], self.now(), 0, 0, "n", 0, 0, "-")

    def set_gate(self, account="shop", **changes):
        """Changes what is stored of a gate: how a test lets time pass."""
        g = self.gate(account)
        for name, value in changes.items():
            setattr(g, name, value)
        self.db.hset(self.key("accounts"), account, write_gate(g))
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

    def batches_of(self, worker="w"):
        """number -> what claims:<worker> has of it, the oldest first."""
        stored = {int(n): read_batch(b) for n, b in self.db.hgetall(self.key(f"claims:{worker}")).items()}
        return dict(sorted(stored.items()))

    def inflight(self, worker="w"):
        """token -> record of every claim that has not ended, the oldest first."""
        held = {}
        for n, b in self.batches_of(worker).items():
            records = self.list(f"batch:{worker}:{n}")
            held.update({f"{n}.{i}": records[i] for i, letter in enumerate(b.letters) if letter != "."})
        return held

    def begun(self, worker="w"):
        """token -> letter and "account:key" of every claim that has begun and not ended."""
        return {f"{n}.{i}": letter + b.begun[i] for n, b in self.batches_of(worker).items()
                for i, letter in enumerate(b.letters) if letter not in "-."}

    def number(self, token, worker="w"):
        """The number of a claim, which it had when it was claimed."""
        return self.numbers[worker, token]

    def dump(self, *but):
        """Every key as it is stored, but for those that end so."""
        return {k: self.db.dump(k) for k in self.db.scan_iter() if not k.decode().endswith(but or "\0")}

    def books(self):
        """Where every job is; the books must balance after whatever a test has done."""
        parked = self.hash("parked")
        waiting = [m.rpartition(" ")[2].lstrip("0") for m in self.zset("waiting")]
        delayed = list(self.zset("delayed"))
        assert sorted(parked) == sorted(waiting + delayed), (parked, waiting, delayed)
        inflight, counted, lists = 0, {}, set()
        for name in self.db.scan_iter(self.key("claims:*")):
            worker = name.decode().rpartition(":")[2]
            inflight += len(self.inflight(worker))
            for claim in self.begun(worker).values():
                if claim[0].isupper():
                    account = claim[1:].partition(":")[0]
                    counted[account] = counted.get(account, 0) + 1
            for n, b in self.batches_of(worker).items():
                lists.add(self.key(f"batch:{worker}:{n}").encode())
                assert b.left == sum(letter != "." for letter in b.letters) > 0
                assert self.db.llen(self.key(f"batch:{worker}:{n}")) == b.count == len(b.letters)
        assert lists == set(self.db.scan_iter(self.key("batch:*")))
        for account in self.hash("accounts"):
            g = self.gate(account)
            assert g.conc == counted.get(account, 0), account
        assert self.stat("taken") == self.stat("settled") + self.stat("died") + len(parked) + inflight
        assert self.db.zcard(self.key("dead")) == self.db.hlen(self.key("dead:entries"))
