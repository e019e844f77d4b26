"""A short run; `tests/chaos/chaos --minutes N` is the long one."""

from chaos.faults import MUSTS
from chaos.run import Options, Run


def test_nothing_is_lost_and_nothing_doubled():
    books = Run(Options()).play()
    print(books.table())
    assert not books.faults, "\n".join(books.faults[:40]) + "\n" + books.table()
    assert books.pushed.total > 1000, "too little passed for a proof"
    for deed in MUSTS:
        assert books.broken[deed] > 0, f"no {deed} in this run: {books.broken}"
    assert books.stats["recovered_unknown"] > 0
