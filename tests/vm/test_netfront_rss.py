# SPDX-License-Identifier: GPL-2.0-only
"""Receive steering over the control ring, against the stock netback in dom0."""
import pytest

from netstat import FAR, far_host, grown, stats, total
from test_netfront import iperf, pv_up

GUEST = "192.168.77.2"
KEY = bytes((37 * i + 11) & 0xff for i in range(40))


def toeplitz(key, data):
    """The hash that xen/io/netif.h describes."""
    window = int.from_bytes(key, "big")
    bits = len(key) * 8
    value = 0
    for n in range(len(data) * 8):
        if data[n // 8] & 0x80 >> n % 8:
            value ^= window >> (bits - 32 - n) & 0xffffffff
    return value


def address(text):
    return bytes(int(part) for part in text.split("."))


@pytest.mark.wide
def test_table_and_key(guest):
    name = pv_up(guest, netfront_max_queues=2)
    shown = guest.sh(f"ethtool -x {name}")
    # without hashing there is no function to show, and ethtool says so in its way
    assert "with 2 RX ring" in shown and "toeplitz: on" not in shown

    for weight, busy, idle in (("1 0", 0, 1), ("0 1", 1, 0)):
        guest.sh(f"ethtool -X {name} weight {weight}")
        seen = grown(guest, name, lambda: iperf(guest, "-R", "-P", "4"))
        assert seen[f"q{busy}_rx_packets"] > 100 and seen[f"q{idle}_rx_packets"] < 20, weight
    assert "toeplitz: on" in guest.sh(f"ethtool -x {name}")

    guest.sh(f"ethtool -X {name} equal 2; ethtool -X {name} hkey {':'.join(f'{b:02x}' for b in KEY)}")
    shown = guest.sh(f"ethtool -x {name}")
    assert KEY.hex(":") in shown
    with far_host(guest) as far:
        want = [0, 0]
        for n in range(6):
            source = FAR[:-3] + str(150 + n)
            far(f"ip addr add {source}/24 dev far1")
            want = [0, 0]
            want[toeplitz(KEY, address(source) + address(GUEST)) % 128 % 2] = 10
            seen = grown(guest, name, lambda: far(f"ping -q -c 10 -i 0.1 -I {source} {GUEST}", stall=60))
            for queue in (0, 1):
                assert want[queue] <= seen[f"q{queue}_rx_packets"] < want[queue] + 8, (source, queue)
    guest.sh(f"ethtool -K {name} rxhash off")
    assert "toeplitz: on" not in guest.sh(f"ethtool -x {name}")
    guest.sh("ping -c 1 -W 5 192.168.77.1")
    assert total(stats(guest, name), "breaches") == 0
