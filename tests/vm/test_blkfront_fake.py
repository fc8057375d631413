# SPDX-License-Identifier: GPL-2.0-only
"""pvhvm_blkfront against a backend that offers what the stock ones do not, or lies (fakeblkback.py)."""
import pytest

from fake import served
from marks import wide
from test_suspend import check_fio, start_fio

VBD, DEV, QUEUE = "vbd-51888", "/dev/xvdl", "/sys/block/xvdl/queue"
READ, WRITE, BARRIER, FLUSH, DISCARD, INDIRECT = "0", "1", "2", "3", "5", "6"


@pytest.fixture
def fake(guest):
    # the node is there before it can be opened; who can open it has waited for the read for partitions
    yield from served(guest, "fakeblkback.py", VBD[4:], f"device/vbd/{VBD[4:]}", "blkfront",
                      f"[ -b {DEV} ] && true <{DEV}")


def operations(fake):
    """The requests so far; more words of each are in the log: segments or flag, sector, ..."""
    return [words[0] for words in fake.log()]


def write_durably(guest):
    guest.sh(f"dd if=/dev/zero of={DEV} bs=4k count=1 oflag=direct conv=fsync status=none", stall=60)


def test_refused_flush_is_retried_as_barrier(fake):
    """Flushes refused, barriers taken: the same flush goes out as a barrier, later ones at once."""
    fake.start("feature-flush-cache=1", "feature-barrier=1")
    fake.deed(f"refuse {FLUSH}")
    write_durably(fake.guest)
    ops = [op for op in operations(fake) if op in (WRITE, FLUSH, BARRIER)]
    assert ops == [WRITE, FLUSH, BARRIER]
    write_durably(fake.guest)
    assert operations(fake)[-2:] == [WRITE, BARRIER]
    assert fake.guest.read(f"{QUEUE}/write_cache") == "write back"


def test_flush_refused_in_every_way(fake):
    """No flush at all: said once, then a disk without a cache that works on."""
    fake.start("feature-flush-cache=1", "feature-barrier=1")
    fake.deed(f"refuse {FLUSH} {BARRIER}")
    write_durably(fake.guest)
    fake.guest.wait(f"[ \"$(cat {QUEUE}/write_cache)\" = 'write through' ]")
    write_durably(fake.guest)
    assert operations(fake).count(FLUSH) == 1 and operations(fake).count(BARRIER) == 1
    assert "the backend refused" in fake.guest.dmesg()


def test_secure_discard(fake):
    """The granularity is the backend's; a secure discard says that it is one."""
    fake.start("feature-discard=1", "discard-secure=1", "discard-granularity=65536", "discard-alignment=4096")
    guest = fake.guest
    assert guest.read(f"{QUEUE}/discard_granularity") == "65536"
    guest.sh(f"blkdiscard -o 1048576 -l 1048576 {DEV}")
    guest.sh(f"blkdiscard -s -o 2097152 -l 1048576 {DEV}")
    plain, secure = [words for words in fake.log() if words[0] == DISCARD]
    assert plain == [DISCARD, "0", "2048", "2048"] and secure == [DISCARD, "1", "4096", "2048"]
    fake.deed(f"refuse {DISCARD}")
    assert guest.try_sh(f"blkdiscard -s -o 2097152 -l 1048576 {DEV}").code != 0
    guest.sh(f"dd if={DEV} of=/dev/null bs=64k count=4 iflag=direct status=none")


PAGE83 = "AIMADAEDAAhgCrze8AAAAQ=="    # NAA 600abcdef0000001


def test_names(fake):
    """Serial number and world wide name, as two toolstacks tell them."""
    fake.start("'serial= AB 12/3 '", f"sm-data/scsi/0x12/0x83={PAGE83}")
    assert fake.guest.read("/sys/block/xvdl/serial") == "AB_12_3"
    assert fake.guest.read("/sys/block/xvdl/wwid") == "naa.600abcdef0000001"


@pytest.mark.parametrize("deed", ["id", "producer", *wide("twice", "op")])
def test_a_lie_quarantines(fake, deed):
    """A response that answers nothing: what is under way fails, one line says why, nothing hangs."""
    fake.start()
    guest = fake.guest
    guest.sh(f"dd if={DEV} of=/dev/null bs=4k count=4 iflag=direct status=none")
    fake.deed(deed)
    lost = guest.try_sh(f"timeout 60 fio --name=l --filename={DEV} --ioengine=libaio --direct=1 --rw=randread "
                        "--bs=4k --iodepth=8 --size=1M", stall=120)
    assert lost.code not in (0, 124, 143)
    assert guest.device(VBD, "quarantined") != "no"
    assert sum("broke the protocol" in line for line in guest.dmesg().splitlines()) == 1
    assert guest.try_sh(f"dd if={DEV} of=/dev/null bs=4k count=1 iflag=direct", stall=60).code != 0


@pytest.mark.parametrize("trusted", [0, 1])
def test_what_a_backend_sees(fake, trusted):
    """One that is not trusted sees sectors and nothing besides: no neighbours in a page, no earlier use of it."""
    fake.start(f"trusted={trusted}", deed="look")
    # eight buffers of a sector each share a page
    fake.guest.sh(f"fio --name=l --filename={DEV} --ioengine=libaio --direct=1 --rw=randrw --bs=512 --iodepth=32 --size=128k "
                  f"--refill_buffers && dd if={DEV} of=/dev/null bs=64k count=8 status=none", stall=120)
    seen = {tuple(words[1:]) for words in fake.log() if words[0] == "look"}
    if trusted:
        assert (WRITE, "more") in seen
    else:
        assert seen == {(WRITE, "alone"), (READ, "alone")}


@pytest.mark.wide
@pytest.mark.fresh
def test_a_checkpoint_wakes_nobody(fake):
    """A quarantined disk in use fails its readers after a suspend as before, and does not let them wait."""
    fake.start()
    guest = fake.guest
    guest.sh(f"sleep 1000 <{DEV} >/dev/null 2>&1 & echo $! >/tmp/user")
    fake.deed("producer")
    read = f"timeout -s KILL 30 dd if={DEV} of=/dev/null bs=4k count=1 iflag=direct"
    assert guest.try_sh(read, stall=60).code == 1
    assert guest.device(VBD, "quarantined") != "no"
    guest.bed.save_restore(then=None, save="-c")
    assert guest.try_sh(read, stall=60).code == 1
    guest.sh("kill $(cat /tmp/user)")


RICH = ("max-ring-page-order=2", "feature-max-indirect-segments=32", "feature-persistent=1")


def offered(guest):
    """(pages of the ring, segments of a request, persistent grants)"""
    return [guest.device(VBD, name) for name in ("ring_pages", "max_segments", "persistent")]


@pytest.mark.wide
@pytest.mark.fresh
def test_restore_to_another_backend(fake):
    """Requests in flight go out again to a backend with a smaller ring, fewer segments, other grants; and back."""
    guest = fake.guest

    def comes_back_to(*keys):
        """The operations that were asked for before."""
        seen = []

        def between():
            seen.extend(operations(fake))
            fake.stop_backend()
            guest.bed.xl("restore -p /bed/guest.save", stall=600, total=1200)
            fake.launch(*keys)
        start_fio(guest, DEV, 30, size="12M")
        print(guest.bed.save_restore(between=between, then="unpause guest"))
        guest.wait_connected(VBD)
        check_fio(guest)
        return seen

    fake.start(*RICH)
    assert offered(guest) == ["4", "32", "1"]
    assert INDIRECT in comes_back_to()
    assert offered(guest) == ["1", "11", "0"]
    assert INDIRECT not in comes_back_to(*RICH)
    assert offered(guest) == ["4", "32", "1"] and INDIRECT in operations(fake)


def test_silence(fake):
    """A backend that answers nothing any more: the disk can be taken away all the same."""
    fake.start()
    guest = fake.guest
    fake.deed("silence")
    guest.background("dd", f"dd if={DEV} of=/dev/null bs=4k count=1 iflag=direct")
    guest.sh("sleep 2; [ ! -s /tmp/dd.code ]")
    fake.unplug()
    assert guest.outcome("dd", 90) != 0
    guest.wait(f"[ ! -b {DEV} ]", 60)


@pytest.mark.wide
def test_storm(fake):
    """Events for nothing, as fast as a backend can: little of the guest's time, and the disk works."""
    fake.start()
    guest = fake.guest
    sent, cost = fake.storm(10)
    assert sent > 5000 and cost < 0.2
    assert 100 < guest.numbers("ports")["rests"] < 1000
    fake.deed("storm")
    guest.sh(f"dd if={DEV} of=/dev/null bs=4k count=16 iflag=direct status=none", stall=60)
    fake.deed()
    assert sum("events but no work" in line for line in guest.dmesg().splitlines()) == 1
