# SPDX-License-Identifier: GPL-2.0-only
"""In dom0: latereply.py DOMID TXN...: a paused guest's xenstore ring gets replies to requests that nobody made.

They say that transactions have begun (xen/io/xs_wire.h).
"""
import ctypes
import struct
import sys

from fakeback import Library

RING, GRANT = 1024, 1  # XENSTORE_RING_SIZE, GNTTAB_RESERVED_XENSTORE
TRANSACTION_START = 6

lib = Library(int(sys.argv[1]))
page = lib.map([GRANT])
ring = (ctypes.c_char * RING).from_address(page + RING)
prod = ctypes.c_uint32.from_address(page + 2 * RING + 3 * 4)
for txn in sys.argv[2:]:
    body = txn.encode() + b"\0"
    for byte in struct.pack("<4I", TRANSACTION_START, 0, 0, len(body)) + body:
        ring[prod.value % RING] = byte
        prod.value += 1
