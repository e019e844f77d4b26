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


def meson(directory):
    """One test case of cmocka counts as one; so does a program that prints no such count."""
    passed = failed = skipped = 0
    with open(os.path.join(directory, "testlog.json")) as f:
        for line in f:
            test = json.loads(line)
            text = (test.get("stdout") or "") + (test.get("stderr") or "")
            good = sum(map(int, re.findall(r"^\[  PASSED  \] (\d+) test", text, re.M)))
            bad = sum(map(int, re.findall(r"^\[  FAILED  \] (\d+) test", text, re.M)))
            if test["result"] == "SKIP":
                skipped += 1
            elif test["result"] in ("OK", "EXPECTEDFAIL"):
                passed += max(good, 1)
            else:
                passed += good
                failed += max(bad, 1)
    return passed, failed, skipped


def pytest(directory):
    passed = failed = skipped = 0
    for suite in xml.etree.ElementTree.parse(os.path.join(directory, "pytest.xml")).iter("testsuite"):
        bad = int(suite.get("failures")) + int(suite.get("errors"))
        skipped += int(suite.get("skipped"))
        failed += bad
        passed += int(suite.get("tests")) - bad - int(suite.get("skipped"))
    return passed, failed, skipped


def main(directory):
    totals = [0, 0, 0]
    for name, count in (("lint", lint), ("C tests", meson), ("Python tests", pytest)):
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
    sys.exit(main(sys.argv[1]))
