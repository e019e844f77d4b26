"""Requests that are answered only when enough of them are there at once: whether all slots are used, at any pace."""

import threading

from .wait import SLOW


class Together:
    """A peer's answer: Together(count, answer). `most`: how many requests were there at once; `alone`: how many were
    answered after a long wait though fewer than `count` had come."""

    def __init__(self, count, answer):
        self.answer = answer
        self.here = self.most = self.alone = 0
        self._lock = threading.Lock()
        self._enough = threading.Barrier(count)

    def __call__(self, request):
        with self._lock:
            self.here += 1
            self.most = max(self.most, self.here)
        try:
            self._enough.wait(30 * SLOW)
        except threading.BrokenBarrierError:
            with self._lock:
                self.alone += 1
        with self._lock:
            self.here -= 1  # before it is answered: the next may come at once
        return self.answer(request)
