"""The books at the end: every pushed job has exactly one fate, no order exists twice, nothing is left over.

`faults` lists every breach in words; the table counts. G1, G2 and G3 are docs/guarantees.md's."""

from collections import Counter, defaultdict

from lib import contract
from lib.scripts import read_gate

CREATED_NOTHING = {"invalid", "rejected", "exhausted", "expired"}  # dead letters that say: no order of this job exists


class Books:
    def __init__(self, client, queues, pushed, sandbox_orders, faults):
        self.client, self.queues, self.pushed, self.broken = client, queues, pushed, faults
        self.faults = []
        self.results, self.dead = [], []
        self.stats = Counter()
        for queue in queues:
            self._read(queue)
        self.at_provider = {o["key"]: o for o in sandbox_orders["orders"]}
        self.doubled = [o["key"] for o in sandbox_orders["orders"] if o["created"] > 1]
        for key in self.doubled:
            self.fault(f"G2: doubled: {key} was created {self.at_provider[key]['created']} times")
        self._fates()
        self._pairs()
        self._truth()

    def fault(self, text):
        self.faults.append(text)

    # -- Redis ----------------------------------------------------------------------------------------

    def _key(self, queue, name):
        return f"dray:{{{queue}}}:{name}"

    def _read(self, queue):
        c, key = self.client, lambda name: self._key(queue, name)
        self.results += [contract.result(r) for r in c.lrange(key("results"), 0, -1)]
        ids = {i.decode() for i in c.zrange(key("dead"), 0, -1)}
        entries = {k.decode(): contract.dead_letter(v) for k, v in c.hgetall(key("dead:entries")).items()}
        if ids != set(entries):
            self.fault(f"{queue}: the set of dead letters and their entries differ: {ids ^ set(entries)}")
        self.dead += entries.values()
        for name in left_over(c, queue):
            self.fault(f"G1: {queue}: left over: {name}")
        for account, state in c.hgetall(key("accounts")).items():
            if read_gate(state).conc != 0:
                self.fault(f"{queue}: account {account.decode()} still counts requests under way: {read_gate(state)}")
        pushed, taken, ended = counted(c, queue)
        if not taken == ended == pushed:
            self.fault(f"G7: {queue}: pushed {pushed}, taken {taken}, settled and dead {ended}")
        self.stats.update({k.decode(): int(v) for k, v in c.hgetall(key("stats")).items()})

    # -- the three comparisons ------------------------------------------------------------------------

    def _fates(self):
        """As many fates as pushes, for each id. A failed result and its dead letter are one fate."""
        fates = Counter(r["id"] for r in self.results)
        self.lost = sum(max(0, n - fates[i]) for i, n in self.pushed.times.items())
        self.extra = sum(max(0, n - self.pushed.times[i]) for i, n in fates.items())
        for id in set(fates) | set(self.pushed.times):
            if fates[id] != self.pushed.times[id]:
                self.fault(f"G1: {id} was pushed {self.pushed.times[id]} times and has {fates[id]} results")

    def _pairs(self):
        """Every failed result names its own dead letter, and every dead letter is named once."""
        letters = {d["dead_id"]: d for d in self.dead}
        named = Counter(r["error"]["dead_id"] for r in self.results if r["status"] == "failed")
        for r in self.results:
            if r["status"] == "failed":
                letter = letters.get(r["error"]["dead_id"])
                if letter is None or (letter["id"], letter["reason"]) != (r["id"], r["error"]["reason"]):
                    self.fault(f"the failed result of {r['id']} has no dead letter of its own")
        for dead_id, letter in letters.items():
            if named[dead_id] != 1:
                self.fault(f"dead letter {dead_id} of {letter['id']} is named by {named[dead_id]} results")

    def _truth(self):
        """What producers are told is what the provider has."""
        said = defaultdict(list)  # key -> (status or reason, order ids)
        for r in self.results:
            _, key = self.pushed.key_of.get(r["id"], (None, None))
            reason = r["error"] and (r["error"]["code"] if r["error"]["code"] == "key_conflict" else r["error"]["reason"])
            said[key].append((reason or r["status"], r["order_ids"]))
        for key, all_said in said.items():
            order = self.at_provider.get(key, {"created": 0, "ids": []})
            words = Counter(word for word, _ in all_said)
            if words["created"] > 1:
                self.fault(f"G2: {words['created']} jobs say that they created {key}")
            if (words["created"] or words["duplicate"]) and not order["ids"]:
                self.fault(f"{key} is said to exist and does not: {dict(words)}")
            for word, ids in all_said:
                if word in ("created", "duplicate") and not set(ids) <= {str(i) for i in order["ids"]}:
                    self.fault(f"{key}: {word} with ids {ids}, the provider has {order['ids']}")
            if order["created"] and not set(words) - CREATED_NOTHING - {"key_conflict"}:
                self.fault(f"G1: {key} exists, and its jobs say that it does not: {dict(words)}")

    # -- the table ------------------------------------------------------------------------------------

    def table(self):
        status = Counter(r["status"] for r in self.results)
        reasons = Counter(d["reason"] for d in self.dead)
        rows = [("pushed", self.pushed.total), ("created", status["created"]), ("duplicate", status["duplicate"]),
                ("dead: unknown_outcome", reasons["unknown_outcome"])]
        rows += [(f"dead: {reason}", n) for reason, n in sorted(reasons.items()) if reason != "unknown_outcome"]
        rows += [("lost", self.lost), ("settled twice", self.extra), ("doubled at the provider", len(self.doubled)), None,
                 ("orders at the provider", sum(o["created"] for o in self.at_provider.values())),
                 ("POSTs at the provider", sum(o["posts"] for o in self.at_provider.values())),
                 ("made unknown by a death", self.stats["recovered_unknown"]),
                 ("given back after a death", self.stats["recovered"]),
                 ("fenced settlements", self.stats["fenced"]),
                 ("orders learned of a fenced worker", self.stats["fenced_learned"]), None]
        rows += sorted(self.broken.items())
        width = max(len(r[0]) for r in rows if r)
        return "\n".join("" if r is None else f"  {r[0]:<{width}}  {r[1]:>7}" for r in rows)


def counted(client, queue):
    """How many jobs were pushed, taken, and settled or dead, by the counters in Redis."""
    stats = {k.decode(): int(v) for k, v in client.hgetall(f"dray:{{{queue}}}:stats").items()}
    pushed = sum(int(v) for v in client.hvals(f"chaos:{{{queue}}}:pushed"))
    return pushed, stats.get("taken", 0), stats.get("settled", 0) + stats.get("died", 0)


def left_over(client, queue):
    """What is not settled yet, in words: empty when everything is done."""
    left = []
    for kind, size in (("jobs", client.llen), ("taken", client.llen), ("parked", client.hlen), ("delayed", client.zcard),
                       ("waiting", client.zcard)):
        if n := size(f"dray:{{{queue}}}:{kind}"):
            left.append(f"{kind} ({n})")
    for kind in ("claims", "batch", "taken"):
        for name in client.scan_iter(f"dray:{{{queue}}}:{kind}:*", count=1000):
            left.append(name.decode())
    names = list(client.scan_iter(f"dray:{{{queue}}}:order:*", count=10000))
    for name, entry in zip(names, client.mget(names) if names else []):
        if entry is not None and entry[:1] not in (b"C", b"U"):
            left.append(f"{name.decode()} = {entry.decode()}")
    return left
