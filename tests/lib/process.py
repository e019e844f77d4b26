"""A child process that cannot outlive the tests, with its output collected line by line."""

import atexit
import os
import signal
import subprocess
import threading
import time

from .wait import SLOW, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DRAY = os.path.abspath(os.environ.get("DRAY") or os.path.join(ROOT, "build", "dray"))

SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=97",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
}
SANITIZER_WORDS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:")

_live = set()


def clean_env(extra=None):
    """The environment without anything that would configure dray or a proxy behind a test's back."""
    env = {k: v for k, v in os.environ.items()
           if not k.startswith("DRAY_") and not k.lower().endswith("_proxy")}
    for name, value in SANITIZERS.items():
        env.setdefault(name, value)
    env.update(extra or {})
    return env


class Process:
    """Started at once. The kernel kills it (PDEATHSIG) should the test process die first."""

    def __init__(self, args, env=None, cwd=None, name=None, stdin=subprocess.DEVNULL):
        self.args = [str(a) for a in args]
        self.name = name or os.path.basename(self.args[0])
        self.stdout_lines = []
        self.stderr_lines = []
        self.popen = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *self.args],
            env=clean_env() if env is None else env, cwd=cwd, stdin=stdin,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        _live.add(self)
        self._readers = [
            threading.Thread(target=self._read, args=(pipe, lines), daemon=True)
            for pipe, lines in ((self.popen.stdout, self.stdout_lines),
                                (self.popen.stderr, self.stderr_lines))]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(pipe, lines):
        for line in pipe:
            lines.append(line.decode("utf-8", "replace").rstrip("\n"))
        pipe.close()

    @property
    def pid(self):
        return self.popen.pid

    @property
    def running(self):
        return self.popen.poll() is None

    @property
    def stderr(self):
        return "\n".join(self.stderr_lines)

    @property
    def stdout(self):
        return "\n".join(self.stdout_lines)

    def send(self, number):
        if self.running:
            self.popen.send_signal(number)

    def sigstop(self):
        """Stops it and waits until the kernel says that it is stopped."""
        self.send(signal.SIGSTOP)
        wait_until(lambda: self._state() == "T", 5, f"{self.name} to be stopped")

    def sigcont(self):
        self.send(signal.SIGCONT)

    def _state(self):
        with open(f"/proc/{self.pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0]

    def wait(self, deadline=30.0):
        """The exit code; the output is complete afterwards."""
        try:
            code = self.popen.wait(deadline * SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.name} did not end within {deadline * SLOW:g} s; its last lines:\n{self.tail()}") from None
        for reader in self._readers:
            reader.join(5)
        _live.discard(self)
        return code

    def stop(self, number=signal.SIGTERM, deadline=30.0):
        self.send(number)
        return self.wait(deadline)

    def kill(self):
        """Ends it whatever its state; harmless on one that has ended."""
        if self.running:
            self.popen.kill()
        return self.wait(10)

    def wait_line(self, wanted, deadline=15.0, where="stderr", start=0):
        """The first line from index `start` on for which `wanted(line)` is true."""
        lines = self.stderr_lines if where == "stderr" else self.stdout_lines
        seen = [start]

        def look():
            while seen[0] < len(lines):
                line = lines[seen[0]]
                seen[0] += 1
                if wanted(line):
                    return line
            if not self.running and seen[0] >= len(lines) and not any(r.is_alive() for r in self._readers):
                raise AssertionError(f"{self.name} ended ({self.popen.returncode}) early:\n{self.tail()}")
            return None

        return wait_until(look, deadline, lambda: f"a line of {self.name}; its last lines:\n{self.tail()}")

    def tail(self, count=40):
        return "\n".join((self.stdout_lines + self.stderr_lines)[-count:])

    def sanitizer_report(self):
        text = self.stderr
        return text if any(word in text for word in SANITIZER_WORDS) else None


def kill_all():
    for process in list(_live):
        try:
            process.kill()
        except Exception:  # the last resort: nothing may keep the others alive
            pass


atexit.register(kill_all)


def run(args, env=None, deadline=60.0, input=None, cwd=None):
    """Runs a command to its end: subprocess.CompletedProcess with bytes. Sanitizer reports fail it."""
    started = time.monotonic()
    done = subprocess.run([str(a) for a in args], env=clean_env() if env is None else env, input=input,
                          stdin=None if input is not None else subprocess.DEVNULL, capture_output=True,
                          timeout=deadline * SLOW, cwd=cwd)
    done.seconds = time.monotonic() - started
    text = done.stderr.decode("utf-8", "replace")
    assert not any(word in text for word in SANITIZER_WORDS), text
    return done


def dray(*args, **kwargs):
    """Runs one verb of the program under test to its end."""
    return run([DRAY, *args], **kwargs)
