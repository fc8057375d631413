# SPDX-License-Identifier: GPL-2.0-only
"""Guests of other shapes, and events and hypercalls by other ways: what the drivers are for, from the card to a restore, in each of them."""
import pytest

from test_blkfront import switch_by_hand
from test_netfront import iperf, pv_up
from test_platform import calls_by_page
from test_suspend import check_fio, counts, start_fio, unplug_nics
from xenbedlib.guestcfg import GuestConfig


# what a guest is seen to be from inside, and in what the shapes differ
LOOKS = {"vcpus": 2, "megabytes": 768, "above 4 GB": False, "card": "e1000", "disk": "ata_piix", "UEFI": False}
EXPECTED = {
    "1 vCPU": {"vcpus": 1},
    "4 vCPUs": {"vcpus": 4},
    "256 MB": {"megabytes": 256},
    "4 GB": {"megabytes": 4096, "above 4 GB": True},
    "memory above 4 GB": {"above 4 GB": True},
    "rtl8139": {"card": "8139cp"},
    "UEFI": {"UEFI": True},
    "AHCI": {"disk": "ahci"},
}


def looks(guest):
    size = int(guest.sh("awk '$1 == \"MemTotal:\" { print $2 }' /proc/meminfo")) / 1024
    def driver(device):
        return guest.sh(f"basename $(readlink -f {device}/driver)")
    return {
        "vcpus": int(guest.sh("nproc")),
        # what the kernel keeps for itself is not in it
        "megabytes": next(m for m in (256, 768, 4096) if 0.7 * m < size <= m),
        "above 4 GB": guest.try_sh("grep -q '^ *1[0-9a-f]\\{8\\}-.*System RAM' /proc/iomem").code == 0,
        "card": driver("/sys/class/net/eth0/device"),
        "disk": guest.sh("basename $(readlink -f $(readlink -f /sys/block/sda | sed 's#/ata[0-9]*/.*##')/driver)"),
        "UEFI": guest.try_sh("[ -d /sys/firmware/efi ]").code == 0,
    }


def shape(name, config="small", **params):
    return pytest.param(name, params, marks=pytest.mark.state(config), id=name)


@pytest.mark.wide
@pytest.mark.fresh
@pytest.mark.parametrize("name, params", [
    shape("1 vCPU", GuestConfig("small", vcpus=1)),
    shape("4 vCPUs", GuestConfig("small", vcpus=4)),
    shape("256 MB", GuestConfig("small", memory=256)),
    shape("4 GB", GuestConfig("small", memory=4096)),
    # what does not fit below the hole for devices is above 4 GB: frame numbers of more than 32 bits, addresses too
    shape("memory above 4 GB", GuestConfig("small", xl="mmio_hole = 3600")),
    shape("rtl8139", GuestConfig("small", nic_model="rtl8139")),
    shape("UEFI", GuestConfig("small", firmware="ovmf")),
    shape("AHCI", GuestConfig("small", xl='hdtype = "ahci"')),
    shape("threadirqs", GuestConfig("small", extra="threadirqs")),
    shape("INTx, 2-level", platform_upcall="intx", platform_evtchn="2l"),
    shape("INTx, FIFO", platform_upcall="intx", platform_evtchn="fifo"),
    shape("vector per vCPU, 2-level", platform_upcall="vector", platform_evtchn="2l"),
    shape("hypercall page", platform_hypercall="page"),
])
def test_core(guest, name, params):
    seen = looks(guest)
    assert seen == dict(LOOKS, **EXPECTED.get(name, {}))
    pv_up(guest, **params)
    for parameter, attribute in (("platform_upcall", "upcall"), ("platform_evtchn", "evtchn_abi")):
        if parameter in params:
            assert guest.platform(attribute) == params[parameter]
    assert (calls_by_page(guest) > 0) == (name == "hypercall page")
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
