# SPDX-License-Identifier: GPL-2.0-only
"""Debian's kernels of other releases than dom0's, from their packages."""
import pathlib
import re
import subprocess

from . import cache, debs, kernelmodules, progress, recipe
from .errors import BedError

# series: the release it is in, and the flavour
SERIES = {"5.10": ("bullseye", "amd64"), "6.12": ("trixie", "amd64"), "6.12-rt": ("trixie", "rt-amd64"),
          "newest": ("trixie-backports", "amd64")}


def _fetch(tmp, suite, flavour):
    """Downloads and unpacks the newest kernel of a release; its name."""
    release = debs.Release(tmp, suite)
    shown = release.apt("apt-cache", "show", "--no-all-versions", f"linux-image-{flavour}")
    found = re.search(r"^Depends: .*?\blinux-image-(\d\S+-amd64)\b", shown, re.M)
    if not found:
        raise BedError(f"linux-image-{flavour} of {suite} names no kernel")
    shown = release.apt("apt-cache", "show", "--no-all-versions", f"linux-image-{found[1]}")
    # since 7.x the image depends on further packages for kernel and modules
    parts = set(re.findall(rf"\blinux-\w+-{re.escape(found[1])}(?= |,|$)", shown, re.M))
    root = release.unpack(parts)
    if not (root / "lib").exists():
        (root / "usr/lib").rename(root / "lib")
    return found[1]


def place(series):
    """Folder with vmlinuz, lib/modules (what the small guest uses) and boot (see guestkernel.py)."""
    def make(tmp):
        cache.need_space(3)
        work = tmp / "work"
        work.mkdir()
        with progress.step(f"fetching Debian's kernel {series}"):
            release = _fetch(work, *SERIES[series])
        root = work / "root"
        places = (root / f"boot/vmlinuz-{release}", root / f"lib/modules/{release}/vmlinuz")
        next(p for p in places if p.exists()).rename(tmp / "vmlinuz")
        subprocess.run(["depmod", "-b", str(root), release], check=True)
        _, boot = kernelmodules.paths(root, recipe.BOOT_MODULES + recipe.NIC_MODULES)
        kernelmodules.copy(root, recipe.TOOL_MODULES, tmp)
        (tmp / "boot").write_text("".join(f"{path}\n" for path in boot))
        cache.remove_tree(work)
    return cache.ensure("images", f"kernel-{series}", _key(series), make)


def _key(series):
    return cache.digest("debian-kernel-1", SERIES[series], cache.file_bytes(pathlib.Path(__file__)),
                        recipe.BOOT_MODULES, recipe.NIC_MODULES, recipe.TOOL_MODULES)


def keep(series):
    """Where place() is or would be."""
    return cache.place_of("images", f"kernel-{series}", _key(series))
