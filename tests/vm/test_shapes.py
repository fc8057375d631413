# SPDX-License-Identifier: GPL-2.0-only
"""Guests of other shapes: what the drivers are for, from the card to a restore, in each of them."""
import pytest

from test_blkfront import switch_by_hand
from test_netfront import iperf, pv_up
from test_suspend import check_fio, counts, start_fio, unplug_nics
from xenbedlib.guestcfg import GuestConfig


def shape(name, config):
    return pytest.param(name, marks=pytest.mark.state(config), id=name)


@pytest.mark.wide
@pytest.mark.fresh
@pytest.mark.parametrize("name", [
    shape("4 vCPUs", GuestConfig("small", vcpus=4)),
    shape("256 MB", GuestConfig("small", memory=256)),
    # what does not fit below the hole for devices is above 4 GB: frame numbers of more than 32 bits, addresses too
    shape("memory above 4 GB", GuestConfig("small", xl="mmio_hole = 3600")),
    shape("UEFI", GuestConfig("small", firmware="ovmf")),
    shape("AHCI", GuestConfig("small", xl='hdtype = "ahci"')),
    shape("threadirqs", GuestConfig("small", extra="threadirqs")),
])
def test_core(guest, name):
    if name == "memory above 4 GB":
        guest.sh("grep -q '^ *1[0-9a-f]*-.*System RAM' /proc/iomem")
    assert guest.sh("test -d /sys/firmware/efi && echo y || echo n") == ("y" if name == "UEFI" else "n")
    pv_up(guest)
    unplug_nics(guest)
    guest.load("blkfront")
    dev = "/dev/" + switch_by_hand(guest)
    before = counts(guest)
    threads = guest.sh("cat /proc/[0-9]*/comm | grep -c ^irq/.*-vif0 || true")
    assert (threads != "0") == (name == "threadirqs")
    assert iperf(guest) > 1e6 and iperf(guest, "-R") > 1e6
    start_fio(guest, dev, 25)
    guest.bed.save_restore()
    guest.wait_connected("vif-0")
    guest.wait_connected("vbd-768")
    check_fio(guest)
    assert iperf(guest) > 1e6
    assert counts(guest) == before
    guest.unload()
