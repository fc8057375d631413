# SPDX-License-Identifier: GPL-2.0-only
"""What the backends of dom0's user space have in common: xenstore, grants, events, deeds, the way through the states."""
import ctypes
import faulthandler
import mmap
import pathlib
import random
import select
import signal
import subprocess
import threading
import time

LOG, DEED, STORM = (pathlib.Path(f"/run/fake.{name}") for name in ("log", "deed", "storm"))
INITIALISING, INIT_WAIT, INITIALISED, CONNECTED, CLOSING, CLOSED = range(1, 7)


def deed():
    """What the test wants done besides serving; a list of words, mostly empty."""
    try:
        return DEED.read_text().split()
    except FileNotFoundError:
        return []


class Store:
    """One directory of xenstore."""

    def __init__(self, path):
        self.path = path

    def read(self, key):
        done = subprocess.run(["xenstore-read", f"{self.path}/{key}"], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    def write(self, others=None, **keys):
        """All of it at once; @others has precedence."""
        words = [w for k, v in {**keys, **(others or {})}.items() for w in (f"{self.path}/{k.replace('_', '-')}", str(v))]
        subprocess.run(["xenstore-write", "--", *words], check=True)

    def chmod(self, *perms):
        subprocess.run(["xenstore-chmod", "-r", self.path, *perms], check=True)

    def offer(self, domid, back, **keys):
        """As a frontend's directory: tells the guest of a device behind 'back'."""
        back.chmod("n0", f"r{domid}")
        self.write(backend_id=0, **keys)
        self.chmod(f"n{domid}", "r0")
        # what comes now has these permissions, too, and comes at once: one transaction
        self.write(backend=back.path, state=INITIALISING)

    def remove(self):
        subprocess.run(["xenstore-rm", self.path], check=False, stderr=subprocess.DEVNULL)


class Library:
    """Grants and event channels, by Xen's own libraries."""

    def __init__(self, domid):
        self.domid = domid
        self.gnt, self.evt = ctypes.CDLL("libxengnttab.so.1"), ctypes.CDLL("libxenevtchn.so.1")
        for fn in (self.gnt.xengnttab_open, self.gnt.xengnttab_map_domain_grant_refs, self.evt.xenevtchn_open):
            fn.restype = ctypes.c_void_p
        self.xgt = ctypes.c_void_p(self.gnt.xengnttab_open(None, 0))
        self.xce = ctypes.c_void_p(self.evt.xenevtchn_open(None, 0))

    def map(self, refs, prot=mmap.PROT_READ | mmap.PROT_WRITE):
        array = (ctypes.c_uint32 * len(refs))(*refs)
        at = self.gnt.xengnttab_map_domain_grant_refs(self.xgt, len(refs), self.domid, array, prot)
        if not at:
            raise OSError("cannot map the guest's pages")
        return at

    def unmap(self, at, count):
        self.gnt.xengnttab_unmap(self.xgt, ctypes.c_void_p(at), count)

    def bind(self, port):
        self.port = self.evt.xenevtchn_bind_interdomain(self.xce, self.domid, port)

    def notify(self):
        self.evt.xenevtchn_notify(self.xce, self.port)

    def wait(self, seconds):
        fd = self.evt.xenevtchn_fd(self.xce)
        if select.select([fd], [], [], seconds)[0]:
            self.evt.xenevtchn_unmask(self.xce, self.evt.xenevtchn_pending(self.xce))


class Ring:
    """The backend's side of a shared ring (xen/io/ring.h); trusts the frontend, as a test's may."""

    HEAD = 64

    def __init__(self, lib, refs, entry):
        self.lib, self.entry, self.pages, self.cons, self.rsp = lib, entry, len(refs), 0, 0
        self.at = lib.map(refs)
        self.size = 1
        while self.size * 2 <= (self.pages * 4096 - self.HEAD) // entry:
            self.size *= 2

    def end(self):
        self.lib.unmap(self.at, self.pages)

    def _u32(self, offset, value=None):
        word = ctypes.c_uint32.from_address(self.at + offset)
        if value is not None:
            word.value = value & 0xffffffff
        return word.value

    def _slot(self, index):
        return self.at + self.HEAD + index % self.size * self.entry

    def waiting(self):
        return (self._u32(0) - self.cons) & 0xffffffff

    def take(self):
        raw = ctypes.string_at(self._slot(self.cons), self.entry)
        self.cons = (self.cons + 1) & 0xffffffff
        return raw

    def rearm(self):
        self._u32(4, self.cons + 1)

    def respond(self, raw):
        ctypes.memmove(self._slot(self.rsp), raw, len(raw))
        self.rsp = (self.rsp + 1) & 0xffffffff

    def publish(self, ahead=0):
        self._u32(8, self.rsp + ahead)
        self.lib.notify()

    def publish_as_asked(self):
        """The event only if the frontend waits for one of these responses."""
        old = self._u32(8)
        self._u32(8, self.rsp)
        if (self.rsp - self._u32(12)) & 0xffffffff < (self.rsp - old) & 0xffffffff:
            self.lib.notify()


def storm(lib):
    """While the deed is 'storm': events for nothing, as many as go out; their number is in a file."""
    sent = 0
    while True:
        if deed() != ["storm"]:
            time.sleep(0.1)
            continue
        for _ in range(50):
            lib.notify()
        sent += 50
        # never half of it
        part = STORM.with_suffix(".part")
        part.write_text(f"{sent}\n")
        part.rename(STORM)


def wait_state(front, states):
    while True:
        state = front.read("state")
        if state is None or int(state) in states:
            return int(state or CLOSED)
        time.sleep(0.2)


def disturb(back, some):
    """While the deed is 'fuzz SEED PERCENT': the state changes out of order, by chance."""
    words = deed()
    if words[:1] == ["fuzz"] and some.randrange(100) < int(words[2]):
        back.write(state=some.randrange(10))


def first_queue(front):
    """Where the first queue's keys are; others, if there are, get no service."""
    return Store(f"{front.path}/queue-0") if front.read("multi-queue-num-queues") else front


def run(front, back, lib, connect):
    """A device's life, from a frontend that has been told of it to its end; connect() makes what serves."""
    # asked where it hangs, it says so before it goes
    faulthandler.register(signal.SIGTERM, chain=True)
    if wait_state(front, (INITIALISED, CONNECTED)) in (INITIALISED, CONNECTED):
        try:
            service = connect()
        except (OSError, TypeError):
            # it has withdrawn its rings already
            service = None
        if service:
            serve(front, back, lib, service)
    back.write(state=CLOSED)
    # or it offers itself again already
    wait_state(front, (CLOSED, INITIALISING))
    # a liar who is found out leaves the device to be looked at, until the deed is taken back
    while DEED.exists():
        time.sleep(0.2)
    front.remove()
    back.remove()


def serve(front, back, lib, service):
    """Until the frontend has had enough."""
    threading.Thread(target=storm, args=(lib,), daemon=True).start()
    back.write(state=CONNECTED)
    look, some = 0.0, random.Random(str(deed()))
    while True:
        lib.wait(0.1)
        service.serve()
        if time.monotonic() > look:
            look = time.monotonic() + 0.5
            disturb(back, some)
            if int(front.read("state") or CLOSED) not in (INITIALISED, CONNECTED):
                break
    service.end()
