# SPDX-License-Identifier: GPL-2.0-only
"""The packages in a real Debian guest: install, boot, switch for good, remove."""
import pathlib
import re
import subprocess

import pytest

from hotplug import quick_disks
from test_boot import failed_units, reboot

TOP = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def debs():
    subprocess.run(["make", "-s", "-C", str(TOP), "deb"], check=True, stdin=subprocess.DEVNULL)
    return [str(p) for p in sorted((TOP / "build/deb").glob("*.deb")) if "dbgsym" not in p.name]


def put(guest, debs):
    """Their names there."""
    guest.bed.push_guest(debs)
    return " ".join(f"/payload/{pathlib.Path(p).name}" for p in debs)


def ours(out):
    """Lines of the package's own."""
    return [line for line in out.splitlines() if line.startswith("pvhvm: ")]


def runs_emulated(guest):
    assert guest.loaded() == []
    # the emulated card's driver takes its time, longer than the agent's line
    guest.wait("[ -e /sys/class/net/eth0 ]", 120)
    assert "pci" in guest.sh("readlink -f /sys/class/net/eth0/device")
    guest.wait("ping -c 1 -W 2 192.168.77.1 >/dev/null", 60)


@pytest.mark.slow
@pytest.mark.state("debian")
@pytest.mark.fresh
def test_boots_as_before_without_modules(guest, debs):
    """A disk that fills up while DKMS builds, then no headers: one line each; the guest boots, runs emulated, and nothing more has failed."""
    quick_disks(guest.bed)
    names = put(guest, debs)
    failed = failed_units(guest)
    guest.sh("mkdir -p /var/lib/dkms; mount -t tmpfs -o size=1m tmpfs /var/lib/dkms")
    out = guest.sh(f"DEBIAN_FRONTEND=noninteractive apt-get install -y -q {names} 2>&1", stall=300, total=3000)
    assert len(ours(out)) == 1 and "/var/lib/dkms is full" in ours(out)[0], out
    guest.sh("umount /var/lib/dkms; mv /lib/modules/$(uname -r)/build /root")
    out = guest.sh("dpkg-reconfigure pvhvm-dkms 2>&1", stall=300, total=1800)
    assert len(ours(out)) == 1 and "install its headers" in ours(out)[0], out
    assert guest.sh("find /lib/modules -name 'pvhvm*.ko*'") == ""
    reboot(guest)
    runs_emulated(guest)
    assert failed_units(guest) == failed


@pytest.mark.slow
@pytest.mark.state("debian")
@pytest.mark.fresh
def test_life_of_a_package(guest, debs):
    """Installed by apt: built, loaded; after a reboot loaded by alias and switched; removed: as before."""
    quick_disks(guest.bed)
    names = put(guest, debs)
    guest.sh(f"DEBIAN_FRONTEND=noninteractive apt-get install -y -q {names}", stall=300, total=3000)
    assert "installed" in guest.sh("dkms status pvhvm")
    assert guest.loaded() == ["platform", "xenbus", "netfront", "blkfront"]
    guest.wait_connected("vif-0")
    assert guest.sh("modinfo -F version pvhvm_platform") == (TOP / "VERSION").read_text().strip()

    out = guest.sh("pvhvm switch", stall=300)
    assert "eth0" in out
    assert guest.sh("readlink -f /sys/class/net/eth0/device").endswith("vif-0")

    reboot(guest)
    print(guest.sh("journalctl -b -o short-monotonic --no-pager -u pvhvm-switch -u systemd-udev-settle"))
    guest.wait("readlink -f /sys/class/net/eth0/device | grep -q vif-0", 60)
    assert re.search(r"^nics unplugged", guest.platform("unplug"), re.M)
    guest.wait("ping -c 1 -W 2 192.168.77.1 >/dev/null", 60)

    guest.sh("DEBIAN_FRONTEND=noninteractive apt-get purge -y -q pvhvm-dkms pvhvm-tools", stall=300, total=1800)
    assert guest.sh("find /lib/modules -name 'pvhvm*'; ls /usr/src | grep pvhvm || true") == ""
    reboot(guest)
    runs_emulated(guest)
