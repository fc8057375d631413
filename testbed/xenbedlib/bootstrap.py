# SPDX-License-Identifier: GPL-2.0-only
"""Debian roots by mmdebstrap: to keep, or to compile something in."""
import os

from . import cache, hosttool, recipe
from .errors import BedError


def _mmdebstrap(packages, target, log, what, args, sources, env, suite=recipe.SUITE):
    if os.geteuid():
        raise BedError(f"making {what} needs root (mmdebstrap --mode=root, chroot)")
    hosttool.logged(["mmdebstrap", "--mode=root", *args, "--include=" + ",".join(packages),
                     suite, str(target), "-"], log, what, input=("\n".join(sources) + "\n").encode(),
                    env=dict(os.environ, DEBIAN_FRONTEND="noninteractive", **env))


def _options(more=()):
    return [f"--dpkgopt={option}" for option in (*recipe.DPKG_OPTIONS, *more)]


def tree(packages, target, log, what, options=(), suite=recipe.SUITE):
    """A root file system as a tree."""
    variant = "minbase" if "apt" in packages else "essential"
    _mmdebstrap(packages, target, log, what, [
        "--format=directory", f"--variant={variant}", *_options(options),
        # no initramfs from Debian: the testbed brings its own, a tenth of the size
        "--essential-hook=mkdir -p $1/etc/initramfs-tools",
        "--essential-hook=echo update_initramfs=no >$1/etc/initramfs-tools/update-initramfs.conf",
    ], recipe.apt_lines(suite), {"INITRD": "No"}, suite)


def tree_key(packages, options=(), suite=recipe.SUITE):
    return cache.digest("root-1", suite, " ".join(packages), " ".join([*recipe.DPKG_OPTIONS, *options]))


def compile_in(packages, script, log, what, sources=None, **env):
    """Runs 'script ROOT' with a root that is thrown away afterwards; env tells it where its results go."""
    _mmdebstrap(packages, "/dev/null", log, what, [
        "--format=null", "--variant=essential", *_options(), f"--customize-hook='{script}' \"$1\"",
    ], sources or recipe.apt_lines(), env)
