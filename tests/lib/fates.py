"""Exact counts at the end of a test of faults: each pushed id has one fate, nothing is left over, and
no order was sent twice."""

import collections
import json

from . import contract
from .wait import wait_until


def _key(queue, name):
    return f"dray:{{{queue}}}:{name}"


def fates(db, queue):
    """id → list of "created", "duplicate" or a dead letter's reason. Takes nothing away."""
    found = collections.defaultdict(list)
    for raw in db.lrange(_key(queue, "results"), 0, -1):
        result = contract.result(raw)
        if result["status"] != "failed":  # a dead letter tells the same
            found[result["id"]].append(result["status"])
    for raw in db.hvals(_key(queue, "dead:entries")):
        letter = contract.dead_letter(raw)
        found[json.loads(letter["job"])["id"]].append(letter["reason"])
    return found


def _left_over(db, queue):
    """What still lies in a place that must be empty when all is done."""
    left = {}
    for name in ("jobs", "taken"):
        left[name] = db.llen(_key(queue, name)) if db.type(_key(queue, name)) == b"list" else 0
    for name in ("delayed", "waiting"):
        left[name] = db.zcard(_key(queue, name))
    left["parked"] = db.hlen(_key(queue, "parked"))
    for raw in db.scan_iter(match=f"dray:{{{queue}}}:claims:*"):
        left[raw.decode()] = db.hlen(raw)
    for kind in ("batch", "taken"):
        for raw in db.scan_iter(match=f"dray:{{{queue}}}:{kind}:*"):
            left[raw.decode()] = db.llen(raw)
    return {k: v for k, v in left.items() if v}


def wait_for_all(db, queue, ids, deadline=60.0, what=lambda: ""):
    """Waits until each of the ids has a fate, then checks that each has exactly one, that no id came
    from nowhere, and that nothing is left over. Returns the count of each fate."""
    ids = set(ids)
    seen = {}

    def done():
        seen.clear()
        seen.update(fates(db, queue))
        return len(seen) >= len(ids)

    wait_until(done, deadline, lambda: f"{len(ids)} fates; there are {len(seen)}, missing "
               f"{sorted(ids - set(seen))[:5]}; left: {_left_over(db, queue)}; {what()}")
    wait_until(lambda: not _left_over(db, queue), 15, lambda: f"nothing to be left: {_left_over(db, queue)}; {what()}")
    seen = fates(db, queue)
    assert set(seen) == ids
    doubled = {i: f for i, f in seen.items() if len(f) != 1}
    assert not doubled, doubled
    books_balance(db, queue)
    return collections.Counter(f[0] for f in seen.values())


def books_balance(db, queue):
    """taken = settled + died, where nothing waits, is delayed or in flight."""
    stats = {k.decode(): int(v) for k, v in db.hgetall(_key(queue, "stats")).items()}
    assert stats["taken"] == stats.get("settled", 0) + stats.get("died", 0), stats


def posts_by_key(peer):
    return collections.Counter(p.json["customOrderId"] for p in peer.posts)


def none_doubled(peer):
    doubled = {k: n for k, n in posts_by_key(peer).items() if n > 1}
    assert not doubled, doubled


def sandbox_doubled_none(sandbox):
    orders = sandbox.orders()["orders"]
    doubled = [o for o in orders if o["created"] > 1 or o["posts"] > 1]
    assert not doubled, doubled
    return len(orders)
