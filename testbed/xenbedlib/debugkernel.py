# SPDX-License-Identifier: GPL-2.0-only
"""A kernel with the kernel's own debugging on, and the small guest that boots it.

It has no Xen support, and all drivers that the tests use are in it. The guest is
the small one otherwise: the two archives that differ are laid over its own.
"""
import os
import pathlib
import shutil
import subprocess
import tarfile
import zlib

from . import cache, cpio, images, progress, recipe
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
    """Folder with vmlinuz, lib/modules and kbuild (what modules are built against)."""
    return cache.ensure("images", "debug-kernel", _key(), _make)


def _initrd(kernel, plain):
    """The small guest's initramfs with another list of modules: one, the console."""
    more = cpio.Archive()
    module = next((kernel / "lib/modules").glob("*/extra/xencon.ko"))
    more.file("modules/xencon.ko", module.read_bytes(), 0o644)
    more.file("modules/order", b"xencon.ko\n", 0o644)
    z = zlib.compressobj(9, zlib.DEFLATED, 31)
    return plain.read_bytes() + z.compress(more.finish()) + z.flush()


def _tools(kernel, plain, out):
    """The small guest's tools with this kernel's list of what is built in."""
    shutil.copyfile(plain, out)
    with tarfile.open(out, "a") as tar:
        tar.add(kernel / "lib/modules", arcname="./lib/modules")


def _guest_key():
    return cache.digest("small-debug-1", _key(), images.small().name, cache.file_bytes(__file__))


def guest_place():
    """Where guest() is or would be."""
    return cache.place_of("images", "small-debug", _guest_key())


def guest():
    """Folder with vmlinuz, initrd and tools.tar, as images.small()."""
    kernel, small = place(), images.small()

    def make(tmp):
        with progress.step("making the small guest of the debug kernel"):
            shutil.copyfile(kernel / "vmlinuz", tmp / "vmlinuz")
            (tmp / "initrd").write_bytes(_initrd(kernel, small / "initrd"))
            _tools(kernel, small / "tools.tar", tmp / "tools.tar")
    return cache.ensure("images", "small-debug", _guest_key(), make)


def keep_set():
    """What prune must leave."""
    return {cache.place_of("images", "debug-kernel", _key()), guest_place()}
