# SPDX-License-Identifier: GPL-2.0-only
"""The Debian guest boots from its root disk's PV twin, and if that cannot be from the emulated one.

The initramfs is Debian's own mkinitramfs's, with the package's hook (initrd.py).
"""
import pytest

import initrd
from guest import Guest
from xenbedlib.bed import Bed
from xenbedlib.errors import EmulatorFault
from xenbedlib.guestcfg import GuestConfig

pytestmark = [pytest.mark.slow, pytest.mark.pending("not run yet")]

TRIES = 3


class Dom0:
    """A machine with nothing but dom0, in which a guest is created for each test."""

    def __init__(self):
        self.bed = None

    def fresh(self):
        if self.bed:
            self.bed.load("dom0")
        else:
            self.bed = Bed.acquire("dom0", what="VM tests, root disk")
        return self.bed

    def close(self):
        if self.bed:
            self.bed.close()


@pytest.fixture(scope="module")
def dom0():
    it = Dom0()
    yield it
    it.close()


@pytest.fixture(scope="module")
def images(modules):
    made = initrd.make("with", modules)[0]
    without, said = initrd.make("without", [])
    assert "not built for" in said
    return {"with": made, "without": without}


def boot(bed, image, extra):
    """Creates the guest with that initramfs, root by UUID, until its agent answers."""
    from xenbedlib import images as made
    uuid = bed.dom0("blkid -s UUID -o value /bed/debian").out.strip()
    assert uuid
    config = GuestConfig("debian", disks=1, extra=f"root=UUID={uuid} ro {extra}".strip())
    bed.push_dom0([f"{made.debian() / 'vmlinuz'}=debian-vmlinuz", f"{image}=debian-initrd"], "/bed")
    bed.config = config
    bed.dom0("cat >/bed/guest.cfg", stdin=config.to_xl().encode())
    bed.xl("create /bed/guest.cfg", stall=300)
    bed.reconnect_guest(1800)
    guest = Guest(bed)
    bed.guest("dmesg -n 7")
    return guest


def booted(dom0, image, extra=""):
    """The same, again when it was the emulator that lost the guest; healthy at its end."""
    for left in reversed(range(TRIES)):
        bed = dom0.fresh()
        try:
            guest = boot(bed, image, extra)
            bed.check_health()
            return guest
        except EmulatorFault:
            if not left:
                raise
        except Exception:
            bed.keep_logs()
            if not bed.emulator_fault() or not left:
                raise
        print("the emulator lost the guest; once more", flush=True)
    return None


def root_of(guest):
    return guest.sh("findmnt -n -o SOURCE /")


def test_boots_from_the_pv_disk(dom0, images):
    """Root is xvda, the emulated disks are unplugged, and the data disk is PV, too."""
    guest = booted(dom0, images["with"])
    assert root_of(guest) == "/dev/xvda"
    assert guest.sh("ls -d /sys/block/sd* 2>/dev/null || true") == ""
    assert guest.sh("ls -d /sys/block/xvdb") == "/sys/block/xvdb"
    assert "ide-disks unplugged" in guest.platform("unplug")
    said = guest.sh("dmesg")
    assert "disks are PV, the emulated ones are unplugged" in said
    assert "Attached SCSI disk" not in said, "ata_piix saw the disks first"
    guest.sh("dd if=/dev/urandom of=/var/tmp/t bs=1M count=8 conv=fsync status=none; rm /var/tmp/t", stall=120)
    assert "xvda" in guest.sh("ls -l /dev/disk/by-uuid")


@pytest.mark.parametrize("image, extra, why", [
    ("without", "", "pvhvm_platform does not load"),
    ("with", "pvhvm_blkfront.fail_step=5", "could not be unplugged"),
    ("with", "pvhvm_blkfront.fail_step=10", "did not come up within"),
])
def test_boots_emulated_and_says_why(dom0, images, image, extra, why):
    """No modules for this kernel; a PV disk that nobody drives; one that does not connect."""
    guest = booted(dom0, images[image], extra)
    assert root_of(guest).startswith("/dev/sd")
    assert guest.sh("ls -d /sys/block/xvda 2>/dev/null || true") == ""
    assert f"{why}" in guest.bed.console() and "booting from the emulated disk" in guest.bed.console()
    guest.sh("dd if=/dev/urandom of=/var/tmp/t bs=1M count=8 conv=fsync status=none; rm /var/tmp/t", stall=120)
