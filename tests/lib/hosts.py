"""Names that mean what a test wants, for one process: /etc/hosts in a mount namespace of its own (needs root)."""

import os
import tempfile


class Hosts:
    """`wrap` is to be put before a command. set() may be called at any time; addresses are tried in order."""

    def __init__(self, **names):
        fd, self.path = tempfile.mkstemp(prefix="dray-hosts-")
        os.close(fd)
        self.set(**names)

    @property
    def wrap(self):
        return ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', self.path]

    def set(self, **names):
        lines = ["127.0.0.1 localhost"]
        lines += [f"{address} {name}.test" for name, addresses in names.items() for address in addresses]
        text = "\n".join(lines) + "\n"
        with open(self.path, "r+") as f:  # the same file: it is what is mounted
            f.write(text + "#" * max(0, os.path.getsize(self.path) - len(text)))

    def close(self):
        os.unlink(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
