# SPDX-License-Identifier: GPL-2.0-only
"""Another kernel in the same domain: by kexec, which the drivers are told of, and after a crash, which they are not."""
import pytest

import guestmodules
from test_blkfront import switch_by_hand
from test_netfront import DOM0, pv_up
from test_suspend import start_fio, unplug_nics
from xenbedlib import images
from xenbedlib.guestcfg import GuestConfig

pytestmark = [pytest.mark.slow, pytest.mark.fresh,
              pytest.mark.state(GuestConfig("small", extra="crashkernel=288M"))]

KEXEC = "LD_LIBRARY_PATH=/payload/kexec /payload/kexec/kexec"


@pytest.fixture(scope="module")
def kexec():
    """Debian's kexec, unpacked but not installed here, and what it needs."""
    program = str(guestmodules.unpacked("kexec-tools") / "sbin/kexec")
    return [program, *guestmodules.libraries_of(program, images.dom0_root())]


def busy(guest, kexec, **params):
    """Network and disk on PV and at work, the emulated card unplugged, a kernel in reach."""
    guest.bed.push_guest(kexec + [str(images.small() / name) for name in ("vmlinuz", "initrd")], dest="/payload/kexec")
    pv_up(guest, **params)
    unplug_nics(guest)
    guest.load("blkfront")
    start_fio(guest, "/dev/" + switch_by_hand(guest), 600)


def drivers_work(guest, modules):
    """The bundle in the new kernel: everything connects, works, and goes without leaving anything."""
    guest.bed.push_guest(modules)
    guest.load()
    guest.wait_connected("vif-0")
    nic = guest.pv_nic()
    guest.sh(f"ip addr add 192.168.77.2/24 dev {nic}; ip link set {nic} up")
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")
    guest.sh("xenstore-ls device >/dev/null; echo 0 >/sys/bus/pvhvm/devices/vbd-768/hold")
    guest.wait_connected("vbd-768")
    guest.sh("fio --name=v --filename=/dev/xvda --ioengine=libaio --direct=1 --rw=randwrite --bs=4k --iodepth=16 "
             "--size=4M --verify=crc32c --verify_fatal=1", stall=120)
    guest.unload("netfront", "blkfront")
    guest.wait("grep -q 'parked 0' /sys/bus/pci/drivers/pvhvm-platform/0*/pvhvm/grants")


def memory_is_whole(guest):
    """Nobody writes to memory that the new kernel takes for its own: fills what is free and reads it back."""
    guest.sh("mkdir -p /tmp/m; mount -t tmpfs -o size=70% m /tmp/m; "
             "free=$(awk '/MemAvailable/ {print int($2 / 2048)}' /proc/meminfo); "
             "dd if=/dev/zero of=/tmp/m/z bs=1M count=$free status=none; sleep 5; "
             "bad=$(tr -d '\\0' </tmp/m/z | wc -c); [ -s /tmp/m/z ]; umount /tmp/m; [ $bad = 0 ]", stall=300)


@pytest.mark.parametrize("upcall", ["auto", "callback"])
def test_kexec(guest, kexec, modules, upcall):
    """kexec -e: the drivers let go of everything, and the next kernel's begin anew."""
    busy(guest, kexec, platform_upcall=upcall)
    guest.sh(f"{KEXEC} -l /payload/kexec/vmlinuz --initrd=/payload/kexec/initrd --reuse-cmdline", stall=300)
    guest.bed.replace_kernel(f"{KEXEC} -e")
    guest.start_test("the next kernel")
    assert guest.loaded() == []
    memory_is_whole(guest)
    drivers_work(guest, modules)


# the crash kernel's timer is not wired to a CPU that is not the first
@pytest.mark.expects(r"sysrq|SysRq|Kernel panic|Call Trace|Modules linked in|crash|8254 timer not connected")
@pytest.mark.parametrize("cpu", [0, 1])
def test_crash_kernel(guest, kexec, modules, cpu):
    """A crash with everything at work: the crash kernel boots without the bundle, and works with it."""
    busy(guest, kexec)
    guest.sh(f"{KEXEC} -p /payload/kexec/vmlinuz --initrd=/payload/kexec/initrd "
             "--append=\"$(sed 's/crashkernel=[^ ]*//' /proc/cmdline) nr_cpus=1 reset_devices\"", stall=300)
    guest.bed.replace_kernel(f"taskset {1 << cpu} sh -c 'echo c >/proc/sysrq-trigger'")
    guest.start_test("the crash kernel")
    assert guest.sh("[ -s /proc/vmcore ] && nproc") == "1"
    drivers_work(guest, modules)
