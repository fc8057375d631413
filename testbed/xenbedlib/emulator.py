# SPDX-License-Identifier: GPL-2.0-only
"""The outer machine's QEMU: Debian's source, with the mends in testbed/emulator/.

Debian's own binary loses nested guests now and then (the patches say why).
Built in a Debian root of its own, so the host's compiler and libraries do not
matter; it runs with the libraries of dom0's root.
"""
import pathlib

from . import bootstrap, cache, progress, recipe

PLACE = pathlib.Path(__file__).resolve().parent.parent / "emulator"
PACKAGES = """
    gcc libc6-dev dpkg-dev patch xz-utils python3 ninja-build meson pkg-config
    libglib2.0-dev libpixman-1-dev libslirp-dev libfdt-dev zlib1g-dev
""".split()


def _make(tmp):
    cache.need_space(4)
    sources = [line for deb in recipe.apt_lines() for line in (deb, deb.replace("deb ", "deb-src ", 1))]
    with progress.step("compiling the testbed's QEMU"):
        bootstrap.compile_in(PACKAGES, PLACE / "build", tmp / "build.log", "the testbed's QEMU", sources,
                             EMULATOR_OUT=str(tmp / "qemu-system-x86_64"))


def place():
    """Folder with qemu-system-x86_64, made first if it is not there."""
    key = cache.digest("emulator-1", recipe.SUITE, " ".join(PACKAGES),
                       *(cache.file_bytes(p) for p in sorted(PLACE.iterdir())))
    return cache.ensure("images", "emulator", key, _make)
