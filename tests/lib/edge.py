"""Plays the table of the edge (lib/edge_rows.py): all rows at once, one worker, one Redis, one peer, and says what came of
each row as the world outside sees it."""

import json
from collections import Counter
from dataclasses import dataclass

from .edge_peer import CONTROL, FORMS, EdgePeer
from .edge_rows import CREATED, DUPLICATE, ROWS, UNKNOWN
from .wait import Timeout, wait_until
from .world import QUEUE, QUICK, World

# Short enough for a table of hundreds of rows, and in the same order as the defaults.
TIMES = {**QUICK, "on_unknown": "lookup", "lookup_delay": "20ms", "lookup_attempts": "4", "absent_window": "150ms",
         "breaker_cooldown": "100ms", "reject_limit": "0"}


NO_RESULT = {"status": "no result", "order_id": None}


@dataclass
class Seen:
    """What came of a row."""
    row: object
    result: dict
    letter: dict | None
    posts: int
    ids: list        # that the peer made for the row's key
    looks: int
    owner: object    # account and key that the told id belongs to at the peer

    @property
    def verdict(self):
        return self.result["status"] if self.letter is None else self.letter["reason"]

    def faults(self):
        """Everything that is not as the row wants, and as no row may be."""
        r, found = self.row, []

        def want(name, seen, wanted):
            if seen != wanted:
                found.append(f"{name} is {seen!r}, not {wanted!r}")

        want("the verdict", self.verdict, r.want)
        want("POSTs", self.posts, r.posts)
        want("orders at the peer", len(self.ids), r.orders)
        if r.code is not None:
            want("the code", self.letter and self.letter["error"]["code"], r.code)
        if r.looks is not None:
            want("look-ups", self.looks, r.looks)
        if r.says is not None and r.says not in json.dumps(self.letter):
            found.append(f"the dead letter does not say {r.says!r}")
        return found + self.lies()

    def lies(self):
        """The ledger of the peer against what was told, whatever the row wants."""
        told = self.result.get("order_id")
        found = []
        if len(self.ids) > 1:
            found.append(f"CREATED {len(self.ids)} TIMES")
        if self.verdict in (CREATED, DUPLICATE):
            if str(told) not in map(str, self.ids):
                found.append(f"TOLD {told}, which is {self.owner}'s; the order's own are {self.ids}")
        elif self.verdict != UNKNOWN and self.ids:
            found.append(f"TOLD {self.verdict}, AND THE ORDER EXISTS")
        return found


class Table:
    """`rows` are played by play(); `seen` is in their order."""

    def __init__(self, rows=None):
        self.rows = ROWS if rows is None else rows
        self.seen = []
        self.totals = Counter()

    def _name(self, n):
        return f"row{n:03d}"

    def _key(self, n):
        return self.rows[n].key or f"K-{n}"

    def play(self, redis, deadline=60.0, run=None):
        with EdgePeer() as peer:
            accounts = {}
            for n, row in enumerate(self.rows):
                shop = peer.open_shop(self._name(n), row.form, posts=row.acts, gets=row.gets, control=row.control != "blind")
                shop.for_good = row.for_good
                accounts[self._name(n)] = shop.settings(peer.url, queue=QUEUE, **{**TIMES, **row.account})
            with World(redis, peer, "kakaclo-v2") as world:
                world.daemon.set_config({**world.config, **{f"account {name}": settings for name, settings in accounts.items()}})
                world.daemon.stop()
                world.start()
                self._orders(world, peer, deadline)

    def _send(self, world, n, id, key):
        provider = FORMS[self.rows[n].form].data
        world.push(world.job(id, provider=provider, key=key, account=self._name(n)))

    def _orders(self, world, peer, deadline):
        known = [n for n, row in enumerate(self.rows) if row.control]
        for n in known:
            self._send(world, n, f"c{n}", f"{CONTROL}{n}")
        results = self._results(world, len(known), deadline)
        wrong = [results.get(f"c{n}") for n in known if results.get(f"c{n}", {}).get("status") != "created"]
        assert not wrong, wrong
        for n in range(len(self.rows)):
            self._send(world, n, f"r{n}", self._key(n))
        results = self._results(world, len(self.rows), deadline)
        letters = {letter["id"]: letter for letter in world.dead_letters()}
        for n, row in enumerate(self.rows):
            shop, key = peer.shops[self._name(n)], self._key(n)
            result = results.get(f"r{n}", NO_RESULT)
            self.seen.append(Seen(row, result, letters.get(f"r{n}"), shop.posted.count(key), shop.made_of(key),
                                  sum(k is None or not k.startswith(CONTROL) for k in shop.looked_up),
                                  peer.owner_of(result["order_id"])))

    @staticmethod
    def _results(world, count, deadline):
        """By id. Rows that never end are found missing one by one."""
        name = world.key("results")
        try:
            wait_until(lambda: world.db.llen(name) >= count or world.check_running(), deadline)
        except Timeout:
            pass
        return world.results_by_id(world.db.llen(name))

    # -- as text ------------------------------------------------------------------------------------------

    def counts(self):
        """The table's sums, for each kind of provider: rows, POSTs, orders created, and the verdicts."""
        lines = ["| provider | rows | POSTs | orders created | told created | duplicate | rejected | unknown_outcome | other |",
                 "|---|---|---|---|---|---|---|---|---|"]
        for form in [*FORMS, "all"]:
            seen = [s for s in self.seen if form in (s.row.form, "all")]
            verdicts = Counter(s.verdict for s in seen)
            named = [verdicts.pop(v, 0) for v in (CREATED, DUPLICATE, "rejected", UNKNOWN)]
            numbers = [len(seen), sum(s.posts for s in seen), sum(len(s.ids) for s in seen), *named, sum(verdicts.values())]
            lines.append(f"| {form} | " + " | ".join(map(str, numbers)) + " |")
        doubled = sum(len(s.ids) > 1 for s in self.seen)
        lies = sum(bool(s.lies()) for s in self.seen)
        lines.append(f"\ncreated twice: {doubled}; told what is not so: {lies}; not as the table wants: {sum(bool(s.faults()) for s in self.seen)}")
        return "\n".join(lines)

    def markdown(self):
        lines = ["| provider | the POST | look-ups | verdict | POSTs | orders | says |", "|---|---|---|---|---|---|---|"]
        for s in self.seen:
            says = s.result["order_id"] if s.letter is None else s.letter["error"]["code"]
            wrong = "".join(f" **{fault}**" for fault in s.faults())
            lines.append(f"| {s.row.form} | {s.row.post} | {s.row.look} | {s.verdict} | {s.posts} | {len(s.ids)} | {says}{wrong} |")
        return "\n".join(lines)
