# SPDX-License-Identifier: GPL-2.0-only
"""pvhvm_netfront against a backend that looks at what it is shown, or lies (fakenetback.py)."""
import re

import pytest

from fake import served
from marks import wide

VIF, MAC, PEER = "vif-7", "00:16:3e:00:00:77", "00:16:3e:00:00:78"
CELL = 256      # bytes of a slot that lives in memory shared for good; netfront.h


@pytest.fixture
def fake(guest):
    yield from served(guest, "fakenetback.py", f"7 {MAC}", "device/vif/7", "netfront",
                      f'[ "$(cat /sys/bus/pvhvm/devices/{VIF}/state 2>/dev/null)" = connected ]')


def up(fake, *keys):
    """The card with an address, and somebody to ping; its name."""
    fake.start(*keys)
    name = fake.guest.pv_nic(VIF)
    fake.guest.sh(f"ip addr add 10.9.9.1/24 dev {name}; ip link set {name} up; "
                  f"ip neigh replace 10.9.9.2 lladdr {PEER} dev {name}")
    return name


def ping(fake, count=3, size=56, interval=0.2):
    return fake.guest.try_sh(f"ping -q -c {count} -i {interval} -W 2 -s {size} 10.9.9.2", stall=60)


def counter(guest, name, what):
    """A counter of ethtool -S, over all queues."""
    return sum(int(n) for n in re.findall(rf"{what}: (\d+)", guest.sh(f"ethtool -S {name}")))


@pytest.mark.parametrize("sg", [0, 1])
def test_packets_of_any_size(fake, sg):
    """Small, whole, fragmented and of several slots: each comes back."""
    name = up(fake, f"feature-sg={sg}")
    for size in (1, 200, 1400, 3000):
        assert ping(fake, size=size).code == 0
    if sg:
        fake.guest.sh(f"ip link set {name} mtu 9000")
        assert ping(fake, size=8900).code == 0
    assert counter(fake.guest, name, "breaches") == 0


@pytest.mark.parametrize("deed", [
    "tx-id", "tx-ahead", "rx-id", "rx-bounds", *wide("tx-twice", "tx-null", "rx-extra", "rx-ahead")])
def test_a_lie_quarantines(fake, deed):
    """A response that cannot be: one line says why, the carrier goes, nothing hangs, unload leaves nothing."""
    name = up(fake)
    guest = fake.guest
    assert ping(fake).code == 0
    fake.deed(deed)
    assert ping(fake).code != 0
    assert guest.device(VIF, "quarantined") != "no"
    assert sum("broke the protocol" in line for line in guest.dmesg().splitlines()) == 1
    assert counter(guest, name, "breaches") == 1
    assert guest.sh(f"cat /sys/class/net/{name}/carrier") == "0"


@pytest.mark.parametrize("deed, counted", [
    ("rx-gso", "rx_drop_malformed"), ("rx-endless", "rx_drop_too_long"),
    *wide(("rx-failed", "rx_drop_backend"), ("rx-empty", "rx_drop_malformed"))])
def test_bad_packets_are_dropped(fake, deed, counted):
    """Within the protocol, but no good: dropped and counted; the next good one arrives."""
    name = up(fake)
    assert ping(fake).code == 0
    fake.deed(deed)
    assert ping(fake, count=25).code != 0
    fake.deed()
    ping(fake, count=1)         # what ends an endless packet is lost with it
    assert ping(fake).code == 0
    assert counter(fake.guest, name, counted) > 0 and counter(fake.guest, name, "breaches") == 0


def test_small_ones_are_answered_first(fake):
    """What somebody waits for is not forgotten behind it: no event is asked for that does not come."""
    name = up(fake)
    # bytes lent out; and, from the next large one on, no limit of the stack's that a small one would wait for
    bql = f"/sys/class/net/{name}/queues/tx-0/byte_queue_limits"
    fake.guest.sh(f"echo 100000 >{bql}/limit_min; sysctl -qw net.ipv6.conf.{name}.disable_ipv6=1")
    assert ping(fake, size=1000).code == 0
    fake.deed("large-last")
    ping(fake, count=1, size=1000)
    assert int(fake.guest.read(f"{bql}/inflight")) > 1000
    ping(fake, count=1, size=20)
    fake.guest.wait(f"grep -qx 0 {bql}/inflight", 10)
    fake.deed()
    assert ping(fake).code == 0


def test_storm(fake):
    """Events for nothing, as fast as a backend can: little of the guest's time, and the card works."""
    up(fake)
    # what else the host does only adds to it
    for _ in range(3):
        sent, cost = fake.storm(10)
        assert sent > 5000
        if cost < 0.2:
            break
    assert cost < 0.2
    fake.deed("storm")
    assert ping(fake).code == 0
    fake.deed()
    assert fake.guest.numbers("ports")["rests"] > 100


@pytest.mark.parametrize("trusted", [0, 1])
def test_what_a_backend_sees(fake, trusted):
    """One that is not trusted sees packets and nothing besides: no neighbours in a page, no earlier use of it."""
    up(fake, f"trusted={trusted}", "feature-sg=1")
    # in the first pass through the rings no page holds earlier packets
    assert ping(fake, count=10, size=1400).code == 0
    seen = {tuple(words[::2]) for words in fake.log() if words[0] == "rx" or int(words[1]) > CELL}
    assert {kind for kind, _ in seen} == {"tx", "rx"}
    if trusted:
        assert ("tx", "more") in seen
    else:
        assert seen == {("tx", "alone"), ("rx", "blank")}
    # and when the pages come round again
    assert ping(fake, count=600, size=1400, interval=0.02).code == 0
    seen = {words[2] for words in fake.log() if words[0] == "rx"}
    assert "blank" in seen and ("used" in seen) == bool(trusted)
