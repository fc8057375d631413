# SPDX-License-Identifier: GPL-2.0-only
"""A netif backend in dom0's user space that looks at what it is shown, and lies as told.

    fakenetback.py DOMID HANDLE MAC KEY=VALUE...

makes the card (xen/io/netif.h; KEYs go into the backend's directory, but for
'trusted', which is the frontend's). What the guest sends comes back to it as it
went, but for the addresses, which change places: a ping is answered. Each data slot is a line of /run/fake.log: its
size, and whether the page was blank besides ('alone') or held something else
('more'). So is each page that is filled: 'blank', 'kept' (as it was left here)
or 'used'. /run/fake.deed is what it does besides, once a packet: a lie about a
transmit response ('tx-id', 'tx-twice', 'tx-null', 'tx-ahead') or a receive
response ('rx-id', 'rx-bounds',
'rx-extra', 'rx-endless', 'rx-ahead'), a receive response that is bad but within
the protocol ('rx-failed', 'rx-empty', 'rx-gso'), 'storm', or 'fuzz SEED PERCENT':
lies of any kind, by chance. With 'large-last' packets go nowhere, and one of more
than a cell is answered only after the next small one, as netback does it; with
no more events than asked for.
"""
import ctypes
import mmap
import random
import struct
import sys
import time

import fakeback
from fakeback import INIT_WAIT, LOG, Library, Ring, Store

OKAY, ERROR, NULL = 0, -1, 1
MORE_DATA, EXTRA_INFO = 4, 8
TX_BLANK, TX_VALIDATED, RX_VALIDATED, RX_BLANK = 1, 2, 1, 2
PAGE = 4096
CELL = 256      # what pvhvm_netfront copies rather than lends
GSO, GSO_TCPV4 = 1, 1


def turned_round(data):
    """A frame back to its sender, from whom it was for."""
    data = data[6:12] + data[:6] + data[12:]
    if data[12:14] == b"\x08\x00":
        data = data[:26] + data[30:34] + data[26:30] + data[34:]
    return data


class Card:
    """Turns packets round."""

    def __init__(self, lib, front):
        self.lib, queue = lib, fakeback.first_queue(front)
        self.tx = Ring(lib, [int(queue.read("tx-ring-ref"))], 12)
        self.rx = Ring(lib, [int(queue.read("rx-ring-ref"))], 8)
        lib.bind(int(queue.read("event-channel")))
        self.chance = None
        self.late = []
        # what each receive buffer, by its grant reference, was left with
        self.left = {}
        self.log = LOG.open("a")

    def end(self):
        self.log.close()
        for ring in (self.tx, self.rx):
            ring.end()

    def _say(self, *words):
        print(*words, file=self.log, flush=True)

    def _look(self, ref, offset, size):
        """A slot's bytes; logs what else its page shows."""
        at = self.lib.map([ref], mmap.PROT_READ)
        page = ctypes.string_at(at, PAGE)
        self.lib.unmap(at, 1)
        rest = page[:offset] + page[offset + size:]
        self._say("tx", size, "more" if rest.strip(b"\0") else "alone")
        return page[offset:offset + size]

    def _receive(self):
        """The next packet of the guest's: its data, flags and segment size; its requests, an id each or None."""
        raw, ids = self.tx.take(), []
        ref, offset, flags, ident, size = struct.unpack("<IHHHH", raw)
        first, total, gso = flags, size, 0
        ids.append(ident)
        if flags & EXTRA_INFO:
            while True:
                kind, more, gso_size = struct.unpack_from("<BBH", self.tx.take())
                ids.append(None)
                gso = gso_size if kind == GSO else gso
                if not more & 1:
                    break
        pieces = [(ref, offset)]
        sizes = []
        while flags & MORE_DATA:
            ref, offset, flags, ident, size = struct.unpack("<IHHHH", self.tx.take())
            pieces.append((ref, offset))
            sizes.append(size)
            ids.append(ident)
        sizes.insert(0, total - sum(sizes))
        data = b"".join(self._look(ref, offset, size) for (ref, offset), size in zip(pieces, sizes))
        return data, first, gso, ids

    def _fill(self, data):
        """Data into the guest's next receive buffer; its id, or None when there is none."""
        if not self.rx.waiting():
            return None
        ident, ref = struct.unpack("<HxxI", self.rx.take())
        at = self.lib.map([ref])
        found = ctypes.string_at(at, PAGE)
        self._say("rx", len(data), "blank" if not found.strip(b"\0") else "kept" if found == self.left.get(ref) else "used")
        self.left[ref] = data + found[len(data):]
        ctypes.memmove(at, data, len(data))
        self.lib.unmap(at, 1)
        return ident

    def _send(self, data, flags, gso, deed):
        pieces = [data[n:n + PAGE] for n in range(0, len(data), PAGE)]
        lie = deed[0] if deed else ""
        if self.rx.waiting() < len(pieces) + 2:
            return
        for n, piece in enumerate(pieces):
            ident, offset, status = self._fill(piece), 0, len(piece)
            rsp_flags = MORE_DATA if n + 1 < len(pieces) or lie == "rx-endless" else 0
            if not n:
                rsp_flags |= RX_BLANK if flags & TX_BLANK else 0
                rsp_flags |= RX_VALIDATED if flags & TX_VALIDATED else 0
                rsp_flags |= EXTRA_INFO if gso or lie in ("rx-extra", "rx-gso") else 0
                ident ^= 1 if lie == "rx-id" else 0
                offset = 4000 if lie == "rx-bounds" else 0
                status = {"rx-failed": ERROR, "rx-empty": 0}.get(lie, status)
            if deed[:1] == ["fuzz"]:
                ident, offset, rsp_flags, status = self._bend(deed, ident, offset, rsp_flags, status)
            self.rx.respond(struct.pack("<HHHh", ident, offset, rsp_flags, status))
            if rsp_flags & EXTRA_INFO and not n:
                self.rx.take()
                kind = 77 if lie == "rx-extra" else GSO
                self.rx.respond(struct.pack("<BBHBB2x", kind, 0, 0 if lie == "rx-gso" else gso, GSO_TCPV4, 0))
        self.rx.publish(1000 if lie == "rx-ahead" else self._chance_ahead(deed))

    # --- lies by chance

    def _lucky(self, deed):
        self.chance = self.chance or random.Random(int(deed[1]))
        return self.chance.randrange(100) < int(deed[2])

    def _bend(self, deed, *fields):
        """A response's fields, one of them perhaps something else."""
        fields = list(fields)
        if self._lucky(deed):
            some, n = self.chance, self.chance.randrange(4)
            fields[n] = some.choice((0, 1, 255, 256, 4095, 4096, 32767, some.getrandbits(15)))
        return fields

    def _chance_ahead(self, deed):
        if deed[:1] != ["fuzz"] or not self._lucky(deed) or self.chance.randrange(4):
            return 0
        return self.chance.choice((-1, 1, 255, 257, 1 << 31, self.chance.getrandbits(32)))

    def _answer(self, ids, deed):
        lie = deed[0] if deed else ""
        for n, ident in enumerate(ids):
            status = NULL if ident is None else OKAY
            ident = 0 if ident is None else ident
            if not n and lie == "tx-id":
                ident = 60000
            if not n and lie == "tx-null":
                status = NULL
            if lie == "fuzz":
                ident, status = self._bend(deed, ident, status, 0, 0)[:2]
            self.tx.respond(struct.pack("<Hh", ident, status))
            if not n and lie == "tx-twice":
                self.tx.respond(struct.pack("<Hh", ident, status))
        self.tx.publish(1000 if lie == "tx-ahead" else self._chance_ahead(deed))

    def _respond_as_asked(self, ids):
        for ident in ids:
            self.tx.respond(struct.pack("<Hh", ident or 0, NULL if ident is None else OKAY))
        self.tx.publish_as_asked()

    def _answer_large_last(self, data, ids):
        if len(data) > CELL:
            self.late += ids
            return
        self._respond_as_asked(ids)
        # the guest has looked at it, and says what it waits for now
        time.sleep(0.5)
        self._respond_as_asked(self.late)
        self.late = []

    def serve(self):
        while self.tx.waiting():
            deed = fakeback.deed()
            try:
                data, flags, gso, ids = self._receive()
                if deed == ["large-last"]:
                    self._answer_large_last(data, ids)
                    continue
                self._send(turned_round(data), flags, gso, deed)
            except OSError:
                # a guest that has caught us lying has taken its pages back
                return
            self._answer(ids, deed)
        self.tx.rearm()


def main(domid, handle, mac, keys):
    front = Store(f"/local/domain/{domid}/device/vif/{handle}")
    back = Store(f"/local/domain/0/backend/fakevif/{domid}/{handle}")
    trusted = keys.pop("trusted", 1)
    back.write(keys, frontend=front.path, frontend_id=domid, online=1, state=INIT_WAIT, handle=handle, mac=mac,
               feature_rx_copy=1)
    front.offer(domid, back, handle=handle, mac=mac, trusted=trusted)
    lib = Library(domid)
    fakeback.run(front, back, lib, lambda: Card(lib, front))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], dict(arg.split("=", 1) for arg in sys.argv[4:]))
