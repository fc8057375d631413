# SPDX-License-Identifier: GPL-2.0-only
"""pvhvm switch on disks, against a fake SCSI layer and a fake PV bus."""
import ctypes
import json
import os
import struct
import subprocess
import threading
import time

import pytest

from fakeguest import IDE_PCI, PVHVM, run

STEPS = 6	# of one disk: flush, delete, let go, wait, persist, unplug


@pytest.fixture
def disk(tree, net):
    tree.net = net
    tree.xen()
    tree.ide()
    tree.emulated_disk(1, "sdb", number="8:16")
    tree.vbd(832, "xvdb")
    tree.arm()
    return tree


def switch(tree, *args, **kw):
    return tree.pvhvm("switch", *args, netns=tree.net.guest, **kw)


def state(tree):
    return (sorted(os.listdir(tree.root / "sys/block")),
            tree.get("sys/bus/pvhvm/devices/vbd-832/hold"),
            (tree.root / "etc/pvhvm/switch.conf").exists())


def test_subsystem_as_in_xcp_ng(disk):
    """QEMU's devices bear Xen's there; the platform device itself is none of them."""
    for f in (disk.root / "sys/bus/pci/devices").iterdir():
        (f / "subsystem_vendor").write_text("0x5853\n")
        (f / "subsystem_device").write_text("0x0001\n")
    test_replaced(disk)


def test_replaced(disk):
    p = switch(disk, "--disk", "/dev/sdb", check=0)
    assert "sdb is now xvdb (PV, vbd-832)" in p.stdout
    assert state(disk) == (["xvdb"], "0", True)
    assert disk.writes()[-1].endswith("unplug ide-disks")
    assert "disk 832\n" in (disk.root / "etc/pvhvm/switch.conf").read_text()


# After the last step there is nothing to undo.
@pytest.mark.parametrize("step", [f"{n}{after}" for n in range(1, STEPS + 1) for after in ("", "+")][:-1])
def test_each_failure_is_undone(disk, step):
    before = state(disk)
    p = switch(disk, check=1, env={"PVHVM_FAIL_STEP": step})
    assert "could not undo" not in p.stderr and state(disk) == before
    assert "unplug" not in " ".join(disk.writes())
    switch(disk, check=0)


def test_json(disk):
    o = json.loads(switch(disk, "--json", check=0).stdout)
    assert o["exit"] == 0 and [s["state"] for s in o["steps"]] == ["done"] * STEPS
    assert o["devices"] == [{"disk": "sdb", "vdev": 832, "pv_disk": "xvdb"}]
    o = json.loads(switch(disk, "--json", check=4).stdout)
    assert o["exit"] == 4 and "no emulated device" in o["message"]


def test_other_size_is_undone(disk):
    disk.arm(pv_sectors=4096)
    before = state(disk)
    p = switch(disk, check=1)
    assert "xvdb has 4096 sectors but sdb had 2048" in p.stderr and state(disk) == before


def test_disk_that_is_looked_at(disk):
    """udev reads what has just appeared: it can be held a moment later."""
    disk.arm(pv_sectors=4096, opened=3)
    before = state(disk)
    p = switch(disk, check=1)
    assert "could not undo" not in p.stderr and state(disk) == before


@pytest.mark.parametrize("table, text", [
    ("fstab", "UUID=1 / ext4 defaults 0 1\n/dev/sdb1 /data ext4 defaults 0 2"),
    ("fstab", "# /dev/sdb\n/dev/disk/by-id/ata-QEMU_HARDDISK_QM00002 none swap sw"),
    ("crypttab", "\nsecret /dev/sdb none luks"),
])
def test_boot_that_would_wait_is_refused(disk, table, text):
    """A line that only the emulated disk answers to: named, with what to write; nothing is done."""
    disk.put(f"etc/{table}", text)
    disk.link("dev/disk/by-id/ata-QEMU_HARDDISK_QM00002", "dev/sdb")
    before = state(disk)
    p = switch(disk, "--disk", "sdb", check=5)
    assert f"line 2 of /etc/{table} names /dev/" in p.stderr and "UUID=" in p.stderr and state(disk) == before
    assert f"line 2 of /etc/{table}" in switch(disk, "--root", check=5).stderr
    assert f"stays emulated: line 2 of /etc/{table}" in disk.pvhvm("status", check=0).stdout
    switch(disk, "--disk", "sdb", "--no-persist", check=0)


@pytest.mark.parametrize("ident", ["wwid_t10 IDNAME=t10.ATA_QEMU_HARDDISK_QM00002", "sys_serial IDNAME=QM00002",
                                   "sys_wwid IDNAME=t10.ATA_____QEMU_HARDDISK_QM00002"])
def test_lvm_that_knows_the_emulated_disk(disk, ident):
    """RHEL's LVM looks only at disks that its devices file names, some of them by QEMU's serial number."""
    devices = "etc/lvm/devices/system.devices"
    disk.put(devices, "# LVM\nVERSION=1.1.2\nIDTYPE=devname IDNAME=/dev/sda2 DEVNAME=/dev/sda2 PVID=x PART=2\n"
             f"IDTYPE={ident} DEVNAME=/dev/sdb1 PVID=y PART=1\n")
    for chosen in (["--root"], ["--disk", "sdb"]):
        assert f"line 4 of /{devices} knows a disk by what only its emulated half has" in switch(disk, *chosen, check=5).stderr
    disk.put(devices, f"IDTYPE=devname IDNAME=/dev/sda2 DEVNAME=/dev/sda2 PVID=x PART=2\nIDTYPE={ident} DEVNAME=/dev/sdc1 PVID=y PART=1\n")
    switch(disk, "--disk", "sdb", "--dry-run", check=0)
    disk.put(devices, "IDTYPE=devname IDNAME=/dev/sda2 DEVNAME=/dev/sda2 PVID=x PART=2\n")
    switch(disk, "--root", "--dry-run", check=0)


@pytest.mark.parametrize("path, text, word", [
    ("etc/lvm/lvm.conf", 'devices {\n\tglobal_filter = [ "a|^/dev/sd.*|", "r|.*|" ]\n}', "line 2 of /etc/lvm/lvm.conf leaves PV disks out"),
    ("etc/lvm/lvmlocal.conf", 'filter=["a/sda2/","r/.*/"]', "line 1 of /etc/lvm/lvmlocal.conf"),
    ("etc/mdadm/mdadm.conf", "# DEVICE\nDEVICE /dev/sd*", "line 2 of /etc/mdadm/mdadm.conf"),
    ("proc/cmdline", "quiet root=/dev/sda1 ro\n", "root=/dev/sda1 on the kernel's command line"),
    ("proc/cmdline", "root=block:/dev/disk/by-path/pci-0000:00:01.1-ata-1", "names the emulated disk"),
    (f"sys/bus/pci/devices/{IDE_PCI}/class", "0x010601", "emulated SATA"),
    (f"sys/bus/pci/devices/{IDE_PCI}/class", "0x010802", "emulated NVMe"),
])
def test_root_that_would_not_be_found(disk, path, text, word):
    """Filters of LVM and md, the kernel's command line, controllers that are not handed over: told before, and nothing is written."""
    disk.put(path, text)
    assert word in switch(disk, "--root", check=5).stderr
    assert not (disk.root / "etc/pvhvm/switch.conf").exists()


@pytest.mark.parametrize("path, text", [
    ("etc/lvm/lvm.conf", '# filter = [ "a|/dev/sd|", "r|.*|" ]\nfilter = [ "r|/dev/sdx|", "a|.*|" ]\nglobal_filter = [ "a|/dev/sd|", "a|/dev/xvd|", "r|.*|" ]\n'
     'filter_extra = [ "r|.*|" ]'),
    ("etc/mdadm/mdadm.conf", "DEVICE partitions containers\nDEVICE /dev/sd* /dev/xvd*\n"),
    ("proc/cmdline", "root=UUID=1 resume=/dev/sda2 pvhvm.root=0"),
    ("proc/cmdline", "root=/dev/disk/by-path/xen-vbd-768-part1"),
])
def test_root_that_will_be_found(disk, path, text):
    disk.put(path, text)
    switch(disk, "--root", "--dry-run", check=0)


def test_root_after_a_switch_that_was_not_to_last(disk):
    """The name is gone from /dev, and still stands in fstab."""
    disk.put("etc/fstab", "UUID=1 / ext4 defaults 0 1\n/dev/sdz1 /usb auto noauto 0 0\n/dev/sdb1 /data ext4 defaults 0 2\n")
    switch(disk, "--disk", "sdb", "--no-persist", check=0)
    (disk.root / "dev/sdb").unlink(missing_ok=True)
    assert "line 3 of /etc/fstab names /dev/sdb1" in switch(disk, "--root", check=5).stderr


def test_disks_are_not_opened_for_writing(disk):
    """udev looks at all partitions anew when such a descriptor is closed, and md and LVM take them back."""
    libc = ctypes.CDLL(None)
    fd = libc.inotify_init1(os.O_NONBLOCK)
    libc.inotify_add_watch(fd, str(disk.root / "dev/sdb").encode(), 0x8 | 0x10)     # closed: after writing, or not
    try:
        switch(disk, "--dry-run", check=0)
        switch(disk, "--disk", "sdb", check=0)
        events = os.read(fd, 65536)
    finally:
        os.close(fd)
    masks = {struct.unpack_from("iI", events, at)[1] for at in range(0, len(events), 16)}
    assert 0x10 in masks and 0x8 not in masks, masks


def test_root_needs_what_hands_over(disk):
    (disk.root / "usr/lib/pvhvm/boot-disks").unlink()
    assert "install the package pvhvm-dkms" in switch(disk, "--root", check=5).stderr
    assert not (disk.root / "etc/pvhvm/switch.conf").exists()


def test_boot_by_content_is_fine(disk):
    disk.put("etc/fstab", "UUID=1 /data ext4 defaults 0 2\n/dev/mapper/v-w /w xfs defaults 0 2\n/dev/sdba /x ext4 defaults 0 2\n")
    switch(disk, "--disk", "sdb", check=0)


def emulated(tree):
    """SCSI addresses of the disks that are there."""
    return sorted(os.listdir(tree.root / "sys/bus/scsi/devices"))


def test_undo_of_two_under_other_names(disk):
    """What comes back first gets the lowest name: the other one is not taken for it."""
    disk.emulated_disk(2, "sdc", number="8:32")
    disk.vbd(5632, "xvdc")
    disk.arm(lowest_names=True, fail={"unplug": "EBUSY"})
    p = switch(disk, check=5)
    assert "could not undo" not in p.stderr
    assert emulated(disk) == ["0:0:1:0", "1:0:0:0"]
    assert disk.get("sys/bus/pvhvm/devices/vbd-832/hold") == disk.get("sys/bus/pvhvm/devices/vbd-5632/hold") == "1"


def test_undo_leaves_the_neighbour_away(disk):
    """A disk on the same port that is PV since an earlier switch does not come back beside its twin."""
    disk.emulated_disk(0, "sda")
    disk.vbd(768, "xvda")
    disk.arm()
    switch(disk, "--disk", "sda", check=0)
    assert emulated(disk) == ["0:0:1:0"]
    disk.arm(pv_sectors=4096)
    p = switch(disk, "--disk", "sdb", check=1)
    assert "could not undo" not in p.stderr
    assert emulated(disk) == ["0:0:1:0"] and disk.get("sys/bus/pvhvm/devices/vbd-768/hold") == "0"


def test_never_both_halves(disk):
    """A twin that stays open cannot be held: its emulated half stays away."""
    disk.arm(pv_sectors=4096, opened=1000000)
    p = switch(disk, "--json", check=7)
    assert "vbd-832 cannot be held again (Device or resource busy), so sdb stays away" in p.stderr
    assert state(disk) == (["xvdb"], "0", False) and not any("scan" in w for w in disk.writes())
    assert [s["state"] for s in json.loads(p.stdout)["steps"][:4]] == ["done", "done", "undo-failed", "failed"]


def test_read_only_etc(disk):
    """What could not be written need not be put back."""
    etc = disk.root / "etc/pvhvm"
    etc.mkdir()
    run("mount", "-t", "tmpfs", "tmpfs", etc)
    try:
        disk.put("etc/pvhvm/switch.conf", "nic 00:16:3e:01:02:03\n")
        run("mount", "-o", "remount,ro", etc)
        before = state(disk)
        p = switch(disk, check=1)
        assert "cannot write /etc/pvhvm/switch.conf: Read-only" in p.stderr and p.stderr.count("\n") == 1
        assert state(disk) == before
    finally:
        run("umount", etc)


def test_disk_that_does_not_come(disk):
    disk.arm(never_appears=True)
    before = state(disk)
    p = switch(disk, "--wait", "0.3", check=1)
    assert "vbd-832 did not become a disk within" in p.stderr and state(disk) == before


def test_refused_unplug_is_undone(disk):
    disk.arm(fail={"unplug": "EPERM"})
    before = state(disk)
    p = switch(disk, check=5)
    assert "not every emulated device has a connected PV twin" in p.stderr
    assert state(disk) == before


@pytest.mark.parametrize("file,text,why", [
    ("proc/self/mountinfo", "30 1 8:17 / /srv rw - ext4 /dev/sdb1 rw\n", "mounted on /srv"),
    ("proc/self/mountinfo", "30 1 0:55 / /srv rw - btrfs /dev/sdb2 rw\n", "mounted on /srv"),
    ("proc/swaps", "Filename Type\n/dev/sdb1 partition 1 0 -2\n", "swap space (/dev/sdb1)"),
])
def test_in_use(disk, file, text, why):
    disk.put("sys/block/sdb/sdb1/dev", "8:17")
    disk.put(file, text)
    p = switch(disk, "--disk", "sdb", check=5)
    assert f"sdb is {why}: unmount" in p.stderr and p.stderr.count("\n") == 1
    p = switch(disk, check=4)
    assert f"sdb stays emulated: {why}" in p.stdout and disk.writes() == []


def test_holder(disk):
    disk.put("sys/block/dm-3/dm/name", "vg0-data")
    (disk.root / "sys/block/sdb/holders/dm-3").mkdir(parents=True)
    assert "part of vg0-data" in switch(disk, "--disk", "sdb", check=5).stderr


def test_another_name_is_not_a_part(disk):
    disk.put("proc/swaps", "Filename Type\n/dev/sdba1 partition 1 0 -2\n")
    switch(disk, "--dry-run", "--disk", "sdb", check=0)


def test_claimed_exclusively(disk):
    """What no list shows still holds the device: a loop device, mounted elsewhere."""
    image = disk.root / "image"
    image.write_bytes(bytes(4 << 20))
    run("mke2fs", "-Fq", image)
    try:
        loop = run("losetup", "--show", "-f", image).stdout.strip()
    except subprocess.CalledProcessError:
        pytest.skip("no loop devices")
    where = disk.root / "mnt"
    where.mkdir()
    try:
        (disk.root / "dev/sdb").unlink()
        (disk.root / "dev/sdb").symlink_to(loop)
        # where no copy of our mounts, which somebody makes meanwhile, holds it beyond the end
        elsewhere = subprocess.Popen(["unshare", "-m", "sh", "-c", f"mount {loop} {where} && echo mounted && read x; umount {where}"],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert elsewhere.stdout.readline() == "mounted\n"
            p = switch(disk, "--disk", "sdb", check=5)
            assert "sdb is in use: unmount" in p.stderr and disk.writes() == []
        finally:
            elsewhere.communicate("\n", timeout=30)
        switch(disk, "--disk", "sdb", check=0)
    finally:
        run("losetup", "-d", loop)


def test_root_stays(disk):
    disk.emulated_disk(0, "sda", number="8:0")
    disk.vbd(768, "xvda")
    disk.put("proc/self/mountinfo", "22 1 8:0 / / rw - ext4 /dev/sda rw\n")
    disk.arm()
    p = switch(disk, check=0)
    assert "sda stays emulated: mounted on /" in p.stdout
    assert "not every emulated disk is switched" in p.stdout
    assert "unplug" not in " ".join(disk.writes())


def test_sata_is_not_unplugged(tree, net):
    """All are switched, but not every host would take them away."""
    tree.net = net
    tree.xen()
    tree.ide(cls=0x010601, driver="ahci")
    tree.emulated_disk(2, "sdb", number="8:16")
    tree.vbd(832, "xvdb")
    tree.arm()
    p = switch(tree, check=0)
    assert "sdb is now xvdb" in p.stdout and "not every host can unplug SATA disks" in p.stdout
    assert "not every emulated disk is switched" not in p.stdout and "unplug" not in " ".join(tree.writes())


def test_not_held_twin(disk):
    """xvdb as vdev: both are visible, so nothing is let go."""
    disk.emulated_disk(3, "sdd", number="8:48")
    disk.vbd(51760, "xvdd", held=False)
    disk.arm()
    p = switch(disk, "--disk", "sdd", "--no-persist", check=0)
    assert "sdd is now xvdd" in p.stdout and not any("hold" in w for w in disk.writes())


@pytest.fixture
def both(disk):
    """The disk, and a NIC."""
    from fakeguest import MAC
    disk.emulated_nic()
    disk.pv_nic()
    disk.net.cable("eth0", MAC)
    disk.net.cable("pv0", MAC)
    disk.net.g("link", "set", "eth0", "up")
    disk.arm(limbo=disk.net.limbo, guest=disk.net.guest)
    return disk


def test_nic_failure_keeps_final_disk_step(both):
    """Each class ends with what cannot be undone: later failures stop there."""
    p = switch(both, check=7, env={"PVHVM_FAIL_STEP": str(STEPS + 3)})
    assert "steps 1 to 6 stay done" in p.stdout and "; steps 1 to 6 stay done" in p.stderr
    assert state(both)[0] == ["xvdb"] and "pv0" in both.net.g("link")


def test_refusal_after_a_final_step_has_changed_something(both):
    both.arm(fail={"unplug nics": "EBUSY"})
    p = switch(both, check=7)
    assert "unplug of nics refused" in p.stderr and "; steps 1 to 6 stay done" in p.stderr
    assert state(both)[0] == ["xvdb"] and "pv0" in both.net.g("link")


def test_boot(disk):
    disk.put("etc/pvhvm/switch.conf", "disk 832\n")
    p = switch(disk, "--boot", check=0)
    assert "sdb is now xvdb" in p.stdout


@pytest.mark.parametrize("comes", [True, False])
def test_udev_is_waited_for(disk, comes):
    """At boot the mounts come next, by links that udev has to make; a udev that does not is no reason to fail."""
    disk.put("run/udev/control", "")
    seen = disk.root / "run/udev/data/b202:0"
    seen.parent.mkdir()
    maker = threading.Timer(1.5, seen.touch)
    if comes:
        maker.start()
    start = time.monotonic()
    wait = 20 if comes else 4
    switch(disk, "--disk", "sdb", "--wait", wait, check=0)
    took = time.monotonic() - start
    assert (1.4 < took < wait) if comes else took >= wait, took
    assert seen.exists() == comes


def test_boot_when_the_initramfs_did_it(disk):
    """A disk that is PV already is not waited for, and nothing to complain about."""
    disk.put("etc/pvhvm/switch.conf", "disk 832\nroot\n")
    switch(disk, "--disk", "sdb", check=0)
    start = time.monotonic()
    p = switch(disk, "--boot", "--wait", "60", check=0)
    assert "no such emulated disk" not in p.stdout
    assert time.monotonic() - start < 55


def test_root(disk):
    """Remembered beside what is there, kept by later switches, forgotten with the rest."""
    conf = disk.root / "etc/pvhvm/switch.conf"
    assert "add 'root'" in switch(disk, "--root", "--dry-run", check=0).stdout and not conf.exists()
    disk.put("etc/pvhvm/switch.conf", "nic 00:16:3e:01:02:03\n")
    assert "next boot" in switch(disk, "--root", check=0).stdout
    # asked again it makes the initramfs again, which may be of a kernel that had no modules
    again = switch(disk, "--root", "--dry-run", check=0).stdout
    assert "add 'root'" not in again and "make the initramfs of every kernel anew" in again
    switch(disk, "--disk", "sdb", check=0)
    lines = conf.read_text().splitlines()
    assert {"root", "disk 832", "nic 00:16:3e:01:02:03"} <= set(lines)
    switch(disk, "--root", "--forget", check=2)
    switch(disk, "--forget", check=0)
    assert not conf.exists()


def test_root_half_done(disk):
    """What the initramfs does not have is not remembered, or not forgotten; so it can be tried again."""
    conf, before = disk.root / "etc/pvhvm/switch.conf", "# mine\nnic 00:16:3e:01:02:03\n"
    disk.put("etc/pvhvm/switch.conf", before)
    p = switch(disk, "--root", check=1, env={"PVHVM_FAIL_STEP": "2"})
    assert conf.read_text() == before and "next boot" not in p.stdout
    switch(disk, "--root", check=0)
    for step in ("2", "2+"):
        switch(disk, "--forget", check=1, env={"PVHVM_FAIL_STEP": step})
        assert "root" in conf.read_text().splitlines()
    switch(disk, "--forget", "--dry-run", check=0)
    switch(disk, "--forget", check=0)
    assert not conf.exists()


@pytest.mark.parametrize("maker, status, says", [
    ("update-initramfs", 1, "failed: run by hand"), ("update-initramfs", 0, "has not made /boot/initrd.img-"), ("dracut", 1, "failed: run by hand")])
def test_root_without_an_image(disk, maker, status, says):
    """Who makes images has made none, whatever it says: nothing is remembered, and it is told."""
    program = disk.root / ("usr/sbin" if maker == "update-initramfs" else "usr/bin") / maker
    image = disk.root / f"boot/initrd.img-{os.uname().release}"
    disk.put(f"boot/{image.name}", "old")
    disk.put(program.relative_to(disk.root), f"#!/bin/sh\necho \"$*\" >>{disk.root}/made\nexit {status}\n")
    program.chmod(0o755)
    # the image as it was cannot be made, either
    p = switch(disk, "--root", check=7)
    assert says in p.stderr and "next boot" not in p.stdout and not (disk.root / "etc/pvhvm/switch.conf").exists()
    program.write_text(f"#!/bin/sh\necho new >{image}.new && mv {image}.new {image}\n")
    assert "next boot" in switch(disk, "--root", check=0).stdout and (disk.root / "made").read_text()


def test_forget_again(disk):
    """A crash after the file was removed: the initramfs still hands over, and is made anew; not where only a data disk is PV."""
    switch(disk, "--disk", "sdb", "--no-persist", check=0)
    number = disk.get("sys/block/xvdb/dev")
    disk.put("proc/self/mountinfo", f"20 1 {number} / / rw - ext4 /dev/xvdb rw\n")
    assert "initramfs of every kernel" in switch(disk, "--forget", "--dry-run", check=0).stdout
    disk.emulated_disk(0, "sda")
    assert "nothing to forget" in switch(disk, "--forget", check=4).stderr


def test_boot_with_nothing_left(disk):
    """The initramfs has handed over all there is: nothing to complain about."""
    switch(disk, "--disk", "sdb", "--no-persist", check=0)
    disk.put("etc/pvhvm/switch.conf", "root\n")
    assert switch(disk, "--boot", check=0).stderr == ""


def test_lost_output_is_not_a_lost_disk(disk):
    """Nobody may read it any more, and the disk is switched all the same."""
    with open("/dev/full", "w", encoding="ascii") as full:
        p = subprocess.run(["ip", "netns", "exec", disk.net.guest, PVHVM, "switch"], stdout=full, stderr=subprocess.PIPE,
                           env=dict(os.environ, PVHVM_SYSROOT=str(disk.root)), check=False)
    assert p.returncode == 0 and p.stderr == b"" and state(disk)[0] == ["xvdb"]
