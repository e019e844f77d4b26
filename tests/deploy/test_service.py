"""The systemd unit, as far as it can be judged without systemd running, and what the worker says to a service manager."""

import os
import re
import shutil
import socket
import subprocess
import tempfile

import pytest

from lib.process import DRAY, ROOT, clean_env
from lib.wait import wait_until
from lib.world import World

UNIT = os.path.join(ROOT, "deploy", "systemd", "dray.service")
BUILT = os.path.join(os.path.dirname(DRAY), "deploy", "dray.service")
needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")


class Manager:
    """A service manager's end of the notification socket."""

    def __init__(self, abstract):
        self.dir = tempfile.mkdtemp(prefix="dray-notify-")
        self.name = f"@{self.dir}" if abstract else os.path.join(self.dir, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.name.replace("@", "\0", 1) if abstract else self.name)
        self.socket.settimeout(10)
        self.heard = []

    def hear(self):
        self.heard.append(self.socket.recv(4096).decode())
        return self.heard[-1]

    def hear_until(self, start):
        return wait_until(lambda: self.hear().startswith(start) and self.heard[-1], 20,
                          lambda: f"a line that starts with {start}; heard {self.heard}")

    def close(self):
        self.socket.close()
        shutil.rmtree(self.dir, ignore_errors=True)


@pytest.fixture(params=["path", "abstract"])
def manager(request):
    manager = Manager(request.param == "abstract")
    yield manager
    manager.close()


def test_the_manager_hears_of_start_life_and_end(empty_redis, peer, manager):
    env = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "100000"}
    with World(empty_redis, peer, env=env, worker={"drain_timeout": "7s"}) as world:
        ready = manager.hear_until("READY=1")
        assert ready == "READY=1\nSTATUS=1 queues, 1 accounts"
        for _ in range(3):
            assert manager.hear() == "WATCHDOG=1"
        assert world.daemon.stop() == 0
        stopping = manager.hear_until("STOPPING=1")
        assert "EXTEND_TIMEOUT_USEC=17000000" in stopping.split("\n")


def test_ready_is_not_said_before_it_is_true(empty_redis, peer, manager):
    """Redis does not answer: no READY, so that the manager's start times out instead of lying."""
    env = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "100000"}
    with World(empty_redis, peer, env=env, start=False, config_redis={"url": "redis://127.0.0.1:1"}) as world:
        world.daemon.args = ["--wait"]
        world.daemon.launch()
        world.daemon.wait_event("redis_down")
        for _ in range(3):
            assert manager.hear() == "WATCHDOG=1"
        assert not any(h.startswith("READY") for h in manager.heard)
        assert world.daemon.stop() == 0


def test_a_socket_that_is_gone_is_one_warning(empty_redis, peer):
    with World(empty_redis, peer, env={"NOTIFY_SOCKET": "/nonexistent/notify"}) as world:
        assert "/nonexistent/notify" in world.daemon.wait_event("notify_failed")["message"]


@needs_systemd
def test_the_unit_is_hardened():
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", UNIT],
                          capture_output=True, text=True)
    level = re.search(r"Overall exposure level for dray.service: ([0-9.]+)", done.stdout)
    assert level, done.stdout + done.stderr
    assert float(level.group(1)) < 2.0, done.stdout


@needs_systemd
def test_the_unit_is_understood(tmp_path):
    """`verify` knows every key; the program and its folders must be there, so they stand in for the installed ones."""
    with open(BUILT) as f:
        text = f.read()
    text = re.sub(r"ExecStart=\S+", f"ExecStart={DRAY}", text)
    text = re.sub(r"^Documentation=.*\n", "", text, flags=re.M)  # the pages are not installed here
    path = tmp_path / "dray.service"
    path.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if "dray" in line]
    assert done.returncode == 0 and ours == [], done.stderr


def test_the_installed_unit_runs_the_installed_program():
    with open(UNIT) as f:
        source = f.read()
    with open(BUILT) as f:
        built = f.read()
    program = re.search(r"^ExecStart=(\S+) run -c /etc/dray/dray.ini$", built, re.M).group(1)
    assert program.endswith("/bin/dray")
    assert built == source.replace("/usr/bin/dray", program)


def test_the_unit_says_what_the_worker_relies_on():
    with open(UNIT) as f:
        keys = dict(line.rstrip("\n").split("=", 1) for line in f if re.match(r"[A-Z]\w*=", line))
    assert keys["Type"] == "notify"
    assert int(keys["WatchdogSec"].rstrip("s")) >= 10
    assert int(keys["TimeoutStopSec"].rstrip("s")) > 25 + 5  # drain_timeout's default, and Redis's last answers
    assert keys["RestartPreventExitStatus"] == "2"
    assert keys["User"] == "dray" and keys["StateDirectory"] == "dray"
    assert keys["LoadCredential"] == "tokens:/etc/dray/tokens"


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="systemd is not installed")
def test_the_user_and_the_folders_are_made(tmp_path):
    """sysusers and tmpfiles, in a root of their own."""
    (tmp_path / "etc").mkdir()
    folder = os.path.join(ROOT, "deploy", "systemd")
    subprocess.run(["systemd-sysusers", f"--root={tmp_path}", os.path.join(folder, "dray.sysusers")], check=True)
    assert re.search(r"^dray:.*:/var/lib/dray:/usr/sbin/nologin$", (tmp_path / "etc/passwd").read_text(), re.M)
    if os.geteuid() != 0:
        pytest.skip("tmpfiles makes folders for other users: needs root")
    subprocess.run(["systemd-tmpfiles", f"--root={tmp_path}", "--create", os.path.join(folder, "dray.tmpfiles")],
                   check=True)
    modes = {p: oct((tmp_path / p).stat().st_mode & 0o777) for p in ("etc/dray", "etc/dray/tokens", "var/lib/dray")}
    assert modes == {"etc/dray": "0o750", "etc/dray/tokens": "0o700", "var/lib/dray": "0o700"}


def test_the_example_configuration_is_valid(tmp_path):
    with open(os.path.join(ROOT, "deploy", "systemd", "dray.ini")) as f:
        text = f.read()
    token = tmp_path / "shop"
    token.write_text("secret\n")
    path = tmp_path / "dray.ini"
    path.write_text(text.replace("/run/credentials/dray.service/tokens_shop", str(token)))
    done = subprocess.run([DRAY, "config", "check", "-c", str(path)], capture_output=True, text=True,
                          env=clean_env())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 queue, 1 account" in done.stdout
