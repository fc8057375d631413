# SPDX-License-Identifier: GPL-2.0-only
"""What is measured: each row runs one command somewhere and reads its figure."""
import dataclasses
import json
import statistics
import typing

DOM0 = "192.168.77.1"


@dataclasses.dataclass(frozen=True)
class Row:
    """read(output, seconds) gives the row's value and the work done, in units of 'per'."""
    name: str
    title: str
    unit: str
    higher: bool
    per: str
    command: str
    read: typing.Callable

    @property
    def kind(self):
        return self.name.partition(".")[0]

    def text(self, target, seconds):
        return self.command.format(seconds=seconds, peer=DOM0, **target)


def _received(end):
    return [end[key] for key in ("sum_received", "sum_received_bidir_reverse") if key in end]


def _tcp(output, _seconds):
    """Mbit/s, as the receivers counted them; work in MB."""
    sums = _received(json.loads(output)["end"])
    return sum(s["bits_per_second"] for s in sums) / 1e6, sum(s["bytes"] for s in sums) / 1e6


def _arrived(output):
    """Packets that arrived, and the seconds they took."""
    total = json.loads(output)["end"]["sum"]
    return total["packets"] - total["lost_packets"], total["seconds"]


def _pps(output, _seconds):
    packets, took = _arrived(output)
    return packets / took, packets


def _udp(output, _seconds):
    packets, took = _arrived(output)
    return packets * 1400 * 8 / took / 1e6, packets * 1400 / 1e6


def _trips(output):
    return [float(line.rpartition("time=")[2].split()[0]) * 1000
            for line in output.splitlines() if "time=" in line]


def _rtt(output, _seconds):
    trips = _trips(output)
    return statistics.median(trips), len(trips)


def _rtt99(output, _seconds):
    trips = sorted(_trips(output))
    return trips[int(len(trips) * 0.99)], len(trips)


def _trip_rate(output, seconds):
    trips = _trips(output)
    return len(trips) / seconds, len(trips)


def _sides(output):
    """fio's read and write side of all jobs together."""
    jobs = json.loads(output[output.index("{"):])["jobs"]
    return [job[side] for job in jobs for side in ("read", "write")]


def _iops(output, _seconds):
    sides = _sides(output)
    return sum(s["iops"] for s in sides), sum(s["total_ios"] for s in sides)


def _bandwidth(output, _seconds):
    sides = _sides(output)
    return sum(s["bw_bytes"] for s in sides) / 1e6, sum(s["io_bytes"] for s in sides) / 1e6


def _iperf(options):
    return "iperf3 -J -c {peer} -B {address} -t {seconds} --connect-timeout 10000 " + options


def _ping(options):
    # replies to the guest's pings; the first answers ARP as well and is not counted
    return "ping -n -I {address} -w {seconds} " + options + " {peer} | tail -n +3"


def _fio(options):
    return ("fio --name=b --filename={disk} --direct=1 --time_based --runtime={seconds} --thread "
            "--group_reporting --randrepeat=0 --output-format=json " + options)


ROWS = (
    Row("net.tcp_tx", "TCP, guest sends", "Mbit/s", True, "MB", _iperf(""), _tcp),
    Row("net.tcp_rx", "TCP, guest receives", "Mbit/s", True, "MB", _iperf("-R"), _tcp),
    Row("net.tcp_tx_p4", "TCP, guest sends, 4 streams", "Mbit/s", True, "MB", _iperf("-P 4"), _tcp),
    Row("net.tcp_rx_p4", "TCP, guest receives, 4 streams", "Mbit/s", True, "MB", _iperf("-P 4 -R"), _tcp),
    Row("net.tcp_bidir", "TCP, both ways at once", "Mbit/s", True, "MB", _iperf("--bidir"), _tcp),
    Row("net.udp_pps_tx", "UDP 64 bytes, guest sends", "packets/s", True, "packet", _iperf("-u -b 0 -l 64"), _pps),
    Row("net.udp_pps_rx", "UDP 64 bytes, guest receives", "packets/s", True, "packet",
        _iperf("-u -b 0 -l 64 -R"), _pps),
    Row("net.udp_1400_tx", "UDP 1400 bytes, guest sends", "Mbit/s", True, "MB", _iperf("-u -b 0 -l 1400"), _udp),
    Row("net.udp_1400_rx", "UDP 1400 bytes, guest receives", "Mbit/s", True, "MB",
        _iperf("-u -b 0 -l 1400 -R"), _udp),
    Row("net.rtt", "Round trip, median", "us", False, "trip", _ping("-i 0.01"), _rtt),
    Row("net.rtt_p99", "Round trip, 99th of 100", "us", False, "trip", _ping("-i 0.01"), _rtt99),
    Row("net.trips", "Round trips, one after the other", "trips/s", True, "trip", _ping("-A"), _trip_rate),
    Row("disk.randread_4k_qd1", "Random read 4k, depth 1", "IOPS", True, "request",
        _fio("--rw=randread --bs=4k --ioengine=psync"), _iops),
    Row("disk.randwrite_4k_qd1", "Random write 4k, depth 1", "IOPS", True, "request",
        _fio("--rw=randwrite --bs=4k --ioengine=psync"), _iops),
    Row("disk.randread_4k_qd32", "Random read 4k, depth 32", "IOPS", True, "request",
        _fio("--rw=randread --bs=4k --ioengine=libaio --iodepth=32"), _iops),
    Row("disk.randwrite_4k_qd32", "Random write 4k, depth 32", "IOPS", True, "request",
        _fio("--rw=randwrite --bs=4k --ioengine=libaio --iodepth=32"), _iops),
    Row("disk.randread_4k_j4", "Random read 4k, 4 jobs of depth 8", "IOPS", True, "request",
        _fio("--rw=randread --bs=4k --ioengine=libaio --iodepth=8 --numjobs=4"), _iops),
    Row("disk.randwrite_4k_j4", "Random write 4k, 4 jobs of depth 8", "IOPS", True, "request",
        _fio("--rw=randwrite --bs=4k --ioengine=libaio --iodepth=8 --numjobs=4"), _iops),
    Row("disk.mixed_4k_qd32", "Random 4k, 70 % reads, depth 32", "IOPS", True, "request",
        _fio("--rw=randrw --rwmixread=70 --bs=4k --ioengine=libaio --iodepth=32"), _iops),
    Row("disk.fsync_4k", "Random write 4k, fsync after each", "IOPS", True, "request",
        _fio("--rw=randwrite --bs=4k --ioengine=psync --fsync=1"), _iops),
    Row("disk.read_1m_qd4", "Sequential read 1M, depth 4", "MB/s", True, "MB",
        _fio("--rw=read --bs=1m --ioengine=libaio --iodepth=4"), _bandwidth),
    Row("disk.write_1m_qd4", "Sequential write 1M, depth 4", "MB/s", True, "MB",
        _fio("--rw=write --bs=1m --ioengine=libaio --iodepth=4"), _bandwidth),
)


def chosen(words):
    """The rows of a list of names and kinds (net, disk); ValueError names what is unknown."""
    if not words:
        return list(ROWS)
    unknown = [w for w in words if not any(w in (row.name, row.kind) for row in ROWS)]
    if unknown:
        raise ValueError(f"no row {', '.join(unknown)}; there are net, disk, {', '.join(r.name for r in ROWS)}")
    return [row for row in ROWS if row.name in words or row.kind in words]
