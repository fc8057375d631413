# SPDX-License-Identifier: GPL-2.0-only
"""Kinds of disks and what becomes of them while in use, against the stock blkback.

Every disk is attached to the running guest as xvdk, on a loop device of dom0.
"""
import pytest

from marks import wide

VDEV, VBD, DEV = "xvdk", "vbd-51872", "/dev/xvdk"
QUEUE, LOOP, IMAGE = "/sys/block/xvdk/queue", "/bed/kinds", "/bed/kinds.img"
LOOP_QUEUE = f"/sys/block/$(basename $(readlink {LOOP}))/queue"


class Disk:
    def __init__(self, guest):
        self.guest, self.bed = guest, guest.bed

    def attach(self, size="64M", sector=512, target=LOOP, more="access=rw"):
        self.bed.dom0(f"rm -f {IMAGE}; truncate -s {size} {IMAGE}; ln -sfn $(losetup -f --show -b {sector} {IMAGE}) {LOOP}")
        self.plug(target, more)

    def plug(self, target=LOOP, more="access=rw"):
        self.bed.xl(f"block-attach guest format=raw,vdev={VDEV},{more},target={target}", stall=120)
        self.guest.wait(f"[ -b {DEV} ]", 60)

    def detach(self, option=""):
        return self.bed.xl(f"block-detach {option} guest {VDEV}", check=False, stall=120, total=300)

    def drop(self):
        """Away with what is left of it, and its loop device."""
        self.detach()
        self.guest.wait(f"[ ! -e /sys/bus/pvhvm/devices/{VBD} ]", 60)
        self.bed.dom0(f"i=0; until losetup -d {LOOP} 2>/dev/null; ! losetup {LOOP} >/dev/null 2>&1; do "
                      "i=$((i + 1)); [ $i -lt 50 ] || exit 1; sleep 0.2; done; "
                      f"rm -f {IMAGE}")

    def queue(self, name):
        return self.guest.read(f"{QUEUE}/{name}")

    def statistic(self, name):
        return int(self.guest.device(VBD, f"statistics/{name}"))

    def backend(self, name):
        """An attribute of blkback's."""
        return self.bed.dom0(f"cat /sys/bus/xen-backend/devices/vbd-*-51872/{name}").out.strip()

    def size(self):
        return int(self.guest.read("/sys/block/xvdk/size")) * 512


@pytest.fixture
def disk(guest):
    guest.load()
    it = Disk(guest)
    yield it
    guest.try_sh("umount /mnt/k")
    it.drop()


@pytest.mark.parametrize("sector", [*wide(512), 4096])
def test_sector_size(disk, sector):
    """The backend's sector is the disk's; what is written stands where dom0 looks for it."""
    disk.attach(sector=sector)
    guest = disk.guest
    assert disk.queue("logical_block_size") == str(sector)
    assert int(disk.queue("physical_block_size")) >= sector
    assert disk.size() == 64 << 20
    guest.sh(f"fio --name=v --filename={DEV} --ioengine=libaio --direct=1 --output-format=terse --rw=randwrite "
             "--bsrange=4k-64k --iodepth=8 --size=16M --verify=md5 --verify_fatal=1 --randrepeat=0", stall=300)
    guest.sh(f"printf '%-{sector}s' here | dd of={DEV} bs={sector} seek=5 oflag=direct status=none")
    seen = disk.bed.dom0(f"dd if={LOOP} bs={sector} skip=5 count=1 iflag=direct status=none").out
    assert seen.strip() == "here"
    small = guest.try_sh(f"fio --name=s --filename={DEV} --direct=1 --rw=read --bs=512 --size=4k", stall=120)
    assert (small.code == 0) == (sector == 512)


def test_flush(disk):
    """The cache is announced, and each fsync reaches the backend as a flush."""
    disk.attach()
    assert disk.queue("write_cache") == "write back"
    assert disk.queue("fua") == "0"
    before = int(disk.backend("statistics/f_req"))
    disk.guest.sh(f"fio --name=f --filename={DEV} --direct=1 --rw=write --bs=4k --size=32k --fsync=1 --end_fsync=1",
                  stall=120)
    assert int(disk.backend("statistics/f_req")) - before >= 8


def test_discard(disk):
    """Discards reach the backing file; granularity is the backend's; no zeroes are promised."""
    disk.attach()
    guest, dom0 = disk.guest, disk.bed.dom0
    guest.sh(f"dd if=/dev/urandom of={DEV} bs=1M count=16 oflag=direct status=none", stall=120)
    dom0("sync")
    assert disk.queue("discard_granularity") == \
        dom0(f"cat {LOOP_QUEUE}/discard_granularity").out.strip()
    assert disk.queue("write_zeroes_max_bytes") == "0"
    head = guest.sh(f"dd if={DEV} of=/tmp/head bs=1M count=4 iflag=direct status=none; sha256sum </tmp/head")
    before = int(dom0(f"stat -c %b {IMAGE}").out)
    guest.sh(f"blkdiscard -o 4194304 -l 4194304 {DEV}")
    assert before - int(dom0(f"stat -c %b {IMAGE}").out) >= (4 << 20) // 512
    assert guest.sh(f"dd if={DEV} of=/tmp/head bs=1M count=4 iflag=direct status=none; sha256sum </tmp/head") == head
    assert guest.try_sh(f"blkdiscard -s {DEV}").code != 0, "a secure discard that nobody offers"


def test_refused_discard(disk):
    """A discard that the backend refuses is the last one; the disk works on."""
    disk.attach()
    disk.bed.dom0(f"echo 0 >{LOOP_QUEUE}/discard_max_bytes")
    assert disk.queue("discard_max_bytes") != "0"
    # the kernel forgives a plain discard that turns out to be unsupported
    disk.guest.sh(f"blkdiscard -o 0 -l 1048576 {DEV}")
    disk.guest.wait(f"[ $(cat {QUEUE}/discard_max_bytes) = 0 ]")
    assert disk.statistic("unsupported") == 1
    assert "refused to discard" in disk.guest.dmesg()
    assert disk.guest.try_sh(f"blkdiscard -o 0 -l 1048576 {DEV}").code != 0
    assert disk.statistic("unsupported") == 1, "asked again"
    disk.guest.sh(f"dd if={DEV} of=/dev/null bs=64k count=4 iflag=direct status=none")


def test_resize(disk):
    """Larger and smaller while open, with a uevent; blkback looks when it has a request."""
    disk.attach()
    guest = disk.guest
    guest.sh("printf '#!/bin/sh\\nenv >>/tmp/uevents\\n' >/tmp/ue; chmod +x /tmp/ue; : >/tmp/uevents; "
             "(busybox uevent /tmp/ue >/dev/null 2>&1 & echo $! >/tmp/uevent.pid) </dev/null; sleep 1")
    for n, size in enumerate((96 << 20, 32 << 20), 1):
        disk.bed.dom0(f"truncate -s {size} {IMAGE}; losetup -c {LOOP}")
        guest.sh(f"dd if={DEV} of=/dev/null bs=4k count=1 iflag=direct status=none")
        guest.wait(f"[ $(cat /sys/block/xvdk/size) = {size >> 9} ]")
        guest.wait(f"[ $(grep -c RESIZE=1 /tmp/uevents) -ge {n} ]")
    assert guest.sh(f"dd if={DEV} bs=1M skip=31 iflag=direct 2>/dev/null | wc -c") == str(1 << 20)
    guest.sh("kill $(cat /tmp/uevent.pid)")


@pytest.mark.parametrize("kind", ["disk", *wide("cdrom")])
def test_read_only(disk, kind):
    """A disk that is read-only, and a CD-ROM, which can be removed as well."""
    disk.attach(more="access=ro" if kind == "disk" else "access=ro,devtype=cdrom")
    guest = disk.guest
    assert guest.read("/sys/block/xvdk/ro") == "1"
    assert guest.read("/sys/block/xvdk/removable") == ("0" if kind == "disk" else "1")
    guest.sh(f"dd if={DEV} of=/dev/null bs=64k count=4 iflag=direct status=none")
    assert guest.try_sh(f"dd if=/dev/zero of={DEV} bs=4k count=1 oflag=direct status=none").code != 0


def mount(disk):
    """A file system with one file, of 1 MB."""
    disk.guest.sh(f"mkfs.ext4 -q -F -O ^has_journal {DEV}; mkdir -p /mnt/k; mount {DEV} /mnt/k; "
                  "dd if=/dev/zero of=/mnt/k/old bs=64k count=16 conv=fsync status=none", stall=300)


def test_detach_refused_while_mounted(disk):
    """xl is refused with a reason, the disk works on; unmounted, it goes."""
    disk.attach()
    mount(disk)
    disk.detach()
    domid = disk.bed.dom0("xl domid guest").out.strip()
    why = disk.bed.dom0(f"xenstore-read /local/domain/{domid}/error/device/vbd/51872/error").out
    assert "in use" in why
    disk.guest.sh("dd if=/dev/zero of=/mnt/k/new bs=64k count=4 conv=fsync status=none")
    disk.guest.sh("umount /mnt/k")
    disk.guest.wait(f"[ ! -b {DEV} ]", 60)


@pytest.mark.fresh
@pytest.mark.expects(r"EXT4-fs error \(device xvdk\)")
def test_surprise_removal(disk):
    """A mounted disk that is torn out: errors instead of a hang, and umount works."""
    disk.attach()
    mount(disk)
    disk.guest.sh("mount -o remount,ro /mnt/k; cat /mnt/k/old >/dev/null; echo 1 >/proc/sys/vm/drop_caches")
    disk.guest.background("fio", f"fio --name=r --filename={DEV} --ioengine=libaio --direct=1 --rw=randread --bs=4k --iodepth=16 "
                                 "--time_based --runtime=300")
    disk.guest.wait(f"[ $(cat /sys/bus/pvhvm/devices/{VBD}/statistics/requests) -gt 200 ]", 60)
    disk.detach("--force")
    assert disk.guest.outcome("fio", 60) != 0
    lost = disk.guest.try_sh("dd if=/mnt/k/old of=/dev/null bs=64k", stall=120)
    assert lost.code != 0 and "error" in (lost.out + lost.err).lower()
    disk.guest.sh("umount /mnt/k", stall=120)
    disk.guest.wait(f"[ ! -b {DEV} ]", 60)


@pytest.mark.wide
def test_removal_with_requests_stuck(disk):
    """The same when the backend's own disk answers nothing any more."""
    dom0 = disk.bed.dom0
    dmsetup = "DM_DISABLE_UDEV=1 dmsetup"
    dom0(f"rm -f {IMAGE}; truncate -s 64M {IMAGE}; ln -sfn $(losetup -f --show {IMAGE}) {LOOP}; "
         f"{dmsetup} create stuck --table '0 131072 linear {LOOP} 0'")
    try:
        disk.plug("/dev/mapper/stuck")
        dom0(f"{dmsetup} suspend --nolockfs --noflush stuck")
        disk.guest.background("dd", f"dd if={DEV} of=/dev/null bs=4k count=8 iflag=direct")
        disk.guest.sh("sleep 2; [ ! -s /tmp/dd.code ]")
        disk.detach("--force")
        assert disk.guest.outcome("dd", 90) != 0
        disk.guest.wait(f"[ ! -b {DEV} ]", 60)
    finally:
        dom0(f"{dmsetup} resume stuck")
        dom0(f"i=0; until {dmsetup} remove stuck 2>/dev/null; do i=$((i + 1)); [ $i -lt 100 ] || exit 1; "
             "sleep 0.2; done")


@pytest.mark.wide
@pytest.mark.own
def test_idle_pages_are_given_back(disk):
    """After a burst, what stays lent is what one request needs."""
    disk.attach()
    guest = disk.guest
    disk.bed.dom0("echo 2 >/sys/module/xen_blkback/parameters/persistent_grant_unused_seconds")
    quiet = int(guest.device(VBD, "grants_held"))
    guest.sh(f"fio --name=b --filename={DEV} --ioengine=libaio --direct=1 --rw=randread --bs=64k --iodepth=32 "
             "--size=32M >/dev/null", stall=300)
    burst = int(guest.device(VBD, "grants_held"))
    assert burst > quiet + 200
    assert disk.statistic("persistent_hits") > 0
    guest.wait(f"[ $(cat /sys/bus/pvhvm/devices/{VBD}/grants_held) -le {quiet} ]", 90)
    assert disk.statistic("persistent_trimmed") >= burst - quiet
    guest.sh(f"fio --name=v --filename={DEV} --ioengine=libaio --direct=1 --output-format=terse --rw=randwrite "
             "--bs=64k --iodepth=16 --size=16M --verify=md5 --verify_fatal=1", stall=300)
