# SPDX-License-Identifier: GPL-2.0-only
"""pvhvm_platform: what it finds, what it offers, what it leaves behind."""
import re

import pytest

from xenbedlib import recipe, remote
from xenbedlib.guestcfg import GuestConfig


def cpus_with_upcalls(guest):
    """Interrupts counted per CPU on the upcall lines."""
    counts = {}
    for line in guest.sh("grep -i upcall /proc/interrupts || true").splitlines():
        for cpu, word in enumerate(line.split()[1:]):
            if not word.isdigit():
                break
            counts[cpu] = counts.get(cpu, 0) + int(word)
    return counts


def free_kilobytes(guest):
    """Free memory once caches are dropped, with what each CPU keeps ready: MemFree leaves that out."""
    guest.sh("sync; echo 3 >/proc/sys/vm/drop_caches; sleep 1")
    return int(guest.sh("awk '/MemFree/ {print $2}' /proc/meminfo")) + \
        4 * int(guest.sh("awk '$1 == \"count:\" {sum += $2} END {print sum + 0}' /proc/zoneinfo"))


def lost_kilobytes(guest, before):
    """Memory that is gone since free_kilobytes() said before; the debug kernel's kmemleak tells better than this."""
    if guest.try_sh("[ -e /sys/kernel/debug/kmemleak ]"):
        # KASAN holds back what is freed, so as to notice its use
        return 0
    return before - free_kilobytes(guest)


def xen_version(bed):
    """MAJOR.MINOR and what follows, as dom0 has them."""
    told = dict(line.replace(" ", "").split(":", 1) for line in bed.xl("info").out.splitlines() if ":" in line)
    return f"{told['xen_major']}.{told['xen_minor']}", told["xen_extra"]


@pytest.mark.core
def test_finds_xen(guest):
    guest.load("platform")
    version, extra = xen_version(guest.bed)
    assert remote.url() or version == recipe.xen(), "the testbed has another Xen than it was asked for"
    assert guest.platform("xen_version") == version
    assert guest.read("/sys/hypervisor/type") == "xen"
    assert re.fullmatch(r"[0-9a-f-]{36}", guest.read("/sys/hypervisor/uuid"))
    assert guest.read("/sys/hypervisor/guest_type") == "HVM"
    assert [guest.read(f"/sys/hypervisor/version/{part}") for part in ("major", "minor", "extra")] == [*version.split("."), extra]
    # safe time and a callback vector, as every HVM guest is told (xen/features.h); that it is dom0, none
    assert int(guest.read("/sys/hypervisor/properties/features"), 16) & (1 << 8 | 1 << 9 | 1 << 11) == 1 << 8 | 1 << 9


@pytest.mark.core
@pytest.mark.parametrize("upcall, evtchn", [("callback", "2l"), ("vector", "fifo"), ("intx", "fifo"), ("intx", "2l")])
@pytest.mark.fresh
def test_event_paths(guest, upcall, evtchn):
    """xenstore answers over each way an event can take."""
    guest.load("platform", platform_upcall=upcall, platform_evtchn=evtchn)
    guest.load("xenbus")
    assert guest.platform("upcall") == upcall
    assert guest.platform("evtchn_abi") == evtchn
    assert "vif" in guest.sh("xenstore-ls device")
    guest.unload("xenbus", "platform")


def calls_by_page(guest):
    """Hypercalls through the hypercall page while something is read from xenstore."""
    trace = "/sys/kernel/tracing"
    guest.sh(f"[ -e {trace}/kprobe_events ] || mount -t tracefs t {trace}; cd {trace}; "
             "echo p:by_page pvhvm_platform:hypercall_by_page >kprobe_events; echo 1 >events/kprobes/by_page/enable; "
             "xenstore-read name; echo 0 >events/kprobes/by_page/enable")
    hits = int(guest.sh(f"awk '$1 == \"by_page\" {{ print $2 }}' {trace}/kprobe_profile"))
    guest.sh(f"echo >{trace}/kprobe_events")
    return hits


@pytest.mark.parametrize("way", ["direct", "page"])
def test_hypercalls(guest, way):
    guest.load("platform", platform_hypercall=way)
    guest.load("xenbus")
    assert (calls_by_page(guest) > 0) == (way == "page")


def test_reload_many_times(guest):
    """Ten loads and unloads leave memory and logs as they were."""
    guest.load("platform", "xenbus")
    guest.unload("xenbus", "platform")
    before = free_kilobytes(guest)
    for _ in range(10):
        guest.load("platform", "xenbus")
        guest.unload("xenbus", "platform")
    assert lost_kilobytes(guest, before) < 1024
    assert "left behind" not in guest.dmesg()


def test_each_probe_step_unwinds(guest):
    """Memory too short at any step: an error, nothing left, and the next load works."""
    failed = 0
    for step in range(1, 64):
        if guest.try_load("platform", f"fail_step={step}").code == 0 and \
                guest.platform("xen_version"):
            if f"fail_step {step}" not in guest.dmesg():
                guest.unload("platform")
                break
        failed += 1
        guest.clean_up()
    assert failed >= 5, "fail_step reached no step"
    guest.load("platform", "xenbus")
    assert guest.sh("xenstore-read domid")


@pytest.mark.fresh
def test_device_model_reaches_former_frames(guest, nearring):
    """DMA finds the memory that was below a grant frame, though the device model, told to forget, keeps it mapped for virtio rings."""
    guest.bed.push_guest([nearring])
    params = "/sys/module/nearring/parameters"
    guest.sh("echo 0 >/sys/bus/virtio/drivers_autoprobe")
    serials = "grep -l 0x1003 /sys/bus/pci/devices/*/device | cut -d/ -f6"
    before = guest.sh(serials).split()
    said = guest.bed.xl("qemu-monitor-command guest 'device_add virtio-serial-pci,max_ports=511'").out
    assert "rror" not in said, said
    guest.wait(f"{{ echo 1 >/sys/bus/pci/rescan; [ $({serials} | wc -l) -gt {len(before)} ]; }}")
    new, = set(guest.sh(serials).split()) - set(before)
    guest.wait(f"echo {new} >/sys/bus/pci/drivers/virtio-pci/unbind")
    guest.sh("insmod /payload/nearring.ko", stall=120)
    # on one CPU: each keeps pages that were just freed to itself
    guest.sh("taskset -c 0 insmod /payload/pvhvm_platform.ko", stall=120)
    assert guest.read(f"{params}/frame") != "0", "no grant frame is seen: this tests nothing"
    guest.sh("taskset -c 0 rmmod pvhvm_platform", stall=120)
    guest.sh(f"taskset -c 0 sh -c 'echo /dev/sr0 >{params}/arrives'", stall=300)
    assert guest.read(f"{params}/arrives") == "Y"


@pytest.mark.core
def test_clocksource(guest):
    """The clock can be chosen, runs forward on both CPUs, and lets go of the module."""
    guest.load("platform")
    base = "/sys/devices/system/clocksource/clocksource0"
    assert "xen" in guest.read(f"{base}/available_clocksource").split()
    before = guest.read(f"{base}/current_clocksource")
    guest.sh(f"echo xen >{base}/current_clocksource")
    assert guest.read(f"{base}/current_clocksource") == "xen"
    a, b = guest.sh("cut -d' ' -f1 /proc/uptime; sleep 2; cut -d' ' -f1 /proc/uptime").split()
    assert 1.9 < float(b) - float(a) < 4
    backwards = guest.sh(
        "for c in 0 1; do taskset -c $c sh -c 'last=0; i=0; while [ $i -lt 300 ]; do "
        "read -r now _ </proc/uptime; now=${now%.*}${now#*.}; [ $now -ge $last ] || echo back; "
        "last=$now; i=$((i+1)); done; echo end' & done; wait", stall=120)
    assert backwards.split() == ["end", "end"]
    guest.sh(f"echo {before} >{base}/current_clocksource")
    guest.unload("platform")
    assert "xen" not in guest.read(f"{base}/available_clocksource").split()


@pytest.mark.core
def test_cpu_offline_online(guest):
    """A CPU that goes and comes back still gets its events."""
    guest.load("platform", "xenbus")
    guest.sh("echo 0 >/sys/devices/system/cpu/cpu1/online")
    assert guest.sh("xenstore-read domid")
    guest.sh("echo 1 >/sys/devices/system/cpu/cpu1/online")
    irq = guest.sh("awk '/xenstore/ {sub(\":\", \"\", $1); print $1}' /proc/interrupts")
    guest.sh(f"echo 2 >/proc/irq/{irq}/smp_affinity")
    events = "awk '/xenstore/ {print $3}' /proc/interrupts"
    before = int(guest.sh(events))
    for _ in range(5):
        assert guest.sh("xenstore-read domid")
    assert int(guest.sh(events)) > before


@pytest.mark.fresh
def test_vectors_left_by_an_earlier_driver(guest):
    """Xen goes on using the vCPUs' own vectors: the next load finds that out and uses them, too."""
    guest.load("platform")
    assert guest.platform("upcall") == "callback"
    guest.unload("platform")
    guest.load("platform", platform_upcall="vector")
    guest.unload("platform")
    refused = guest.try_load("platform", "upcall=callback")
    assert refused.code and "upcall=callback is not possible until reboot" in guest.dmesg()
    guest.load("platform", "xenbus")
    assert guest.platform("upcall") == "vector"
    assert guest.sh("xenstore-read domid")
    assert "No irq handler" not in guest.dmesg()


@pytest.mark.slow
@pytest.mark.state(GuestConfig("small", extra="crashkernel=64M"))
def test_no_callback_vector_beside_a_crash_kernel(guest):
    """Where a crash kernel may follow, upcalls are acknowledged at the local APIC."""
    assert "Crash kernel" in guest.read("/proc/iomem")
    guest.load("platform", "xenbus")
    assert guest.platform("upcall") == "vector"
    assert guest.sh("xenstore-read domid")


def timers(guest):
    """Per CPU: the tick device's name, and how often Xen's and the local APIC's timer have interrupted."""
    names = guest.sh("cat /sys/devices/system/clockevents/clockevent?/current_device").split()
    rows = guest.read("/proc/interrupts").splitlines()
    xen, apic = [], []
    for cpu in range(2):
        xen.append(sum(int(row.split()[1 + cpu]) for row in rows if row.endswith(f"pvhvm-timer{cpu}")))
        apic.append(sum(int(row.split()[1 + cpu]) for row in rows if row.split()[0] == "LOC:"))
    return names, xen, apic


def play_ball(guest):
    """Two CPUs wait for each other 500 times."""
    guest.sh("cd /tmp; rm -f there back; mkfifo there back; (timeout 60 taskset -c 1 sh -c 'while read x <&3; do echo $x >&4; done' "
             "3<>there 4<>back &); taskset -c 0 sh -c 'i=0; while [ $i -lt 500 ]; do echo x >&3; read y <&4; "
             "i=$((i + 1)); done' 3<>there 4<>back; rm there back", stall=120)


def test_ticks_by_xens_timer(guest):
    """The kernel's ticks come from Xen while we are there, also on a CPU that went and came back."""
    before = timers(guest)[0]
    guest.load("platform")
    guest.sh("echo 0 >/sys/devices/system/cpu/cpu1/online; echo 1 >/sys/devices/system/cpu/cpu1/online")
    names, xen, apic = timers(guest)
    assert names == ["xen", "xen"]
    guest.sh("for c in 0 1; do timeout 2 taskset -c $c sh -c 'while :; do :; done' & done; wait; sleep 1", stall=60)
    _, xen_after, apic_after = timers(guest)
    for cpu in range(2):
        assert xen_after[cpu] - xen[cpu] > 50
        assert apic_after[cpu] - apic[cpu] < 5
    # CPUs that wait for each other for moments do not set their ticks anew
    saved = guest.numbers("timer")["saved"]
    # on a busy host a moment may be longer than a tick
    for _ in range(5):
        play_ball(guest)
        print("timer:", guest.platform("timer"))
        if guest.numbers("timer")["saved"] - saved > 10:
            break
    assert guest.numbers("timer")["saved"] - saved > 10
    guest.unload("platform")
    assert timers(guest)[0] == before
    guest.sh("sleep 1")
    assert timers(guest)[2][0] > apic_after[0]
    guest.load("platform", platform_timer=0)
    assert timers(guest)[0] == before


def wake_each_other(guest, times):
    """Two tasks on two CPUs, each waiting for the other in turn."""
    guest.sh("rm -f /tmp/there /tmp/back; mkfifo /tmp/there /tmp/back; "
             f"taskset 2 sh -c 'while read -r x; do echo $x; done </tmp/there >/tmp/back' & "
             f"taskset 1 sh -c 'exec 3>/tmp/there 4</tmp/back; i=0; while [ $i -lt {times} ]; do echo $i >&3; read -r x <&4; "
             "[ $x = $i ] || exit 1; i=$((i + 1)); done'", stall=120)


def call_interrupts(guest):
    return sum(int(word) for word in guest.sh("grep -E '^ *(CAL|RES):' /proc/interrupts").split() if word.isdigit())


def test_cpus_interrupt_each_other_by_events(guest):
    """Nearly all wake-ups of an idle CPU; by the kernel's own interrupts when asked for, and after the unload."""
    guest.load("platform", platform_ipi="0")
    guest.sh("true")
    before = call_interrupts(guest)
    wake_each_other(guest, 500)
    assert call_interrupts(guest) - before > 500
    assert guest.numbers("ipis")["events"] == 0
    guest.unload("platform")

    guest.load("platform")
    before = call_interrupts(guest)
    wake_each_other(guest, 500)
    sent = guest.numbers("ipis")
    print(sent, call_interrupts(guest) - before, flush=True)
    assert sent["events"] > 800
    assert call_interrupts(guest) - before < 200
    guest.unload("platform")

    before = call_interrupts(guest)
    wake_each_other(guest, 500)
    assert call_interrupts(guest) - before > 500


def test_unplug_veto(guest):
    """Without a connected twin, or with the emulated card in use, nothing is unplugged."""
    guest.load("platform")
    path = "/sys/bus/pci/drivers/pvhvm-platform/0*/pvhvm/unplug"
    assert re.search(r"^nics present emulated=1 twins=0$", guest.platform("unplug"), re.M)
    refused = guest.try_sh(f"echo nics >$(echo {path})")
    assert refused.code != 0
    assert guest.try_sh(f"echo rubbish >$(echo {path})").code != 0
    assert guest.try_sh(f"echo ide-disks >$(echo {path})").code != 0
    guest.sh("ping -c 1 -W 10 192.168.77.1")
    assert re.search(r"^nics present", guest.platform("unplug"), re.M)


@pytest.mark.wide
@pytest.mark.state("small-pv")
def test_refuses_beside_in_kernel_drivers(guest):
    """A kernel with its own Xen support: one line that says what to do; the guest goes on."""
    # by the alias, as udev does it
    guest.sh("mkdir -p /lib/modules/$(uname -r)/updates; cp /payload/pvhvm_*.ko /lib/modules/$(uname -r)/updates; depmod", stall=120)
    device = guest.sh("grep -l 0x5853 /sys/bus/pci/devices/*/vendor").rpartition("/")[0]
    result = guest.try_sh(f"modprobe $(cat {device}/modalias)")
    assert result.code != 0
    lines = [line for line in guest.dmesg().splitlines() if "pvhvm" in line and "test:" not in line and "taint" not in line]
    assert len(lines) == 1 and "the kernel's own Xen drivers are active; to use these boot with nopv" in lines[0], lines
    assert guest.loaded() == []
    guest.sh("ping -c 1 -W 10 192.168.77.1")
