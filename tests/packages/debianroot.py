# SPDX-License-Identifier: GPL-2.0-only
"""A Debian system to install packages into, without a kernel that runs: for life.py, rpms.py and releases.py.

It is the root of the testbed's Debian guest, with dkms, a compiler and
headers, or that of a Debian release; a test gets an overlay of it and spoils nothing.
"""
import contextlib
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "testbed"))
from xenbedlib import bootstrap, cache, images, progress  # noqa: E402

# what debian/control asks for to build, and what it takes to use what was built
PACKAGES = """
    build-essential debhelper libjson-c-dev libnl-3-dev pkg-config lintian
    apt dkms linux-headers-amd64
""".split()
# bookworm's root is one without systemd; in the last rpmbuild does what akmods does, and udevadm verifies rules
RELEASES = {"bullseye": ["systemd"], "bookworm": [], "trixie": ["systemd", "udev", "rpm"]}


def of_release(suite):
    """The root of a Debian release, with what builds the packages and their modules; made once."""
    packages = PACKAGES + RELEASES[suite]

    def make(tmp):
        cache.need_space(3)
        with progress.step(f"bootstrapping a root of Debian's {suite}"):
            bootstrap.tree(packages, tmp / "root", tmp / "build.log", f"a root of {suite}", suite=suite)
    return cache.ensure("roots", suite, bootstrap.tree_key(packages, suite=suite), make) / "root"


class Machine:
    """An overlay of the root, with /sys and /dev, and a /proc for each command; gone with the mount namespace at the latest."""

    def __init__(self, top):
        self.top = top

    def sh(self, command, booted=False):
        """Output of commands that must all succeed; booted: process 1 lives here, as it does not in a chroot."""
        command = ["chroot", str(self.top), "/usr/bin/env", "-i", "LC_ALL=C.UTF-8", "HOME=/root",
                   "DEBIAN_FRONTEND=noninteractive", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "sh", "-ec", command]
        done = subprocess.run(self.with_proc(*command, booted=booted),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace")
        if done.returncode:
            last = [line for line in done.stdout.splitlines() if line.strip()][-4:]
            raise AssertionError(f"'{command}': exit code {done.returncode}: {' / '.join(last)}")
        return done.stdout

    def with_proc(self, *command, booted=False):
        """A command that finds /proc there, and its own process as the first one, or, not booted, one that lives outside."""
        last = 'exec "$@"' if booted else '"$@"; exit $?'
        return ["unshare", "--pid", "--fork", "--mount", "sh", "-c", f'mount -t proc -o ro proc "$0/proc"; {last}', str(self.top), *command]

    def runs(self, kernel):
        """From now on uname says that it is this kernel."""
        self.path("/usr/bin/uname").rename(self.path("/usr/bin/uname.true"))
        self.path("/usr/bin/uname").write_text(f'#!/bin/sh\n[ "$*" != -r ] || exec echo {kernel}\nexec uname.true "$@"\n')
        self.path("/usr/bin/uname").chmod(0o755)

    def put(self, *files):
        for file in files:
            shutil.copy(file, self.top / "srv")

    def release(self):
        """The one kernel whose headers are installed."""
        found = [p.name for p in (self.top / "lib/modules").iterdir() if (p / "build").is_symlink()]
        assert len(found) == 1, f"headers of {found}"
        return found[0]

    def built(self):
        """Names of pvhvm's modules that are installed for any kernel."""
        return sorted(p.name.split(".")[0] for p in (self.top / "lib/modules").rglob("pvhvm*.ko*"))

    def remains(self):
        """What is called pvhvm in the system, but for what a test has put there."""
        out = self.sh("find / -xdev \\( -path /proc -o -path /srv -o -path /tmp \\) -prune -o -name '*pvhvm*' -print")
        return [line for line in out.splitlines() if line]

    def path(self, name):
        return self.top / name.lstrip("/")

    def small(self, folder, size):
        """Puts a file system of this size on a folder that exists."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.path(folder))], check=True)

    def large_again(self, folder):
        """More room on what small() put there; what is on it stays."""
        subprocess.run(["mount", "-o", "remount,size=64m", str(self.path(folder))], check=True)

    def usual_again(self, folder):
        """What is below what small() put there."""
        subprocess.run(["umount", str(self.path(folder))], check=True)

    def sysfs(self, **files):
        """Files of the machine's /sys, by their paths."""
        subprocess.run(["mount", "-o", "remount,rw", str(self.path("/sys"))], check=True)
        for name, text in files.items():
            file = self.path(f"/sys/{name}")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text + "\n")


@contextlib.contextmanager
def machine(lower=None):
    """A fresh Machine, of another root than the Debian guest's; to be called in a mount namespace of its own."""
    lower = lower or images.debian_root()
    work = pathlib.Path(tempfile.mkdtemp(prefix="pvhvm-machine-"))
    top = work / "top"
    try:
        for name in ("upper", "work", "top"):
            (work / name).mkdir()
        mounts = [("overlay", "overlay", top, f"lowerdir={lower},upperdir={work}/upper,workdir={work}/work"),
                  ("tmpfs", "tmpfs", top / "sys", "ro"),
                  ("tmpfs", "tmpfs", top / "dev", "mode=755")]
        for kind, source, target, options in mounts:
            subprocess.run(["mount", "-t", kind, source, str(target), "-o", options], check=True)
        for node in ("null", "zero", "urandom", "random", "full"):
            subprocess.run(["cp", "-a", f"/dev/{node}", str(top / "dev")], check=True)
        (top / "dev/fd").symlink_to("/proc/self/fd")
        (top / "dev/shm").mkdir(mode=0o1777)
        yield Machine(top)
    finally:
        subprocess.run(["umount", "-R", "-l", str(top)], check=False)
        shutil.rmtree(work, ignore_errors=True)
