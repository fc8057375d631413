# SPDX-License-Identifier: GPL-2.0-only
"""The Debian guest boots from its root disk's PV twin, and if that cannot be from the emulated one.

The initramfs is Debian's own mkinitramfs's, with the package's hook (initrd.py).
"""
import subprocess

import pytest

import initrd
from guest import Guest
from test_boot import unpack
from xenbedlib.bed import Bed
from xenbedlib.errors import EmulatorFault
from xenbedlib.guestcfg import GuestConfig

pytestmark = [pytest.mark.slow, pytest.mark.own]

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
def dom0(beds):
    beds.drop()
    it = Dom0()
    yield it
    it.close()


@pytest.fixture(autouse=True)
def healthy(dom0):
    """What a test does after the boots leaves no complaint either."""
    yield
    dom0.bed.check_health()


UUID = "5ca1ab1e-0000-4000-8000-00000000700d"
# what a Debian system on such layers has installed, and the modules its initramfs takes
LAYERS = ("lvm2", "cryptsetup-initramfs", "xfsprogs", "btrfs-progs")
LAYER_MODULES = ("dm_mod", "dm_crypt", "aes_generic", "xts", "sha256_generic", "algif_skcipher", "xfs", "btrfs")


def layered_image(modules, layers):
    """An initramfs of a system on such layers, which can also make that system on the first disk (rootmaker/)."""
    from xenbedlib import images as made

    def lay(upper):
        here, share = initrd.HERE / "rootmaker", upper / initrd.SHARE
        initrd.put(here / "hook", share / "hooks/rootmaker")
        initrd.put(here / "premount", share / "scripts/init-premount/rootmaker")
        initrd.put(here / "init", upper / "usr/lib/rootmaker/init")
        initrd.put(made.agent(), upper / "usr/lib/rootmaker/xbagent")
        for key in ("usr/lib/rootmaker/key", "etc/keys/root.key"):
            initrd.put_text("what opens the disk", upper / key)
        if "luks" in layers:
            initrd.put_text('KEYFILE_PATTERN="/etc/keys/*.key"\nUMASK=0077\n', upper / "etc/cryptsetup-initramfs/conf-hook")
            initrd.put_text(f"rootcrypt UUID={UUID} /etc/keys/root.key luks,initramfs\n", upper / "etc/crypttab")

    return initrd.make("layers", modules, LAYERS, LAYER_MODULES, lay)[0]


@pytest.fixture(scope="module")
def images(modules):
    made = initrd.make("with", modules)[0]
    without, said = initrd.make("without", [])
    assert "not built for" in said
    return {"with": made, "without": without}


def start(bed, image, extra, config):
    """Creates the guest with that initramfs."""
    from xenbedlib import images as made
    config = GuestConfig("debian", extra=extra.strip(), **config)
    bed.push_dom0([f"{made.debian() / 'vmlinuz'}=debian-vmlinuz", f"{image}=debian-initrd"], "/bed")
    bed.config = config
    bed.dom0("cat >/bed/guest.cfg", stdin=config.to_xl().encode())
    bed.xl("create /bed/guest.cfg", stall=300)


def boot(bed, image, extra, config):
    """The same until its agent answers."""
    start(bed, image, extra, config)
    bed.reconnect_guest(900)
    guest = Guest(bed)
    bed.guest("dmesg -n 7")
    return guest


def repeated(dom0, deed):
    """deed(bed) in a fresh dom0, again when it was the emulator that lost the guest; healthy at its end."""
    for left in reversed(range(TRIES)):
        bed = dom0.fresh()
        try:
            result = deed(bed)
            bed.check_health()
            return result
        except EmulatorFault:
            if not left:
                raise
        except Exception:
            bed.keep_logs()
            if not bed.emulator_fault() or not left:
                raise
        print("the emulator lost the guest; once more", flush=True)
    return None


def booted(dom0, image, extra=""):
    """Debian's own system, root by UUID."""
    def deed(bed):
        uuid = bed.dom0("blkid -s UUID -o value /bed/debian").out.strip()
        assert uuid
        return boot(bed, image, f"root=UUID={uuid} rw {extra}", {"disks": 1})
    return repeated(dom0, deed)


# more than the memory it may have, so that most of it is swapped out
SWAP = """
grep -q /sys/fs/cgroup /proc/mounts || mount -t cgroup2 none /sys/fs/cgroup
mkdir /sys/fs/cgroup/small
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
echo 48M >/sys/fs/cgroup/small/memory.max
mkswap {0} >/dev/null
swapon {0}
mkdir -p /run/swapped
mount -t tmpfs swapped /run/swapped
(sh -c 'echo $$ >/sys/fs/cgroup/small/cgroup.procs; exec dd if=/dev/urandom of=/run/swapped/t bs=1M count=128 status=none')
md5sum /run/swapped/t >/run/swapped.sum
awk '$1 == "{0}" {{ print $4 }}' /proc/swaps
"""


def check_swap(guest, dev):
    """Memory swapped out to a disk comes back as it was."""
    out = int(guest.sh(SWAP.format(dev), stall=300).split()[-1])
    assert out > 64 << 10
    guest.sh(f"echo max >/sys/fs/cgroup/small/memory.max && swapoff {dev} && md5sum -c /run/swapped.sum && umount /run/swapped", stall=300)


def root_of(guest):
    return guest.sh("awk '$2 == \"/\" && $1 != \"rootfs\" { print $1 }' /proc/mounts")


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
    guest.sh("dd if=/dev/urandom of=/var/tmp/t bs=1M count=8 conv=fsync status=none && rm /var/tmp/t", stall=120)
    assert "xvda" in guest.sh("ls -l /dev/disk/by-uuid")
    check_swap(guest, "/dev/xvdb")


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
    guest.sh("dd if=/dev/urandom of=/var/tmp/t bs=1M count=8 conv=fsync status=none && rm /var/tmp/t", stall=120)


# as an administrator who wants small images has it; the testbed's root is made without one
SMALL_IMAGES = """
echo update_initramfs=yes >/etc/initramfs-tools/update-initramfs.conf
printf 'MODULES=dep\\nCOMPRESS=gzip\\n' >/etc/initramfs-tools/conf.d/small
mkdir -p /var/lib/initramfs-tools /etc/pvhvm
echo root >/etc/pvhvm/switch.conf
update-initramfs -c -k $(uname -r)
"""


def pull_image(guest, dest):
    """The initramfs that the guest has made, as a file here."""
    name = f"boot/initrd.img-{guest.sh('uname -r')}"
    guest.bed.pull_guest(name, dest)
    return dest / name


def test_images_of_the_disk_in_use(dom0, modules, images, tmp_path):
    """Made by the guest on its PV root, with what that needs (MODULES=dep): boots from it, emulated when told to, and emulated after --forget."""
    def deed(bed):
        line = f"root=UUID={bed.dom0('blkid -s UUID -o value /bed/debian').out.strip()} rw"
        guest = boot(bed, images["with"], line, {"disks": 1})
        assert root_of(guest) == "/dev/xvda"
        bed.push_guest(modules)
        unpack(guest)
        guest.sh(SMALL_IMAGES, stall=300, total=1200)
        remembered = pull_image(guest, tmp_path / "remembered")
        said = guest.sh("pvhvm switch --forget", stall=300, total=1200)
        assert "initramfs" in said
        forgotten = pull_image(guest, tmp_path / "forgotten")
        for image, extra, root in ((remembered, "", "/dev/xvd"), (remembered, "pvhvm.root=0", "/dev/sd"), (forgotten, "", "/dev/sd")):
            guest.sh("sync", stall=120)
            bed.check_health()
            bed.xl("destroy guest")
            guest = boot(bed, image, f"{line} {extra}", {"disks": 1})
            assert root_of(guest).startswith(root)
    repeated(dom0, deed)


def disk_below(guest):
    """The disk at the bottom of the layers that root is on."""
    name = guest.sh(f"basename $(readlink -f {root_of(guest)})")
    while under := guest.sh(f"ls /sys/block/{name}/slaves 2>/dev/null || true"):
        name = under
    return name


MAKING_SECONDS = 400


def make_system(bed, image, layers):
    """The guest makes the system on its emulated disk and powers off."""
    start(bed, image, f"pvhvm.root=0 xb.format={layers} xb.uuid={UUID}", {"disks": 0})
    bed.dom0(f"i=0; while xl domid guest 2>/dev/null >&2; do i=$((i + 1)); [ $i -lt {MAKING_SECONDS} ] || exit 1; sleep 1; done",
             stall=MAKING_SECONDS + 100)
    assert "rootmaker: failed" not in bed.console()


@pytest.mark.parametrize("layers, root", [
    ("lvm+ext4", "/dev/mapper/debian-root"),
    ("luks+lvm+xfs", "/dev/mapper/debian-root"),
    ("btrfs", f"UUID={UUID}"),
])
def test_root_on_layers(dom0, modules, layers, root):
    """A system made on the emulated disk, on LVM, in LUKS, on xfs or btrfs, boots from it and then from the PV disk."""
    image, kind = layered_image(modules, layers), layers.rpartition("+")[2]
    line = f"root={root} rootfstype={kind} rw"

    def deed(bed):
        make_system(bed, image, layers)
        guest = boot(bed, image, f"{line} pvhvm.root=0", {"disks": 0})
        assert disk_below(guest) == "sda"
        guest.sh("cd / && md5sum -c sum && dd if=/dev/urandom of=more bs=1M count=8 conv=fsync && md5sum more >>sum && sync", stall=120)
        bed.check_health()
        bed.xl("destroy guest")
        return boot(bed, image, line, {"disks": 0})

    guest = repeated(dom0, deed)
    assert disk_below(guest) == "xvda"
    guest.sh("cd / && md5sum -c sum && [ $(wc -l <sum) = 2 ]", stall=120)
    assert guest.sh("ls -d /sys/block/sd* 2>/dev/null || true") == ""
    guest.sh("dd if=/dev/urandom of=/more bs=1M count=8 conv=fsync", stall=120)


@pytest.mark.parametrize("without", ["", "systemd systemd-initrd dracut-systemd"], ids=["systemd", "without systemd"])
def test_dracut(dom0, modules, without):
    """The same hand-over from an initramfs that dracut made, as it makes them and in the plain way."""
    image, _ = initrd.make("dracut", modules, ["dracut-core"], command=initrd.dracut(without))
    listed = subprocess.run(["busybox", "zcat", image], stdout=subprocess.PIPE, check=True).stdout
    assert (b"lib/systemd/systemd-modules-load" in listed) == (not without)
    guest = booted(dom0, image)
    assert root_of(guest) == "/dev/xvda"
    assert guest.sh("ls -d /sys/block/sd* 2>/dev/null || true") == ""
