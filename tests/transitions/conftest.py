"""Every test of this folder has a Redis of its module's own, empty, and the scripts on it."""

import pytest

from lib.scripts import Scripts


@pytest.fixture(params=[True, False], ids=["calm", "whole"])
def q(shared_redis, request):
    """The scripts on an empty Redis, with a worker `w` that holds its lease; turns that may go the short way (calm.lua)
    do, or none does. The books must balance when the test is over."""
    scripts = Scripts(shared_redis)
    scripts.calm = request.param
    scripts.limits(conc=1000)
    scripts.beat()
    yield scripts
    scripts.db.config_set("maxmemory", 0)
    if not getattr(scripts, "unbalanced", False):
        scripts.books()
