"""spin checks every schedule of protocol.pml; and finds a violation when any one guard is taken out.

The searches here take a second or two each; the file's own bounds (two lost leases and a death) take ten."""

import os
import re
import shutil
import subprocess

import pytest

MODEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "protocol.pml")

pytestmark = pytest.mark.skipif(shutil.which("spin") is None, reason="spin is not installed")


class Verdict:
    def __init__(self, output):
        self.output = output
        self.errors = int(re.search(r"errors: (\d+)", output).group(1))
        self.states = float(re.search(r"([\d.e+]+) states, stored", output).group(1))
        self.violation = (re.findall(r"^pan:\d+: (.*) \(at depth", output, re.M) or [None])[0]
        assert "max search depth too small" not in output and "out of memory" not in output, output

    def holds(self):
        assert self.errors == 0, self.output
        assert self.states > 5000, f"that was no search:\n{self.output}"


def check(directory, *defines, liveness=False, optimize="-O1"):
    """Safety (assertions, stuck processes) or, with `liveness`, never_lost under weak fairness. A search that
    ends at once is compiled with -O0: compiling is what takes time."""
    defines = [f"-D{d}" for d in defines]
    subprocess.run(["spin", "-a", *defines, MODEL], cwd=directory, check=True, capture_output=True, timeout=60)
    kind = ["-DNFAIR=3"] if liveness else ["-DSAFETY", "-DNOCLAIM"]
    subprocess.run(["gcc", optimize, "-w", "-DMEMLIM=2000", *kind, "-o", "pan", "pan.c"], cwd=directory, check=True,
                   capture_output=True, timeout=120)
    done = subprocess.run(["./pan", "-m1000000", *(["-a", "-f"] if liveness else [])], cwd=directory,
                          capture_output=True, text=True, timeout=140)
    return Verdict(done.stdout)


@pytest.mark.parametrize("kind", [["LEASES=1"], ["DEATHS=0"], ["INEXACT", "LEASES=1"], ["HOLD", "LEASES=1"],
                                  ["LEASES=0", "BLINDS=2", "LAG"], ["DEATHS=0", "LEASES=1", "BLINDS=1", "LAG"]],
                         ids=["a death and a lost lease", "two lost leases", "inexact look-up", "hold", "a look-up that lags and lies",
                              "… and a lost lease"])
def test_never_doubled_and_fenced(tmp_path, kind):
    check(tmp_path, *kind).holds()


@pytest.mark.parametrize("kind", [["LEASES=0"], ["DEATHS=0", "LEASES=1"], ["INEXACT", "LEASES=0"], ["HOLD", "LEASES=0"],
                                  ["LEASES=0", "BLINDS=1", "LAG"]],
                         ids=["a death", "a lost lease", "inexact look-up", "hold", "a look-up that lags and lies"])
def test_never_lost(tmp_path, kind):
    check(tmp_path, *kind, liveness=True).holds()


@pytest.mark.parametrize("guard, what", [
    ("NO_TOKEN", "holder"), ("NO_LEDGER", "created"), ("NO_LEASE", "created"), ("NO_EPOCH", "created"),
    ("NO_WAIT", "created"), ("STOP_WINDOW", "created")])
def test_without_a_guard_spin_finds_the_violation(tmp_path, guard, what):
    verdict = check(tmp_path, guard, "LEASES=1", optimize="-O0")
    assert verdict.errors == 1 and "assertion violated" in verdict.violation and what in verdict.violation, verdict.output


def test_a_claim_that_is_forgotten_is_lost(tmp_path):
    verdict = check(tmp_path, "NO_GIVE_BACK", "DEATHS=0", "LEASES=1", liveness=True, optimize="-O0")
    assert verdict.errors == 1 and verdict.violation == "acceptance cycle", verdict.output


@pytest.mark.parametrize("guard, world", [("NO_CONTROL", "BLINDS=1"), ("NO_SECOND", "LAG")])
def test_not_found_is_no_proof_without_a_control_and_a_second_look(tmp_path, guard, world):
    verdict = check(tmp_path, guard, world, "LEASES=0", optimize="-O0")
    assert verdict.errors == 1 and verdict.violation == "assertion violated (created==1)", verdict.output


@pytest.mark.parametrize("kind", ["INEXACT", "HOLD"])
def test_where_absence_proves_nothing_the_stop_window_cannot_double(tmp_path, kind):
    check(tmp_path, "STOP_WINDOW", "LEASES=1", kind).holds()
