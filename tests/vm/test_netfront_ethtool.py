# SPDX-License-Identifier: GPL-2.0-only
"""What pvhvm_netfront shows and lets be set, against the stock netback in dom0."""
import re

import pytest

from netstat import DOM0, backend, far_host, frontend, grown, stats, total
from test_netfront import iperf, pv_up


def combined(guest, name):
    """Queues in use, as ethtool -l has them."""
    return int(re.findall(r"Combined:\s+(\d+)", guest.sh(f"ethtool -l {name}"))[-1])


def test_statistics(guest):
    name = pv_up(guest, netfront_max_queues=2)
    seen = grown(guest, name, lambda: (iperf(guest), iperf(guest, "-R")))
    for counter in ("tx_packets", "tx_slots", "tx_doorbells", "tx_events", "rx_packets", "rx_slots",
                    "rx_events", "polls"):
        assert total(seen, counter), counter
    # netback asks to be told of new pages only when it ran out of them; a fast guest never lets it.
    assert total(seen, "rx_doorbells") + total(seen, "rx_doorbells_saved")
    assert total(seen, "tx_doorbells") < total(seen, "tx_packets")
    assert total(seen, "rx_events") < total(seen, "rx_slots")
    now = stats(guest, name)
    assert now["q0_rx_grants_used"] > 200 and now["q0_rx_posted"] > 100
    assert now["q0_tx_stopped"] == 0
    assert total(now, "breaches") == 0 and total(now, "rx_drop_malformed") == 0
    guest.sh(f"ip link set {name} down")
    assert stats(guest, name)["q0_tx_stopped"] == 3


def test_gro(guest):
    """Packets of one stream that come one by one go up in large pieces; one by one when that is switched off."""
    name = pv_up(guest)
    vif = f"vif{backend(guest).split('/')[-2]}.0"
    guest.bed.dom0(f"ip link set {vif} gso_max_segs 1")
    pieces = {}
    for gro in ("on", "off"):
        guest.sh(f"ethtool -K {name} gro {gro}")
        delivered = "awk '$1 == \"Ip:\" && $3 ~ /^[0-9]+$/ { print $4 - 0 }' /proc/net/snmp"
        before = int(guest.sh(delivered))
        arrived = total(grown(guest, name, lambda: iperf(guest, "-R")), "rx_packets")
        pieces[gro] = arrived / (int(guest.sh(delivered)) - before)
    print(f"packets to a piece: {pieces['on']:.1f}, without GRO {pieces['off']:.2f}")
    assert pieces["on"] > 2 and pieces["off"] < 1.1


@pytest.mark.core
def test_queues_change_live(guest):
    """ethtool -L makes the connection anew with another number of queues."""
    name = pv_up(guest, netfront_max_queues=2)
    ports = guest.numbers("ports")["used"]
    guest.sh(f"(ping -i 0.2 {DOM0} >/dev/null 2>&1 &)")
    for queues in (1, 2, 1, 2):
        guest.sh(f"ethtool -L {name} combined {queues}")
        guest.wait(f"[ $(ls -d /sys/class/net/{name}/queues/tx-* | wc -l) = {queues} ]")
        guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")
        assert combined(guest, name) == queues
    seen = grown(guest, name, lambda: (iperf(guest, "-P", "4"), iperf(guest, "-R", "-P", "4")))
    assert min(seen["q0_tx_packets"], seen["q1_tx_packets"]) > 0 and seen["q0_tx_packets"] + seen["q1_tx_packets"] > 100
    assert guest.numbers("ports")["used"] == ports
    assert guest.try_sh(f"ethtool -L {name} combined 3").code
    assert guest.try_sh(f"ethtool -L {name} combined 0").code
    guest.sh("killall ping")


def test_queues_on_their_cpus(guest):
    """Queue n sends from and interrupts vCPU n; interrupts can be moved."""
    name = pv_up(guest, netfront_max_queues=2)
    irqs = dict(re.findall(r"^\s*(\d+):.*\b(vif0-q\d-[tr]x)$", guest.read("/proc/interrupts"), re.M))
    number = {what: irq for irq, what in irqs.items()}
    for queue in (0, 1):
        assert int(guest.read(f"/sys/class/net/{name}/queues/tx-{queue}/xps_cpus"), 16) == 1 << queue
        for half in ("tx", "rx"):
            irq = number[f"vif0-q{queue}-{half}"]
            assert guest.read(f"/proc/irq/{irq}/effective_affinity_list") == str(queue)
    irq = number["vif0-q0-rx"]
    guest.sh(f"echo 2 >/proc/irq/{irq}/smp_affinity")
    row = rf"^\s*{irq}:\s+(\d+)\s+(\d+)"
    before = re.search(row, guest.read("/proc/interrupts"), re.M).groups()
    guest.sh(f"taskset 1 ping -c 5 -i 0.2 {DOM0}")
    # by their hashes all streams may take the other queue
    for _ in range(8):
        iperf(guest, "-R", "-P", "4")
        after = re.search(row, guest.read("/proc/interrupts"), re.M).groups()
        if after != before:
            break
    assert int(after[1]) > int(before[1]) and int(after[0]) <= int(before[0]) + 1


def test_rings_and_moderation(guest):
    """Fewer upcalls for as many slots with response thresholds; nothing is left lying."""
    name = pv_up(guest, netfront_max_queues=1)
    assert len(re.findall(r"[RT]X:\s+256", guest.sh(f"ethtool -g {name}"))) == 4
    shown = guest.sh(f"ethtool -c {name}")
    assert re.search(r"rx-frames:\s+1\b", shown) and re.search(r"tx-frames:\s+256\b", shown)

    def upcalls():
        seen = grown(guest, name, lambda: iperf(guest, "-R"))
        return seen["q0_rx_events"] / seen["q0_rx_slots"]

    plain = upcalls()
    guest.sh(f"ethtool -C {name} rx-frames 64 rx-usecs 5000 tx-frames 16")
    moderated = upcalls()
    print(f"upcalls per receive slot: {plain:.3f}, moderated {moderated:.3f}")
    assert moderated < plain
    guest.sh(f"ping -c 5 -W 2 {DOM0}")
    assert iperf(guest) > 1e6
    for wrong in ("rx-frames 8 rx-usecs 0", "rx-frames 0", "rx-frames 65", "rx-usecs 10001", "tx-frames 0",
                  "tx-frames 257"):
        assert guest.try_sh(f"ethtool -C {name} {wrong}").code, wrong


@pytest.mark.fresh
def test_mtu(guest):
    """From xenstore at first, then by ip link up to what one packet can carry."""
    guest.bed.dom0(f"xenstore-write {frontend(guest)}/mtu 1400")
    name = pv_up(guest)
    assert guest.read(f"/sys/class/net/{name}/mtu") == "1400"
    assert guest.try_sh(f"ip link set {name} mtu 65522").code
    guest.sh(f"ip link set {name} mtu 65521 && ip link set {name} mtu 9000")
    vif = f"vif{backend(guest).split('/')[-2]}.0"
    guest.bed.dom0(f"ip link set {vif} mtu 9000; ip link set xenbed0 mtu 9000")
    guest.sh(f"ping -c 3 -W 5 -M do -s 8972 {DOM0}")
    seen = grown(guest, name, lambda: (iperf(guest), iperf(guest, "-R")))
    assert total(seen, "tx_packets") and total(seen, "rx_drop_too_long") == 0


def test_carrier_follows_the_backend(guest):
    name = pv_up(guest)
    key = f"{backend(guest)}/carrier"
    for value in ("0", "1", "0"):
        guest.bed.dom0(f"xenstore-write {key} {value}")
        guest.wait(f"[ $(cat /sys/class/net/{name}/carrier) = {value} ]")
    guest.bed.dom0(f"xenstore-rm {key}")
    guest.wait(f"[ $(cat /sys/class/net/{name}/carrier) = 1 ]")
    guest.sh(f"ping -c 1 -W 5 {DOM0}")


@pytest.mark.wide
def test_multicast_is_filtered_by_the_backend(guest):
    """Only the groups somebody joined arrive, unless somebody listens to all."""
    name = pv_up(guest)
    key = f"{frontend(guest)}/request-multicast-control"
    with far_host(guest) as far:
        def arrived():
            seen = grown(guest, name, lambda: far("ping -q -c 20 -i 0.05 -W 1 -t 1 -I far1 239.1.2.3; true", check=False))
            return total(seen, "rx_packets")

        guest.wait(f"[ \"$(xenstore read {key.split('/', 4)[-1]})\" = 1 ]")
        assert arrived() < 10
        guest.sh(f"ip maddr add 01:00:5e:01:02:03 dev {name}; sleep 1")
        assert arrived() >= 20
        guest.sh(f"ip maddr del 01:00:5e:01:02:03 dev {name}; sleep 1")
        assert arrived() < 10
        guest.sh(f"ip link set {name} promisc on; sleep 1")
        assert guest.bed.dom0(f"xenstore-read {key}").out.strip() == "0"
        assert arrived() >= 20
        guest.sh(f"ip link set {name} promisc off; sleep 1")
        assert arrived() < 10
        # more groups than the backend can keep: it is not asked to filter
        guest.sh(f"for i in $(seq 70); do ip maddr add 01:00:5e:02:00:$(printf %02x $i) dev {name}; done; sleep 2")
        assert guest.bed.dom0(f"xenstore-read {key}").out.strip() == "0"
        assert arrived() >= 20
        assert total(stats(guest, name), "tx_failed") == 0
