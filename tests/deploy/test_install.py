"""The installation as docs/operations.md has it, carried out in a root of its own: an overlay over this machine's, so that
nothing of it is changed. The program comes from the build that is tested; systemctl only notes what it was told."""

import json
import os
import re
import shutil
import subprocess

import pytest

from lib.process import DRAY, ROOT

BUILD = os.path.dirname(DRAY)

with open(os.path.join(ROOT, "docs", "operations.md"), encoding="utf-8") as f:
    BLOCKS = dict(re.findall(r"^```sh (install-\w+)\n(.*?)^```$", f.read(), re.M | re.S))
LINES = BLOCKS["install-source"] + BLOCKS["install-once"]

MOUNT = """
set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay none -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount --rbind /proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
"""


def can_overlay(folder):
    if os.geteuid() != 0 or not shutil.which("systemd-tmpfiles"):
        return False
    return subprocess.run(["unshare", "--mount", "sh", "-c", MOUNT, "sh", folder], capture_output=True).returncode == 0


def installed_files():
    """What `meson install` with --prefix=/usr puts where."""
    with open(os.path.join(BUILD, "meson-info", "intro-installed.json")) as f:
        names = json.load(f)
    with open(os.path.join(BUILD, "meson-info", "intro-buildoptions.json")) as f:
        prefix = next(o["value"] for o in json.load(f) if o["name"] == "prefix")
    return {source: re.sub(f"^{re.escape(prefix)}", "/usr", target) for source, target in names.items()}


@pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, "meson-info", "intro-installed.json")), reason="DRAY is in no build")
def test_the_documented_lines_work_as_they_stand(tmp_path):
    folder = str(tmp_path / "overlay")
    os.mkdir(folder)
    if not can_overlay(folder):
        pytest.skip("needs root and an overlay file system")
    first, *rest = LINES.splitlines()
    assert first.startswith("meson setup build") and "meson install -C build" in first
    stage = tmp_path / "stage"
    for source, target in installed_files().items():
        place = f"{stage}{target}"
        os.makedirs(os.path.dirname(place), exist_ok=True)
        (shutil.copytree if os.path.isdir(source) else shutil.copy)(source, place)
    home = tmp_path / "home"
    home.mkdir()
    (home / "token").write_text("a-token\n")
    stub = tmp_path / "stub"
    stub.mkdir()
    (stub / "systemctl").write_text(f'#!/bin/sh\necho "$@" >>{stub}/told\n')
    os.chmod(stub / "systemctl", 0o755)
    text = f"""{MOUNT}
cp -r {stage}/. "$1/root/"
cp -r {home} "$1/root/home/somebody"
mkdir -p "$1/root{stub}"
mount --bind {stub} "$1/root{stub}"
cat >"$1/root/home/somebody/lines" <<'END'
{chr(10).join(rest)}
END
exec chroot "$1/root" sh -c 'cd /home/somebody && PATH={stub}:$PATH && exec sh lines'
"""
    done = subprocess.run(["unshare", "--mount", "sh", "-c", text, "sh", folder], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "fine: 1 queue, 1 account" in done.stdout, (done.stdout, done.stderr)
    assert "is handed over when the unit starts" in done.stdout
    assert (stub / "told").read_text().splitlines() == ["daemon-reload", "enable --now dray"]
    assert not os.path.exists("/etc/dray/tokens/shop")


def test_the_worker_itself_wants_what_is_handed_over(tmp_path):
    """What only warns before the start is a fault at the start."""
    path = tmp_path / "dray.ini"
    path.write_text("[account shop]\nprovider = kakaclo-v2\ntoken_file = /run/credentials/no-such.service/tokens_shop\n")
    check = subprocess.run([DRAY, "config", "check", "-c", path], capture_output=True, text=True)
    assert check.returncode == 0 and "fine: 1 queue" in check.stdout
    run = subprocess.run([DRAY, "run", "-c", path], capture_output=True, text=True, timeout=30)
    assert run.returncode == 2 and "no-such.service/tokens_shop" in run.stderr
    path.write_text("[account shop]\nprovider = kakaclo-v2\ntoken_file = /no/such/tokens_shop\n")
    assert subprocess.run([DRAY, "config", "check", "-c", path], capture_output=True).returncode == 2
