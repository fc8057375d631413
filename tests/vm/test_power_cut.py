# SPDX-License-Identifier: GPL-2.0-only
"""The whole host loses power in the middle of writes: what was acknowledged as durable is there."""
import re
import subprocess

import pytest

from test_blkfront import switch_by_hand

pytestmark = [pytest.mark.wide, pytest.mark.fresh, pytest.mark.own]

BLOCK = 4096
WRITES = 60
# each write is durable before it is said to be, on the console, which outlives the machine
WRITER = """i=0; while [ $i -lt 100000 ]; do
	yes $i | head -c {block} >/tmp/block
	{write} || {{ echo "writer: failed" >/dev/kmsg; exit 1; }}
	echo "durable $i" >/dev/kmsg
	i=$((i + 1))
done"""
NOISE = ("fio --name=n --filename=/dev/xvda --ioengine=libaio --direct=1 --rw=randwrite --bs=4k --iodepth=8 "
         "--offset=128m --size=64m --time_based --runtime=600")


def block(number):
    """What the writer's block of this number is."""
    return (f"{number}\n".encode() * BLOCK)[:BLOCK]


def start_writer(guest, write):
    """Runs the writer until it has said of so many writes that they are durable; it goes on."""
    guest.sh(f"cat >/tmp/writer <<'EOF'\n{WRITER.format(block=BLOCK, write=write)}\nEOF\n"
             "(sh /tmp/writer >/dev/null 2>&1 &)")
    guest.wait(f"dmesg | grep -q 'durable {WRITES}$'", 120)


def disk_after(guest, tmp_path):
    """The guest's disk as dom0's disk has it after the cut, and the last write said to be durable."""
    raw, disk = tmp_path / "dom0.raw", tmp_path / "data0.img"
    guest.bed.cut_power(raw)
    said = [int(n) for n in re.findall(r"\] durable (\d+)$", guest.bed.console(), re.M)]
    # replays the journal, as the next boot of dom0 would
    assert subprocess.run(["e2fsck", "-fp", str(raw)], capture_output=True).returncode in (0, 1)
    subprocess.run(["debugfs", "-R", f"dump /bed/data0.img {disk}", str(raw)], check=True, capture_output=True)
    raw.unlink()
    assert said and max(said) >= WRITES
    return disk, max(said)


@pytest.mark.parametrize("sync", [",fsync", ""])
def test_writes_said_to_be_durable(guest, tmp_path, sync):
    """fsync on the raw disk, beside writes of others; without it writes are lost, or this test shows nothing."""
    guest.load()
    dev = "/dev/" + switch_by_hand(guest)
    if sync:
        guest.background("noise", NOISE)
        guest.wait("[ $(awk '/ xvda / {print $8}' /proc/diskstats) -gt 50 ]")
    start_writer(guest, f"dd if=/tmp/block of={dev} bs={BLOCK} seek=$i oflag=direct conv=notrunc{sync} status=none")
    disk, last = disk_after(guest, tmp_path)
    with open(disk, "rb") as f:
        lost = [n for n in range(last + 1) if f.read(BLOCK) != block(n)]
    if sync:
        assert not lost, f"of {last + 1} writes said to be durable these are not there: {lost}"
    else:
        assert lost


def test_files_said_to_be_durable(guest, tmp_path):
    """Files written with fsync on ext4: the file system is whole and they are in it."""
    guest.load()
    dev = "/dev/" + switch_by_hand(guest)
    guest.sh(f"mke2fs -q -F -t ext4 {dev} 100M && mount {dev} /mnt", stall=120)
    start_writer(guest, f"dd if=/tmp/block of=/mnt/f$i bs={BLOCK} conv=fsync status=none")
    disk, last = disk_after(guest, tmp_path)
    assert subprocess.run(["e2fsck", "-fp", str(disk)], capture_output=True).returncode in (0, 1)
    lost = [n for n in range(last + 1) if
            subprocess.run(["debugfs", "-R", f"cat /f{n}", str(disk)], capture_output=True).stdout != block(n)]
    assert not lost, f"of {last + 1} files said to be durable these are not there: {lost}"
