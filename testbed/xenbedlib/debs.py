# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages: for a root that is there already, or unpacked by themselves."""
import subprocess

from . import recipe
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


class Release:
    """apt with the package lists of a Debian release, not the host's, in an empty folder."""

    def __init__(self, tmp, suite):
        self.tmp = tmp
        for folder in ("lists/partial", "cache/archives/partial"):
            (tmp / folder).mkdir(parents=True)
        (tmp / "sources.list").write_text("\n".join(recipe.apt_lines(suite)) + "\n")
        self.apt("apt-get", "-q", "update")

    def apt(self, program, *args):
        """Output of apt-get or apt-cache."""
        options = {"Dir::Etc::sourcelist": self.tmp / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
                   "Dir::State::lists": self.tmp / "lists", "Dir::Cache": self.tmp / "cache",
                   # of another release than the host's
                   "Acquire::Check-Valid-Until": "false", "APT::Get::List-Cleanup": "0"}
        done = subprocess.run([program, *(f"-o{key}={value}" for key, value in options.items()), *args], cwd=self.tmp,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            raise BedError(f"{program} {args[0]} failed: {lines[-1] if lines else done.returncode}")
        return done.stdout

    def unpack(self, packages):
        """A folder with these packages' newest versions, unpacked."""
        self.apt("apt-get", "-q", "download", *sorted(packages))
        for deb in self.tmp.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(deb), str(self.tmp / "root")], check=True)
            deb.unlink()
        return self.tmp / "root"
