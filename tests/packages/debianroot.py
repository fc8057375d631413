# SPDX-License-Identifier: GPL-2.0-only
"""A Debian system to install packages into, without a kernel that runs: for tests/packages/life.

Made once for each release and recipe (this file), in the cache that the
testbed keeps, too; a test gets an overlay of it and spoils nothing.
"""
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "build"))
import roots  # noqa: E402
from roots import cache  # noqa: E402

# What building the packages, installing them and building the modules take.
PACKAGES = ("dkms", "linux-headers-amd64", "build-essential", "debhelper", "dh-dkms", "libjson-c-dev",
            "libnl-3-dev", "pkg-config", "kmod", "openssl", "rpm", "python3-minimal", "systemd", "udev")


def _make(release, tmp):
    if os.geteuid() or not shutil.which("mmdebstrap"):
        raise roots.RootError("making a Debian root needs root and mmdebstrap: apt-get install mmdebstrap")
    main, security = roots.mirrors()
    lines = [f"deb {main} {release} main"] + ([f"deb {security} {release}-security main"] if security else [])
    # dh-dkms is a package of its own from Debian 12 on
    names = [n for n in PACKAGES if n != "dh-dkms" or release != "bullseye"]
    args = ["mmdebstrap", "--mode=root", "--format=directory", "--variant=minbase",
            *(f"--dpkgopt={o}" for o in roots.DPKG_OPTIONS), f"--include={','.join(names)}",
            release, str(tmp / "root"), "-"]
    log = tmp / "build.log"
    with open(log, "wb") as out:
        done = subprocess.run(args, input="\n".join(lines).encode(), stdout=out, stderr=out,
                              env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))
    if done.returncode:
        tail = " / ".join(log.read_text(errors="replace").splitlines()[-3:])
        raise roots.RootError(f"mmdebstrap {release} failed: {tail}")


def ensure(release):
    """Path of a release's root, made first when the cache has none."""
    key = cache.digest(pathlib.Path(__file__).read_bytes(), release)
    return cache.ensure("kernels", f"{release}-root", key, lambda tmp: _make(release, tmp)) / "root"


class Machine:
    """An overlay of a root, with /proc, /sys and /dev; gone with the mount namespace at the latest."""

    def __init__(self, top):
        self.top = top

    def sh(self, command, check=0):
        """Output of a command; check is the exit code that it must have, or None."""
        done = subprocess.run(["chroot", str(self.top), "/usr/bin/env", "-i", "LC_ALL=C.UTF-8", "HOME=/root",
                               "DEBIAN_FRONTEND=noninteractive", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                               "sh", "-c", command],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace")
        if check is not None and done.returncode != check:
            last = [line for line in done.stdout.splitlines() if line.strip()][-4:]
            raise AssertionError(f"'{command}': exit code {done.returncode}: {' / '.join(last)}")
        return done.stdout

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
        subprocess.run(["umount", str(self.path(folder))], check=True)


@contextlib.contextmanager
def machine(release):
    """A fresh Machine; to be called in a mount namespace of its own."""
    lower = ensure(release)
    work = pathlib.Path(tempfile.mkdtemp(prefix="pvhvm-machine-"))
    try:
        for name in ("upper", "work", "top"):
            (work / name).mkdir()
        top = work / "top"
        mounts = [("overlay", "overlay", top, f"lowerdir={lower},upperdir={work}/upper,workdir={work}/work"),
                  ("proc", "proc", top / "proc", "ro"), ("tmpfs", "tmpfs", top / "sys", "ro"),
                  ("tmpfs", "tmpfs", top / "dev", "mode=755")]
        for kind, source, target, options in mounts:
            subprocess.run(["mount", "-t", kind, source, str(target), "-o", options], check=True)
        for node in ("null", "zero", "urandom", "random", "full"):
            subprocess.run(["cp", "-a", f"/dev/{node}", str(top / "dev")], check=True)
        (top / "dev/fd").symlink_to("/proc/self/fd")
        yield Machine(top)
    finally:
        subprocess.run(["umount", "-R", "-l", str(work / "top")], check=False)
        shutil.rmtree(work, ignore_errors=True)
