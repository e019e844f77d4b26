"""`dray run` as a child process."""

import json
import os
import shutil
import signal
import tempfile

from .process import DRAY, Process, clean_env


def ini(sections):
    """{"redis": {"url": …}, "account shop": {…}} as the text of a configuration file."""
    lines = []
    for name, keys in sections.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {value}" for key, value in keys.items() if value is not None]
        lines.append("")
    return "\n".join(lines)


class Daemon:
    """Starts with start() (waits for the log line `ready`) or as a context manager.

    `config` is a dict of sections or a text; it is written to a file that set_config() can change.
    """

    def __init__(self, config, env=None, args=()):
        self.dir = tempfile.mkdtemp(prefix="dray-run-")
        self.path = os.path.join(self.dir, "dray.ini")
        self.set_config(config)
        self.env = clean_env(env)
        self.args = list(args)
        self.wrap = []  # a command that runs it
        self.cwd = self.dir
        self.process = None

    def set_config(self, config):
        with open(self.path, "w") as f:
            f.write(config if isinstance(config, str) else ini(config))

    def launch(self):
        """Starts it without waiting until it is ready."""
        self.process = Process([*self.wrap, DRAY, "run", "-c", self.path, *self.args], env=self.env, cwd=self.cwd, name="dray run")
        return self

    def start(self, deadline=20.0):
        self.launch()
        self.wait_event("ready", deadline)
        return self

    @property
    def events(self):
        """Every log line so far as an object. A line that is no JSON object fails the test."""
        events = []
        for line in list(self.process.stderr_lines):
            try:
                event = json.loads(line)
            except ValueError:
                raise AssertionError(f"a log line is no JSON: {line!r}\n{self.process.tail()}") from None
            assert isinstance(event, dict) and "event" in event, f"a log line without an event: {line!r}"
            events.append(event)
        return events

    def events_named(self, name):
        return [e for e in self.events if e["event"] == name]

    def wait_event(self, name, deadline=15.0, start=0):
        """The first line of that event from line `start` on, as an object."""
        def is_it(line):
            try:
                return json.loads(line).get("event") == name
            except (ValueError, AttributeError):
                return False
        return json.loads(self.process.wait_line(is_it, deadline, start=start))

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process is not None and self.process.running

    def send(self, number):
        self.process.send(number)

    def stop(self, deadline=40.0):
        """SIGTERM; returns the exit code."""
        code = self.process.stop(signal.SIGTERM, deadline)
        self.check()
        return code

    def wait(self, deadline=40.0):
        code = self.process.wait(deadline)
        self.check()
        return code

    def kill(self):
        self.process.kill()

    def sigstop(self):
        self.process.sigstop()

    def sigcont(self):
        self.process.sigcont()

    def check(self):
        """Fails if a sanitizer has spoken."""
        report = self.process.sanitizer_report()
        assert report is None, report

    def close(self):
        """Ends it for good; an unclean end by itself, or a sanitizer's report, fails the test."""
        try:
            if self.process is None:
                return
            if self.running:
                self.process.sigcont()
                code = self.process.stop(signal.SIGTERM, 40)
                self.check()
                assert code == 0, f"dray run ended with {code}:\n{self.process.tail()}"
            else:
                self.process.wait(5)
                self.check()
        finally:
            if self.process is not None:
                self.process.kill()
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            if self.process is not None:
                self.process.kill()
            shutil.rmtree(self.dir, ignore_errors=True)
            raise

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
            return
        if self.process is not None:  # the test's own failure is the one to show
            self.process.kill()
        shutil.rmtree(self.dir, ignore_errors=True)
