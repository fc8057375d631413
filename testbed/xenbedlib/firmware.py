# SPDX-License-Identifier: GPL-2.0-only
"""UEFI firmware for guests, from Debian's package.

That of Debian 11, which boots on Xen. Those of later releases were not tried:
upstream has moved Xen's parts to a build of their own, and their packages list none.
"""
from . import cache, debs, progress

SUITE = "bullseye"
KEY = cache.digest("ovmf-1", SUITE)


def place():
    """Folder with OVMF.fd, made first if it is not there."""
    def make(tmp):
        with progress.step("fetching UEFI firmware for guests"):
            work = tmp / "work"
            work.mkdir()
            (debs.Release(work, SUITE).unpack(["ovmf"]) / "usr/share/ovmf/OVMF.fd").rename(tmp / "OVMF.fd")
            cache.remove_tree(work)
    return cache.ensure("images", "ovmf", KEY, make)


def keep():
    """Where place() is or would be."""
    return cache.place_of("images", "ovmf", KEY)
