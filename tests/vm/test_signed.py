# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that takes signed modules only: those that are signed with its owner's key, as DKMS signs them."""
import pathlib
import shutil
import subprocess

import pytest

from test_netfront import DOM0, iperf, pv_up
from xenbedlib import debugkernel
from xenbedlib.guestcfg import GuestConfig

ENFORCING = GuestConfig("small-debug", extra="module.sig_enforce=1")
pytestmark = [pytest.mark.debug, pytest.mark.fresh, pytest.mark.state(ENFORCING)]


def sign(modules, folder):
    """Signed copies, by the kernel's own program, which dkms calls, too."""
    kernel = debugkernel.place()
    copies = [pathlib.Path(shutil.copy(module, folder)) for module in modules]
    for copy in copies:
        subprocess.run([kernel / "kbuild/scripts/sign-file", "sha256", kernel / "mok/mok.key", kernel / "mok/mok.der", copy], check=True)
    return copies


def test_only_signed_modules_load(guest, modules, tmp_path):
    """Refused ones change nothing; the owner's drive the guest."""
    result = guest.try_load("platform")
    assert not result and "Key was rejected by service" in result.err, result
    assert "Loading of unsigned module is rejected" in guest.dmesg()
    signed = sign(modules, tmp_path)
    forged = tmp_path / "forged"
    forged.mkdir()
    for copy in signed:
        data = bytearray(copy.read_bytes())
        data[len(data) // 2] ^= 1
        (forged / copy.name).write_bytes(data)
    guest.bed.push_guest(sorted(forged.iterdir()))
    result = guest.try_load("platform")
    assert not result and "Key was rejected by service" in result.err, result
    guest.sh(f"ping -c 1 -W 10 {DOM0} && ethtool -i eth0 | grep -q e1000")
    assert guest.loaded() == []
    guest.bed.push_guest(signed)
    pv_up(guest)
    assert iperf(guest) > 0
    guest.load("blkfront")
    guest.wait_connected("vif-0")
    guest.unload()
