"""Adds up what lint, meson test and pytest left in a directory: the last line is "N passed, N failed"."""

import json
import os
import re
import sys
import xml.etree.ElementTree


def lint(directory):
    with open(os.path.join(directory, "lint.txt")) as f:
        passed, failed = map(int, f.read().split())
    return passed, failed, 0


FEW = 6  # more failures than this are no accident


def log_of(directory, name):
    """The meson tests of a log: name -> what is known of it."""
    path = os.path.join(directory, name)
    if not os.path.exists(path):
        return {}
    with open(path) as f:
        return {test["name"]: test for test in map(json.loads, f)}


def is_good(test):
    return test["result"] in ("OK", "EXPECTEDFAIL", "SKIP")


def failed_c(directory):
    """Names as `meson test` takes them."""
    bad = [t["name"].split(" / ")[-1] for t in log_of(directory, "testlog.json").values() if not is_good(t)]
    return bad if len(bad) <= FEW else []


def count_meson(tests):
    """One test case of cmocka counts as one; so does a program that prints no such count."""
    passed = failed = skipped = 0
    for test in tests:
        text = (test.get("stdout") or "") + (test.get("stderr") or "")
        good = sum(map(int, re.findall(r"^\[  PASSED  \] (\d+) test", text, re.M)))
        bad = sum(map(int, re.findall(r"^\[  FAILED  \] (\d+) test", text, re.M)))
        if test["result"] == "SKIP":
            skipped += 1
        elif is_good(test):
            passed += max(good, 1)
        else:
            passed += good
            failed += max(bad, 1)
    return passed, failed, skipped


def meson(directory, quick=False):
    tests = log_of(directory, "testlog.json")
    if not tests:
        raise ValueError("no testlog.json")
    again = log_of(directory, "testlog-again.json")
    for name, test in again.items():
        if is_good(test):
            print(f"C tests: {name} failed in the crowd and passed alone")
    simulation = log_of(directory, "testlog-sim.json")
    if not simulation and not quick:
        raise ValueError("no testlog-sim.json")
    return count_meson([*{**tests, **again}.values(), *simulation.values()])


def suites(directory, name):
    return xml.etree.ElementTree.parse(os.path.join(directory, name)).iter("testsuite")


def pytest(directory):
    passed = failed = skipped = 0
    for suite in suites(directory, "pytest.xml"):
        bad = int(suite.get("failures")) + int(suite.get("errors"))
        skipped += int(suite.get("skipped"))
        failed += bad
        passed += int(suite.get("tests")) - bad - int(suite.get("skipped"))
    if os.path.exists(os.path.join(directory, "pytest-again.xml")):
        still = sum(int(s.get("failures")) + int(s.get("errors")) for s in suites(directory, "pytest-again.xml"))
        for suite in suites(directory, "pytest-again.xml"):
            for case in suite.iter("testcase"):
                if case.find("failure") is None and case.find("error") is None:
                    print(f"Python tests: {case.get('classname')}::{case.get('name')} failed in the crowd and passed alone")
        passed, failed = passed + failed - still, still
    return passed, failed, skipped


def main(directory, option=None):
    if option == "--failed-c":
        print(" ".join(failed_c(directory)))
        return 0
    if option == "--few-failed":
        return 0 if 0 < pytest(directory)[1] <= FEW else 1
    totals = [0, 0, 0]
    for name, count in (("lint", lint), ("C tests", lambda folder: meson(folder, option == "--quick")), ("Python tests", pytest)):
        try:
            figures = count(directory)
        except (OSError, ValueError, xml.etree.ElementTree.ParseError) as error:
            print(f"{name}: left no result ({error})")
            figures = (0, 1, 0)
        print(f"{name}: {figures[0]} passed, {figures[1]} failed, {figures[2]} skipped")
        totals = [a + b for a, b in zip(totals, figures)]
    print(f"{totals[0]} passed, {totals[1]} failed")
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
