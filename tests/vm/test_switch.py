# SPDX-License-Identifier: GPL-2.0-only
"""pvhvm switch and status in a live guest."""
import json
import re

import pytest

import guestmodules
from netstat import receive_stream
from test_platform import xen_version
from xenbedlib.guestcfg import GuestConfig

DOM0 = "192.168.77.1"


PING_SECONDS = 0.05


def gaps(bed, log):
    """Of dom0's pings: (seconds between two answers, lost ones in a row), at the most each.

    Lost ones are the outage. Late ones are a busy CPU: the kernel takes an e1000 down with interrupts off
    for dozens of its registers, each a trip to dom0, which in software takes milliseconds.
    """
    seen = [(float(t), int(n)) for t, n in
            re.findall(r"^\[([\d.]+)\] .*bytes from.* icmp_seq=(\d+) ", bed.dom0(f"cat {log}").out, re.M)]
    assert len(seen) > 50, "dom0's pings were hardly answered"
    times, numbers = zip(*seen)
    numbers = sorted(numbers)
    return (max(b - a for a, b in zip(times, times[1:])), max(b - a - 1 for a, b in zip(numbers, numbers[1:])))


def bring_tool(guest, tool):
    guest.bed.push_guest([tool] + guestmodules.libraries_of(tool), dest="/payload/tool")
    guest.sh("printf '#!/bin/sh\\nLD_LIBRARY_PATH=/payload/tool exec /payload/tool/pvhvm \"$@\"\\n' "
             ">/bin/pvhvm; chmod +x /bin/pvhvm")


@pytest.fixture
def switchable(guest, tool):
    """A guest with the modules loaded and the command in place."""
    bring_tool(guest, tool)
    guest.load()
    guest.wait_connected("vif-0")
    return guest


def test_status(switchable):
    status = json.loads(switchable.sh("pvhvm status --json"))
    assert status["xen"]["version"] == xen_version(switchable.bed)[0]
    text = switchable.sh("pvhvm status")
    assert "eth0" in text


def test_wrong_use(switchable):
    for arguments in ("switch --nic nosuch0", "switch --disk /dev/nosuch", "switch --bogus", "nonsense",
                      "bench --disk /dev/sda --overwrite --rounds 0"):
        result = switchable.try_sh(f"pvhvm {arguments}")
        assert result.code != 0, arguments
        assert result.err.strip(), arguments
    switchable.sh(f"ping -c 1 -W 10 {DOM0}")


@pytest.mark.core
@pytest.mark.fresh
def test_live_nic_switch(switchable):
    """Name, address, routes, neighbours and an established TCP connection survive."""
    guest = switchable
    guest.sh("ip route add 10.99.0.0/16 via 192.168.77.1 dev eth0 metric 50; ip link set eth0 mtu 1400; "
             "ip -6 addr add fd77::2/64 dev eth0 nodad; "
             "ip neigh add 192.168.77.99 lladdr 02:00:00:00:00:99 dev eth0 nud permanent")
    # the emulated card's link is down for a moment after a change of its MTU
    guest.wait("ip route | grep -q eth0 && ! { ip route; ip -6 route; } | grep -q linkdown")
    before = guest.sh("ip -o addr show dev eth0 scope global | sed 's/^[0-9]*: //'")
    routes = guest.sh("ip route; ip -6 route show dev eth0 | grep fd77")
    receive_stream(guest)
    guest.sh("(bash -c 'for i in $(seq 150); do echo line $i; sleep 0.2; done "
             f">/dev/tcp/{DOM0}/9000' >/dev/null 2>&1 &)")
    guest.bed.dom0(f"(ping -D -i {PING_SECONDS} 192.168.77.2 >/bed/pings 2>&1 & echo $! >/bed/ping.pid) </dev/null")
    guest.sh("sleep 2")
    out = guest.sh("pvhvm switch --nic eth0 --no-persist", stall=300)
    print(out)
    outage = re.search(r"outage (\d+) ms", out)
    assert outage, out
    assert int(outage[1]) < 1000
    guest.sh("sleep 2")
    guest.bed.dom0("kill -INT $(cat /bed/ping.pid)")
    gap, lost = gaps(guest.bed, "/bed/pings")
    print(f"dom0 had no answer for {gap:.3f} s at the most, of {lost} pings in a row none at all")
    assert lost * PING_SECONDS < 1
    assert gap < 5
    assert guest.sh("readlink -f /sys/class/net/eth0/device").endswith("vif-0")
    assert guest.sh("ip -o addr show dev eth0 scope global | sed 's/^[0-9]*: //'") == before
    assert guest.sh("ip route; ip -6 route show dev eth0 | grep fd77") == routes
    assert guest.read("/sys/class/net/eth0/mtu") == "1400"
    assert "02:00:00:00:00:99" in guest.sh("ip neigh show dev eth0")
    assert re.search(r"^nics unplugged", guest.platform("unplug"), re.M)
    guest.bed.dom0("i=0; until grep -q 'line 150' /bed/stream; do i=$((i + 1)); [ $i -lt 90 ] || exit 1; "
                   "sleep 1; done", stall=120)
    lines = guest.bed.dom0("cat /bed/stream").out.splitlines()
    assert lines == [f"line {n}" for n in range(1, 151)]
    again = guest.try_sh("pvhvm switch --nic eth0")
    assert again.code != 0


@pytest.mark.fresh
def test_rollback_of_each_step(switchable):
    """Whichever step fails, the guest is reachable as before, on its emulated card.

    What fails behind the unplug changes nothing any more: the PV card stays.
    """
    guest = switchable
    steps = 0
    for step in range(1, 40):
        result = guest.try_sh(f"PVHVM_FAIL_STEP={step} pvhvm switch --nic eth0 --no-persist", stall=300)
        steps += 1
        if re.search("^nics unplugged", guest.platform("unplug"), re.M):
            assert result.code == 0 or "stay done" in result.out
            break
        assert result.code != 0
        guest.wait("readlink -f /sys/class/net/eth0/device | grep -q pci", 60)
        guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null", 60)
    assert steps >= 4
    assert guest.sh("readlink -f /sys/class/net/eth0/device").endswith("vif-0")
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null", 60)


@pytest.mark.fresh
def test_subsystem_as_in_xcp_ng(guest, tool, relabel):
    """There QEMU's devices bear Xen's subsystem: they are known, the PV disk is held, and the card changes over."""
    bring_tool(guest, tool)
    guest.bed.push_guest([relabel], dest="/payload/relabel")
    guest.sh("insmod /payload/relabel/relabel.ko")
    assert guest.sh("cat /sys/class/net/eth0/device/subsystem_vendor /sys/block/sda/../../../../../../subsystem_vendor") == "0x5853\n0x5853"
    guest.load()
    guest.wait_connected("vif-0")
    assert guest.pv_nic() == "pv0" and guest.device("vbd-768", "hold") == "1"
    assert re.search(r"^ide-disks present emulated=1", guest.platform("unplug"), re.M)
    print(guest.sh("pvhvm switch --nic eth0 --no-persist", stall=300))
    assert guest.sh("readlink -f /sys/class/net/eth0/device").endswith("vif-0")
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")


def uppers_of(guest):
    """VLAN and macvlan with all they have; a new interface has a new index, and its address may still be probed for."""
    text = guest.sh("for i in eth0.5 mv0; do ip -d link show $i; ip addr show $i; ip route show dev $i; done")
    return sorted(re.sub(r"^\d+: |@\S+|qlen \d+|promiscuity \d+|(min|max)mtu \d+|allmulti \d+|nodad| tentative| *(num|gso|gro|tso)\S* .*", "", line).strip()
                  for line in text.splitlines())


@pytest.mark.fresh
def test_vlan_and_macvlan_on_top(switchable):
    """What stands on the card stands on its twin afterwards, and reaches who it did."""
    guest = switchable
    guest.bed.dom0("ip link add link xenbed0 name xenbed0.5 type vlan id 5; ip addr add 10.5.0.1/24 dev xenbed0.5; "
                   "ip link set xenbed0.5 up; ip addr add 10.40.0.1/24 dev xenbed0")
    guest.sh("modprobe 8021q; modprobe macvlan; ip link add link eth0 name eth0.5 type vlan id 5 egress-qos-map 2:3; "
             "ip link add link eth0 name mv0 address 02:00:00:00:0a:01 type macvlan mode bridge; "
             "ip addr add 10.5.0.2/24 dev eth0.5; ip addr add 10.40.0.2/24 dev mv0; ip link set eth0.5 mtu 1400 up; "
             "ip link set mv0 up; ip route add 10.6.0.0/16 via 10.5.0.1")
    reached = "ping -c 1 -W 2 10.5.0.1 >/dev/null && ping -c 1 -W 2 -I mv0 10.40.0.1 >/dev/null"
    guest.wait(reached)
    before = uppers_of(guest)
    failed = guest.try_sh("PVHVM_FAIL_STEP=8 pvhvm switch --nic eth0 --no-persist", stall=300)
    assert failed.code != 0 and "could not undo" not in failed.err
    assert uppers_of(guest) == before
    guest.wait(reached)
    print(guest.sh("pvhvm switch --nic eth0 --no-persist", stall=300))
    assert uppers_of(guest) == before
    guest.wait(reached)
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")


@pytest.mark.wide
@pytest.mark.fresh
@pytest.mark.state(GuestConfig("small", nics=2))
def test_two_cards(switchable):
    """Both or none: a failure at the second card takes the first one back, too."""
    guest = switchable
    guest.wait_connected("vif-1")
    guest.bed.dom0("ip addr add 10.44.0.1/24 dev xenbed0")
    guest.sh("ip addr add 10.44.0.2/24 dev eth1; ip link set eth1 up")
    reached = f"ping -c 1 -W 2 -I eth0 {DOM0} >/dev/null && ping -c 1 -W 2 -I eth1 10.44.0.1 >/dev/null"
    guest.wait(reached, 60)
    plan = guest.sh("pvhvm switch --nic eth0 --nic eth1 --no-persist --dry-run", stall=120)
    unplug = re.search(r"(\d+)\. unplug the class nics", plan)
    failed = guest.try_sh(f"PVHVM_FAIL_STEP={unplug[1]} pvhvm switch --nic eth0 --nic eth1 --no-persist", stall=300)
    print(failed.out, failed.err)
    assert failed.code != 0
    for n in (0, 1):
        assert "pci" in guest.sh(f"readlink -f /sys/class/net/eth{n}/device")
    guest.wait(reached, 60)
    print(guest.sh("pvhvm switch --nic eth0 --nic eth1 --no-persist", stall=300))
    for n in (0, 1):
        assert guest.sh(f"readlink -f /sys/class/net/eth{n}/device").endswith(f"vif-{n}")
    assert re.search(r"^nics unplugged", guest.platform("unplug"), re.M)
    guest.wait(reached, 60)


@pytest.mark.fresh
@pytest.mark.parametrize("kind", [
    "bond mode active-backup miimon 100",
    pytest.param("bridge forward_delay 0 vlan_filtering 1", marks=pytest.mark.wide),
])
def test_port_of(switchable, kind):
    """The twin takes the card's place in a bond; in a bridge, with the port's VLANs."""
    guest = switchable
    guest.sh(f"modprobe bonding; modprobe bridge; ip link add top0 type {kind}; ip addr flush dev eth0; "
             "ip link set eth0 down; ip link set eth0 master top0; ip link set top0 up; ip link set eth0 up; "
             "ip addr add 192.168.77.2/24 dev top0")
    vlans = "true"
    if "vlan" in kind:
        vlans = "bridge vlan show dev eth0 | tail -n +2"
        guest.sh("for i in 'eth0 vid 5 pvid untagged' 'eth0 vid 7' 'top0 vid 5 pvid untagged self'; do bridge vlan add dev $i || exit; "
                 "done; bridge vlan del dev eth0 vid 1")
        assert "7" in guest.sh(vlans).split()
    before = guest.sh(vlans)
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")
    print(guest.sh("pvhvm switch --nic eth0 --no-persist", stall=300))
    assert guest.sh("readlink -f /sys/class/net/eth0/device").endswith("vif-0")
    assert "master top0" in guest.sh("ip link show eth0")
    assert guest.sh(vlans) == before
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")


@pytest.mark.core
@pytest.mark.fresh
def test_disk_switch(switchable):
    guest = switchable
    guest.sh("mkfs.ext4 -q -F /dev/sda; mkdir -p /mnt/t; mount /dev/sda /mnt/t; echo here >/mnt/t/file", stall=300)
    mounted = guest.try_sh("pvhvm switch --disk /dev/sda --no-persist")
    assert mounted.code != 0
    assert "mount" in mounted.err
    guest.sh("umount /mnt/t")
    undone = guest.try_sh("PVHVM_FAIL_STEP=4+ pvhvm switch --disk /dev/sda --no-persist", stall=300)
    assert undone.code != 0 and "could not undo" not in undone.err
    assert guest.sh("ls -d /sys/block/xvda 2>/dev/null || true") == ""
    guest.sh("mount /dev/sda /mnt/t && grep -q here /mnt/t/file && umount /mnt/t")
    guest.sh("pvhvm switch --disk /dev/sda --no-persist", stall=300)
    assert not guest.try_sh("[ -e /dev/sda ]")
    guest.sh("mount /dev/xvda /mnt/t")
    assert guest.read("/mnt/t/file") == "here"
    guest.sh("umount /mnt/t")


def test_dry_run_changes_nothing(switchable):
    before = switchable.sh("ip -o link; ls /sys/block")
    assert "1" in switchable.sh("pvhvm switch --dry-run")
    assert switchable.sh("ip -o link; ls /sys/block") == before
