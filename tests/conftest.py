"""Fixtures of all Python tests. `lib` is tests/lib."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lib.browser import Browser  # noqa: E402
from lib.peer import Peer  # noqa: E402
from lib.process import DRAY, kill_all  # noqa: E402
from lib.redis_server import RedisServer  # noqa: E402
from lib.sandbox import Sandbox  # noqa: E402


def pytest_report_header(config):
    return f"dray: {DRAY}"


@pytest.fixture
def redis_server():
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def shared_redis():
    """One server for all tests of a module; each test begins with it empty (see `empty_redis`)."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def empty_redis(shared_redis):
    shared_redis.client.flushall()
    return shared_redis


@pytest.fixture
def peer():
    with Peer() as one:
        yield one


@pytest.fixture(scope="module")
def sandbox():
    """One for all tests of a module: it knows the orders of those before."""
    with Sandbox("--quiet") as one:
        yield one


@pytest.fixture(scope="module")
def browser():
    with Browser() as one:
        yield one


def pytest_sessionfinish(session, exitstatus):
    kill_all()
