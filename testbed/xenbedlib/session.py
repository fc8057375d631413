# SPDX-License-Identifier: GPL-2.0-only
"""Who may use the outer machine: one client at a time, the others queue.

The lock is a flock that QEMU inherits, so it lasts as long as the machine does.
A machine whose 'run' client died, or an 'up' nobody used for IDLE_MINUTES, is
taken down by whoever waits next.
"""
import fcntl
import getpass
import json
import os
import time

from . import cache, outer, progress
from .errors import BedError

IDLE_MINUTES = 20


def me(kind, what):
    """The owner record of this process; kind is run or up."""
    return {"kind": kind, "pid": os.getpid(), "start_time": outer.start_time(os.getpid()),
            "what": what, "user": getpass.getuser()}


def touch():
    """Notes that the machine is in use."""
    (cache.run_dir() / "activity").touch()


def idle_seconds():
    try:
        return time.time() - (cache.run_dir() / "activity").stat().st_mtime
    except FileNotFoundError:
        return 0.0


def client_alive(machine):
    owner = machine.record["owner"]
    return outer.start_time(owner["pid"]) == owner["start_time"]


def describe(machine):
    owner = machine.record["owner"]
    minutes = (time.time() - machine.record["since"]) / 60
    text = f"'{owner['what']}' (pid {owner['pid']}, for {minutes:.0f} min"
    if owner["kind"] == "up":
        text += f", idle {idle_seconds() / 60:.0f} min, given up after {IDLE_MINUTES}"
    return text + ")"


def _take_over(machine):
    """Ends a machine that nobody needs any more; True if it did."""
    kind = machine.record["owner"]["kind"]
    if kind == "run" and not client_alive(machine):
        progress.say(f"the client of {describe(machine)} is gone: taking its machine down")
    elif kind == "up" and idle_seconds() > IDLE_MINUTES * 60 and not client_alive(machine):
        progress.say(f"nobody uses {describe(machine)}: taking its machine down")
    else:
        return False
    machine.kill()
    return True


def _open(name):
    return os.open(cache.run_dir() / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _holder():
    """Who has the lock, in words."""
    machine = outer.current()
    if machine:
        return describe(machine)
    try:
        owner = json.loads((cache.run_dir() / "holder.json").read_text())
        return f"'{owner['what']}' (pid {owner['pid']}), which prepares a machine"
    except (FileNotFoundError, json.JSONDecodeError):
        return "a client that prepares a machine"


def lock(owner, wait=True):
    """Takes the machine lock; the descriptor, to be given to outer.start."""
    queue, fd = _open("queue"), _open("lock")
    said = 0.0
    try:
        try:
            fcntl.flock(queue, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise BedError("others wait for the testbed already") from None
            progress.say(f"others wait for the testbed, too, in use by {_holder()}: queueing")
            fcntl.flock(queue, fcntl.LOCK_EX)
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                touch()
                (cache.run_dir() / "holder.json").write_text(json.dumps(owner))
                return fd
            except BlockingIOError:
                pass
            machine = outer.current()
            if machine and _take_over(machine):
                continue
            if not wait:
                raise BedError(f"the testbed is in use by {_holder()}: wait, or 'xenbed down'")
            if time.monotonic() - said > 60 or not said:
                said = time.monotonic()
                progress.say(f"waiting for the testbed, in use by {_holder()}")
            time.sleep(0.5)
    except BaseException:
        os.close(fd)
        raise
    finally:
        os.close(queue)
