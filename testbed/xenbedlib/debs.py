# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages for a root that is there already."""
import subprocess

from .errors import BedError


def missing(root, packages, place):
    """Downloads packages, and what they need beyond what a root has, into a folder; the files."""
    (place / "partial").mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["apt-get", "-q", "-y", "--no-install-recommends", "-o",
                           f"Dir::State::status={root}/var/lib/dpkg/status", "-o", f"Dir::Cache::archives={place}",
                           "--download-only", "install", *packages],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise BedError(f"cannot download {' '.join(packages)}: {done.stdout[-1000:]}")
    return sorted(place.glob("*.deb"))
