# SPDX-License-Identifier: GPL-2.0-only
"""Who is measured: three guests on one Xen that differ in their drivers alone, and dom0 as the limit.

They share dom0's CPUs, so all but the one that runs are paused.
"""
import contextlib
import pathlib
import sys

TOP = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TOP / "testbed"), str(TOP / "tests" / "vm")]

import guestmodules                                 # noqa: E402
from xenbedlib.guestcfg import GuestConfig          # noqa: E402
from rows import DOM0                               # noqa: E402

VBD = "vbd-768"     # hda
# pauses are no stalls
CALM = "nowatchdog rcupdate.rcu_cpu_stall_suppress=1"


class Guest:
    """A guest on emulated devices."""

    name, nopv, rings = "emulated", True, False
    nic, disk, bus = "eth0", "/dev/sda", "pci"
    boot = CALM

    def __init__(self, bed, number, vcpus):
        self.bed = bed
        config = GuestConfig("small", name=self.name, number=number, nopv=self.nopv, vcpus=vcpus, extra=self.boot)
        bed.add_guest(config)
        self.domid = bed.xl(f"domid {self.name}").out.strip()
        self.address = f"192.168.77.{10 + number}"
        self.prepare()
        self("ip addr flush dev {0}; ip addr add {1}/24 dev {0}; ip link set {0} up; "
             "i=0; until ping -c 1 -W 2 {2} >/dev/null; do i=$((i + 1)); [ $i -lt 30 ] || exit 1; done"
             .format(self.nic, self.address, DOM0))
        self(f"[ -b {self.disk} ]")
        self(f"[ $(basename $(readlink -f /sys/class/net/{self.nic}/device/subsystem)) = {self.bus} ]")
        self.pause()

    def __call__(self, command, **kw):
        return self.bed.guest(command, name=self.name, **kw).out

    def prepare(self):
        """Makes self.nic and self.disk what is to be measured."""

    def pause(self):
        self.bed.xl(f"pause {self.name}")

    @contextlib.contextmanager
    def awake(self):
        self.bed.xl(f"unpause {self.name}")
        try:
            yield
        finally:
            self.pause()

    def target(self):
        return {"address": self.address, "disk": self.disk}

    def facts(self):
        """What its drivers negotiated, for the report."""
        return {"nic": self.nic, "disk": self.disk}


class InKernel(Guest):
    """The kernel's own frontends, as it comes up with them."""

    name, nopv, rings = "inkernel", False, True
    disk, bus = "/dev/xvda", "xen"


class Pvhvm(Guest):
    """The bundle's, with their defaults."""

    name, rings = "pvhvm", True
    disk, bus = "/dev/xvda", "pvhvm"
    modules = params = ()

    def prepare(self):
        self.bed.push_guest(self.modules, name=self.name)
        for path in self.modules:
            name = pathlib.Path(path).name
            short = name.removeprefix("pvhvm_").removesuffix(".ko")
            mine = [p.partition(".")[2] for p in self.params if p.partition(".")[0] == short]
            self(f"insmod /payload/{name} {' '.join(mine)}", stall=120)
        connected = ("i=0; until [ \"$(cat /sys/bus/pvhvm/devices/{}/state)\" = connected ]; do "
                     "i=$((i + 1)); [ $i -lt 150 ] || exit 1; sleep 0.2; done")
        self(connected.format("vif-0"))
        self("ip link set eth0 down; echo 1 >/sys/class/net/eth0/device/remove; "
             f"echo 1 >/sys/block/sda/device/delete; echo 0 >/sys/bus/pvhvm/devices/{VBD}/hold")
        self(connected.format(VBD))
        self.nic = self("ls /sys/bus/pvhvm/devices/vif-0/net").strip()


class Other(Pvhvm):
    """The same with other modules or parameters, to hold two versions against each other."""

    name = "other"


class Dom0:
    """The same commands in dom0 itself, on a file like theirs: the limit."""

    name = "dom0"
    domid = "0"
    rings = False
    disk = "/bed/disk3"

    def __init__(self, bed):
        self.bed = bed

    def __call__(self, command, **kw):
        return self.bed.dom0(command, **kw).out

    @contextlib.contextmanager
    def awake(self):
        yield

    def target(self):
        return {"address": DOM0, "disk": self.disk}

    def facts(self):
        return {"disk": self.disk}


KINDS = {kind.name: kind for kind in (Guest, InKernel, Pvhvm, Other)}
NAMES = (*KINDS, Dom0.name)
# memory and data disks are for so many
MOST_GUESTS = 3


def guests(text):
    """The guests of a list such as 'inkernel,pvhvm'; ValueError names what is none."""
    names = text.split(",")
    if wrong := [name for name in names if name not in KINDS]:
        raise ValueError(f"no variant {', '.join(wrong)}; there are {', '.join(KINDS)}")
    return names


def bring_up(bed, names, vcpus, params, other, other_params):
    """The variants of these names, paused; other: folder with the modules of the variant of that name."""
    if "pvhvm" in names or "other" in names and not other:
        Pvhvm.modules = Other.modules = guestmodules.build_modules()
    if other:
        Other.modules = [str(pathlib.Path(other) / f"{name}.ko") for name in guestmodules.NAMES]
    Pvhvm.params, Other.params = params, other_params
    # no holes: reading one is not what reading a disk is
    bed.dom0("iperf3 -s -D >/dev/null 2>&1; for n in 0 1 2 3; do "
             "dd if=/dev/zero of=/bed/data$n.img bs=1M count=256 conv=notrunc status=none; done", stall=300)
    return [Dom0(bed) if name == Dom0.name else KINDS[name](bed, number, vcpus)
            for number, name in enumerate(sorted(names, key=lambda n: n == Dom0.name))]
