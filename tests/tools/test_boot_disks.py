# SPDX-License-Identifier: GPL-2.0-only
"""boot-disks, what the initramfs runs, against a fake /sys and a kernel that plays along or does not."""
import contextlib
import os
import pathlib
import shutil
import subprocess
import threading
import time

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "packaging/boot/boot-disks"
CD = "vbd-5632"


class Kernel(threading.Thread):
    """Connects what is let go, but not the disks in 'broken'; somebody has the one in 'opened' open for so many seconds."""

    def __init__(self, machine, broken, opened):
        super().__init__(daemon=True)
        self.machine, self.broken, self.opened, self.end = machine, broken, dict(opened), threading.Event()

    def close(self, vbd):
        """Until then nothing can be written to its 'hold'."""
        hold, now = vbd / "hold", time.monotonic()
        if hold.is_dir() and now > self.opened[vbd.name]:
            hold.rmdir()
            # unless somebody was quicker
            with contextlib.suppress(FileExistsError), open(hold, "x") as f:
                f.write("0\n")
            del self.opened[vbd.name]
        elif hold.is_file() and hold.read_text().strip() == "0":
            self.opened[vbd.name] += now
            hold.unlink()
            hold.mkdir()

    def run(self):
        while not self.end.wait(0.02):
            for vbd in self.machine.bus.glob("vbd-*"):
                if vbd.name in self.opened:
                    self.close(vbd)
                if not (vbd / "hold").exists():
                    continue
                held = (vbd / "hold").is_file() and (vbd / "hold").read_text().strip() != "0"
                up = not held and vbd.name not in self.broken
                # as sysfs: whoever reads sees one or the other, never half of it
                self.machine.put("new-state", "connected" if up else "initialising").replace(vbd / "state")
                if up:
                    (vbd / "block/xvda").mkdir(parents=True, exist_ok=True)
                else:
                    shutil.rmtree(vbd / "block", ignore_errors=True)


class Machine:
    def __init__(self, root):
        self.root, self.sys = root, root / "sys"
        self.bus = self.sys / "bus/pvhvm/devices"
        self.put("sys/bus/pci/devices/0000:00:02.0/vendor", "0x5853")
        self.put("sys/bus/pci/drivers/pvhvm-platform/0000:00:02.0/pvhvm/unplug", "")
        for vbd in ("vbd-768", "vbd-832"):
            self.put(f"sys/bus/pvhvm/devices/{vbd}/hold", "1")
        self.put(f"sys/bus/pvhvm/devices/{CD}/state", "initialising")
        self.put("switch.conf", "# comment\nnic 00:16:3e:01:02:03\n  root # all\n")
        self.put("cmdline", "root=UUID=1-2 ro quiet")
        self.put("kmsg", "")
        self.put("bin/modprobe", f"#!/bin/sh\necho \"$@\" >>{root}/loaded\n")
        (root / "bin/modprobe").chmod(0o755)

    def put(self, path, text):
        at = self.root / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(text + "\n")
        return at

    def emulated(self, name, vendor="0x1af4", cls="0x010180"):
        """A disk below a PCI function; where its deletion is written to."""
        scsi = self.root / f"devices/{name}/ata1/host0"
        scsi.mkdir(parents=True)
        self.put(f"devices/{name}/subsystem_vendor", vendor)
        self.put(f"devices/{name}/class", cls)
        self.put(f"sys/class/scsi_host/{name}/scan", "")
        (self.sys / "block" / name).mkdir(parents=True)
        os.symlink(scsi, self.sys / "block" / name / "device")
        return self.put(f"devices/{name}/ata1/host0/delete", "")

    def run(self, broken=(), patience=5, opened=()):
        kernel = Kernel(self, broken, opened)
        kernel.start()
        done = subprocess.run(
            ["dash", str(SCRIPT)], capture_output=True, text=True, timeout=60,
            env={"PATH": f"{self.root}/bin:/usr/bin:/bin", "PVHVM_CONF": f"{self.root}/switch.conf",
                 "PVHVM_SYS": str(self.sys), "PVHVM_CMDLINE": f"{self.root}/cmdline",
                 "PVHVM_KMSG": f"{self.root}/kmsg", "PVHVM_PATIENCE": str(patience)})
        time.sleep(0.1)
        kernel.end.set()
        kernel.join()
        assert done.returncode == 0 and done.stderr == "" and done.stdout == ""
        return self.said()

    def said(self):
        return (self.root / "kmsg").read_text().strip()

    def get(self, path):
        return (self.root / path).read_text().strip()

    def unplugged(self):
        return self.get("sys/bus/pci/drivers/pvhvm-platform/0000:00:02.0/pvhvm/unplug") == "ide-disks"

    def holds(self):
        return [self.get(f"sys/bus/pvhvm/devices/{vbd}/hold") for vbd in ("vbd-768", "vbd-832")]

    def loaded(self):
        return (self.root / "loaded").exists()


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_all_connect(machine):
    said = machine.run()
    assert "<5>" in said and "vbd-768 vbd-832" in said and CD not in said
    assert machine.unplugged() and machine.holds() == ["0", "0"]
    assert machine.get("loaded").split() == ["pvhvm_platform", "pvhvm_xenbus", "pvhvm_blkfront"]


@pytest.mark.parametrize("vendor", ["0x1af4", "0x5853"])
def test_seen_emulated_disks_go_first(machine, vendor):
    """A driver that is built in has found them; disks that have no twin are left alone."""
    mine, others = machine.emulated("sda", vendor), [machine.emulated("sdz", "0x1000"), machine.emulated("sr0"),
                                             machine.emulated("sdv", cls="0x010000"), machine.emulated("sdu", cls="0x0c0330")]
    machine.run()
    assert mine.read_text().strip() == "1" and [f.read_text().strip() for f in others] == [""] * 4


@pytest.mark.parametrize("cls, what", [("0x010601", "SATA"), ("0x010802", "NVMe")])
@pytest.mark.parametrize("vendor, refused", [("0x1af4", True), ("0x5853", True), ("0x1462", False)])
def test_emulated_others(machine, cls, what, vendor, refused):
    """Their drivers are loaded later, and the host may keep the disks; a controller passed through has none of them."""
    machine.put("sys/bus/pci/devices/0000:00:05.0/class", cls)
    machine.put("sys/bus/pci/devices/0000:00:05.0/subsystem_vendor", vendor)
    said = machine.run()
    assert (f"emulated {what}" in said and "booting from the emulated disk" in said) == refused
    assert machine.unplugged() == machine.loaded() == (not refused)


def test_one_does_not_connect(machine):
    machine.emulated("sda")
    said = machine.run(broken=("vbd-832",), patience=5)
    assert "<3>" in said and "did not come up" in said and "not connected: vbd-832" in said
    assert "booting from the emulated disk" in said
    assert not machine.unplugged() and machine.holds() == ["1", "1"]
    assert machine.get("sys/class/scsi_host/sda/scan") == "- - -"


def test_refused_unplug(machine):
    unplug = machine.sys / "bus/pci/drivers/pvhvm-platform/0000:00:02.0/pvhvm/unplug"
    unplug.unlink()
    unplug.mkdir()	# nothing can be written there
    said = machine.run()
    assert "could not be unplugged: booting from the emulated disk" in said and machine.holds() == ["1", "1"]


@pytest.mark.parametrize("seconds, held", [(1, True), (1000, False)])
def test_twin_is_open(machine, seconds, held):
    """What cannot be held is never there beside its emulated half."""
    machine.emulated("sda")
    said = machine.run(broken=("vbd-768",), patience=1, opened={"vbd-832": 1 + seconds})
    assert (machine.get("sys/class/scsi_host/sda/scan") == "- - -") == held
    assert ("booting from the emulated disk" in said) == held
    if held:
        assert machine.holds() == ["1", "1"]
    else:
        assert "cannot be held again: vbd-832:" in said and "pvhvm.root=0" in said and said.count("\n") == 0


def test_last_line_without_newline(machine):
    (machine.root / "switch.conf").write_text("disk 832\nroot")
    machine.run()
    assert machine.unplugged()


@pytest.mark.parametrize("fails", ["pvhvm_platform", "pvhvm_blkfront"])
def test_no_module(machine, fails):
    machine.put("bin/modprobe", f"#!/bin/sh\n[ $1 != {fails} ] || {{ echo no such module; exit 1; }}")
    said = machine.run()
    assert f"{fails} does not load into" in said and "no such module" in said
    assert machine.holds() == ["1", "1"] and not machine.unplugged()


@pytest.mark.parametrize("word, why", [
    ("pvhvm.root=0", "switched off"), ("root=/dev/sda1", "names the emulated disk"),
    ("root=/dev/hda", "names the emulated disk"), ("root=block:/dev/sda2", "names the emulated disk"),
    ("root=/dev/disk/by-id/ata-QEMU_HARDDISK_QM00001-part1", "names the emulated disk"),
    ("root=/dev/disk/by-path/pci-0000:00:01.1-ata-1-part1", "names the emulated disk")])
def test_command_line(machine, word, why):
    machine.put("cmdline", f"ro {word} quiet")
    assert why in machine.run() and not machine.loaded()


def test_command_line_that_names_the_pv_disk(machine):
    machine.put("cmdline", "ro root=/dev/disk/by-path/xen-vbd-768-part1 quiet")
    machine.run()
    assert machine.unplugged()


@pytest.mark.parametrize("change", [
    ("switch.conf", "disk 832\n#root\nrootless"), ("sys/bus/pci/devices/0000:00:02.0/vendor", "0x8086"),
    ("sys/hypervisor/type", "xen")])
def test_not_for_this_machine(machine, change):
    """Not asked for; not on Xen; the kernel's own drivers: not a word."""
    machine.put(*change)
    assert machine.run() == "" and not machine.loaded()


def test_no_disk_to_hand_over(machine):
    shutil.rmtree(machine.bus)
    assert machine.run() == "" and not machine.unplugged()
