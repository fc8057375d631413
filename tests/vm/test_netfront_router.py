# SPDX-License-Identifier: GPL-2.0-only
"""A guest between two networks, a PV card in each: what passes through stays whole."""
import contextlib

import pytest

from netstat import domid, stats, total
from xenbedlib.guestcfg import GuestConfig

# a state of its own is booted for it
pytestmark = pytest.mark.wide

SIZE = 4 << 20
DOM0, BEYOND = "192.168.77.1", "10.9.0.2"


@contextlib.contextmanager
def far_network(guest):
    """The second card's backend on a bridge of its own, with a host behind it."""
    vif = f"vif{domid(guest)}.1"
    guest.bed.dom0("ip link add brfar type bridge; ip link set brfar up; "
                   "ip netns add far; ip link add far0 type veth peer name far1; ip link set far1 netns far; "
                   f"ip link set far0 up master brfar; ip link set {vif} master brfar; ip -n far link set far1 up; "
                   "ip -n far link set lo up; head -c 4194304 /dev/urandom >/bed/sent")
    try:
        yield
    finally:
        guest.bed.dom0(f"ip link set {vif} master xenbed0; ip netns del far; ip link del far0 2>/dev/null || true; "
                       "ip link del brfar; ip route del 10.9.0.0/24 2>/dev/null || true; rm -f /bed/sent /bed/got")


def send(guest, server, client, address):
    """A file from one network to the other, compared byte by byte."""
    guest.bed.dom0(f"rm -f /bed/got; ({server} busybox nc -l -p 9000 >/bed/got </dev/null 2>/dev/null &) ; sleep 0.5; "
                   f"{client} bash -c 'cat /bed/sent >/dev/tcp/{address}/9000'", stall=120)
    guest.bed.dom0(f"i=0; until [ $(stat -c %s /bed/got) = {SIZE} ]; do i=$((i+1)); [ $i -lt 150 ] || exit 1; "
                   "sleep 0.2; done; cmp /bed/sent /bed/got", stall=60)


def both_cards(guest):
    guest.load("platform", "xenbus", "netfront")
    for device in ("vif-0", "vif-1"):
        guest.wait_connected(device)
    guest.sh("for i in eth0 eth1; do ip link set $i down; echo 1 >/sys/class/net/$i/device/remove; done")
    return guest.pv_nic("vif-0"), guest.pv_nic("vif-1")


def offloads(guest, names, tx, tso):
    for name in names:
        guest.sh(f"ethtool -K {name} tx {tx} tso {tso} tx-tcp6-segmentation {tso} gro on")
        # the kernel segments by itself what it has to checksum
        segments = "on" if tx == tso == "on" else "off"
        told = guest.sh(f"ethtool -k {name}")
        assert f"tx-checksumming: {tx}\n" in told and f"tx-tcp-segmentation: {segments}" in told, told


def whole(guest, names, far_address, dom0_address):
    far = "ip netns exec far"
    for tx, tso in (("on", "on"), ("on", "off"), ("off", "off")):
        offloads(guest, names, tx, tso)
        send(guest, far, "", far_address)
        send(guest, "", far, dom0_address)
    for name in names:
        numbers = stats(guest, name)
        assert total(numbers, "rx_packets") > 100 and total(numbers, "tx_packets") > 100
        assert total(numbers, "breaches") == 0 and total(numbers, "rx_drop_malformed") == 0


@pytest.mark.fresh
@pytest.mark.state(GuestConfig("small", nics=2))
def test_router(guest):
    """IP forwarding, with every combination of checksum and segmentation offload that there is."""
    names = both_cards(guest)
    guest.sh(f"ip addr add 192.168.77.2/24 dev {names[0]}; ip addr add 10.9.0.1/24 dev {names[1]}; "
             f"ip link set {names[0]} up; ip link set {names[1]} up; echo 1 >/proc/sys/net/ipv4/ip_forward")
    with far_network(guest):
        guest.bed.dom0(f"ip -n far addr add {BEYOND}/24 dev far1; ip -n far route add default via 10.9.0.1; "
                       "ip route add 10.9.0.0/24 via 192.168.77.2")
        guest.wait(f"ping -c 1 -W 2 {BEYOND} >/dev/null")
        whole(guest, names, BEYOND, DOM0)


@pytest.mark.fresh
@pytest.mark.state(GuestConfig("debian", nics=2))
def test_nat(guest):
    """Debian's nftables rewrites addresses and ports both ways: checksums that are not there yet are left so."""
    guest.wait("systemctl is-active ifup@eth0.service && [ -e /sys/class/net/eth1/device/remove ]", 120)
    guest.sh("systemctl mask --now ifup@eth0.service", stall=120)
    names = both_cards(guest)
    guest.sh(f"ip addr add 192.168.77.2/24 dev {names[0]}; ip addr add 10.9.0.1/24 dev {names[1]}; "
             f"ip link set {names[0]} up; ip link set {names[1]} up; echo 1 >/proc/sys/net/ipv4/ip_forward; "
             "nft add table nat; nft 'add chain nat post { type nat hook postrouting priority 100; }'; "
             "nft 'add chain nat pre { type nat hook prerouting priority -100; }'; "
             f"nft add rule nat post oifname {names[0]} masquerade; "
             f"nft add rule nat pre iifname {names[0]} tcp dport 9000 dnat to {BEYOND}", stall=120)
    with far_network(guest):
        guest.bed.dom0(f"ip -n far addr add {BEYOND}/24 dev far1; ip -n far route add default via 10.9.0.1")
        guest.wait("ping -c 1 -W 2 10.9.0.2 >/dev/null")
        # dom0 knows no way to the far network, and it none to dom0's
        whole(guest, names, "192.168.77.2", DOM0)


@pytest.mark.fresh
@pytest.mark.state(GuestConfig("small", nics=2))
def test_bridge(guest):
    """The same through a bridge in the guest."""
    names = both_cards(guest)
    with far_network(guest):
        guest.sh(f"ip link add br0 type bridge; ip link set br0 up; for i in {' '.join(names)}; do "
                 "ip link set $i up master br0; done; ip addr add 192.168.77.2/24 dev br0")
        guest.bed.dom0("ip -n far addr add 192.168.77.100/24 dev far1")
        guest.wait("ping -c 1 -W 2 192.168.77.100 >/dev/null")
        whole(guest, names, "192.168.77.100", DOM0)
