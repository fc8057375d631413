# SPDX-License-Identifier: GPL-2.0-only
"""In dom0: badring.py DOMID: the guest's xenstore ring holds more replies than its size (xen/io/xs_wire.h)."""
import ctypes
import sys

from fakeback import Library

RING, GRANT = 1024, 1  # XENSTORE_RING_SIZE, GNTTAB_RESERVED_XENSTORE
RSP_CONS = 2 * RING + 2 * 4

lib = Library(int(sys.argv[1]))
page = lib.map([GRANT])
cons, prod = (ctypes.c_uint32.from_address(page + RSP_CONS + at) for at in (0, 4))
# by so much that what the guest takes at this moment does not make up for it
prod.value = cons.value + 64 * RING
