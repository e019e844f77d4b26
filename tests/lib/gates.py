"""Steps of the tests of gates: jobs of an account, pushed, begun and settled (scripts.py)."""


def go(q, n, account="shop", start=0):
    """Pushes n jobs, claims and begins them: [(token, answer)]."""
    q.push(*[f"{account}-{start + i}" for i in range(n)])
    return begin_all(q, q.claim(n), account)


def begin_all(q, claims, account="shop"):
    if not claims:
        return []
    keys = [(t, r.rpartition("\n")[2], account) for t, r in claims]
    return list(zip([t for t, _ in claims], q.begin(*keys)))


def settle(q, token, effect="s", **more):
    return q.settle({"token": token, "op": "done", "effect": effect, **more})


def fail(q, token, effect, key, jitter=0):
    """The attempt failed; the job waits for its account's gate."""
    return q.settle({"token": token, "op": "wait", "body": "N {}", "ledger": "D", "key": key, "effect": effect}, jitter=jitter)


def waiting(q):
    return [m.decode().split(" ")[0] + q.hash("parked")[str(int(m.split(b" ")[1]))].rpartition("\n")[2]
            for m in q.db.zrange(q.key("waiting"), 0, -1)]
