"""Waiting for a condition instead of sleeping. TESTS_SLOW=3 gives a slow machine three times as long."""

import os
import time

SLOW = float(os.environ.get("TESTS_SLOW", "1"))


class Timeout(AssertionError):
    """The condition did not come true in time."""


def wait_until(condition, deadline=15.0, what="the condition"):
    """Calls `condition` until it returns something true, and returns that.

    `what` completes "waited 15 s for …"; it may be a callable, so that the message can show what
    was there instead.
    """
    end = time.monotonic() + deadline * SLOW
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            text = what() if callable(what) else what
            raise Timeout(f"waited {deadline * SLOW:g} s for {text}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def stays_true(condition, seconds, what="the condition"):
    """Fails as soon as `condition` is false within the next `seconds`: for "and nothing more happens"."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"{what} did not stay true"
        time.sleep(0.02)
