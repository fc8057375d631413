# SPDX-License-Identifier: GPL-2.0-only
"""The small guest with another kernel than dom0's.

Whatever makes a kernel gives a folder with vmlinuz, lib/modules/RELEASE and
'boot', the modules to load at boot in this order. Initramfs and tools are the
small guest's own, with that laid over them.
"""
import shutil
import tarfile
import zlib

from . import cache, cpio, debiankernel, debugkernel, images, kernelmodules, progress

# what follows 'small-' in a guest's kind
NAMES = ("debug", *debiankernel.SERIES)


def place(name):
    """The kernel's folder."""
    return debugkernel.place() if name == "debug" else debiankernel.place(name)


def _keep(name):
    return debugkernel.keep() if name == "debug" else debiankernel.keep(name)


def _initrd(kernel, plain):
    """An initramfs may be several archives; the last one's files win."""
    base = kernel / "lib/modules" / kernelmodules.release(kernel)
    more = cpio.Archive()
    kernelmodules.to_archive(more, base, (kernel / "boot").read_text().split())
    z = zlib.compressobj(9, zlib.DEFLATED, 31)
    return plain.read_bytes() + z.compress(more.finish()) + z.flush()


def _tools(kernel, plain, out):
    shutil.copyfile(plain, out)
    with tarfile.open(out, "a") as tar:
        tar.add(kernel / "lib/modules", arcname="./lib/modules")


def _key(name):
    return cache.digest("guest-kernel-1", _keep(name).name, images.small().name, cache.file_bytes(__file__))


def guest_place(name):
    """Where guest() is or would be."""
    return cache.place_of("images", f"small-{name}", _key(name))


def guest(name):
    """Folder with vmlinuz, initrd and tools.tar, as images.small()."""
    kernel, small = place(name), images.small()

    def make(tmp):
        with progress.step(f"making the small guest with kernel {name}"):
            shutil.copyfile(kernel / "vmlinuz", tmp / "vmlinuz")
            (tmp / "initrd").write_bytes(_initrd(kernel, small / "initrd"))
            _tools(kernel, small / "tools.tar", tmp / "tools.tar")
    return cache.ensure("images", f"small-{name}", _key(name), make)


def keep_set():
    """What prune must leave."""
    return {path for name in NAMES for path in (_keep(name), guest_place(name))}
