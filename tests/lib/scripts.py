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
OPS = {"done": "O", "dead": "D", "retry": "R", "wait": "W", "back": "B"}
SETTLED = {"O": "OK", "H": "HELD", "L": "LOST", "W": "WRONGTYPE", "B": "BEGUN"}

_spec = importlib.util.spec_from_file_location("embed", os.path.join(LUA, "embed.py"))
_embed = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_embed)


# What EVALSHA is called with, by the script's name.
SCRIPT_SHA = {f[:-4]: hashlib.sha1(_embed.assemble(os.path.join(LUA, f)).encode()).hexdigest()
              for f in os.listdir(LUA) if f.endswith(".lua")}


# What stands in a call on the wire: a turn that begins orders of `shop`, one that settles created ones, any call of a script.
CALLS = {**{name: sha.encode() for name, sha in SCRIPT_SHA.items()}, "claim": SCRIPT_SHA["turn"].encode(),
         "begin": b"\r\nS ", "settle": b"\r\nOsb"}


def as_text(value):
    if isinstance(value, list):
        return [as_text(v) for v in value]
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def all_begun(db, claims):
    """claims:<worker> as if no bundle were folded (fold.lua)."""
    entries = db.hgetall(claims)
    for name in [k for k in entries if k.startswith(b"folded:")]:
        stored, left = entries.pop(name), entries.pop(name.replace(b"folded", b"left"))
        kind, count, first, nonce = struct.unpack_from("<cHdI", stored)
        bits, at = int.from_bytes(left[2:], "little"), 15
        assert struct.unpack_from("<H", left)[0] == bin(bits).count("1") > 0 and bits < 1 << count
        for i in range(count):
            size = struct.unpack_from("<H", stored, at)[0]
            if bits >> i & 1:
                entries[b"%d.%db" % (first + i, nonce)] = kind + stored[at + 2:at + 2 + size]
            at += 2 + size
        assert at == len(stored)
    assert not [k for k in entries if k.startswith(b"left:")]
    return entries


def unfolded(db, inflight):
    """inflight:<worker> as if no bundle were folded (fold.lua)."""
    entries, claims = db.hgetall(inflight), all_begun(db, inflight.replace(":inflight:", ":claims:"))
    for n, begun, first, count, nonce in struct.iter_unpack("<BBdHI", entries.pop(b"folded", b"")):
        tokens = [b"%d.%db" % (first + i, nonce) for i in range(count)]
        entries.update({t: b"%d:%d" % (n, first) for t in tokens if not begun or t in claims})
    return {k.decode(): v.decode("utf-8", "surrogateescape") for k, v in entries.items()}


def fixed_keys(name):
    """The names in a script's KEYS comment, in order; those of further keys (per job) are left out."""
    with open(os.path.join(LUA, name + ".lua"), encoding="utf-8") as f:
        head = re.match(r"(?:--[^\n]*\n)*", f.read()).group(0).replace("\n--", " ")
    part = re.search(r"\bKEYS\b(.*?)(?:; then|; from|ARGV)", head).group(1)
    return [k for k in re.findall(r"\d+\s+([\w:<>]+)", part) if not k.startswith("order:")]


def runs(items):
    """Equal neighbours, as turn.lua takes them: what each run is, and how long."""
    pieces = [(item, list(group)) for item, group in itertools.groupby(items)]
    return [(item, len(group[at:at + 255])) for item, group in pieces for at in range(0, len(group), 255)]


def packed_limits(text):
    """As a worker tells its accounts' limits; what cannot be read stays as it is."""
    words = text.split() if text else []
    try:
        sane = 0 < int(words[7]) < 1e13
        return struct.pack("<b7d", 1, *map(float, words[:7])) + words[7] if sane else text
    except (ValueError, IndexError, struct.error):
        return text


def number_of(token):
    return int(re.match(r"\d*", str(token)).group() or 0)


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


def read_gate(stored):
    """What the hash `accounts` holds of an account: packed where nothing holds it up, else text (gate.lua)."""
    if stored[:1] == b"\1":
        _, tokens, ts, conc, fails = struct.unpack("<bddII", stored)
        return Gate(tokens, ts, conc, fails, "n", 0, 0, "-")
    t, s, c, f, m, u, o, p, *more = stored.decode().split(" ")
    refused, code = more or (0, "-")
    return Gate(float(t), float(s), int(c), int(f), m, float(u), float(o), p, int(refused), code)


class Scripts:
    def __init__(self, server, queue="q"):
        self.db = server.client
        self.db.flushall()
        self.prefix = "dray:{%s}:" % queue
        self.texts = {f[:-4]: _embed.assemble(os.path.join(LUA, f)) for f in os.listdir(LUA) if f.endswith(".lua")}
        self.claims = {}  # worker, token -> what it knows of its claim: n not begun, b begun, c begun and counted
        self.turn_sent, self.turn_answered, self.highest = {}, {}, {}
        self.first_pop = 1
        self.bundles = {}  # worker, n -> number of the first, texts, as they were claimed
        self.folded = set()  # of these, those that are folded as far as the worker knows (fold.lua)
        self.calm = True  # says of turns that may be calm that they are
        self.ahead = False  # lets the results of these go ahead of them
        self.went_ahead = []  # of each turn whose results did, whether it ran
        self.limited = redis_py.Redis(unix_socket_path=server.socket, username="script", password="x")

    def key(self, name):
        return self.prefix + name

    def bundle_key(self, worker, n):
        return f"{self.prefix}bundle:{worker}:{n}"

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

    def call_ahead(self, commands, results, keys, args, worker, number, entries):
        """turn.lua as a transaction (undo.lua): its reply, or None where it is to be called the usual way. `entries`: what
        undo.lua is told of the ledger's entries that go ahead, too."""
        fixed = [self.key(k.replace("<worker>", worker)) for k in fixed_keys("turn")] + keys
        named = [key for c in commands for key in (c[1::2] if c[0] == "MSETNX" else c[1:2])]
        rules = ["reset", "on", ">x", "+@all"] + [f"~{k}" for k in dict.fromkeys(fixed + named)]
        self.db.execute_command("ACL", "SETUSER", "script", *rules)
        with self.limited.pipeline(transaction=True) as pipe:
            for command in commands:
                pipe.execute_command(*command)
            pipe.eval(self.texts["turn"], len(fixed), *fixed, *args)
            pipe.eval(self.texts["undo"], 3, self.key("results"), self.key("stats"), self.key(f"claims:{worker}"), worker, struct.pack("<d", number), len(results), results[0], *entries)
            try:
                *_, reply, undone = pipe.execute(raise_on_error=False)
            except redis_py.ResponseError:  # refused, as a whole
                undone, reply = 1, None
        self.went_ahead.append(undone == 0)
        if undone == 1:
            return None
        if isinstance(reply, Exception):
            raise reply
        return as_text(reply)

    # -- the calls ----------------------------------------------------------------------------------

    def beat(self, worker="w", lease=60000, info=""):
        return self.call("beat", [worker, lease, info], worker)

    def turn(self, worker="w", begin=(), settle=(), claim=(), again=False, doubt=False, jitter=0, number=None, version=None, told=None,
             bundle=0, ended=(), ahead=True):
        """One call of turn.lua: its reply. `begin`: (token, order key[, account[, kind[, hash]]]) each; `settle`: dicts,
        as settle() takes them; `claim`: (how many, bytes, high water). What is to be known of claims (whether they began)
        is known from earlier calls; what is not known is in doubt. `ahead`: True; "only": None where it is to be sent again."""
        begin = [(list(job) + ["shop", "P", HASH][len(job) - 2:])[:5] for job in begin]
        limits, ops, lists, extras = [], [], [], []
        for job in settle:
            verb, _, counter = job["op"].partition(":")
            effect, claimed = job.get("effect", "s"), job.get("claim", self.claims.get((worker, job["token"])))
            doubt = doubt or claimed is None
            op = OPS[verb] + effect[0] + (claimed or "b") + counter
            if "results" in job:
                lists.append(job["results"])
            if "results" in job or effect[1:]:
                op += f":{len(lists) if 'results' in job else ''}:{effect[1:]}"
            ops.append(op)
            if verb in ("dead", "retry", "wait"):
                extras += [job.get("due", 0), job.get("body", "")]
        distinct = list(dict.fromkeys(ops))

        def stored(name, field):
            """None, too, where the key is no hash: a test wants to see what the script says."""
            try:
                return self.db.hget(self.key(name), field)
            except redis_py.ResponseError:
                return None

        def limits_index(account):
            text = told or stored("limits", account)
            if text is None:
                return 0
            text = packed_limits(text)
            if text not in limits:
                limits.append(text)
            return limits.index(text) + 1

        settle_runs = runs([(job.get("account", "shop"), op) for job, op in zip(settle, ops)])
        begin_runs = runs([(account, kind) for _, _, account, kind, _ in begin])
        doubt = doubt or any(self.claims.get((worker, job[0])) != "n" for job in begin)
        packed = b"".join(bytes([n, limits_index(account), distinct.index(op) + 1]) for (account, op), n in settle_runs)
        packed += b"".join(bytes([n, limits_index(account), ord(kind)]) for (account, kind), n in begin_runs)
        number = number or self.turn_sent.get(worker, 0) + 1
        self.turn_sent[worker] = max(number, self.turn_sent.get(worker, 0))
        lowest = min([number_of(job[0]) for job in begin] + [number_of(job["token"]) for job in settle] +
                     [self.bundles[worker, b][0] for b in ended], default=2.0 ** 53)
        bundle = bundle if claim else 0
        begin_of = [self.bundle_of(worker, job[0]) for job in begin]
        settle_of = [self.bundle_of(worker, job["token"]) for job in settle]
        of_begins = sorted(set(begin_of) - {0})
        of_settles = sorted(set(settle_of) - {0})

        def place(n, token):
            which = number_of(token) - self.bundles[worker, n][0] if n else 0
            return struct.pack("<BHB", n, 1 + which // 8, 1 << which % 8)

        def keys_of(n):
            """As of claims in their order from the first on; else nothing."""
            mine = [job for of, job in zip(begin_of, begin) if of == n]
            texts = [f"{job[2]}:{job[1]}".encode() for job in mine]
            in_order = [place(n, job[0]) for job in mine] == [struct.pack("<BHB", n, 1 + i // 8, 1 << i % 8) for i in range(len(mine))]
            return b"".join(struct.pack("<H", len(t)) + t for t in texts) if in_order else b""
        touched = {bundle, *ended, *(n for n in range(1, 256) if (worker, n) in self.bundles)} - {0}
        bits = again + 2 * doubt + 4 * bool(claim) + 8 * any(op.startswith("D") for op in ops)
        stray = {job.get("account", "shop") for job in settle} | {job[2] for job in begin}
        bits += 16 * any(a and stored("limits", a) is None for a in stray)
        bits += 32 * (self.calm and not bits & ~4 and self.may_be_calm(begin, settle, ops, claim, ended))
        n, room, high = claim or (0, 0, 0)
        goes_ahead = ahead and self.ahead and bits & 32 and settle
        ends_folded = goes_ahead and all((worker, n) in self.folded for n in settle_of)
        begins_folded = goes_ahead and self.may_fold(worker, begin, begin_of, {limits[limits_index(job[2]) - 1] for job in begin})
        accounts = [account for (account, _), _ in settle_runs + begin_runs]
        bits += 512 * bool(bits & 32 and len(set(accounts)) == len(accounts))
        bits += 64 * bool(goes_ahead) + 128 * bool(ends_folded) + 256 * bool(begins_folded)
        numbers = struct.pack("<9HBHBB7d", len(settle), len(settle_runs), len(begin), len(begin_runs), len(limits), len(distinct),
                              self.first_pop, len(self.prefix) + len("order:"), bits, bundle,
                              sum(n > 0 for n in begin_of), len(of_begins), len(of_settles), number, self.turn_answered.get(worker, 0),
                              self.highest.get(worker, 0), lowest, n, room, high) + bytes(of_begins + of_settles + list(ended))
        args = [worker, numbers, packed, version or stored("stats", "limits") or b"", jitter]
        args += [b"".join(place(n, job["token"]) for n, job in zip(settle_of, settle)), *map(keys_of, of_begins), *limits, *distinct]
        args += accounts
        entries = [f"S {digest} {worker} {token}" for token, *_, digest in begin]
        args += entries[:1] if begins_folded else [job[0] for job in begin] + entries
        args += [] if ends_folded else [job["token"] for job in settle]
        settle_keys = [self.order_key(job.get("account", "shop"), job["key"]) if "key" in job else self.key("jobs") for job in settle]
        begin_keys = [self.order_key(account, key) for _, key, account, _, _ in begin]
        keys = (begin_keys[:1] if begins_folded else begin_keys) + lists
        keys += [self.bundle_key(worker, n) for n in sorted(touched)]
        if goes_ahead:
            commands = [("LPUSH", self.key("results"), *[job["result"] for job in settle])]
            commands += [("PSETEX", key, limits[limits_index(job.get("account", "shop")) - 1][57:], job["ledger"])
                         for key, job in zip(settle_keys, settle)]
            undo = [entries[0], self.order_key("", "")[:-1], *map(keys_of, of_begins)] if begins_folded else []
            if begins_folded:
                commands.append(("MSETNX", *[x for pair in zip(begin_keys, entries) for x in pair]))
            reply = self.call_ahead(commands, [job["result"] for job in settle], keys, args, worker, number, undo)
            if reply is None and ahead == "only":
                return None
            if reply is None:
                self.unfold(worker)
                return self.turn(worker, [tuple(job) for job in begin], settle, claim, again, False, jitter, number, version, told,
                                 bundle, ended, ahead=False)
        else:
            args += [job.get("result", "") for job in settle] + [job.get("ledger", "") for job in settle] + extras
            reply = self.call("turn", args, worker, settle_keys + keys)
        if len(reply) > 5:
            assert reply.pop() == "UNFOLDED"
            self.unfold(worker)
        if claim and reply[4] and reply[4][0] == "BUNDLE":
            self.folded.add((worker, bundle))
            self.bundles[worker, bundle] = int(reply[4][1]) + 1, self.list(self.bundle_key(worker, bundle)[len(self.prefix):])
            reply[4] = ["BUNDLE", reply[4][1], reply[4][2], "b" * int(reply[4][3]), *self.bundles[worker, bundle][1]]
        self.answered(worker, number, reply, begin)
        self.next = float(reply[1])
        return reply

    def bundle_of(self, worker, token):
        """Which bundle a claim is of; 0: of none."""
        number = number_of(token)
        return next((n for (of, n), (first, texts) in self.bundles.items()
                     if of == worker and str(token).endswith("b") and first <= number < first + len(texts)), 0)

    def unfold(self, worker):
        self.folded = {(of, n) for of, n in self.folded if of != worker}

    def may_fold(self, worker, begin, begin_of, limits):
        """Whether all that begin are whole folded bundles in their order, and all or none of them are counted."""
        wanted = [(n, first + i) for n in sorted(set(begin_of) - {0}) for first, texts in [self.bundles[worker, n]] for i in range(len(texts))]
        counted = {text[17:25] != bytes(8) for text in limits}
        return (bool(begin) and all((worker, n) in self.folded for n in begin_of) and len(counted) == 1 and
                [(n, number_of(job[0])) for n, job in sorted(zip(begin_of, begin), key=lambda x: x[0])] == wanted)

    def may_be_calm(self, begin, settle, ops, claim, ended):
        """As a worker says it (calm.lua): of the most usual kind, and no order key twice."""
        plain = all(re.fullmatch(r"Os[bc]\w+", op) and job.get("result") and job.get("ledger", "")[:1] == "C" and "key" in job
                    for job, op in zip(settle, ops))
        plain = plain and all(kind == "P" and str(token)[-1:] != "g" for token, _, _, kind, _ in begin)
        starts = [(account, key) for _, key, account, *_ in begin]
        keys = starts + list({(job.get("account", "shop"), job.get("key")) for job in settle})
        return plain and len(set(keys)) == len(keys) and bool(begin or settle or claim or ended) and (not claim or claim[0] > 0)

    def answered(self, worker, number, reply, begin):
        """What the worker knows of its claims from now on."""
        self.turn_answered[worker] = max(number, self.turn_answered.get(worker, 0))
        _, _, _, begun, claimed = reply
        for (token, *_), letter in zip(begin, begun[0] if begun else ""):
            self.claims[worker, token] = {"G": "b", "C": "c"}.get(letter, "n")
        for token, _ in self.claimed_of(claimed):
            self.claims[worker, token] = "n"
            self.highest[worker] = max(self.highest.get(worker, 0), number_of(token))

    @staticmethod
    def claimed_of(claimed):
        """The tokens and records of a claim's answer."""
        if not claimed or len(claimed) < 4:
            return []
        _, number, nonce, marks, *records = claimed
        assert len(marks) == len(records)
        return [(f"{int(number) + i}.{nonce}{mark.strip('-')}", record)
                for i, (mark, record) in enumerate(zip(marks, records), 1)]

    def claim(self, n=10, worker="w", room=1 << 22, high=0):
        *_, claimed = self.turn(worker, claim=[n, room, high])
        self.status = claimed[0]
        if self.status == "REFUSED":
            raise redis_py.ResponseError(claimed[1])
        return self.claimed_of(claimed)

    def begin(self, *jobs, worker="w", **how):
        """Each job: (token, order key[, account[, kind[, hash]]]). Per job the letter and its text in one; C, which is G of
        an account whose requests are counted, counts as G."""
        letters, *texts = self.turn(worker, begin=jobs, **how)[3]
        if jobs and not letters:
            raise redis_py.ResponseError(texts[0])
        assert len(letters) == len(jobs) and len(texts) == sum(letter in "DUW" for letter in letters)
        texts = iter(texts)
        return [letter.replace("C", "G") + (next(texts) if letter in "DUW" else "") for letter in letters]

    def settle(self, *jobs, worker="w", **how):
        """Each job a dict: token, op, and what it needs of account, effect, result, ledger, key, due,
        body, results. Returns the replies of the jobs; `self.next` is when to claim again."""
        letters, *self.turns = self.turn(worker, settle=jobs, **how)[2]
        assert len(letters) == len(jobs)
        return [SETTLED[letter] for letter in letters]

    def pick(self, text, key="k", worker="w", account="shop", digest=HASH, told=None, version=None, outside=False):
        """As an idle worker whose blocking pick-up moved `text`: (token, answer), or None; `self.left`: how many more jobs there are.
        `outside`: as `dray try`, with a job that lies in no list."""
        number = self.turn_sent[worker] = self.turn_sent.get(worker, 0) + 1
        numbers = struct.pack("<Hddd", len(self.prefix) + len("order:"), number, self.turn_answered.get(worker, 0),
                              self.highest.get(worker, 0))
        told = told or self.db.hget(self.key("limits"), account) or b""
        version = version or self.db.hget(self.key("stats"), "limits") or ""
        args = [worker, text, account, packed_limits(told), version, digest, numbers] + ["1"] * outside
        reply = self.call("pick", args, worker, [self.order_key(account, key)])
        self.turn_answered[worker] = number
        if not reply:
            return None
        token, answer, _, _, self.left = reply
        self.claims[worker, token] = {"G": "b", "C": "c"}.get(answer[0], "n")
        self.highest[worker] = max(self.highest.get(worker, 0), number_of(token))
        return [token, answer.replace("C", "G", 1)]

    def recover(self, dead="w", most=200):
        """One call as a worker makes it: it reads the begun claims first."""
        held = self.call("held", [], dead)
        begun = [(token, claim) for token, claim in zip(held[::2], held[1::2]) if claim][:most]
        return self.call("recover", [dead, most, *[t for t, _ in begun]], dead,
                         [f"{self.prefix}order:{c[1:]}" for _, c in begun] + [self.bundle_key(dead, n) for n in range(1, 256)])

    def leave(self, worker="w"):
        return self.call("leave", [worker], worker, [self.bundle_key(worker, n) for n in range(1, 256)])

    # -- planting and looking -----------------------------------------------------------------------

    def push(self, *texts):
        for text in texts:
            self.db.lpush(self.key("jobs"), text)

    def limits(self, account="shop", rate=0, burst=1, conc=0, failures=0, cooldown=30000, probe=60000, ttl=604800000, rejects=0):
        text = f"{rate:.12g} {burst} {conc} {failures} {cooldown} {probe} {rejects} {ttl}"
        self.db.hset(self.key("limits"), account, text)
        self.db.hincrby(self.key("stats"), "limits", 1)

    def gate(self, account="shop"):
        """What is stored of an account's gate; nothing is of one that never had anything to store."""
        stored = self.db.hget(self.key("accounts"), account)
        if stored is not None:
            return read_gate(stored)
        limits = (self.db.hget(self.key("limits"), account) or b"0 1").split()
        return Gate(float(limits[1]), self.now(), 0, 0, "n", 0, 0, "-")

    def set_gate(self, account="shop", **changes):
        """Changes what is stored of a gate: how a test lets time pass."""
        g = self.gate(account)
        for name, value in changes.items():
            setattr(g, name, value)
        self.db.hset(self.key("accounts"), account,
                     f"{g.tokens:.6f} {g.ts:.3f} {g.conc} {g.fails} {g.mode} {g.till:.3f} {g.cool:.0f} {g.probe} {g.refused} {g.code}")
        unwell = g.fails or g.mode != "n" or g.till or g.cool or g.probe != "-" or g.refused
        (self.db.sadd if unwell else self.db.srem)(self.key("unwell"), account)
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
        if name.startswith("inflight:"):
            return unfolded(self.db, self.key(name))
        if name.startswith("claims:"):
            return {k.decode(): v.decode() for k, v in all_begun(self.db, self.key(name)).items()}
        return {k.decode(): v.decode("utf-8", "surrogateescape") for k, v in self.db.hgetall(self.key(name)).items()}

    def one(self, text="job", key="k", **how):
        """Pushes a job, claims and begins it: its token."""
        self.push(text)
        [(token, _)] = self.claim(1)
        assert self.begin((token, key), **how) == ["G"]
        return token

    def dump(self, *but):
        """Every key as it is stored, but for the numbers of the turns that ran, and the keys that end so."""
        def value(key):
            if key == self.key("stats").encode() and self.db.type(key) == b"hash":
                return {k: v for k, v in self.db.hgetall(key).items() if not k.startswith(b"turn:")}
            return self.db.dump(key)
        return {k: value(k) for k in self.db.scan_iter() if not k.decode().endswith(but or "\0")}

    def books(self):
        """Where every job is; the books must balance after whatever a test has done."""
        parked = self.hash("parked")
        waiting = [m.rpartition(" ")[2].lstrip("0") for m in self.zset("waiting")]
        delayed = list(self.zset("delayed"))
        assert sorted(parked) == sorted(waiting + delayed), (parked, waiting, delayed)
        inflight, begun = 0, {}
        for name in self.db.scan_iter(self.key("inflight:*")):
            inflight += len(unfolded(self.db, name.decode()))
        for name in self.db.scan_iter(self.key("claims:*")):
            worker = name.decode().rpartition(":")[2]
            claims = self.hash(f"claims:{worker}")
            assert set(claims) <= set(self.hash(f"inflight:{worker}"))
            for claim in claims.values():
                if claim[0].isupper():
                    account = claim[1:].partition(":")[0]
                    begun[account] = begun.get(account, 0) + 1
        for account in self.hash("accounts"):
            g = self.gate(account)
            assert g.conc == begun.get(account, 0), account
            if g.fails or g.mode != "n":
                assert self.db.sismember(self.key("unwell"), account), account
        assert self.stat("taken") == self.stat("settled") + self.stat("died") + len(parked) + inflight
        assert self.db.zcard(self.key("dead")) == self.db.hlen(self.key("dead:entries"))
