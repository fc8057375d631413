# SPDX-License-Identifier: GPL-2.0-only
"""pvhvm_netfront against the stock netback in dom0."""
import json

import pytest

from marks import wide
from netstat import DOM0, listening, serve_iperf
from xenbedlib.guestcfg import GuestConfig


def pv_up(guest, **params):
    """Takes the emulated card out of the way, for good, and brings its PV twin up; its name."""
    guest.spent = True
    guest.load("platform", "xenbus", "netfront", **params)
    guest.wait_connected("vif-0")
    guest.sh("ip link set eth0 down; echo 1 >/sys/class/net/eth0/device/remove")
    name = guest.pv_nic()
    guest.sh(f"ip addr add 192.168.77.2/24 dev {name}; ip link set {name} up")
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")
    return name


def iperf(guest, *options):
    """One iperf3 run against dom0; bits per second received."""
    serve_iperf(guest)
    for _ in range(20):
        result = guest.try_sh(f"iperf3 -c {DOM0} -t 4 -J {' '.join(options)}", stall=120)
        # the server ends its last test a moment after we have
        if "the server is busy" not in result.out:
            break
        guest.sh("sleep 0.5")
    assert result.code == 0, result.out
    return json.loads(result.out)["end"]["sum_received"]["bits_per_second"]


def test_twin_has_its_own_name(guest):
    """The PV card does not take the emulated one's name before the switch."""
    guest.load("platform", "xenbus", "netfront")
    guest.wait_connected("vif-0")
    name = guest.pv_nic()
    assert name.startswith("pv")
    assert guest.read(f"/sys/class/net/{name}/address") == guest.read("/sys/class/net/eth0/address")
    assert "twins=1" in guest.platform("unplug")
    guest.sh(f"ping -c 1 -W 10 {DOM0}")


@pytest.mark.core
@pytest.mark.parametrize("queues", [*wide(1), 2])
def test_traffic_both_ways(guest, queues):
    name = pv_up(guest, netfront_max_queues=queues)
    assert iperf(guest) > 1e6
    assert iperf(guest, "-R") > 1e6
    assert guest.sh(f"ls -d /sys/class/net/{name}/queues/tx-* | wc -l") == str(queues)
    stats = guest.sh(f"ethtool -S {name}")
    assert "doorbell" in stats


# takes a file from the first who connects, and gives it to the second
STORE = """
import socket
server = socket.create_server(("::", 9000), family=socket.AF_INET6, dualstack_ipv6=True)
got = bytearray()
with server.accept()[0] as line:
    while part := line.recv(1 << 20):
        got += part
open("/bed/got", "wb").write(got)
with server.accept()[0] as line:
    line.sendall(got)
"""


@pytest.mark.core
@pytest.mark.parametrize("offload, peer", [("on", DOM0), *wide(("off", DOM0), ("on", "fd77::1"))])
def test_payload_arrives_whole(guest, offload, peer):
    """Files sent both ways keep their checksum, with offloads on and off, by IPv4 and IPv6."""
    name = pv_up(guest)
    guest.sh(f"ethtool -K {name} tx {offload} tso {offload} gso {offload} gro {offload} sg {offload}")
    offloads = dict(line.strip().split(": ", 1) for line in guest.sh(f"ethtool -k {name} | tail -n +2").splitlines())
    for feature in ("tx-checksumming", "scatter-gather", "tcp-segmentation-offload",
                    "generic-segmentation-offload", "generic-receive-offload"):
        assert offloads[feature].split()[0] == offload, feature
    guest.bed.dom0("ip -6 addr replace fd77::1/64 dev xenbed0 nodad")
    guest.sh(f"ip -6 addr replace fd77::2/64 dev {name} nodad")
    guest.wait(f"ping -c 1 -W 2 {peer} >/dev/null")
    guest.sh("dd if=/dev/urandom of=/tmp/data bs=64k count=200 status=none")
    want = guest.sh("sha256sum </tmp/data")
    guest.bed.dom0("rm -f /bed/got; cat >/bed/store.py; (python3 /bed/store.py >/dev/null 2>&1 </dev/null &); "
                   f"{listening(9000)}",
                   stdin=STORE.encode(), stall=60)
    guest.sh(f"bash -c 'cat /tmp/data >/dev/tcp/{peer}/9000'", stall=120, total=300)
    guest.sh(f"i=0; until bash -c 'cat </dev/tcp/{peer}/9000' >/tmp/back; do i=$((i + 1)); [ $i -lt 20 ]; sleep 0.2; done",
             stall=120, total=300)
    assert guest.bed.dom0("sha256sum </bed/got").out.strip() == want
    assert guest.sh("sha256sum </tmp/back") == want
    guest.bed.dom0("rm -f /bed/got")
    guest.sh("rm -f /tmp/data /tmp/back")


def start_iperf(guest, name, seconds, *options):
    """A stream to dom0 (or from it: -R), in the background; it does run."""
    sent = f"cat /sys/class/net/{name}/statistics/tx_packets"
    before = int(guest.sh(sent))
    guest.sh(f"(iperf3 -c {DOM0} -t {seconds} {' '.join(options)} >/dev/null 2>&1 &)")
    guest.wait(f"[ $({sent}) -gt {before + 200} ]")


def test_down_and_up_under_load(guest):
    name = pv_up(guest)
    serve_iperf(guest)
    start_iperf(guest, name, 8)
    for _ in range(5):
        guest.sh(f"ip link set {name} down; sleep 0.3; ip link set {name} up; sleep 0.7")
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")


@pytest.mark.core
def test_unload_under_load(guest):
    """rmmod with traffic running leaves no grant, port or page behind."""
    guest.load("platform", "xenbus")
    before = guest.lent()
    guest.unload("xenbus", "platform")
    name = pv_up(guest)
    serve_iperf(guest)
    start_iperf(guest, name, 6)
    guest.sh("rmmod pvhvm_netfront", stall=120)
    guest.wait("[ \"$(cut -d' ' -f4 /sys/bus/pci/drivers/pvhvm-platform/0*/pvhvm/grants)\" = 0 ]")
    after = guest.lent()
    assert after == before
    guest.sh("killall iperf3 2>/dev/null || true")


@pytest.mark.fresh
def test_backend_restart(guest):
    """The backend unbound and bound again: the card reconnects by itself."""
    pv_up(guest)
    domid = guest.bed.xl("domid guest").out.strip()
    dev = f"vif-{domid}-0"
    guest.bed.dom0(f"echo {dev} >/sys/bus/xen-backend/drivers/vif/unbind; sleep 1; "
                   f"echo {dev} >/sys/bus/xen-backend/drivers/vif/bind", stall=120)
    guest.bed.dom0(f"i=0; until ip link set vif{domid}.0 master xenbed0 up 2>/dev/null; do i=$((i+1)); "
                   f"[ $i -lt 100 ] || exit 1; sleep 0.2; done; xenstore-write "
                   f"/local/domain/0/backend/vif/{domid}/0/hotplug-status connected")
    guest.wait_connected("vif-0", 60)
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null", 60)


def test_each_probe_step_unwinds(guest):
    guest.load("platform", "xenbus")
    before = guest.lent()
    failed = 0
    for step in range(1, 64):
        guest.sh(f"insmod /payload/pvhvm_netfront.ko fail_step={step}", stall=120)
        guest.sh("sleep 1")
        hit = f"fail_step {step}" in guest.dmesg()
        guest.sh("rmmod pvhvm_netfront", stall=120)
        if not hit:
            break
        failed += 1
    assert failed >= 4, "fail_step reached no step"
    guest.settles(before)
    guest.sh(f"ping -c 1 -W 10 {DOM0}")


@pytest.mark.wide
@pytest.mark.state(GuestConfig("small", nic_model="rtl8139"))
def test_beside_rtl8139(guest):
    assert guest.sh("basename $(readlink -f /sys/class/net/eth0/device/driver)") == "8139cp"
    pv_up(guest)
    assert iperf(guest) > 1e6
