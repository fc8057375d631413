# SPDX-License-Identifier: GPL-2.0-only
"""XDP programs in pvhvm_netfront, against the stock netback in dom0."""
import re

import pytest

import guestmodules
from netstat import DOM0, frontend, grown, serve_iperf, stats, total
from test_netfront import iperf, pv_up, start_iperf

pytestmark = pytest.mark.wide

GUEST = "192.168.77.2"


@pytest.fixture
def xdp(guest):
    """xdp(name, what): a program on the PV card, connected anew where that is needed."""
    guest.bed.push_guest([guestmodules.build_xdptool()])

    def attach(name, what):
        guest.sh(f"/payload/xdptool {name} {what}")
        headroom = "0" if what == "off" else "256"
        key = f"{frontend(guest)}/xdp-headroom"
        guest.bed.dom0(f"i=0; until [ \"$(xenstore-read {key} 2>/dev/null || echo 0)\" = {headroom} ]; do "
                       "i=$((i+1)); [ $i -lt 100 ] || exit 1; sleep 0.2; done", stall=60)
        guest.wait(f"[ \"$(cat /sys/class/net/{name}/carrier)\" = 1 ]")
    return attach


def test_pass(guest, xdp):
    """All that comes is seen by the program, with headroom from the backend, and delivered."""
    name = pv_up(guest)
    xdp(name, "pass")
    assert "xdp" in guest.sh(f"ip link show {name}")
    guest.sh(f"ping -c 3 -W 5 {DOM0}")
    seen = grown(guest, name, lambda: (iperf(guest), iperf(guest, "-R")))
    assert total(seen, "rx_xdp_pass") == total(seen, "rx_packets") > 100
    assert total(seen, "rx_xdp_copied") == 0, "the backend left no headroom"
    assert total(seen, "rx_xdp_unfit") == 0
    assert guest.try_sh(f"ip link set {name} mtu 9000").code, "a packet would not fit the page"
    xdp(name, "off")
    guest.sh(f"ping -c 3 -W 5 {DOM0}")
    assert iperf(guest, "-R") > 1e6
    assert total(stats(guest, name), "breaches") == 0


def test_drop(guest, xdp):
    name = pv_up(guest)
    xdp(name, "drop")
    seen = grown(guest, name, lambda: guest.bed.dom0(f"ping -q -c 10 -i 0.2 -W 1 {GUEST}", check=False))
    assert total(seen, "rx_xdp_drop") >= 3 and total(seen, "rx_packets") == 0
    assert guest.try_sh(f"ping -c 2 -W 1 {DOM0}").code
    xdp(name, "off")
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")


@pytest.mark.core
@pytest.mark.parametrize("what, counter", [("echo", "rx_xdp_tx"), ("bounce", "rx_xdp_redirect")])
def test_answers_from_the_program(guest, xdp, what, counter):
    """Pings answered by XDP_TX and by a redirect; the stack sees none of them."""
    name = pv_up(guest)
    xdp(name, what)
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")
    asked = "grep ^Icmp: /proc/net/snmp | tail -n 1 | cut -d' ' -f10"
    before = guest.sh(asked)
    for size in (56, 1400):
        seen = grown(guest, name, lambda: guest.bed.dom0(f"ping -q -c 10 -i 0.2 -W 5 -s {size} {GUEST}", stall=60))
        assert total(seen, counter) >= 10 and total(seen, "tx_xdp") >= 10
    assert guest.sh(asked) == before, "the stack was asked, too"
    xdp(name, "off")
    guest.sh(f"ping -c 1 -W 5 {DOM0}")


def test_on_every_queue(guest, xdp):
    """Each queue runs the program, and sends what it wants sent from where it ran."""
    name = pv_up(guest)

    def each(seen, counter):
        return [value for key, value in seen.items() if re.fullmatch(rf"q\d+_{counter}", key)]

    xdp(name, "pass")
    seen = grown(guest, name, lambda: iperf(guest, "-R", "-P", "16"))
    assert len(each(seen, "rx_xdp_pass")) == 2 and all(each(seen, "rx_xdp_pass")), seen
    xdp(name, "echo")
    guest.bed.dom0("for n in $(seq 1 16); do ip addr add 192.168.77.$((200 + n))/32 dev xenbed0; done")
    seen = grown(guest, name, lambda: guest.bed.dom0(
        f"for n in $(seq 1 16); do ping -q -c 2 -i 0.2 -W 5 -I 192.168.77.$((200 + n)) {GUEST}; done", stall=120))
    assert all(each(seen, "rx_xdp_tx")), seen
    assert each(seen, "rx_xdp_tx") == each(seen, "tx_xdp")
    guest.bed.dom0("for n in $(seq 1 16); do ip addr del 192.168.77.$((200 + n))/32 dev xenbed0; done")
    xdp(name, "off")


@pytest.mark.fresh
@pytest.mark.state("debian")
def test_stock_program(guest):
    """xdp-filter of Debian's xdp-tools, loaded as a native program, keeps dom0 out and lets it in again."""
    guest.wait("systemctl is-active ifup@eth0.service", 120)
    guest.sh("systemctl mask --now ifup@eth0.service", stall=120)
    name = pv_up(guest)
    guest.sh(f"xdp-filter load -m native -f ipv4 {name}", stall=300)
    shown = guest.sh(f"ip link show {name}")
    assert "xdp" in shown and "xdpgeneric" not in shown, "not a native program"
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")
    guest.sh(f"xdp-filter ip -m src {DOM0}", stall=60)
    seen = grown(guest, name, lambda: guest.try_sh(f"ping -c 5 -i 0.2 -W 1 {DOM0}", stall=60))
    assert total(seen, "rx_xdp_drop") >= 5
    print(guest.sh("xdp-filter status", stall=60))
    guest.sh(f"xdp-filter ip -r -m src {DOM0}", stall=60)
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")
    guest.sh(f"xdp-filter unload {name}", stall=120)
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")
    assert total(stats(guest, name), "breaches") == 0


def test_attach_and_detach_under_traffic(guest, xdp):
    name = pv_up(guest)
    ports = guest.numbers("ports")["used"]
    serve_iperf(guest)
    start_iperf(guest, name, 120, "-R")
    guest.sh(f"(ping -f {DOM0} >/dev/null 2>&1 &)")
    for what in ("pass", "off", "echo", "bounce", "off"):
        xdp(name, what)
        guest.sh("sleep 1")
    guest.sh("killall iperf3 ping; sleep 1")     # they did run until now
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")
    assert total(stats(guest, name), "breaches") == 0
    assert guest.numbers("ports")["used"] == ports
