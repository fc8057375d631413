# SPDX-License-Identifier: GPL-2.0-only
"""pvhvm_blkfront against a backend that offers what the stock ones do not, or lies (fakeblkback.py)."""
import pathlib

import pytest

VBD, DEV, QUEUE = "vbd-51888", "/dev/xvdl", "/sys/block/xvdl/queue"
DIR = pathlib.Path(__file__).parent
READ, WRITE, BARRIER, FLUSH, DISCARD = "0", "1", "2", "3", "5"


class Fake:
    def __init__(self, guest):
        self.guest, self.bed = guest, guest.bed
        self.bed.push_dom0([str(DIR / "fakeblkback.py")], "/run")

    def start(self, *keys):
        domid = self.bed.dom0("xl domid guest").out.strip()
        self.bed.dom0("rm -f /run/fake.deed; : >/run/fake.log; "
                      f"(python3 /run/fakeblkback.py {domid} {VBD[4:]} {' '.join(keys)} >/run/fake.out 2>&1 "
                      "& echo $! >/run/fake.pid) </dev/null")
        # its node is there before it can be opened; who can open it has waited for the read for partitions
        self.guest.wait(f"[ -b {DEV} ] && true <{DEV}", 60)

    def deed(self, text):
        self.bed.dom0(f"echo {text} >/run/fake.deed")

    def log(self):
        """The requests so far, each a list of words: operation, segments or flag, sector, ..."""
        return [line.split() for line in self.bed.dom0("cat /run/fake.log").out.splitlines()]

    def operations(self):
        return [words[0] for words in self.log()]

    def stop(self):
        # a disk that has just come is still being read for partitions
        self.guest.wait("rmmod pvhvm_blkfront 2>/dev/null")
        ended = self.bed.dom0("rm -f /run/fake.deed; i=0; "
                              "while kill -0 $(cat /run/fake.pid) 2>/dev/null; do i=$((i + 1)); "
                              "[ $i -lt 150 ] || { kill $(cat /run/fake.pid); sleep 1; echo did not end; break; }; "
                              "sleep 0.2; done; cat /run/fake.out").out
        # pages that the guest has taken back from a liar cannot be mapped, says libxengnttab
        left = [line for line in ended.splitlines() if not line.startswith("gnttab: error: mmap failed")]
        assert not left, ended
        domid = self.bed.dom0("xl domid guest").out.strip()
        self.bed.dom0(f"xenstore-rm /local/domain/{domid}/device/vbd/{VBD[4:]} 2>/dev/null; true")


@pytest.fixture
def fake(guest):
    guest.load("platform", "xenbus")
    before = guest.numbers("grants")["used"], guest.numbers("ports")["used"]
    guest.load("blkfront")
    it = Fake(guest)
    yield it
    it.stop()
    assert (guest.numbers("grants")["used"], guest.numbers("ports")["used"]) == before


def write_durably(guest):
    guest.sh(f"dd if=/dev/zero of={DEV} bs=4k count=1 oflag=direct conv=fsync status=none", stall=60)


def test_refused_flush_is_retried_as_barrier(fake):
    """Flushes refused, barriers taken: the same flush goes out as a barrier, later ones at once."""
    fake.start("feature-flush-cache=1", "feature-barrier=1")
    fake.deed(f"refuse {FLUSH}")
    write_durably(fake.guest)
    ops = [op for op in fake.operations() if op in (WRITE, FLUSH, BARRIER)]
    assert ops == [WRITE, FLUSH, BARRIER]
    write_durably(fake.guest)
    assert fake.operations()[-2:] == [WRITE, BARRIER]
    assert fake.guest.read(f"{QUEUE}/write_cache") == "write back"


def test_flush_refused_in_every_way(fake):
    """No flush at all: said once, then a disk without a cache that works on."""
    fake.start("feature-flush-cache=1", "feature-barrier=1")
    fake.deed(f"refuse {FLUSH} {BARRIER}")
    write_durably(fake.guest)
    fake.guest.wait(f"[ \"$(cat {QUEUE}/write_cache)\" = 'write through' ]")
    write_durably(fake.guest)
    assert fake.operations().count(FLUSH) == 1 and fake.operations().count(BARRIER) == 1
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


@pytest.mark.parametrize("deed", ["id", "twice", "op", "producer"])
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


def test_silence(fake):
    """A backend that answers nothing any more: the disk can be taken away all the same."""
    fake.start()
    guest = fake.guest
    fake.deed("silence")
    guest.sh(f"(dd if={DEV} of=/dev/null bs=4k count=1 iflag=direct >/tmp/dd.out 2>&1; "
             "echo $? >/tmp/dd.code) </dev/null & sleep 2; [ ! -s /tmp/dd.code ]")
    domid = fake.bed.dom0("xl domid guest").out.strip()
    fake.bed.dom0(f"xenstore-rm /local/domain/{domid}/device/vbd/{VBD[4:]}")
    guest.wait("[ -s /tmp/dd.code ]", 90)
    assert guest.read("/tmp/dd.code") != "0"
    guest.wait(f"[ ! -b {DEV} ]", 60)
