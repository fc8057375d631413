# SPDX-License-Identifier: GPL-2.0-only
"""A Debian guest boots with what was switched for good: what is on a data disk is there, and so is the network."""
import pathlib
import re
import subprocess

import pytest

import guestmodules
import mbr
from hotplug import quick_disks

TOP = pathlib.Path(__file__).resolve().parents[2]
DOM0 = "192.168.77.1"
SWAP, DATA, LUKS = (f"1c5b1f0e-7a3f-4f8a-9d55-0f4f6a1b000{n}" for n in (1, 2, 3))
PROM = "/var/lib/prometheus/node-exporter/pvhvm.prom"


def unpack(guest):
    """What the packages put there; modules for the kernel that runs, without waiting for DKMS."""
    subprocess.run(["make", "-s", "-C", str(TOP), "deb"], check=True, stdin=subprocess.DEVNULL)
    guest.bed.push_guest(sorted((TOP / "build/deb").glob("*.deb")), dest="/payload/debs")
    guest.sh("for deb in /payload/debs/*.deb; do dpkg-deb --fsys-tarfile $deb | tar -x -C / --keep-directory-symlink; done; mkdir -p /lib/modules/$(uname -r)/updates; "
             "cp /payload/pvhvm_*.ko /lib/modules/$(uname -r)/updates; depmod; systemctl daemon-reload; udevadm control --reload",
             stall=120)


def reboot(guest):
    """Until all of its units are done."""
    boot = guest.read("/proc/sys/kernel/random/boot_id")
    guest.sh("sync; (sleep 1; systemctl reboot) >/dev/null 2>&1 &")
    guest.bed.dom0("sleep 20")
    guest.bed.reconnect_guest(1800)
    assert guest.read("/proc/sys/kernel/random/boot_id") != boot
    guest.start_test("after reboot")
    guest.wait("systemctl is-system-running | grep -q 'running\\|degraded'", 300)


def failed_units(guest):
    return guest.sh("systemctl --failed --no-legend --plain | cut -d' ' -f1")


# systemd's own unit opens it; the key that Debian's program would stretch for seconds is stretched a little
ENCRYPT = """
export LD_LIBRARY_PATH=/payload/crypt
crypt=/payload/crypt/cryptsetup
mkdir -p /secret
echo secret >/etc/secret.key
chmod 600 /etc/secret.key
$crypt luksFormat -q --uuid {luks} --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file /etc/secret.key /dev/{disk}3
$crypt open --key-file /etc/secret.key /dev/{disk}3 secret
mkfs.ext4 -q /dev/mapper/secret
$crypt close secret
echo 'secret UUID={luks} /etc/secret.key luks' >>/etc/crypttab
echo '/dev/mapper/secret /secret ext4 defaults 0 2' >>/etc/fstab
"""


def push_cryptsetup(guest):
    program, library = (guestmodules.unpacked(package) for package in ("cryptsetup-bin", "libpopt0"))
    guest.bed.push_guest([f"{program}/sbin/cryptsetup", *library.glob("usr/lib/*/libpopt.so.0")], dest="/payload/crypt")


@pytest.mark.wide
@pytest.mark.fresh
@pytest.mark.state("debian")
def test_data_disk_and_card(guest):
    """Mounted, swapped to and decrypted by UUID=, from the PV disk; the card's address on the PV card; nothing failed, no unit in a circle."""
    quick_disks(guest.bed)
    unpack(guest)
    push_cryptsetup(guest)
    guest.wait("systemctl is-active ifup@eth0.service", 120)
    disk = guest.emulated_disk("vbd-832")
    guest.sh(mbr.write(f"/dev/{disk}", (0x82, 2048, 65536), (0x83, 67584, 131072), (0x83, 198656, 131072)) + "; udevadm settle; "
             f"blockdev --rereadpt /dev/{disk} || true; udevadm settle; mkswap -q -U {SWAP} /dev/{disk}1; mkfs.ext4 -q -U {DATA} /dev/{disk}2; mkdir -p /data; "
             f"printf 'UUID={DATA} /data ext4 defaults 0 2\\nUUID={SWAP} none swap sw 0 0\\n' >>/etc/fstab", stall=120)
    guest.sh(ENCRYPT.format(luks=LUKS, disk=disk) + "systemctl daemon-reload", stall=300)
    failed = failed_units(guest)
    guest.sh("modprobe pvhvm_xenbus; udevadm settle", stall=120)
    guest.wait_connected("vif-0", 60)
    out = guest.sh("pvhvm switch", stall=300)
    assert f"{disk} is now xvdb" in out and "eth0 is now PV" in out, out
    reboot(guest)
    print(guest.sh("journalctl -b -o short-monotonic --no-pager -u pvhvm-switch -u data.mount"))
    assert guest.sh("findmnt -n -o SOURCE /data") == "/dev/xvdb2"
    assert guest.sh("swapon --show=NAME --noheadings") == "/dev/xvdb1"
    assert guest.sh("findmnt -n -o SOURCE /secret") == "/dev/mapper/secret"
    assert guest.sh("ls /sys/block/dm-0/slaves") == "xvdb3"
    assert guest.sh("readlink -f /sys/class/net/eth0/device").endswith("vif-0")
    assert re.search(r"^nics unplugged", guest.platform("unplug"), re.M)
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null", 60)
    assert failed_units(guest) == failed
    assert "ordering cycle" not in guest.sh("journalctl -b --no-pager")
    guest.sh(f"mkdir -p $(dirname {PROM}); systemctl start pvhvm-metrics.service", stall=120)
    assert 'pvhvm_device_connected{device="vbd-832",name="xvdb"} 1' in guest.read(PROM)
