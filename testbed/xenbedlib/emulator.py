# SPDX-License-Identifier: GPL-2.0-only
"""The outer machine's QEMU: Debian's source, with the mends in testbed/emulator/.

Debian's own binary loses nested guests now and then (the patches say why).
Built in a Debian root of its own, so the host's compiler and libraries do not
matter; it runs with the libraries of dom0's root.
"""
import os
import pathlib
import shutil
import subprocess

from . import cache, progress, recipe
from .errors import BedError

PLACE = pathlib.Path(__file__).resolve().parent.parent / "emulator"
PACKAGES = """
    gcc libc6-dev dpkg-dev patch xz-utils python3 ninja-build meson pkg-config
    libglib2.0-dev libpixman-1-dev libslirp-dev libfdt-dev zlib1g-dev
""".split()


def _make(tmp):
    if os.geteuid():
        raise BedError("building the emulator needs root (mmdebstrap --mode=root)")
    cache.need_space(4)
    log = tmp / "build.log"
    lines = [line for deb in recipe.apt_lines() for line in (deb, deb.replace("deb ", "deb-src ", 1))]
    args = ["mmdebstrap", "--mode=root", "--format=null", "--variant=essential",
            *(f"--dpkgopt={o}" for o in recipe.DPKG_OPTIONS), "--include=" + ",".join(PACKAGES),
            f"--customize-hook='{PLACE / 'build'}' \"$1\"", recipe.SUITE, "/dev/null", "-"]
    with open(log, "wb") as out, progress.step("compiling the testbed's QEMU"):
        done = subprocess.run(args, input=("\n".join(lines) + "\n").encode(), stdout=out, stderr=out,
                              env=dict(os.environ, DEBIAN_FRONTEND="noninteractive",
                                       EMULATOR_OUT=str(tmp / "qemu-system-x86_64")))
    if done.returncode or not (tmp / "qemu-system-x86_64").exists():
        keep = cache.root() / "failed-emulator.log"
        shutil.copyfile(log, keep)
        tail = log.read_text(errors="replace").splitlines()[-4:]
        raise BedError(f"compiling QEMU failed: {' / '.join(tail)} (all of it: {keep})")


def place():
    """Folder with qemu-system-x86_64, made first if it is not there."""
    key = cache.digest("emulator-1", recipe.SUITE, " ".join(PACKAGES),
                       *(cache.file_bytes(p) for p in sorted(PLACE.iterdir())))
    return cache.ensure("images", "emulator", key, _make)
