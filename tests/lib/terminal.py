"""A program of dray's on a pseudo-terminal, as a person has it."""

import os
import pty
import subprocess

from .process import DRAY, clean_env


def on_terminal(*args, rows=24, columns=80, env=None, errors_too=False):
    """Runs `dray args…` with its stdout, and its stderr with errors_too, on a terminal of that size; what it printed, as bytes,
    without the \\r that the terminal puts before each line feed."""
    import fcntl
    import struct
    import termios
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    child = subprocess.Popen([DRAY, *[str(a) for a in args]], env=clean_env({"TERM": "xterm", **(env or {})}), stdin=subprocess.DEVNULL,
                             stdout=terminal, stderr=terminal if errors_too else subprocess.PIPE)
    os.close(terminal)
    out = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # the child closed it
            break
        if not part:
            break
        out += part
    os.close(main)
    errors = b""
    if not errors_too:
        errors = child.stderr.read()
        child.stderr.close()
    assert child.wait(30) == 0, (out, errors)
    return out.replace(b"\r\n", b"\n")
