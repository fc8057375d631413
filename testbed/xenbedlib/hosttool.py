# SPDX-License-Identifier: GPL-2.0-only
"""Programs of the host that the builds use."""
import os
import pathlib
import shutil
import subprocess

from . import cache, progress, recipe
from .errors import BedError

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def run(args, what, **kw):
    """Runs one quietly; its output."""
    done = subprocess.run(args, capture_output=True, env=dict(os.environ, PATH=PATH), **kw)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise BedError(f"{what} failed: {lines[-1] if lines else f'code {done.returncode}'}")
    return done.stdout


def logged(args, log, what, **kw):
    """Runs one with its output in a log file, which is kept if it fails."""
    if "input" not in kw:
        kw["stdin"] = subprocess.DEVNULL
    with open(log, "ab") as out:
        done = subprocess.run(args, stdout=out, stderr=out, **kw)
    if done.returncode:
        tail = pathlib.Path(log).read_text(errors="replace").splitlines()[-4:]
        keep = cache.root() / f"failed-{what.replace(' ', '-')}.log"
        shutil.copyfile(log, keep)
        raise BedError(f"{what} failed: {' / '.join(tail)} (all of it: {keep})")


def install_missing():
    """Installs what the builds need."""
    missing = sorted({pkg for tool, pkg in recipe.HOST_TOOLS.items() if not shutil.which(tool, path=PATH)})
    if not pathlib.Path("/usr/lib/x86_64-linux-gnu/libc.a").exists():
        missing.append("libc6-dev")
    if not missing:
        return
    if os.geteuid():
        raise BedError(f"missing on the host: {' '.join(missing)}; install them, or run as root")
    log = cache.root() / "apt.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with progress.step(f"installing {' '.join(missing)} on the host"):
        logged(["apt-get", "install", "-y", "--no-install-recommends", *missing], log,
               "apt-get install", env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))
