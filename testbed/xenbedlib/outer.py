# SPDX-License-Identifier: GPL-2.0-only
"""The outer machine: QEMU's software CPU with Xen and dom0 in it.

A saved machine is a folder with its RAM and device state (a migration stream)
and qcow2 overlays of its disks. It is never written again: a run starts its own
QEMU with -incoming and overlays of its own, so killing it cannot hurt anything.
"""
import contextlib
import dataclasses
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

from . import cache, channel, emulator, images
from .errors import BedError, Stalled

CPU = "max,-smap,-la57,-pku,-xsave,-avx,-avx2,-f16c,-fma"
HARDWARE = ["-machine", "pc-q35-7.2", "-accel", "tcg,thread=multi,tb-size=1024", "-cpu", CPU,
            "-smp", "2", "-m", "7G", "-nodefaults", "-no-reboot", "-display", "none"]
XEN_ARGS = "console=com1 com1=115200 dom0_mem=1536M,max:1536M loglvl=all guest_loglvl=all noreboot"
DOM0_ARGS = "console=hvc0 loglevel=5 net.ifnames=0 panic=0"
DISKS = ("disk0.qcow2", "disk1.qcow2")


def _program(path, *args):
    """Command line for a program of dom0's release on any host: by dom0's own ld.so."""
    root = images.dom0_root()
    return [str(root / "lib64/ld-linux-x86-64.so.2"), "--library-path",
            str(root / "usr/lib/x86_64-linux-gnu"), str(path), *args]


def img(*args, cwd=None):
    """Runs the testbed's own qemu-img."""
    done = subprocess.run(_program(images.dom0_root() / "usr/bin/qemu-img", *args), capture_output=True, text=True, cwd=cwd)
    if done.returncode:
        raise BedError(f"qemu-img {args[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _free_ports(number):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


def start_time(pid):
    """Start time of a process in clock ticks, to know a pid again; None if it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


class Machine:
    """The machine that runs now, from its record in run/machine.json."""

    own = True      # remote.Host is the other one

    def __init__(self, record):
        self.record = record
        self.dir = run_place()

    @property
    def pid(self):
        return self.record["pid"]

    @property
    def dom0_port(self):
        return self.record["dom0_port"]

    @property
    def ssh_port(self):
        """For a program in dom0 that answers on port 22."""
        return self.record["ssh_port"]

    def connect(self, timeout):
        """A stream to dom0's agent."""
        return channel.tcp(self.dom0_port, timeout)

    @property
    def serial_log(self):
        return self.dir / "serial.log"

    def alive(self):
        return start_time(self.pid) == self.record["start_time"]

    @contextlib.contextmanager
    def _qmp(self):
        """QMP commands as a function; the socket's name may be longer than sockets allow."""
        fd = os.open(self.dir, os.O_PATH)
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(60)
        stream = sock.makefile("rw")
        try:
            sock.connect(f"/proc/self/fd/{fd}/qmp.sock")
            stream.readline()

            def call(command, **arguments):
                stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
                stream.flush()
                while True:
                    line = stream.readline()
                    if not line:
                        raise BedError(f"QEMU closed its monitor during {command}")
                    reply = json.loads(line)
                    if "return" in reply:
                        return reply["return"]
                    if "error" in reply:
                        raise BedError(f"QEMU refused {command}: {reply['error']['desc']}")
            call("qmp_capabilities")
            yield call
        except OSError as e:
            raise BedError(f"QEMU's monitor does not answer ({e}); see {self.dir}/qemu.log") from e
        finally:
            stream.close()
            sock.close()
            os.close(fd)

    def status(self):
        with self._qmp() as call:
            return call("query-status")["status"]

    def cpus(self):
        """What its CPUs are at, three times, also when nothing in it answers."""
        said = []
        with self._qmp() as call:
            for _ in range(3):
                said.append(call("human-monitor-command", **{"command-line": "info registers -a"}))
                time.sleep(0.5)
        return "\n".join(said)

    def wait_loaded(self, total=300):
        """Waits until the saved state is in and the machine runs."""
        start = time.monotonic()
        while time.monotonic() - start < total:
            self.check_alive()
            try:
                with self._qmp() as call:
                    # it was stopped when it was saved, and comes back so
                    if call("query-migrate").get("status") == "completed":
                        call("cont")
                        return
            except BedError:
                self.check_alive()
            time.sleep(0.05)
        raise Stalled(f"the saved machine was not loaded after {total} s; see {self.dir}/qemu.log")

    def check_alive(self):
        if not self.alive():
            tail = (self.dir / "qemu.log").read_text(errors="replace").strip().splitlines()[-1:]
            raise BedError("the outer machine is gone" + (f": {tail[0]}" if tail else
                           "; the end of its console is in " + str(self.serial_log)))

    def save_and_stop(self, target):
        """Writes the machine's state into the folder target and ends it."""
        with self._qmp() as call:
            call("stop")
            call("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
            call("migrate", uri=f"exec:cat >'{target}/ram'")
            while True:
                info = call("query-migrate")
                if info.get("status") == "completed":
                    break
                if info.get("status") == "failed":
                    raise BedError(f"saving the machine failed: {info.get('error-desc')}")
                time.sleep(0.1)
            with contextlib.suppress(BedError):
                call("quit")
        self._wait_gone(30)
        for name in DISKS:
            os.rename(self.dir / name, target / name)
        (target / "serial.log").write_bytes(self.serial_log.read_bytes())

    def cut_power(self, target):
        """Ends the machine with dom0 unasked: what it had not written yet is lost. Its first disk goes to a raw image.

        Not by a signal: then QEMU, which does without flushes, would lose tables of the image.
        """
        with self._qmp() as call, contextlib.suppress(BedError):
            call("quit")
        if not self._wait_gone(30):
            raise BedError("QEMU does not end")
        img("convert", "-O", "raw", str(self.dir / DISKS[0]), str(target))

    def _wait_gone(self, seconds):
        until = time.monotonic() + seconds
        while self.alive():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def kill(self):
        """Ends QEMU, by its own pid, if it is still the process we started."""
        for sig in (signal.SIGTERM, signal.SIGKILL):
            if not self.alive():
                break
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)
            if self._wait_gone(5):
                break
        for name in (*DISKS, "qmp.sock", "machine.json"):
            with contextlib.suppress(FileNotFoundError):
                (self.dir / name).unlink()


def run_place():
    # two levels below the cache, as saved machines are: relative backing
    # file names stay right when an overlay moves from here to there
    place = cache.run_dir() / "machine"
    place.mkdir(exist_ok=True)
    return place


def current():
    """The running machine, or None."""
    try:
        record = json.loads((run_place() / "machine.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    machine = Machine(record)
    return machine if machine.alive() else None


def _prefer(pid):
    """Gives the machine CPU time before compilers: starved vCPUs look like soft lockups.

    It is in a session of its own, so where the kernel groups by session the
    group's nice value counts, not the process's.
    """
    with contextlib.suppress(OSError):
        pathlib.Path(f"/proc/{pid}/autogroup").write_text("-10")
        os.setpriority(os.PRIO_PROCESS, pid, -10)


def start(state, state_dir, lock_fd, owner, config=None):
    """Starts a machine: from a saved state, or (state_dir None) from its images.

    QEMU inherits lock_fd and with it the lock that makes it the only one.
    """
    place = run_place()
    dom0, debian = images.dom0(), images.debian()
    backing = [(dom0 / "root.img", "raw"), (debian / "root.img", "raw")]
    if state_dir:
        backing = [(state_dir / name, "qcow2") for name in DISKS]
    for name, (path, fmt) in zip(DISKS, backing):
        with contextlib.suppress(FileNotFoundError):
            (place / name).unlink()
        img("create", "-q", "-f", "qcow2", "-b", os.path.relpath(path, place), "-F", fmt,
            str(place / name))
    for name in ("serial.log", "qemu.log", "qmp.sock"):
        with contextlib.suppress(FileNotFoundError):
            (place / name).unlink()
    dom0_port, ssh_port = _free_ports(2)
    share = images.dom0_root() / "usr/share"
    args = _program(emulator.place() / "qemu-system-x86_64", "-L", str(share / "qemu"), "-L", str(share / "seabios"),
                    *HARDWARE)
    args += ["-kernel", str(dom0 / "xen"), "-append", XEN_ARGS,
             "-initrd", f"{dom0 / 'vmlinuz'} {DOM0_ARGS},{dom0 / 'initrd'}"]
    for name in DISKS:
        args += ["-drive", f"file={name},if=none,id={name[:5]},format=qcow2,cache=unsafe,discard=unmap",
                 "-device", f"virtio-blk-pci,drive={name[:5]}"]
    args += ["-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{dom0_port}-:7001,"
             f"hostfwd=tcp:127.0.0.1:{ssh_port}-:22",
             "-device", "virtio-net-pci,netdev=n0,romfile=",
             "-qmp", "unix:qmp.sock,server=on,wait=off", "-serial", "file:serial.log"]
    if state_dir:
        args += ["-incoming", f"exec:cat '{state_dir / 'ram'}'"]
    with open(place / "qemu.log", "wb") as log:
        child = subprocess.Popen(args, cwd=place, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 pass_fds=(lock_fd,), start_new_session=True)
    _prefer(child.pid)
    record = {"pid": child.pid, "start_time": start_time(child.pid), "state": state,
              "dom0_port": dom0_port, "ssh_port": ssh_port, "owner": owner, "since": time.time(),
              "config": dataclasses.asdict(config) if config else None}
    machine = Machine(record)
    rewrite(machine)
    return machine


def rewrite(machine):
    """Stores a machine's changed record."""
    tmp = machine.dir / ".machine.json"
    tmp.write_text(json.dumps(machine.record))
    os.rename(tmp, machine.dir / "machine.json")
