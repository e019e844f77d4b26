"""The edge with the providers: a table (tests/lib/edge_rows.py) of what a peer does to an order's POST and to look-ups, and what
dray must make of it. Every row ends with the peer's own ledger: nothing is created twice, nothing is told created
that is not, no id is told that is another's. `tests/edge` prints the table."""

import pytest

from lib.edge import Table
from lib.edge_rows import ROWS
from lib.redis_server import RedisServer


@pytest.fixture(scope="module")
def table():
    """All rows are played once, at the same time."""
    one = Table()
    with RedisServer() as redis:
        one.play(redis)
    print("\n" + one.counts())
    return one


@pytest.mark.parametrize("n", range(len(ROWS)), ids=[f"{row.name} (case {row.case})" if row.case else row.name for row in ROWS])
def test_row(table, n):
    seen = table.seen[n]
    assert not seen.faults(), f"{seen.row.name}: {seen.faults()}\nresult {seen.result}\nletter {seen.letter}"


def test_rows_are_told_apart():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names), [n for n in names if names.count(n) > 1]
    assert {2, 3, 4, 7, 8, 10, 11, 13, 14, 26, 27, 30, 31, 32, 33} <= {row.case for row in ROWS}
