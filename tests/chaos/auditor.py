"""`dray audit`, over and over, while everything breaks: the books must balance at every instant."""

import json
import subprocess
import threading

from lib.process import DRAY, clean_env


class Auditor(threading.Thread):
    """Audits every `pause` seconds until stop(). `breaches` keeps what an audit found; one that did not
    reach Redis (it was killed) says nothing."""

    def __init__(self, config_path, pause=1.0):
        super().__init__(daemon=True)
        self.command = [DRAY, "audit", "--json", "-c", config_path]
        self.pause = pause
        self.done = 0
        self.breaches = []
        self._stop_now = threading.Event()

    def run(self):
        while not self._stop_now.wait(self.pause):
            self.audit(timeout=20)

    def audit(self, timeout=60):
        """True if Redis was reached and the books of every queue balance."""
        try:
            done = subprocess.run(self.command, env=clean_env(), capture_output=True, timeout=timeout)
            books = json.loads(done.stdout)
        except (subprocess.TimeoutExpired, ValueError):
            return False
        if "queues" not in books:
            return False
        self.done += 1
        for queue in books["queues"]:
            if not queue["ok"]:
                self.breaches.append(f"G7: dray audit: {json.dumps(queue)}")
        return books["ok"] and done.returncode == 0

    def stop(self):
        self._stop_now.set()
        self.join(60)
