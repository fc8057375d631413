# SPDX-License-Identifier: GPL-2.0-only
"""The cache outside the checkout: made under a lock, put in place by rename.

    images/NAME-HASH/   one built thing, never changed afterwards
    states/NAME-HASH/   a saved machine, never changed afterwards
    run/                the machine that runs now
"""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from . import progress
from .errors import BedError


def root():
    named = os.environ.get("PVHVM_CACHE")
    if named:
        return pathlib.Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base).absolute() / "pvhvm"


def run_dir():
    path = root() / "run"
    path.mkdir(parents=True, exist_ok=True)
    return path


def digest(*parts):
    h = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        h.update(len(data).to_bytes(8, "little") + data)
    return h.hexdigest()[:16]


def file_bytes(*paths):
    return b"".join(pathlib.Path(p).read_bytes() for p in paths)


def _mounts_in(path):
    """What is mounted in a tree, the innermost first."""
    top = str(path.resolve()) + "/"
    lines = pathlib.Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    places = [re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), line.split()[4]) for line in lines]
    return [place for place in reversed(places) if place.startswith(top)]


def remove_tree(path):
    """Removes a tree without following anything out of it.

    A bootstrap that was killed leaves the host's /proc, /sys, /dev mounted in its.
    """
    for place in _mounts_in(path):
        if subprocess.run(["umount", "--lazy", place], check=False).returncode:
            raise BedError(f"{place} is still mounted and cannot be unmounted: do that by hand, then try again")
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


@contextlib.contextmanager
def _locked(name):
    lock_dir = root() / "locks"
    lock_dir.mkdir(parents=True, exist_ok=True)
    with open(lock_dir / name, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"waiting for another process that makes {name}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def place_of(kind, name, key):
    """Path of a built thing, be it there or not."""
    return root() / kind / f"{name}-{key}"


def ensure(kind, name, key, make):
    """Path of the built thing; make(tmp_dir) fills an empty folder if it is not there."""
    place = place_of(kind, name, key)
    if place.is_dir():
        return place
    with _locked(f"{kind}-{name}-{key}"):
        if place.is_dir():
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        for stale in place.parent.glob(f".tmp-{name}-{key}-*"):
            remove_tree(stale)
        tmp = pathlib.Path(tempfile.mkdtemp(prefix=f".tmp-{name}-{key}-", dir=place.parent))
        tmp.chmod(0o755)
        try:
            make(tmp)
            os.rename(tmp, place)
        except BaseException:
            with contextlib.suppress(OSError):
                remove_tree(tmp)
            raise
    return place


def prune(keep):
    """Removes built things not in keep (a set of paths); returns what went."""
    gone = []
    for kind in ("images", "states"):
        folder = root() / kind
        if not folder.is_dir():
            continue
        for entry in sorted(folder.iterdir()):
            if entry not in keep:
                remove_tree(entry)
                gone.append(entry)
    return gone


def need_space(gib):
    root().mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root()).free / 2**30
    if free < gib:
        raise BedError(f"{root()} has {free:.1f} GiB free, {gib} GiB are needed: "
                       "make room, or set PVHVM_CACHE to a larger disk")
