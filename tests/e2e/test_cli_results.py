"""`dray results`: no result is lost, whatever breaks."""

import os
import signal
import subprocess

import pytest

from lib.process import DRAY, Process, clean_env, dray
from lib.redis_cutter import RedisCutter
from lib.redis_server import free_port
from lib.wait import wait_until

RESULTS = "dray:{orders}:results"
PRINTING = RESULTS + ":printing"


@pytest.fixture
def ini(tmp_path, empty_redis):
    def write(url=empty_redis.url, more=""):
        path = tmp_path / "dray.ini"
        path.write_text(f"[redis]\nurl = {url}\n{more}[account shop]\nqueue = orders\nprovider = kakaclo-v2\n")
        return path
    return write


def settle(redis, *numbers):
    for n in numbers:
        redis.client.lpush(RESULTS, f'{{"id":"job-{n}"}}')


def printed(*numbers):
    return "".join(f'{{"id":"job-{n}"}}\n' for n in numbers)


def reader(config, *args):
    return Process([DRAY, "results", "orders", "-c", str(config), *args], env=clean_env(), name="dray results")


def test_what_is_there_in_order(ini, empty_redis):
    settle(empty_redis, 1, 2, 3)
    done = dray("results", "orders", "--no-wait", "-c", ini())
    assert (done.returncode, done.stdout.decode()) == (0, printed(1, 2, 3))
    assert empty_redis.client.keys("*") == []
    done = dray("results", "orders", "--no-wait", "-c", ini())
    assert (done.returncode, done.stdout) == (0, b"")


def test_one_line_a_result_always(ini, empty_redis):
    """A provider's order object comes with its line breaks, and stays so in Redis."""
    texts = ['{"id":"1","order":{\n  "a": [1,\r\n\t 2],\n\n "b": "x\\\\\\"\\n y"\n}}', '{"raw":"line\nbreak\r"}',
             '\n{"x": 1}\n', '{"q":"\\\\","n":\n1.50}', "no JSON\nat all"]
    wanted = ['{"id":"1","order":{"a": [1,2],"b": "x\\\\\\"\\n y"}}', '{"raw":"line\\nbreak\\r"}', '{"x": 1}', '{"q":"\\\\","n":1.50}',
              "no JSONat all"]
    empty_redis.client.lpush(RESULTS, *texts)
    done = dray("results", "orders", "--no-wait", "-c", ini())
    assert (done.returncode, done.stdout.decode().splitlines()) == (0, wanted)
    assert empty_redis.client.keys("*") == []


def test_a_result_of_many_lines_is_put_back_as_it_was(ini, empty_redis):
    text = b'{"id":"1","order":{\n  "a": 1\n}}'
    empty_redis.client.lpush(RESULTS, text)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([DRAY, "results", "orders", "--no-wait", "-c", str(ini())], stdout=full,
                              stderr=subprocess.PIPE, env=clean_env(), timeout=60)
    assert done.returncode == 1
    assert empty_redis.client.lrange(RESULTS, 0, -1) == [text]


def test_only_so_many(ini, empty_redis):
    settle(empty_redis, 1, 2, 3)
    done = dray("results", "orders", "-n", "2", "-c", ini())
    assert (done.returncode, done.stdout.decode()) == (0, printed(1, 2))
    assert empty_redis.client.lrange(RESULTS, 0, -1) == [b'{"id":"job-3"}']
    assert empty_redis.client.exists(PRINTING) == 0


def test_waits_until_it_is_interrupted(ini, empty_redis):
    process = reader(ini())
    settle(empty_redis, 1)
    process.wait_line(lambda line: line == printed(1).strip(), where="stdout")
    settle(empty_redis, 2)
    process.wait_line(lambda line: line == printed(2).strip(), where="stdout")
    assert process.stop(signal.SIGINT) == 0
    assert empty_redis.client.keys("*") == []


def test_a_short_lease_does_not_cut_the_wait(ini, empty_redis):
    process = reader(ini(more="[worker]\nlease = 1s\n"), "-n", "1")
    # It blocks for a second at a time: after two of them the connection is still the first.
    wait_until(lambda: empty_redis.client.info("commandstats").get("cmdstat_blmove", {}).get("calls", 0) >= 3, 15,
               "three waits")
    settle(empty_redis, 1)
    assert process.wait() == 0
    assert process.stdout_lines == [printed(1).strip()]
    assert process.stderr == ""


def test_a_closed_stdout_puts_the_result_back(ini, empty_redis):
    settle(empty_redis, 1, 2)
    before = empty_redis.client.lrange(RESULTS, 0, -1)
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([DRAY, "results", "orders", "-c", str(ini())], stdout=write, stderr=subprocess.PIPE,
                          env=clean_env(), timeout=30)
    os.close(write)
    assert done.returncode == 1
    assert b"could not be written (Broken pipe); it was put back" in done.stderr
    assert empty_redis.client.lrange(RESULTS, 0, -1) == before
    assert empty_redis.client.exists(PRINTING) == 0


def test_a_full_disk_puts_the_result_back(ini, empty_redis):
    settle(empty_redis, 1)
    with open("/dev/full", "wb") as full:
        done = subprocess.run([DRAY, "results", "orders", "-c", str(ini())], stdout=full, stderr=subprocess.PIPE,
                              env=clean_env(), timeout=30)
    assert done.returncode == 1
    assert empty_redis.client.lrange(RESULTS, 0, -1) == [b'{"id":"job-1"}']


def test_what_a_crash_left_comes_first(ini, empty_redis):
    settle(empty_redis, 3)
    empty_redis.client.rpush(PRINTING, '{"id":"job-2"}', '{"id":"job-1"}')  # 1 was taken first
    done = dray("results", "orders", "--no-wait", "-c", ini())
    assert (done.returncode, done.stdout.decode()) == (0, printed(1, 2, 3))
    assert empty_redis.client.keys("*") == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("word", [b"LMOVE", b"LREM"])
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_a_connection_that_breaks_loses_and_repeats_nothing(ini, empty_redis, word, when, nth):
    settle(empty_redis, *range(1, 6))
    with RedisCutter(empty_redis.port).cut(word, nth, when) as cutter:
        done = dray("results", "orders", "--no-wait", "-c", ini(cutter.url))
    assert cutter.was_cut.is_set()
    assert (done.returncode, done.stdout.decode()) == (0, printed(1, 2, 3, 4, 5))
    assert empty_redis.client.keys("*") == []


def test_redis_out_of_reach(ini, empty_redis):
    done = dray("results", "orders", "-c", ini(f"redis://127.0.0.1:{free_port()}"))
    assert (done.returncode, done.stdout) == (3, b"")


def test_usage_and_a_queue_that_nobody_names(ini, empty_redis):
    assert dray("results", "-c", ini()).returncode == 2
    assert dray("results", "or{ders", "-c", ini()).returncode == 2
    assert dray("results", "orders", "-n", "0", "-c", ini()).returncode == 2
    done = dray("results", "ordes", "--no-wait", "-c", ini())
    assert done.returncode == 0
    assert b"no account of the configuration names a queue 'ordes'" in done.stderr
