# SPDX-License-Identifier: GPL-2.0-only
"""An ssh server for a root that has none: Debian's dropbear, with the libraries it needs beside it."""
import subprocess

import guestmodules

LIBRARIES = (("libtomcrypt1", "libtomcrypt.so.1"), ("libtommath1", "libtommath.so.1"), ("libgmp10", "libgmp.so.10"))
OPTIONS = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"


def _unpacked(package, path):
    return str(guestmodules.unpacked(package) / path)


def make_key(folder):
    """Path of a new key, its public half beside it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
    return folder / "key"


def client(key):
    """The ssh command that uses the key and nothing of the user's own."""
    return f"ssh -F none -i {key} {OPTIONS}"


def files(key):
    """What the server's folder holds; to be pushed."""
    lib = "usr/lib/x86_64-linux-gnu"
    return [_unpacked("dropbear-bin", "usr/sbin/dropbear"), _unpacked("dropbear-bin", "usr/bin/dropbearkey"),
            *(_unpacked(package, f"{lib}/{name}") for package, name in LIBRARIES), f"{key}.pub=authorized_keys"]


def setup(place):
    """The command that makes a host key and lets the key's owner in."""
    return (f"mkdir -p -m 700 ~/.ssh; cp {place}/authorized_keys ~/.ssh; chmod 600 ~/.ssh/authorized_keys; "
            f"LD_LIBRARY_PATH={place} {place}/dropbearkey -t ed25519 -f {place}/host")


def start(place):
    """The command that starts it, on port 22, in the background."""
    return f"LD_LIBRARY_PATH={place} {place}/dropbear -r {place}/host -p 22"
