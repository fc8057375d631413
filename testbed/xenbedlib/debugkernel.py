# SPDX-License-Identifier: GPL-2.0-only
"""A kernel with the kernel's own debugging on, made from Debian's source.

It has no Xen support, and all drivers that the tests use are in it.
"""
import os
import pathlib
import shutil
import subprocess

from . import cache, progress, recipe
from .errors import BedError

PLACE = pathlib.Path(__file__).resolve().parent.parent / "debugkernel"
PACKAGES = """
    linux-source-6.1 gcc libc6-dev make flex bison bc perl kmod xz-utils libelf-dev libssl-dev
""".split()


def _make(tmp):
    if os.geteuid():
        raise BedError("building the debug kernel needs root (mmdebstrap --mode=root)")
    cache.need_space(8)
    log = tmp / "build.log"
    args = ["mmdebstrap", "--mode=root", "--format=null", "--variant=essential",
            *(f"--dpkgopt={o}" for o in recipe.DPKG_OPTIONS), "--include=" + ",".join(PACKAGES),
            f"--customize-hook='{PLACE / 'build'}' \"$1\"", recipe.SUITE, "/dev/null", "-"]
    with open(log, "wb") as out, progress.step("compiling the debug kernel"):
        done = subprocess.run(args, input=("\n".join(recipe.apt_lines()) + "\n").encode(), stdout=out, stderr=out,
                              env=dict(os.environ, DEBIAN_FRONTEND="noninteractive", KERNEL_OUT=str(tmp)))
    if done.returncode or not (tmp / "vmlinuz").exists():
        keep = cache.root() / "failed-debug-kernel.log"
        shutil.copyfile(log, keep)
        tail = log.read_text(errors="replace").splitlines()[-4:]
        raise BedError(f"compiling the debug kernel failed: {' / '.join(tail)} (all of it: {keep})")


def _key():
    return cache.digest("debug-kernel-1", recipe.SUITE, " ".join(PACKAGES),
                        *(cache.file_bytes(p) for p in sorted(PLACE.iterdir())))


def place():
    """Folder with vmlinuz, lib/modules, boot (see guestkernel.py) and kbuild (what modules are built against)."""
    return cache.ensure("images", "debug-kernel", _key(), _make)


def keep():
    """Where place() is or would be."""
    return cache.place_of("images", "debug-kernel", _key())
