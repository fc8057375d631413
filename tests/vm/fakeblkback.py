# SPDX-License-Identifier: GPL-2.0-only
"""A blkif backend in dom0's user space that offers, refuses and lies as told.

    fakeblkback.py DOMID VDEV KEY=VALUE...

makes the disk (xen/io/blkif.h; KEYs go into the backend's directory), serves
it from /run/fake.disk, and appends each request to /run/fake.log. /run/fake.deed,
read before each request, is what it does besides: 'refuse OP' (unsupported), a lie:
'id', 'twice', 'op', 'producer', 'silence', or 'fuzz SEED PERCENT': lies of any
kind, by chance. 'look': what the guest's pages show besides is in the log, too.
"""
import ctypes
import mmap
import random
import struct
import sys

import fakeback
from fakeback import INIT_WAIT, LOG, Library, Ring, Store

SIZE = 16 << 20
READ, WRITE, BARRIER, FLUSH, DISCARD, INDIRECT = 0, 1, 2, 3, 5, 6
OKAY, ERROR, UNSUPPORTED = 0, -1, -2
ENTRY = 112


class Disk:
    """A file behind a ring."""

    def __init__(self, lib, front):
        queue, order = fakeback.first_queue(front), front.read("ring-page-order")
        names = [f"ring-ref{n}" for n in range(1 << int(order))] if order else ["ring-ref"]
        refs = [int(queue.read(name)) for name in names]
        self.lib = lib
        with open("/run/fake.disk", "a+b") as file:
            file.truncate(SIZE)
            self.data = mmap.mmap(file.fileno(), SIZE)
        self.ring = Ring(lib, refs, ENTRY)
        lib.bind(int(queue.read("event-channel")))
        self.chance = None
        # each sector that went over the ring, which is no secret
        self.known = {bytes(512)}

    def end(self):
        self.ring.end()

    def _respond(self, ident, op, status):
        self.ring.respond(struct.pack("<QBxhxxxx", ident, op, status))
        self.ring.publish()

    def _look(self, op, page, first, last):
        """Logs whether a page shows what no request has been about."""
        asked = range(first, last + 1) if op == WRITE else ()
        sectors = [ctypes.string_at(page + n * 512, 512) for n in range(8)]
        self.known.update(sectors[n] for n in asked)
        with LOG.open("a") as log:
            print("look", op, "alone" if self.known.issuperset(sectors) else "more", file=log)

    def _transfer(self, op, sector, segments, look):
        at = sector * 512
        for ref, first, last in segments:
            # what is only read was granted so
            prot = mmap.PROT_READ if op == WRITE else mmap.PROT_READ | mmap.PROT_WRITE
            length = (last - first + 1) * 512
            if at + length > SIZE:
                raise OSError("beyond the disk's end")
            page = self.lib.map([ref], prot)
            if look:
                self._look(op, page, first, last)
            if op == WRITE:
                self.data[at:at + length] = ctypes.string_at(page + first * 512, length)
            else:
                data = bytes(self.data[at:at + length])
                ctypes.memmove(page + first * 512, data, length)
                if look:
                    self.known.update(data[n:n + 512] for n in range(0, length, 512))
            self.lib.unmap(page, 1)
            at += length

    def _indirect(self, raw):
        """What an indirect request is about, in the form of a direct one."""
        op, count = struct.unpack_from("<xBH", raw)
        page = self.lib.map(struct.unpack_from("<I", raw, 28), mmap.PROT_READ)
        raw = raw[:24] + ctypes.string_at(page, 8 * count)
        self.lib.unmap(page, 1)
        return op, count, raw

    def _answer(self, raw, deed):
        """A request's number, operation and the status it deserves."""
        op, count, _, ident, sector = struct.unpack_from("<BBHxxxxQQ", raw)
        with LOG.open("a") as log:
            extra = struct.unpack_from("<Q", raw, 24)[0] if op == DISCARD else ""
            print(op, count, sector, extra, file=log)
        if deed[:1] == ["refuse"] and str(op) in deed[1:]:
            return ident, op, UNSUPPORTED
        try:
            what = op
            if op == INDIRECT:
                what, count, raw = self._indirect(raw)
            if what in (READ, WRITE):
                self._transfer(what, sector, list(struct.iter_unpack("<IBBxx", raw[24:24 + 8 * count])), deed == ["look"])
        except OSError:
            # a guest that has caught us lying has taken its pages back
            return ident, op, ERROR
        return ident, op, OKAY

    def _lie(self, deed, ident, op):
        """Tells the lie of the hour; whether there was one."""
        if deed == ["id"]:
            self._respond(1 << 33, op, OKAY)
        elif deed == ["twice"]:
            self._respond(ident, op, OKAY)
            self._respond(ident, op, OKAY)
        elif deed == ["op"]:
            self._respond(ident, op ^ 1, OKAY)
        elif deed == ["producer"]:
            self.ring.publish(1000)
        elif deed[:1] == ["fuzz"]:
            return self._fuzz(int(deed[1]), int(deed[2]), ident, op)
        elif deed != ["silence"]:
            return False
        return True

    def _fuzz(self, seed, percent, ident, op):
        self.chance = self.chance or random.Random(seed)
        some = self.chance
        if some.randrange(100) >= percent:
            return False
        kind = some.randrange(7)
        if kind == 0:
            self._respond(some.getrandbits(some.choice((3, 5, 8, 16, 64))), op, OKAY)
        elif kind == 1:
            self._respond(ident, some.getrandbits(8), OKAY)
        elif kind == 2:
            self._respond(ident, op, some.randrange(-32768, 32768))
        elif kind == 3:
            self.ring.publish(some.choice((-1, 1, 31, 33, 1 << 31, some.getrandbits(32))))
        elif kind == 4:
            self._respond(ident, op, OKAY)
            self._respond(ident, op, OKAY)
        elif kind == 5:
            for _ in range(some.randrange(300)):
                self.lib.notify()
            return False
        # the last kind: no answer
        return True

    def serve(self):
        while self.ring.waiting():
            deed = fakeback.deed()
            ident, op, status = self._answer(self.ring.take(), deed)
            if not self._lie(deed, ident, op):
                self._respond(ident, op, status)
        self.ring.rearm()


def main(domid, vdev, keys):
    front = Store(f"/local/domain/{domid}/device/vbd/{vdev}")
    back = Store(f"/local/domain/0/backend/fakevbd/{domid}/{vdev}")
    trusted = keys.pop("trusted", 1)
    back.write(keys, frontend=front.path, frontend_id=domid, online=1, state=INIT_WAIT, info=0,
               sectors=SIZE // 512, sector_size=512)
    front.offer(domid, back, virtual_device=vdev, device_type="disk", trusted=trusted)
    lib = Library(domid)
    fakeback.run(front, back, lib, lambda: Disk(lib, front))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), dict(arg.split("=", 1) for arg in sys.argv[3:]))
