# SPDX-License-Identifier: GPL-2.0-only
"""pvhvm_blkfront against the stock blkback in dom0, and QEMU's qdisk."""
import re

import pytest

import guestmodules
from marks import wide
from xenbedlib.guestcfg import GuestConfig

FIO = ("fio --name=v --filename={dev} --ioengine=libaio --direct=1 --output-format=terse "
       "--rw={rw} --bs={bs} --iodepth={depth} --size={size} --verify=md5 --verify_fatal=1 --randrepeat=0")


def switch_by_hand(guest, vbd="vbd-768", disk="sda"):
    """Deletes the emulated disk and lets its PV twin connect; its name."""
    guest.wait(f"[ -e /sys/bus/pvhvm/devices/{vbd}/hold ]")
    guest.sh(f"echo 1 >/sys/block/{disk}/device/delete; echo 0 >/sys/bus/pvhvm/devices/{vbd}/hold")
    guest.wait_connected(vbd)
    name = {"vbd-768": "xvda", "vbd-832": "xvdb", "vbd-5632": "xvdc", "vbd-5696": "xvdd"}[vbd]
    guest.wait(f"[ -b /dev/{name} ]")
    return name


def back(guest, vbd="vbd-768", disk="sda"):
    """Hold again and bring the emulated disk back."""
    # whoever looks at a new disk has it open for a moment
    guest.wait(f"{{ echo 1 >/sys/bus/pvhvm/devices/{vbd}/hold; }} 2>/dev/null")
    guest.clean_up()
    guest.sh("for h in /sys/class/scsi_host/*/scan; do echo '- - -' >$h; done", stall=120)
    guest.wait(f"[ -b /dev/{disk} ]")


def test_held_while_emulated_disk_is_there(guest):
    """No second view of a disk that the guest has emulated."""
    guest.load()
    guest.wait("[ -e /sys/bus/pvhvm/devices/vbd-768/hold ]")
    assert guest.device("vbd-768", "hold") == "1"
    assert guest.sh("ls -d /sys/block/xvd* 2>/dev/null || true") == ""
    guest.sh("dd if=/dev/sda of=/dev/null bs=64k count=4 iflag=direct 2>/dev/null")


@pytest.mark.core
@pytest.mark.parametrize("persistent", [*wide("0"), "1"])
def test_verify(guest, persistent):
    """Random and sequential writes of several sizes read back as written, and dom0 sees them."""
    guest.load(blkfront_persistent=persistent, blkfront_max_queues=2)
    dev = "/dev/" + switch_by_hand(guest)
    assert guest.device("vbd-768", "queues") == "2"
    assert int(guest.device("vbd-768", "ring_pages")) > 1 and int(guest.device("vbd-768", "max_segments")) > 11
    for rw, bs, depth in (("randwrite", "4k", 32), ("randwrite", "512-128k", 8), ("write", "1M", 4)):
        guest.sh(FIO.format(dev=dev, rw=rw, bs=bs, depth=depth, size="24M"), stall=300)
    guest.sh(f"dd if=/dev/urandom of=/tmp/block bs=64k count=16 status=none; "
             f"dd if=/tmp/block of={dev} bs=64k seek=32 oflag=direct status=none")
    want = guest.sh("sha256sum </tmp/block")
    seen = guest.bed.dom0("dd if=/bed/disk0 bs=64k skip=32 count=16 iflag=direct status=none | sha256sum")
    assert seen.out.strip() == want
    # large answers are copied outside the hard interrupt
    assert persistent == "0" or int(guest.device("vbd-768", "statistics/deferred")) > 0
    back(guest)


@pytest.mark.core
def test_polled(guest):
    """A ring for those who poll: right data, and no interrupt for all its responses."""
    guest.load(blkfront_poll_queues="1")
    dev = "/dev/" + switch_by_hand(guest)
    assert guest.read("/sys/block/xvda/queue/io_poll") == "1"
    before = {key: int(guest.device("vbd-768", f"statistics/{key}")) for key in ("responses", "interrupts")}
    guest.sh(f"fio --name=p --filename={dev} --ioengine=io_uring --hipri=1 --direct=1 --output-format=terse "
             "--rw=randwrite --bs=4k --iodepth=8 --size=8M --verify=md5 --verify_fatal=1 --randrepeat=0", stall=300)
    grown = {key: int(guest.device("vbd-768", f"statistics/{key}")) - value for key, value in before.items()}
    assert grown["responses"] >= 2 * 2048 and grown["interrupts"] < 100
    back(guest)


@pytest.mark.core
def test_filesystem(guest):
    """A file system made on the PV disk is whole after remount and fsck."""
    guest.load()
    dev = "/dev/" + switch_by_hand(guest)
    guest.sh(f"mkfs.ext4 -q -F {dev}; mkdir -p /mnt/t; mount {dev} /mnt/t; "
             "cp -r /lib/modules /mnt/t/; sync", stall=300)
    want = guest.sh("cd /lib; find modules -type f | sort | xargs sha256sum | sha256sum", stall=120)
    guest.sh(f"umount /mnt/t && e2fsck -fn {dev} && mount {dev} /mnt/t", stall=300)
    got = guest.sh("cd /mnt/t; find modules -type f | sort | xargs sha256sum | sha256sum; cd /", stall=120)
    assert got == want
    refused = guest.try_sh("rmmod pvhvm_blkfront")
    assert refused.code != 0
    guest.sh("umount /mnt/t")
    back(guest)


@pytest.mark.core
def test_unload_leaves_nothing(guest):
    guest.load("platform", "xenbus")
    before = guest.lent()
    for _ in range(3):
        guest.load("blkfront")
        dev = "/dev/" + switch_by_hand(guest)
        guest.sh(f"dd if={dev} of=/dev/null bs=1M count=8 iflag=direct 2>/dev/null")
        guest.sh("rmmod pvhvm_blkfront")
        guest.sh("for h in /sys/class/scsi_host/*/scan; do echo '- - -' >$h; done", stall=120)
        guest.wait("[ -b /dev/sda ]")
    assert guest.lent() == before


def attach_extra(guest):
    """A disk that xl attaches, xvdx."""
    guest.bed.dom0("truncate -s 64M /bed/extra.img; ln -sfn $(losetup -f --show /bed/extra.img) /bed/extra")
    guest.bed.xl("block-attach guest format=raw,vdev=xvdx,access=rw,target=/bed/extra", stall=120)
    guest.wait("[ -b /dev/xvdx ]", 60)


@pytest.mark.core
@pytest.mark.fresh
def test_block_attach_detach(guest):
    """A disk that xl attaches appears at once; detach waits while it is open."""
    guest.load()
    attach_extra(guest)
    guest.sh("dd if=/dev/xvdx of=/dev/null bs=1M count=4 iflag=direct 2>/dev/null")
    guest.sh("(exec 3</dev/xvdx; until [ -e /tmp/let-go ]; do sleep 0.2; done) >/dev/null 2>&1 &")
    guest.bed.dom0("rm -f /bed/detach; (set +e; xl block-detach guest xvdx; echo $? >/bed/detach) </dev/null >/dev/null 2>&1 &")
    guest.wait("dmesg | grep -q 'xvdx is in use: it stays until it is closed'")
    guest.sh("dd if=/dev/xvdx of=/dev/null bs=1M count=4 iflag=direct 2>/dev/null && touch /tmp/let-go")
    guest.wait("[ ! -b /dev/xvdx ]", 60)
    guest.bed.dom0("i=0; until [ -s /bed/detach ]; do i=$((i + 1)); [ $i -lt 150 ] || exit 1; sleep 0.2; done; "
                   "[ $(cat /bed/detach) = 0 ]", stall=60)


def test_each_probe_step_unwinds(guest):
    guest.load("platform", "xenbus")
    before = guest.lent()
    guest.sh("echo 1 >/sys/block/sda/device/delete")
    failed = 0
    for step in range(1, 64):
        loaded = guest.try_load("blkfront", "hold=never", f"fail_step={step}").code == 0
        guest.sh("sleep 1")
        hit = f"fail_step {step}" in guest.dmesg()
        # the first steps are the module's own
        assert loaded or hit
        if loaded:
            guest.unload("blkfront")
        if not hit:
            break
        failed += 1
    assert failed >= 4, "fail_step reached no step"
    guest.settles(before)
    guest.sh("for h in /sys/class/scsi_host/*/scan; do echo '- - -' >$h; done", stall=120)
    guest.wait("[ -b /dev/sda ]")


def test_held_again_after_a_failure(guest):
    """A disk that could not connect gets out of the emulated one's way, and can try again."""
    guest.load("platform", "xenbus")
    # 1 to 3 are the module's and the probe's
    guest.load("blkfront", blkfront_fail_step=6)
    hold = "/sys/bus/pvhvm/devices/vbd-768/hold"
    guest.wait(f"[ -e {hold} ]")
    guest.sh("echo 1 >/sys/block/sda/device/delete")
    assert guest.try_sh(f"echo 0 >{hold}").code != 0
    assert "fail_step 6" in guest.dmesg()
    # the backend has closed, too; boot-disks does it at once
    guest.sh(f"sleep 2; echo 1 >{hold}")
    assert guest.device("vbd-768", "hold") == "1"
    guest.wait("[ \"$(cat /sys/bus/pvhvm/devices/vbd-768/state)\" = initialising ]")
    guest.sh(f"echo 0 >{hold}")
    guest.wait_connected("vbd-768")
    guest.wait("[ -b /dev/xvda ]")
    back(guest)


@pytest.mark.wide
@pytest.mark.parametrize("job, more", [("basic-verify", "size=32m"), ("surface-scan", "")])
def test_fios_own_verify_jobs(guest, job, more):
    """The verify jobs that come with fio, on a disk of ours."""
    text = (guestmodules.unpacked("fio-examples") / f"usr/share/doc/fio/examples/{job}.fio").read_text()
    guest.load()
    text = re.sub(r"^filename=.*$", "filename=/dev/" + switch_by_hand(guest), text, flags=re.M)
    guest.sh(f"cat >/tmp/job.fio <<'EOF'\n{text}\n{more}\nEOF\nfio --output-format=terse /tmp/job.fio", stall=300, total=900)
    back(guest)


@pytest.mark.wide
@pytest.mark.state(GuestConfig("small", disk_backend="qdisk"))
def test_qdisk(guest):
    """The same against QEMU's own backend."""
    guest.load()
    assert "/backend/qdisk/" in guest.device("vbd-768", "otherend")
    dev = "/dev/" + switch_by_hand(guest)
    guest.sh(FIO.format(dev=dev, rw="randwrite", bs="4k-64k", depth=16, size="16M"), stall=300)
    back(guest)


def interrupts_by_cpu(guest):
    """What CPU 0 and CPU 1 have handled of the disk's."""
    line = guest.sh("grep 'vbd768-q0' /proc/interrupts").split()
    return int(line[1]), int(line[2])


def read_one_by_one(guest, dev, cpu):
    """Reads, one at a time, from one CPU; how many interrupts each CPU took meanwhile."""
    before = interrupts_by_cpu(guest)
    guest.sh(f"taskset -c {cpu} dd if={dev} of=/dev/null bs=4k count=400 iflag=direct 2>/dev/null", stall=120)
    return [now - then for now, then in zip(interrupts_by_cpu(guest), before)]


def test_interrupt_follows_a_lone_reader(guest):
    """It goes where one request at a time comes from, but not beyond what its affinity allows."""
    guest.load()
    dev = "/dev/" + switch_by_hand(guest)
    for cpu in (1, 0, 1):
        taken = read_one_by_one(guest, dev, cpu)
        assert taken[cpu] > 300, taken
    irq = guest.sh("grep 'vbd768-q0' /proc/interrupts").split(":")[0].strip()
    guest.sh(f"echo 0 >/proc/irq/{irq}/smp_affinity_list")
    taken = read_one_by_one(guest, dev, 1)
    assert taken[1] == 0 and taken[0] > 300, taken
