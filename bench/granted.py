# SPDX-License-Identifier: GPL-2.0-only
"""How many grants a domain's table holds just now; runs in dom0: granted.py DOMID.

xen/grant_table.h: entries of version 1, eight bytes each. The table is mapped
as a resource of the domain's (xen/memory.h, XENMEM_resource_grant_table).
"""
import ctypes
import mmap
import struct
import sys

GRANT_TABLE, SHARED = 1, 0
FRAMES = 8                      # 4096 entries; Xen makes those that the guest has not asked for, empty
TYPE_MASK, PERMIT_ACCESS = 3, 1


def granted(domid):
    library = ctypes.CDLL("libxenforeignmemory.so.1", use_errno=True)
    library.xenforeignmemory_open.restype = library.xenforeignmemory_map_resource.restype = ctypes.c_void_p
    memory, at = ctypes.c_void_p(library.xenforeignmemory_open(None, 0)), ctypes.c_void_p()
    resource = library.xenforeignmemory_map_resource(
        memory, domid, GRANT_TABLE, SHARED, ctypes.c_ulong(0), ctypes.c_ulong(FRAMES), ctypes.byref(at),
        mmap.PROT_READ | mmap.PROT_WRITE, 0)
    if not resource:
        raise OSError(ctypes.get_errno(), f"the grant table of domain {domid} cannot be mapped")
    table = ctypes.string_at(at.value, FRAMES * mmap.PAGESIZE)
    return sum(flags & TYPE_MASK == PERMIT_ACCESS for flags, _, _ in struct.iter_unpack("<HHI", table))


if __name__ == "__main__":
    print(granted(int(sys.argv[1])))
