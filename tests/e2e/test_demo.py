"""`dray demo`: every row as expected, and nothing left behind, however it ends."""

import os
import shutil
import signal
import tempfile

import pytest

from lib.process import DRAY, Process, clean_env, run
from lib.wait import wait_until

ROWS = {  # job: verdict, attempts
    "kakaclo-v2": ("created", "1"), "kakaclo-v1": ("created", "1"), "kakaclo-custom": ("created", "1"),
    "s2": ("created", "1"), "vu": ("created", "1"), "fails-twice": ("created", "3"),
    "duplicate": ("duplicate", None), "invalid": ("failed", "0"),
}


@pytest.fixture
def home():
    """A directory for the demo's temporary files; whatever of the demo still runs or stands in it fails the test."""
    base = tempfile.mkdtemp(prefix="demo-", dir="/tmp")  # short: a socket's path must fit
    yield base
    wait_until(lambda: not processes(base), 10, lambda: f"no process to be left: {processes(base)}")
    left = os.listdir(base)
    shutil.rmtree(base)
    assert left == []


def processes(base):
    """The processes that name `base` in their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                command = f.read()
            with open(f"/proc/{pid}/stat") as f:
                zombie = f.read().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            continue
        if base.encode() in command and not zombie:
            found.append((int(pid), command.replace(b"\0", b" ").decode()))
    return found


def child(base, word):
    """The process id of one of the demo's children."""
    def look():
        return next((pid for pid, command in processes(base) if word in command), None)
    return wait_until(look, 15, f"a process with '{word}'")


def env(base, **extra):
    return clean_env({"TMPDIR": base, **extra})


class Demo(Process):
    def __init__(self, base, *flags, **extra):
        super().__init__([DRAY, "demo", *flags], env=env(base, **extra), name="dray demo")

    def wait_kept(self):
        self.wait_line(lambda line: line.startswith("  stop"), 40, where="stdout")


def rows(text):
    found = {}
    for line in text.splitlines():
        cells = line.split()
        if cells and cells[0] in ROWS and not line.startswith(" "):
            found[cells[0]] = cells
    return found


def check_table(text):
    found = rows(text)
    assert set(found) == set(ROWS)
    for job, (verdict, attempts) in ROWS.items():
        cells = found[job]
        assert cells[2] == verdict and attempts in (None, cells[4]), cells
        assert (cells[3] == "-") == (verdict == "failed")
        assert int(cells[5]) >= 0
    assert int(found["fails-twice"][5]) < 4500  # its retries came when they were due, not with the next beat (5 s)
    assert found["duplicate"][3] == found["kakaclo-v2"][3]
    assert len({c[3] for c in found.values()}) == len(ROWS) - 1
    assert "invalid: order.orderItemsList[0].quantity: " in text
    assert '"b2b": {}' in text
    assert "NOT AS EXPECTED" not in text


def test_every_row_is_as_expected_and_nothing_is_left(home):
    done = run([DRAY, "demo"], env=env(home))
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b""), done
    check_table(text)
    assert "The providers saw 8 POSTs and created 6 orders, none twice." in text
    assert text.splitlines()[-2].startswith("Try next:")


def test_settings_of_the_environment_do_not_reach_its_worker(home):
    done = run([DRAY, "demo"], env=env(home, DRAY_REDIS_URL="redis://127.0.0.1:1", DRAY_WORKER_LEASE="nonsense"))
    assert done.returncode == 0, done


def test_keep_takes_orders_until_it_is_told_to_stop(home):
    demo = Demo(home, "--keep")
    demo.wait_kept()
    check_table(demo.stdout)
    [push] = [line.split()[1:] for line in demo.stdout_lines if line.startswith("  push")]
    [results] = [line.split()[1:] for line in demo.stdout_lines if line.startswith("  results")]
    [socket] = [line.split()[-1] for line in demo.stdout_lines if line.startswith("  Redis")]
    assert push[0] == results[0] == DRAY
    done = run(push)
    assert done.returncode == 0, done
    done = run([*results, "-n", "1"])
    assert done.returncode == 0 and b'"status":"created"' in done.stdout and b'"mine/1"' in done.stdout, done
    assert os.stat(os.path.dirname(socket)).st_mode & 0o777 == 0o700
    assert demo.stop(signal.SIGTERM) == 0
    assert "The providers saw 9 POSTs and created 7 orders, none twice." in demo.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_it_is_kept(home, number):
    demo = Demo(home, "--keep")
    demo.wait_kept()
    assert demo.stop(number) == 0


@pytest.mark.parametrize("word", ["redis-server", "run"])
def test_a_signal_while_it_starts(home, word):
    demo = Demo(home)
    child(home, word)
    code = demo.stop(signal.SIGINT)
    assert code == 1 and "interrupted" in demo.stderr or code == 0


@pytest.mark.parametrize("word,name", [("redis-server", "redis-server"), ("/proc/self/exe", "worker")])
def test_a_child_that_dies(home, word, name):
    demo = Demo(home, "--keep")
    demo.wait_kept()
    os.kill(child(home, word), signal.SIGKILL)
    assert demo.wait() == 1
    assert f"{name} was ended by signal 9" in demo.stderr


def test_its_children_die_with_it(home):
    demo = Demo(home, "--keep")
    demo.wait_kept()
    demo.kill()
    wait_until(lambda: not processes(home), 10, "its children to be gone")
    [left] = os.listdir(home)  # nobody was there to remove it
    for name in os.listdir(os.path.join(home, left)):
        os.remove(os.path.join(home, left, name))
    os.rmdir(os.path.join(home, left))


def test_a_redis_that_stops_answering_ends_it_in_time(home, tmp_path):
    """A server that never listens: the demo gives up by its own deadline, with the reason."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    fake = bin_dir / "redis-server"
    fake.write_text("#!/bin/sh\nexec sleep 300\n")
    fake.chmod(0o755)
    done = run([DRAY, "demo"], env=env(home, PATH=f"{bin_dir}:{os.environ['PATH']}"), deadline=60)
    assert done.returncode == 1
    assert b"waiting for redis-server: it is not done after 30 seconds" in done.stderr
    assert done.seconds < 45
    assert processes(str(bin_dir)) == []


def test_without_redis_it_says_what_to_install(home, tmp_path):
    empty = tmp_path / "bin"
    empty.mkdir()
    done = run([DRAY, "demo"], env=env(home, PATH=str(empty)))
    assert done.returncode == 1
    assert b"apt-get install redis-server" in done.stderr


def test_a_redis_that_refuses_to_start_is_quoted(home, tmp_path):
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    fake = bin_dir / "redis-server"
    fake.write_text("#!/bin/sh\necho 'no space left'; exit 3\n")
    fake.chmod(0o755)
    done = run([DRAY, "demo"], env=env(home, PATH=f"{bin_dir}:{os.environ['PATH']}"))
    assert done.returncode == 1
    assert b"no space left" in done.stderr and b"redis-server ended with exit code 3" in done.stderr


def test_a_temporary_directory_that_cannot_be_used(tmp_path):
    done = run([DRAY, "demo"], env=env("/nowhere"))
    assert done.returncode == 1 and b"cannot make a directory" in done.stderr


def test_wrong_flags():
    for flags in (["--nonsense"], ["word"]):
        assert run([DRAY, "demo", *flags]).returncode == 2
