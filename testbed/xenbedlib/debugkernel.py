# SPDX-License-Identifier: GPL-2.0-only
"""A kernel with the kernel's own debugging on, made from Debian's source.

It has no Xen support, and all drivers that the tests use are in it.
"""
import pathlib

from . import bootstrap, cache, progress, recipe

PLACE = pathlib.Path(__file__).resolve().parent.parent / "debugkernel"
PACKAGES = """
    linux-source-6.1 gcc libc6-dev make flex bison bc perl kmod xz-utils libelf-dev libssl-dev openssl
""".split()


def _make(tmp):
    cache.need_space(8)
    with progress.step("compiling the debug kernel"):
        bootstrap.compile_in(PACKAGES, PLACE / "build", tmp / "build.log", "the debug kernel", KERNEL_OUT=str(tmp))


def _key():
    return cache.digest("debug-kernel-1", recipe.SUITE, " ".join(PACKAGES),
                        *(cache.file_bytes(p) for p in sorted(PLACE.iterdir())))


def place():
    """Folder with vmlinuz, lib/modules, boot (see guestkernel.py), kbuild (to build modules against), mok (to sign them)."""
    return cache.ensure("images", "debug-kernel", _key(), _make)


def keep():
    """Where place() is or would be."""
    return cache.place_of("images", "debug-kernel", _key())
