# SPDX-License-Identifier: GPL-2.0-only
"""What an administrator does to a guest while it works."""
import os

import pytest

from netstat import serve_iperf
from test_blkfront import switch_by_hand
from test_netfront import DOM0, pv_up
from test_platform import free_kilobytes, lost_kilobytes
from test_suspend import check_fio, check_stream, counts, start_fio, start_stream, unplug_nics

pytestmark = pytest.mark.fresh

RELOADS = int(os.environ.get("PVHVM_RELOADS", "100"))
DRIVER = "/sys/bus/pvhvm/drivers/pvhvm-netfront"
LOAD = (f"(while [ ! -e /tmp/load.stop ]; do iperf3 -c {DOM0} -t 5 >>/tmp/load.out 2>&1 || sleep 0.5; "
        "done; touch /tmp/load.end) >/dev/null 2>&1 &")


def stop_load(guest):
    guest.sh("touch /tmp/load.stop")
    guest.wait("[ -e /tmp/load.end ]", 60)


def books(guest):
    """Grants, ports and watches that are in use; none with nothing above them."""
    return counts(guest) + (guest.numbers("grants")["parked"],)


def interrupts_on(guest, cpu):
    """Events of the card's and the disk's ports that a CPU has handled."""
    return sum(int(line.split()[1 + cpu]) for line in
               guest.sh("grep -E 'pvhvm-event.*(vif|vbd)[0-9]+-q' /proc/interrupts").splitlines())


@pytest.mark.slow
def test_cpu_hotplug_under_load(guest):
    """A CPU goes and comes ten times under network and disk load; its events come back with it."""
    pv_up(guest)
    guest.load("blkfront")
    dev = "/dev/" + switch_by_hand(guest)
    serve_iperf(guest)
    guest.sh(LOAD)
    start_stream(guest)
    start_fio(guest, dev, 60)
    before = counts(guest)
    for _ in range(10):
        guest.sh("echo 0 >/sys/devices/system/cpu/cpu1/online; sleep 1", stall=120)
        guest.sh("echo 1 >/sys/devices/system/cpu/cpu1/online; sleep 1", stall=120)
    seen = interrupts_on(guest, 1)
    guest.sh("sleep 3")
    assert interrupts_on(guest, 1) > seen
    stop_load(guest)
    guest.sh("grep -q ' [1-9][0-9.]* [KMG]bits/sec.*receiver' /tmp/load.out")
    check_fio(guest)
    check_stream(guest, 200)
    assert counts(guest) == before


@pytest.mark.wide
def test_vcpu_set_under_load(guest):
    """'xl vcpu-set' takes a CPU away and gives it back, under network and disk load; what the administrator does stays."""
    online = "/sys/devices/system/cpu/cpu1/online"
    pv_up(guest)
    guest.load("blkfront")
    dev = "/dev/" + switch_by_hand(guest)
    start_stream(guest)
    start_fio(guest, dev, 40)
    before = counts(guest)
    for _ in range(3):
        guest.bed.xl("vcpu-set guest 1")
        guest.wait(f"[ $(cat {online}) = 0 ]")
        guest.bed.xl("vcpu-set guest 2")
        guest.wait(f"[ $(cat {online}) = 1 ]")
    seen = interrupts_on(guest, 1)
    check_fio(guest)
    check_stream(guest, 200)
    assert interrupts_on(guest, 1) > seen
    assert counts(guest) == before
    # said again is not said anew
    guest.sh(f"echo 0 >{online}")
    domid = guest.bed.xl("domid guest").out.strip()
    guest.bed.dom0(f"xenstore-write /local/domain/{domid}/cpu/1/availability online; sleep 2")
    assert guest.read(online) == "0"
    guest.sh(f"echo 1 >{online}")


def test_unbind_bind_under_load(guest):
    """The network driver taken from its device and given back, five times; the connection lives on."""
    guest.bed.dom0("ip link set xenbed0 address 02:00:00:00:77:01")
    guest.sh("ip neigh flush all")
    pv_up(guest)
    unplug_nics(guest)
    serve_iperf(guest)
    guest.sh(LOAD)
    start_stream(guest)
    before = counts(guest)
    for _ in range(5):
        guest.sh(f"echo vif-0 >{DRIVER}/unbind; sleep 0.5", stall=120)
        guest.sh(f"echo vif-0 >{DRIVER}/bind", stall=120)
        guest.wait_connected("vif-0")
        name = guest.pv_nic()
        guest.sh(f"ip addr add 192.168.77.2/24 dev {name}; ip link set {name} up")
        guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")
        guest.sh("sleep 1")
    stop_load(guest)
    check_stream(guest, 100)
    assert counts(guest) == before
    assert guest.numbers("grants")["parked"] == 0


@pytest.mark.slow
def test_all_four_loaded_and_unloaded(guest):
    """A hundred times, and refused while the disk is in use: memory is as before, what was given up is RAM again."""
    guest.load()
    guest.wait_connected("vif-0")
    guest.unload()
    before, alone = free_kilobytes(guest), None
    for turn in range(RELOADS):
        guest.load("platform", "xenbus")
        now = books(guest)
        alone = alone or now
        assert now == alone, f"after {turn} turns"
        guest.load("netfront", "blkfront")
        guest.wait_connected("vif-0")
        if turn == 0:
            dev = "/dev/" + switch_by_hand(guest)
        elif turn % 10 == 0:
            guest.sh("echo 0 >/sys/bus/pvhvm/devices/vbd-768/hold")
            guest.wait(f"[ -b {dev} ]")
        if turn % 10 == 0:
            guest.sh(f"sleep 1000 <{dev} >/dev/null 2>&1 & echo $! >/tmp/user")
            assert guest.try_sh("rmmod pvhvm_blkfront").code, "unloaded while its disk was open"
            guest.sh("kill $(cat /tmp/user)")
        guest.unload("netfront", "blkfront")
        guest.wait("grep -q 'parked 0' /sys/bus/pci/drivers/pvhvm-platform/0*/pvhvm/grants")
        assert books(guest) == alone, f"in turn {turn}"
        guest.unload("xenbus", "platform")
    lost = lost_kilobytes(guest, before)
    print(f"{RELOADS} turns, {lost} kB less free memory", flush=True)
    assert lost < 2048
    assert "left behind" not in guest.dmesg()
