# SPDX-License-Identifier: GPL-2.0-only
"""A newc cpio archive, as the kernel's initramfs wants it."""
import stat


class Archive:
    def __init__(self):
        self._out = bytearray()
        self._ino = 0
        self._names = set()

    def _add(self, name, mode, data=b"", major=0, minor=0):
        if name in self._names:
            return
        self._names.add(name)
        self._ino += 1
        raw = name.encode() + b"\0"
        fields = (self._ino, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(raw), 0)
        self._out += b"070701" + b"".join(b"%08x" % f for f in fields) + raw
        self._pad()
        self._out += data
        self._pad()

    def _pad(self):
        self._out += bytes(-len(self._out) % 4)

    def directory(self, name):
        self._add(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode):
        self._add(name, stat.S_IFREG | mode, data)

    def symlink(self, name, target):
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name, major, minor):
        self._add(name, stat.S_IFCHR | 0o600, b"", major, minor)

    def finish(self):
        self._add("TRAILER!!!", 0)
        return bytes(self._out)
