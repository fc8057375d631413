# SPDX-License-Identifier: GPL-2.0-only
"""Somebody's dom0, reached by ssh, in the place of the outer machine: TESTBED=ssh://[USER@]HOST[:PORT].

There are no saved machines: a state is a guest created anew. What the guests
need is put into /bed there, which stays; domains that boot from it are ours.
"""
import contextlib
import json
import os
import shlex
import subprocess
import tempfile
import time
import urllib.parse

from . import cache, channel, images, progress
from .errors import BedError

PREFIX = "ssh://"
PROGRAMS = {"xl": "xen-utils", "xenstore-write": "xenstore-utils", "iperf3": "iperf3", "fio": "fio", "ethtool": "ethtool",
            "tcpdump": "tcpdump", "python3": "python3", "busybox": "busybox", "losetup": "mount", "dmsetup": "dmsetup"}
SSH_FAILED = 255
IN_USE = 75
CLEAR_TRIES = 3
# a client at a time; hands out what Xen says, and with it the guests' consoles, until its input ends
FOLLOW = f"""exec 9>/bed/lock; flock -n 9 || exit {IN_USE}; echo locked
while read -r -t 1 _; [ $? -gt 128 ]; do xl dmesg -c; done"""


def url():
    """What the environment asks for, or None: the testbed's own machine."""
    wanted = os.environ.get("TESTBED", "")
    if wanted and not wanted.startswith(PREFIX):
        raise BedError(f"TESTBED={wanted}: it is {PREFIX}[USER@]HOST[:PORT], or not set")
    return wanted or None


class Host:
    """A dom0, with what outer.Machine offers to those that use one."""

    own = False

    def __init__(self, where):
        parts = urllib.parse.urlsplit(where)
        if not parts.hostname or parts.path.strip("/") or parts.query:
            raise BedError(f"TESTBED={where}: it is {PREFIX}[USER@]HOST[:PORT]")
        self.name = parts.hostname
        self.record = {}
        self.dir = cache.run_dir() / f"remote-{cache.digest(where)}"
        self.dir.mkdir(exist_ok=True)
        # sockets' names are short
        self._sockets = tempfile.TemporaryDirectory(prefix="xenbed-")
        # as GIT_SSH_COMMAND is git's: what ~/.ssh/config is not to say
        self._ssh = [*shlex.split(os.environ.get("TESTBED_SSH", "ssh")), "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=20",
                     "-o", "ControlMaster=auto", "-o", f"ControlPath={self._sockets.name}/%C", "-o", "ControlPersist=30"]
        self._ssh += ["-p", str(parts.port)] if parts.port else []
        self._ssh += [f"{parts.username or 'root'}@{parts.hostname}"]
        self._follower = None

    @property
    def serial_log(self):
        return self.dir / "serial.log"

    # --- commands over ssh, until there is an agent

    def _run(self, command, data=b""):
        try:
            done = subprocess.run([*self._ssh, command], input=data, capture_output=True)
        except FileNotFoundError as e:
            raise BedError(f"no program {e.filename} here: 'apt install openssh-client'") from e
        if done.returncode:
            said = (done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"])[0]
            if done.returncode == SSH_FAILED:
                raise BedError(f"ssh does not reach {self.name}: {said}")
            raise BedError(f"{self.name}: '{command.splitlines()[0][:60]}' ended with code {done.returncode}: {said}")
        return done.stdout.decode(errors="replace")

    def connect(self, _timeout):
        """A stream to an agent of its own."""
        return channel.Process([*self._ssh, "/bed/xbagent stdio"])

    # --- coming and going

    def open(self):
        """Looks whether the host can do it, puts there what is needed, and takes it for us alone."""
        try:
            with progress.step(f"preparing {self.name}"):
                self._check()
                self._run("mkdir -p /bed && tar -x -C /bed -f -", self._files())
                self._run("/bed/dom0-bed")
                self._follow()
                self.clear()
        except BaseException:
            self.kill()
            raise

    def _check(self):
        missing = self._run("[ $(id -u) = 0 ] || { echo 'must be root' >&2; exit 1; }\n"
                            f"for p in {' '.join(PROGRAMS)}; do command -v $p >/dev/null || echo $p; done").split()
        if missing:
            packages = sorted({PROGRAMS[program] for program in missing})
            raise BedError(f"{self.name} has no {', '.join(missing)}: 'apt install {' '.join(packages)}' there")
        if "guest_loglvl=" not in self._run("xl info xen_commandline"):
            progress.say(f"note: {self.name}'s Xen was booted without guest_loglvl=all: the guests' consoles will not be seen")

    @staticmethod
    def _files():
        files = [images.F / "dom0-bed", images.F / "dom0-vif", images.agent()]
        return subprocess.run(["tar", "-c", "-f", "-", "--owner=root", "--group=root", "--mode=755",
                               *(word for path in files for word in ("-C", str(path.parent), path.name))],
                              check=True, capture_output=True).stdout

    def _follow(self):
        (self.dir / "xl-dmesg-before.log").write_text(self._run("xl dmesg"))
        self._run("xl dmesg -c")
        with open(self.serial_log, "wb") as log:
            self._follower = subprocess.Popen([*self._ssh, f"bash -c {shlex.quote(FOLLOW)}"], stdin=subprocess.PIPE, stdout=log,
                                              stderr=log)
        until = time.monotonic() + 30
        while "locked" not in self.serial_log.read_text(errors="replace"):
            if self._follower.poll() == IN_USE:
                raise BedError(f"{self.name} is in use by another client")
            self.check_alive()
            if time.monotonic() > until:
                raise BedError(f"{self.name} does not say what its Xen logs")
            time.sleep(0.1)

    def check_alive(self):
        if not self._follower or self._follower.poll() is not None:
            raise BedError(f"the ssh connection to {self.name} is gone; see {self.serial_log}")

    def domains(self):
        """The names of our domains."""
        return [domain["config"]["c_info"]["name"] for domain in json.loads(self._run("xl list -l") or "[]")
                if domain.get("config", {}).get("b_info", {}).get("kernel", "").startswith("/bed/")]

    def clear(self):
        """Ends our domains; disks as if they were new."""
        for name in self.domains():
            self._run(f"xl destroy {shlex.quote(name)}")
        self._run("for n in 0 1 2 3; do truncate -s 0 /bed/data$n.img; truncate -s 256M /bed/data$n.img; done; "
                  "for n in 0 1; do truncate -s 0 /bed/file$n.img; truncate -s 256M /bed/file$n.img; done; xl dmesg -c >/dev/null")

    def _clear_at_last(self):
        """Right after other sessions of its connection have ended ssh may lose a command (seen with dropbear): then once more."""
        for left in reversed(range(CLEAR_TRIES)):
            try:
                return self.clear()
            except BedError as e:
                if not left:
                    progress.say(f"note: what ran on {self.name} may still be there: {e}")
                time.sleep(1)

    def put_debian(self):
        """The Debian guest's root disk, fresh; sent once for each image."""
        image = images.debian()
        there = f"/bed/{image.name}.img"
        if not self._run(f"[ ! -e {there} ] || echo yes"):
            with progress.step(f"sending the Debian guest's disk to {self.name}"):
                tar = subprocess.Popen(["tar", "-c", "-z", "-S", "-C", str(image), "-f", "-", "root.img"], stdout=subprocess.PIPE)
                done = subprocess.run([*self._ssh, f"mkdir -p /bed/part && tar -x -z -S -C /bed/part -f - && mv /bed/part/root.img {there}"],
                                      stdin=tar.stdout, capture_output=True)
                if tar.wait() or done.returncode:
                    raise BedError(f"{self.name}: the disk did not arrive: {done.stderr.decode(errors='replace').strip()}")
        self._run(f"[ ! -L /bed/debian ] || losetup -d /bed/debian; cp --reflink=auto --sparse=always {there} /bed/debian.img; "
                  "ln -sfn $(losetup -f --show /bed/debian.img) /bed/debian")

    def cut_power(self, _target):
        raise BedError(f"{self.name} is somebody's: its power is not cut")

    def kill(self):
        """Ends our domains and lets the next client in."""
        if self._follower and self._follower.poll() is not None:
            progress.say(f"note: the connection to {self.name} is gone: what ran there is still there")
        elif self._follower:
            self._clear_at_last()
            self._follower.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._follower.wait(20)
        self._follower = None
        with contextlib.suppress(FileNotFoundError):
            subprocess.run([*self._ssh[:-1], "-O", "exit", self._ssh[-1]], capture_output=True)
