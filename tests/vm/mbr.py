# SPDX-License-Identifier: GPL-2.0-only
"""Partitions for a guest that has no program to make them."""


def write(disk, *partitions):
    """Shell command that gives a disk these (type, first sector, sectors), in a master boot record."""
    entries = b"".join(bytes([0, 0, 0, 0, kind, 0, 0, 0]) + first.to_bytes(4, "little") + count.to_bytes(4, "little")
                       for kind, first, count in partitions)
    text = "".join(f"\\{byte:03o}" for byte in entries.ljust(64, b"\0") + b"\x55\xaa")
    return f"printf '{text}' | dd of={disk} bs=1 seek=446 conv=notrunc,fsync status=none"
