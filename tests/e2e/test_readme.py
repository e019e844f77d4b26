"""The README's own commands, run as they stand there."""

import os
import re
import subprocess
import sys

import pytest

from lib.daemon import Daemon
from lib.process import ROOT, clean_env
from lib.providers import TOKEN
from lib.redis_server import RedisServer
from lib.sandbox import Sandbox
from lib.wait import wait_until


def blocks(language):
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        return re.findall(rf"^```{language}\n(.*?)^```", f.read(), re.S | re.M)


@pytest.fixture
def readme_worker(tmp_path):
    """A worker with the README's configuration; only Redis, provider and token file are the test's."""
    [config] = blocks("ini")
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    config = config.replace("/etc/dray/shop-eu.token", str(token))
    with RedisServer() as redis, Sandbox() as sandbox:
        env = {"DRAY_REDIS_URL": redis.tcp_url, "DRAY_ACCOUNT_SHOP_EU_BASE_URL": sandbox.url,
               "DRAY_ADMIN_LISTEN": "off", "DRAY_WORKER_LOG_FORMAT": "json"}
        with Daemon(config, env=env):
            yield redis


def test_the_two_commands_exist():
    [commands, *_] = blocks("sh")
    for line in commands.strip().splitlines():
        assert os.access(os.path.join(ROOT, line.split()[0]), os.X_OK), line


def test_with_nothing_but_redis(readme_worker):
    [commands] = [b for b in blocks("sh") if "LPUSH" in b]
    commands = commands.replace("redis-cli", f"redis-cli -p {readme_worker.port}")
    done = subprocess.run(["sh", "-c", commands], capture_output=True, timeout=30, env=clean_env())
    assert b'"id":"shop-7/1001","status":"created"' in done.stdout, done


def test_in_python(readme_worker):
    [program] = blocks("python")
    program = program.replace("redis.Redis()", f"redis.Redis(port={readme_worker.port})")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, env=clean_env())
    assert re.fullmatch(rb"shop-7/1002 created \d+\n", done.stdout), done


def test_both_one_after_the_other(readme_worker):
    """A reader tries both: neither gets in the way of the other."""
    test_with_nothing_but_redis(readme_worker)
    test_in_python(readme_worker)
    assert readme_worker.client.zcard("dray:{orders}:dead") == 0
    wait_until(lambda: readme_worker.client.llen("dray:{orders}:results") == 0, 5, "no result left")
