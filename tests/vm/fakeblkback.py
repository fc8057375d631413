# SPDX-License-Identifier: GPL-2.0-only
"""A blkif backend in dom0's user space that offers, refuses and lies as told.

    fakeblkback.py DOMID VDEV KEY=VALUE...

makes the disk (xen/io/blkif.h; KEYs go into the backend's directory), serves
it from memory, and appends each request to /run/fake.log. /run/fake.deed, read
before each request, is what it does besides: 'refuse OP' (unsupported), or a
lie: 'id', 'twice', 'op', 'producer', 'silence'. A liar who is found out leaves
the disk in xenstore, so that it can be looked at, until the file is gone.
"""
import ctypes
import faulthandler
import mmap
import pathlib
import select
import signal
import struct
import subprocess
import sys
import time

SIZE = 16 << 20
LOG, DEED = pathlib.Path("/run/fake.log"), pathlib.Path("/run/fake.deed")
READ, WRITE, BARRIER, FLUSH, DISCARD = 0, 1, 2, 3, 5
OKAY, ERROR, UNSUPPORTED = 0, -1, -2
INITIALISING, INIT_WAIT, INITIALISED, CONNECTED, CLOSING, CLOSED = range(1, 7)
ENTRY, HEAD = 112, 64


class Store:
    """One directory of xenstore."""

    def __init__(self, path):
        self.path = path

    def read(self, key):
        done = subprocess.run(["xenstore-read", f"{self.path}/{key}"], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    def write(self, **keys):
        words = [w for k, v in keys.items() for w in (f"{self.path}/{k.replace('_', '-')}", str(v))]
        subprocess.run(["xenstore-write", *words], check=True)

    def chmod(self, *perms):
        subprocess.run(["xenstore-chmod", "-r", self.path, *perms], check=True)

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
    """The backend's side of a shared ring; trusts the frontend, as a test's may."""

    def __init__(self, at, pages):
        self.at, self.cons, self.rsp = at, 0, 0
        self.size = 1
        while self.size * 2 <= (pages * 4096 - HEAD) // ENTRY:
            self.size *= 2

    def _u32(self, offset, value=None):
        word = ctypes.c_uint32.from_address(self.at + offset)
        if value is not None:
            word.value = value & 0xffffffff
        return word.value

    def _slot(self, index):
        return self.at + HEAD + index % self.size * ENTRY

    def requests(self):
        while self.cons != self._u32(0):
            raw = ctypes.string_at(self._slot(self.cons), ENTRY)
            self.cons = (self.cons + 1) & 0xffffffff
            yield raw
        self._u32(4, self.cons + 1)

    def respond(self, ident, op, status):
        ctypes.memmove(self._slot(self.rsp), struct.pack("<QBxhxxxx", ident, op, status), 16)
        self.rsp = (self.rsp + 1) & 0xffffffff
        self.publish(self.rsp)

    def publish(self, producer):
        self._u32(8, producer)


class Disk:
    def __init__(self, lib):
        self.lib, self.data = lib, bytearray(SIZE)

    def transfer(self, op, sector, segments):
        at = sector * 512
        for ref, first, last in segments:
            # what is only read was granted so
            prot = mmap.PROT_READ if op == WRITE else mmap.PROT_READ | mmap.PROT_WRITE
            page, length = self.lib.map([ref], prot), (last - first + 1) * 512
            if op == WRITE:
                self.data[at:at + length] = ctypes.string_at(page + first * 512, length)
            else:
                ctypes.memmove(page + first * 512, bytes(self.data[at:at + length]), length)
            self.lib.unmap(page, 1)
            at += length

    def serve(self, raw):
        """A request's number, operation and the status it deserves."""
        op, count, _, ident, sector = struct.unpack_from("<BBHxxxxQQ", raw)
        with LOG.open("a") as log:
            extra = struct.unpack_from("<Q", raw, 24)[0] if op == DISCARD else ""
            print(op, count, sector, extra, file=log)
        deed = DEED.read_text().split() if DEED.exists() else []
        if deed[:1] == ["refuse"] and str(op) in deed[1:]:
            return ident, op, UNSUPPORTED
        if op in (READ, WRITE):
            segs = [struct.unpack_from("<IBBxx", raw, 24 + 8 * n) for n in range(count)]
            try:
                self.transfer(op, sector, segs)
            except OSError:
                # a guest that has caught us lying has taken its pages back
                return ident, op, ERROR
        return ident, op, OKAY


def lie(ring, ident, op):
    """Tells the lie of the hour; whether there was one."""
    deed = DEED.read_text().strip() if DEED.exists() else ""
    if deed == "id":
        ring.respond(1 << 33, op, OKAY)
    elif deed == "twice":
        ring.respond(ident, op, OKAY)
        ring.respond(ident, op, OKAY)
    elif deed == "op":
        ring.respond(ident, op ^ 1, OKAY)
    elif deed == "producer":
        ring.publish(ring.rsp + 1000)
    elif deed != "silence":
        return False
    return True


def connect(lib, front):
    if front.read("ring-page-order"):
        refs = [int(front.read(f"ring-ref{n}")) for n in range(1 << int(front.read("ring-page-order")))]
    else:
        refs = [int(front.read("ring-ref"))]
    at = lib.map(refs)
    lib.bind(int(front.read("event-channel")))
    return Ring(at, len(refs)), at, len(refs)


def wait_state(front, states):
    while True:
        state = front.read("state")
        if state is None or int(state) in states:
            return int(state or CLOSED)
        time.sleep(0.2)


def main(domid, vdev, keys):
    front = Store(f"/local/domain/{domid}/device/vbd/{vdev}")
    back = Store(f"/local/domain/0/backend/fakevbd/{domid}/{vdev}")
    back.write(frontend=front.path, frontend_id=domid, online=1, state=INIT_WAIT, info=0,
               sectors=SIZE // 512, sector_size=512, **keys)
    back.chmod("n0", f"r{domid}")
    front.write(backend_id=0, virtual_device=vdev, device_type="disk")
    front.chmod(f"n{domid}", "r0")
    # what comes now has these permissions, too; the guest looks when it sees the last of them
    front.write(backend=back.path)
    front.write(state=1)
    lib = Library(domid)
    wait_state(front, (INITIALISED, CONNECTED))
    ring, at, pages = connect(lib, front)
    back.write(state=CONNECTED)
    disk = Disk(lib)
    look = 0.0
    while True:
        lib.wait(0.1)
        for raw in ring.requests():
            ident, op, status = disk.serve(raw)
            if not lie(ring, ident, op):
                ring.respond(ident, op, status)
            lib.notify()
        if time.monotonic() > look:
            look = time.monotonic() + 0.5
            if int(front.read("state") or CLOSED) not in (INITIALISED, CONNECTED):
                break
    lib.unmap(at, pages)
    back.write(state=CLOSED)
    # or it offers itself again already
    wait_state(front, (CLOSED, INITIALISING))
    while DEED.exists():
        time.sleep(0.2)
    front.remove()
    back.remove()


if __name__ == "__main__":
    # asked where it hangs, it says so before it goes
    faulthandler.register(signal.SIGTERM, chain=True)
    main(int(sys.argv[1]), int(sys.argv[2]), dict(arg.split("=", 1) for arg in sys.argv[3:]))
