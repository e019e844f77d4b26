"""A root folder of Debian, booted: its systemd is process 1 of namespaces of its own (processes, mounts, cgroups, host name; the
network is this machine's). What it started ends with it. Needs root and a cgroup2 hierarchy."""

import os
import re
import shlex
import subprocess

from .wait import wait_until

# As process 1's own container managers do it: a root that is really one (user namespaces are refused in a chroot), mounts that
# spread (else a service's credentials stay in the mount namespace that made them), nothing of the kernel that it could change.
BOOT = """
set -eu
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for dir in run dev tmp; do mount -t tmpfs -o mode=755 tmpfs $dir; done
chmod 1777 tmp
mkdir run/host dev/pts dev/shm
for name in null zero full random urandom tty; do
    touch dev/$name
    mount --bind /dev/$name dev/$name
done
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
pivot_root . run/host
cd /
umount -l run/host
mount --make-rshared /
exec env -i container=dray-tests PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=multi-user.target --log-target=journal
"""


def cgroup2():
    """Where this machine's cgroup2 is mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8") as f:
        places = [line.split()[4] for line in f if " - cgroup2 " in line]
    assert places, "no cgroup2 hierarchy is mounted here: systemd cannot be started"
    return places[0]


class Booted:
    """Booted(dir) as a context manager."""

    def __init__(self, dir):
        self.dir = dir
        self.cgroup = os.path.join(cgroup2(), f"dray-tests-{os.getpid()}")

    def __enter__(self):
        os.mkdir(self.cgroup)
        join = f'echo $$ >{shlex.quote(self.cgroup)}/cgroup.procs && exec "$@"'
        spaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--cgroup", "--uts", "--ipc", "--propagation", "private"]
        self.process = subprocess.Popen(["sh", "-c", join, "sh", *spaces, "sh", "-c", BOOT, "sh", self.dir])
        self.init = None
        try:
            wait_until(self.is_up, 60, "systemd to be up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def is_up(self):
        if self.init is None:
            assert self.process.poll() is None, "systemd's namespaces could not be made (see above)"
            with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="utf-8") as f:
                self.init = next(iter(f.read().split()), None)
            return False
        return self.out("systemctl", "is-system-running", check=False).strip() in ("running", "degraded")

    def __exit__(self, *_):
        self.process.kill()  # its child, process 1, is killed with it, and all of its processes with that
        self.process.wait()
        wait_until(self.is_empty, 30, "all of its processes to end")
        for path, _, _ in os.walk(self.cgroup, topdown=False):
            os.rmdir(path)

    def is_empty(self):
        with open(f"{self.cgroup}/cgroup.events", encoding="utf-8") as f:
            return "populated 0" in f.read()

    def command(self, *args):
        return ["nsenter", "-t", self.init, "-m", "-p", "-C", "-u", "-i", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", *args]

    def out(self, *args, check=True):
        done = subprocess.run(self.command(*args), capture_output=True, text=True)
        assert done.returncode == 0 or not check, (args, done.returncode, done.stdout, done.stderr)
        return done.stdout

    # -- a unit ---------------------------------------------------------------------------------------

    def show(self, unit):
        """(its state, its main process as it is called in there; 0: none)."""
        said = self.out("systemctl", "show", unit, "-p", "ActiveState", "-p", "MainPID")
        return re.search("ActiveState=(.*)", said).group(1), int(re.search("MainPID=(.*)", said).group(1))

    def journal(self, unit):
        return self.out("journalctl", "-b", "-u", unit, "--no-pager", "-o", "cat")
