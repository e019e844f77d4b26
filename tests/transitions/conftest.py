"""Every test of this folder has a Redis of its module's own, empty, and the scripts on it."""

import pytest

from lib.scripts import Scripts


@pytest.fixture
def q(shared_redis):
    """The scripts on an empty Redis, with a worker `w` that holds its lease. The books must balance when the test is over."""
    scripts = Scripts(shared_redis)
    scripts.limits(conc=1000)
    scripts.beat()
    scripts.db.hset(scripts.key("stats"), mapping={"seq": 0, "taken": 0})
    yield scripts
    scripts.db.config_set("maxmemory", 0)
    if not getattr(scripts, "unbalanced", False):
        scripts.books()
