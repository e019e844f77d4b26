"""Every test of this folder has a Redis of its module's own, empty, and the scripts on it."""

import pytest

from lib.scripts import Scripts


@pytest.fixture(params=["ahead", "calm", "whole"])
def q(shared_redis, request):
    """The scripts on an empty Redis, with a worker `w` that holds its lease; turns that may go the short way (calm.lua)
    do, with their results ahead of them (undo.lua) or not, or none does. The books must balance when the test is over."""
    scripts = Scripts(shared_redis)
    scripts.calm = request.param != "whole"
    scripts.ahead = request.param == "ahead"
    scripts.limits(conc=1000)
    scripts.beat()
    yield scripts
    scripts.db.config_set("maxmemory", 0)
    if not getattr(scripts, "unbalanced", False):
        scripts.books()
