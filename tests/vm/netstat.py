# SPDX-License-Identifier: GPL-2.0-only
"""What the network tests look at and set up around the guest's PV card."""
import contextlib
import re

DOM0 = "192.168.77.1"
FAR = "192.168.77.100"


def stats(guest, name):
    """ethtool -S as a dictionary: q0_tx_packets and so on."""
    text = guest.sh(f"ethtool -S {name}")
    return {key: int(value) for key, value in re.findall(r"(\w+): (\d+)", text)}


def total(numbers, counter):
    """A counter's sum over the queues."""
    return sum(value for key, value in numbers.items() if re.fullmatch(rf"q\d+_{counter}", key))


def grown(guest, name, command):
    """Runs a function; by how much each counter grew meanwhile."""
    before = stats(guest, name)
    command()
    after = stats(guest, name)
    return {key: after[key] - before[key] for key in after}


def listening(port):
    """A command for dom0 that ends when somebody listens there."""
    return f"i=0; until ss -ltn | grep -q ':{port} '; do i=$((i + 1)); [ $i -lt 150 ] || exit 1; sleep 0.2; done"


def serve_iperf(guest):
    guest.bed.dom0(f"pidof iperf3 >/dev/null || iperf3 -s -D; {listening(5201)}", stall=60)


def receive_stream(guest):
    """Whoever connects to dom0's port 9000 has what he sends put into /bed/stream."""
    guest.bed.dom0(f"rm -f /bed/stream; (busybox nc -l -p 9000 >/bed/stream </dev/null 2>&1 &); {listening(9000)}", stall=60)


def domid(guest):
    return guest.bed.xl("domid guest").out.strip()


def backend(guest, number=0):
    """The backend's directory in xenstore."""
    return f"/local/domain/0/backend/vif/{domid(guest)}/{number}"


def frontend(guest, number=0):
    return f"/local/domain/{domid(guest)}/device/vif/{number}"


@contextlib.contextmanager
def far_host(guest):
    """A host of its own on dom0's bridge: packets that come from somewhere else."""
    guest.bed.dom0("ip netns add far; ip link add far0 type veth peer name far1; ip link set far1 netns far; "
                   "ip link set far0 up master xenbed0; "
                   f"ip -n far addr add {FAR}/24 dev far1; ip -n far link set lo up; ip -n far link set far1 up")
    try:
        yield lambda command, **kw: guest.bed.dom0(f"ip netns exec far {command}", **kw)
    finally:
        guest.bed.dom0("ip netns del far; ip link del far0 2>/dev/null || true")
