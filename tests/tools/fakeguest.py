# SPDX-License-Identifier: GPL-2.0-only
"""A guest made of folders and network namespaces.

The folders are a sysfs as pvhvm's modules and the kernel's emulated drivers
show it; `write-hook` plays the kernel when an attribute is written. The
network is real: two veth pairs, whose far ends sit on one bridge in a second
namespace, as the tap and the vif of a guest do in the host.
"""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PVHVM = os.environ.get("PVHVM_BINARY",
                       str(HERE.parent.parent / "build" / "tools-san" / "pvhvm"))

NIC_PCI = "0000:00:04.0"
NIC2_PCI = "0000:00:05.0"
IDE_PCI = "0000:00:01.1"
XEN_PCI = "0000:00:02.0"
MAC = "00:16:3e:01:02:03"
MAC2 = "00:16:3e:01:02:04"


def run(*args, check=True):
    return subprocess.run([str(a) for a in args], check=check, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@contextlib.contextmanager
def tiny_disk(place):
    """A folder with room for one page more."""
    place = pathlib.Path(place) / "small"
    place.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", place)
    try:
        (place / "ballast").write_text("x" * 4096)
        yield place
    finally:
        run("umount", place)


class Tree:
    """The fake /sys, /proc, /dev and /etc."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        for d in ("sys/bus/pci/devices", "sys/bus/pvhvm/devices", "sys/class/net",
                  "sys/block", "sys/class/scsi_host", "sys/module", "proc/self",
                  "dev", "etc", "run"):
            (self.root / d).mkdir(parents=True)
        self.put("proc/self/mountinfo", "1 0 0:20 / / rw - ext4 /dev/root rw\n")
        self.put("proc/swaps", "Filename Type Size Used Priority\n")
        self.put("sys/bus/pci/rescan", "")
        self.put("usr/lib/pvhvm/boot-disks", "#!/bin/sh")
        self.hook = {"writes": [], "fail": {}}

    def put(self, path, text):
        p = self.root / path
        p.parent.mkdir(parents=True, exist_ok=True)
        p.write_text(str(text) + ("" if str(text).endswith("\n") else "\n"))

    def get(self, path):
        return (self.root / path).read_text().strip()

    def link(self, path, target):
        """A symlink at path to target, both below the root, relative."""
        p = self.root / path
        p.parent.mkdir(parents=True, exist_ok=True)
        p.symlink_to(os.path.relpath(self.root / target, p.parent))

    def pci(self, bdf, cls, vendor, device, sub=(0x1af4, 0x1100), driver=None):
        d = f"sys/devices/pci0000:00/{bdf}"
        self.put(f"{d}/class", f"{cls:#08x}")
        self.put(f"{d}/vendor", f"{vendor:#06x}")
        self.put(f"{d}/device", f"{device:#06x}")
        self.put(f"{d}/subsystem_vendor", f"{sub[0]:#06x}")
        self.put(f"{d}/subsystem_device", f"{sub[1]:#06x}")
        self.put(f"{d}/remove", "")
        (self.root / "sys/bus/pci").mkdir(exist_ok=True)
        self.link(f"{d}/subsystem", "sys/bus/pci")
        if driver:
            (self.root / f"sys/bus/pci/drivers/{driver}").mkdir(parents=True, exist_ok=True)
            self.link(f"{d}/driver", f"sys/bus/pci/drivers/{driver}")
        self.link(f"sys/bus/pci/devices/{bdf}", d)
        return d

    def xen(self, driver="pvhvm-platform"):
        self.put("sys/class/dmi/id/sys_vendor", "Xen")
        self.put("sys/class/dmi/id/bios_version", "4.17.5")
        d = self.pci(XEN_PCI, 0xff8000, 0x5853, 0x0001, (0x5853, 1), driver)
        if driver != "pvhvm-platform":
            return
        self.put(f"{d}/pvhvm/xen_version", "4.17")
        self.put(f"{d}/pvhvm/upcall", "vector")
        self.put(f"{d}/pvhvm/evtchn_abi", "fifo")
        self.put(f"{d}/pvhvm/grants", "used 9 parked 0 free 503 max 16384")
        self.put(f"{d}/pvhvm/ports", "used 7 max 131072 rests 2")
        self.put(f"{d}/pvhvm/timer", "told 5 saved 6 early 0")
        self.put(f"{d}/pvhvm/ipis", "events 8 native 9 again 1")
        self.put(f"{d}/pvhvm/resumes", "3")
        self.put(f"{d}/pvhvm/unplug", "ide-disks present emulated=1 twins=0\n"
                 "nics present emulated=1 twins=1\n")
        for n, name in enumerate(("requests", "replies", "timeouts", "watches", "devices")):
            self.put(f"sys/devices/pvhvm/xenstore/{name}", 100 + n)
        self.put("sys/devices/pvhvm/xenstore/broken", "no")
        for m in ("platform", "xenbus", "netfront", "blkfront"):
            self.put(f"sys/module/pvhvm_{m}/version", "0.1.0")

    def emulated_nic(self, name="eth0", mac=MAC, bdf=NIC_PCI):
        d = self.pci(bdf, 0x020000, 0x8086, 0x100e, driver="e1000")
        self.put(f"{d}/net/{name}/address", mac)
        self.link(f"{d}/net/{name}/device", d)
        self.link(f"sys/class/net/{name}", f"{d}/net/{name}")

    def pvdev(self, name, driver=""):
        d = f"sys/devices/pci0000:00/{XEN_PCI}/{name}"
        self.put(f"{d}/state", "connected")
        self.put(f"{d}/quarantined", "no")
        self.link(f"{d}/subsystem", "sys/bus/pvhvm")
        if driver:
            (self.root / f"sys/bus/pvhvm/drivers/{driver}").mkdir(parents=True, exist_ok=True)
            self.link(f"{d}/driver", f"sys/bus/pvhvm/drivers/{driver}")
        self.link(f"sys/bus/pvhvm/devices/{name}", d)
        return d

    def pv_nic(self, name="pv0", mac=MAC, handle=0):
        d = self.pvdev(f"vif-{handle}", "pvhvm-netfront")
        self.put(f"{d}/net/{name}/address", mac)
        self.link(f"{d}/net/{name}/device", d)
        self.link(f"sys/class/net/{name}", f"{d}/net/{name}")

    def ide(self, cls=0x010180, driver="ata_piix"):
        d = self.pci(IDE_PCI, cls, 0x8086, 0x7010, driver=driver)
        for port in (1, 2):
            (self.root / f"{d}/ata{port}/host{port - 1}").mkdir(parents=True)
            self.put(f"{d}/ata{port}/host{port - 1}/scsi_host/host{port - 1}/scan", "")
            self.link(f"sys/class/scsi_host/host{port - 1}",
                      f"{d}/ata{port}/host{port - 1}/scsi_host/host{port - 1}")

    def emulated_disk(self, slot, name, sectors=2048, number="8:0"):
        port, dev = slot // 2, slot % 2
        scsi = (f"sys/devices/pci0000:00/{IDE_PCI}/ata{port + 1}/host{port}/"
                f"target{port}:0:{dev}/{port}:0:{dev}:0")
        self.put(f"{scsi}/block/{name}/size", sectors)
        self.put(f"{scsi}/block/{name}/dev", number)
        self.put(f"{scsi}/delete", "")
        (self.root / "sys/bus/scsi").mkdir(exist_ok=True)
        self.link(f"{scsi}/subsystem", "sys/bus/scsi")
        self.link(f"{scsi}/block/{name}/device", scsi)
        self.link(f"sys/bus/scsi/devices/{port}:0:{dev}:0", scsi)
        self.link(f"sys/block/{name}", f"{scsi}/block/{name}")
        with open(self.root / "dev" / name, "wb") as f:
            f.truncate(sectors * 512)

    def cdrom(self, slot, vdev):
        """An emulated one, and the vbd without a driver that goes with it."""
        port, dev = slot // 2, slot % 2
        scsi = f"sys/devices/pci0000:00/{IDE_PCI}/ata{port + 1}/host{port}/target{port}:0:{dev}/{port}:0:{dev}:0"
        self.put(f"{scsi}/type", 5)
        self.link(f"sys/bus/scsi/devices/{port}:0:{dev}:0", scsi)
        self.put(f"{self.pvdev(f'vbd-{vdev}')}/state", "initialising")

    def vbd(self, vdev, name, sectors=2048, held=True):
        d = self.pvdev(f"vbd-{vdev}", "pvhvm-blkfront")
        self.put(f"{d}/hold", int(held))
        self.hook.setdefault("vbds", {})[f"vbd-{vdev}"] = [name, sectors]
        if held:
            self.put(f"{d}/state", "initialising")
        else:
            self.show_vbd(f"vbd-{vdev}")

    def show_vbd(self, pvdev):
        name, sectors = self.hook["vbds"][pvdev]
        d = f"sys/devices/pci0000:00/{XEN_PCI}/{pvdev}"
        self.put(f"{d}/block/{name}/size", sectors)
        self.put(f"{d}/block/{name}/dev", "202:0")
        self.link(f"{d}/block/{name}/device", d)
        self.link(f"sys/block/{name}", f"{d}/block/{name}")

    def arm(self, **more):
        """Write the hook and what it is to do."""
        self.hook.update(more)
        (self.root / "hook.json").write_text(json.dumps(self.hook))
        hook = self.root / "write-hook"
        hook.write_text(f"#!{sys.executable} -S\nimport sys\nsys.path.insert(0, {str(HERE)!r})\n"
                        f"import fakekernel\nsys.exit(fakekernel.main({str(self.root)!r}))\n")
        hook.chmod(0o755)

    def writes(self):
        log = self.root / "writes.log"
        return log.read_text().splitlines() if log.exists() else []

    def pvhvm(self, *args, netns=None, env=None, check=None, binary=PVHVM, **kw):
        cmd = ["ip", "netns", "exec", netns] if netns else []
        full = dict(os.environ, PVHVM_SYSROOT=str(self.root), **(env or {}))
        p = subprocess.run([*cmd, binary, *map(str, args)], env=full, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, **kw)
        assert "Sanitizer" not in p.stderr and "runtime error" not in p.stderr, p.stderr
        if check is not None:
            assert p.returncode == check, (p.returncode, p.stdout, p.stderr)
        return p


class Net:
    """Namespaces: the guest's and the host's, joined by two cables."""

    def __init__(self, tag):
        self.guest, self.host, self.limbo = (f"{n}-{tag}" for n in ("pvg", "pvh", "pvl"))
        self.cables = 0
        for ns in (self.guest, self.host, self.limbo):
            # of one that was killed, and had our number
            run("ip", "netns", "del", ns, check=False)
            run("ip", "netns", "add", ns)
        run("ip", "-n", self.guest, "link", "set", "lo", "up")
        self.h("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        self.h("addr", "add", "10.9.0.1/24", "dev", "br0")
        self.h("-6", "addr", "add", "fd09::1/64", "dev", "br0", "nodad")
        self.h("link", "set", "br0", "up")

    def g(self, *args, check=True):
        return run("ip", "-n", self.guest, *args, check=check).stdout

    def h(self, *args):
        return run("ip", "-n", self.host, *args).stdout

    def ge(self, *args, check=True):
        return run("ip", "netns", "exec", self.guest, *args, check=check).stdout

    def cable(self, name, mac, connected=True):
        """An interface of the guest whose far end is on the host's bridge."""
        self.cables += 1
        far = f"far{self.cables}"
        self.h("link", "add", far, "type", "veth", "peer", "name", name,
               "netns", self.guest)
        self.g("link", "set", name, "address", mac)
        if connected:
            self.h("link", "set", far, "master", "br0")
        self.h("link", "set", far, "up")
        return far

    def close(self):
        for ns in (self.guest, self.host, self.limbo):
            run("ip", "netns", "del", ns, check=False)


def remove_tree(path):
    shutil.rmtree(path, ignore_errors=True)
