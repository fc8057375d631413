# SPDX-License-Identifier: GPL-2.0-only
"""Backends that lie by chance, round after round, each from a seed of its own.

PVHVM_FUZZ_MINUTES (default 60) is how long both kinds take together, PVHVM_FUZZ_SEED the first
round's seed (default: the time). A round's seed is printed before it begins; that number as
PVHVM_FUZZ_SEED and a minute or less make the same round again.
"""
import os
import random
import time

import pytest

from fake import Fake

MINUTES = float(os.environ.get("PVHVM_FUZZ_MINUTES", "60"))
SEED = int(os.environ.get("PVHVM_FUZZ_SEED", time.time()))
MAC = "00:16:3e:00:00:77"
NUMBERS = ("0", "1", "3", "4095", "4096", "65536", "2147483648", "4294967295", "18446744073709551615", "-1", "junk", "''")

BLK = ("sectors", "sector-size", "physical-sector-size", "feature-persistent", "feature-flush-cache", "feature-barrier",
       "feature-max-indirect-segments", "max-ring-page-order", "multi-queue-max-queues", "discard-granularity",
       "discard-alignment", "feature-discard", "info", "mode")
NET = ("feature-sg", "feature-gso-tcpv4", "feature-rx-copy", "feature-no-csum-offload", "feature-ipv6-csum-offload",
       "multi-queue-max-queues", "feature-multicast-control", "feature-dynamic-multicast-control", "carrier", "mtu",
       "feature-xdp-headroom", "trusted")

# what is done while it lies; how that ends does not matter, that it ends does
LOAD = {
    "blk": "[ ! -b /dev/xvdl ] || timeout -s KILL 20 fio --name=f --filename=/dev/xvdl --ioengine=libaio --direct=1 --rw=randrw "
           "--bs=4k --iodepth=8 --runtime=4 --time_based --size=4M",
    "net": "name=$(ls /sys/bus/pvhvm/devices/vif-7/net 2>/dev/null); [ -z \"$name\" ] || { "
           "ip addr add 10.9.9.1/24 dev $name; ip link set $name up; ip neigh replace 10.9.9.2 lladdr 00:16:3e:00:00:78 dev $name; "
           "timeout -s KILL 20 ping -q -f -w 4 -s 1400 10.9.9.2; }",
}
FAKE = {
    "blk": ("fakeblkback.py", "51888", "device/vbd/51888", "blkfront", "true"),
    "net": ("fakenetback.py", f"7 {MAC}", "device/vif/7", "netfront", "true"),
}


def one_round(fake, kind, seed):
    some = random.Random(seed)
    names = some.sample(BLK if kind == "blk" else NET, some.choice((0, 0, 0, 1, 2)))
    keys = [f"{name}={some.choice(NUMBERS)}" for name in names]
    percent = some.choice((1, 5, 20, 50))
    print(f"{kind} seed {seed}: {percent} % {' '.join(keys)}", flush=True)
    guest = fake.guest
    guest.load(fake.module)
    fake.launch(*keys, deed=f"fuzz {seed} {percent}")
    guest.sh("sleep 2")
    guest.try_sh(f"{{ {LOAD[kind]}; }} >/dev/null 2>&1", stall=60)
    fake.deed()
    driven = bool(fake.log())
    fake.unplug()
    guest.wait(f"rmmod pvhvm_{fake.module} 2>/dev/null", 60)
    fake.stop_backend()
    return driven


@pytest.mark.fuzz
@pytest.mark.parametrize("kind", ["blk", "net"])
def test_backends_that_lie_by_chance(guest, kind):
    """Nothing hangs, nothing is left behind, and the health check finds nothing in the logs."""
    guest.load("platform", "xenbus")
    before = guest.lent()
    fake = Fake(guest, *FAKE[kind])
    end, seed, driven = time.monotonic() + MINUTES * 30, SEED, 0
    while time.monotonic() < end:
        driven += one_round(fake, kind, seed)
        guest.settles(before)
        seed += 1
    print(f"{seed - SEED} rounds, {driven} of them with requests")
    assert driven, "no round got as far as a request: this tested nothing"
