# SPDX-License-Identifier: GPL-2.0-only
"""A guest that is saved, restored, migrated and checkpointed while it works."""
import os
import pathlib
import re
import time

import pytest

from netstat import backend, receive_stream
from test_blkfront import attach_extra, switch_by_hand
from test_netfront import DOM0, pv_up

pytestmark = pytest.mark.fresh

UNPLUG = "$(echo /sys/bus/pci/drivers/pvhvm-platform/0*/pvhvm/unplug)"
HERE = pathlib.Path(__file__).resolve().parent
LINES = 300
SOAK_CYCLES = int(os.environ.get("PVHVM_SOAK_CYCLES", "50"))


def counts(guest):
    """What is open and lent just now."""
    return *guest.lent(), guest.read("/sys/devices/pvhvm/xenstore/watches")


def start_stream(guest, lines=LINES):
    """A TCP connection to dom0, a line of text every fifth of a second."""
    receive_stream(guest)
    guest.sh(f"(bash -c 'for i in $(seq {lines}); do echo line $i; sleep 0.2; done "
             f">/dev/tcp/{DOM0}/9000' >/dev/null 2>&1 &)")
    guest.bed.dom0("i=0; until grep -q 'line 5' /bed/stream; do i=$((i + 1)); [ $i -lt 90 ] || exit 1; "
                   "sleep 0.3; done", stall=60)


def check_stream(guest, lines=LINES):
    """Every line has come, once, in order."""
    guest.bed.dom0(f"i=0; until grep -q 'line {lines}' /bed/stream; do i=$((i + 1)); "
                   "[ $i -lt 300 ] || exit 1; sleep 1; done", stall=120)
    got = guest.bed.dom0("cat /bed/stream").out.splitlines()
    assert got[:lines] == [f"line {n}" for n in range(1, lines + 1)]


def start_fio(guest, dev, seconds, engine="libaio", size="24M"):
    """Writes that are read back and checked, for a while; all in flight at any moment."""
    guest.background("fio", f"fio --name=v --filename={dev} --ioengine={engine} --direct=1 --rw=randwrite --bs=4k-64k "
                            f"--iodepth=16 --size={size} --verify=crc32c --verify_fatal=1 --verify_backlog=64 --randrepeat=0 "
                            f"--time_based --runtime={seconds}")
    guest.wait(f"[ $(awk '/ {dev[5:]} / {{print $8}}' /proc/diskstats) -gt 50 ]")


def check_fio(guest):
    assert guest.outcome("fio", 300) == 0, guest.read("/tmp/fio.out")
    assert not re.search(r"verify:.*bad|error", guest.read("/tmp/fio.out"))


def check_clock(guest, before):
    """The wall clock is as far ahead of dom0's, or behind, as it was; before: what clock_ahead() said.

    Both are to be asked of an idle guest: a busy one takes seconds to say what time it is.
    """
    ahead, doubt = guest.bed.clock_ahead()
    moved = ahead - before[0]
    print(f"wall clock moved by {moved:.2f} s, known to {doubt + before[1]:.2f} s")
    assert abs(moved) < 1, f"the guest's wall clock is {moved:.2f} s off"


def unplug_nics(guest):
    guest.sh(f"echo nics >{UNPLUG}")
    assert re.search(r"^nics unplugged", guest.platform("unplug"), re.M)
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")


def busy_guest(guest, seconds, lines=LINES, **params):
    """Network and disk on PV and at work, the card unplugged, a client with a watch."""
    # its own choice is the lowest of its ports', which come and go
    guest.bed.dom0("ip link set xenbed0 address 02:00:00:00:77:01")
    guest.sh("ip neigh flush all")
    name = pv_up(guest)
    unplug_nics(guest)
    guest.load("blkfront", **params)
    dev = "/dev/" + switch_by_hand(guest)
    guest.sh("(xenstore-watch -n 100000 data/pvhvm-watched >/tmp/watched 2>&1 &)")
    guest.wait("grep -q . /tmp/watched")
    start_stream(guest, lines)
    start_fio(guest, dev, seconds)
    return name


def check_watch(guest):
    """The client's watch is set in the new domain, too."""
    domid = guest.sh("xenstore-read domid")
    seen = int(guest.sh("wc -l </tmp/watched"))
    guest.bed.dom0(f"xenstore-write /local/domain/{domid}/data/pvhvm-watched {time.time()}")
    guest.wait(f"[ $(wc -l </tmp/watched) -gt {seen} ]")


def check_life(guest, name, before, lines=LINES):
    guest.wait_connected("vif-0")
    guest.wait_connected("vbd-768")
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")
    check_watch(guest)
    check_stream(guest, lines)
    check_fio(guest)
    assert counts(guest) == before
    assert guest.numbers("grants")["parked"] == 0
    assert re.search(r"^nics unplugged", guest.platform("unplug"), re.M)
    assert guest.sh("ls -d /sys/class/net/*/device").split() == [f"/sys/class/net/{name}/device"]


def check_carrier(guest, name):
    """It is the new backend's carrier that the card follows."""
    for value in "01":
        guest.bed.dom0(f"xenstore-write {backend(guest)}/carrier {value}")
        guest.wait(f"[ $(cat /sys/class/net/{name}/carrier) = {value} ]")


def watch_time(guest):
    """Notes in the guest whether monotonic time turns back or leaps, until /tmp/time.stop is there."""
    guest.sh("(last=0; while [ ! -e /tmp/time.stop ]; do read -r now _ </proc/uptime; now=${now%.*}${now#*.}; "
             "[ $now -ge $last ] || echo back $last $now; [ $last = 0 ] || [ $now -lt $((last + 1000)) ] || "
             "echo leap $last $now; last=$now; sleep 0.05; done >/tmp/time.bad 2>&1; echo end >>/tmp/time.bad) "
             ">/dev/null 2>&1 &")


def check_time(guest):
    guest.sh("touch /tmp/time.stop")
    guest.wait("grep -q end /tmp/time.bad")
    assert guest.read("/tmp/time.bad") == "end"


@pytest.mark.parametrize("evtchn, clock", [("2l", "xen"),
                                           # the default, which test_save_restore uses under load
                                           pytest.param("fifo", "its own choice", marks=pytest.mark.slow)])
def test_bare(guest, evtchn, clock):
    """Platform and xenbus alone come back: events, xenstore, features, clock."""
    guest.load("platform", "xenbus", platform_evtchn=evtchn)
    source = "/sys/devices/system/clocksource/clocksource0/current_clocksource"
    if clock == "xen":
        guest.sh(f"echo xen >{source}")
    clock = guest.read(source)
    print("clocksource", clock)
    watch_time(guest)
    domid = guest.sh("xenstore-read domid")
    assert guest.sh("xenstore-read control/feature-suspend") == "1"
    before, clocks = counts(guest), guest.bed.clock_ahead()
    print(guest.bed.save_restore())
    assert guest.platform("resumes") == "1"
    assert guest.sh("xenstore-read domid") != domid
    assert guest.platform("evtchn_abi") == evtchn
    assert counts(guest) == before
    assert guest.sh("xenstore-read control/feature-suspend") == "1"
    check_time(guest)
    check_clock(guest, clocks)
    assert guest.read(source) == clock
    guest.sh("echo 0 >/sys/devices/system/cpu/cpu1/online && xenstore-read domid && "
             "echo 1 >/sys/devices/system/cpu/cpu1/online && xenstore-read domid")
    assert guest.read("/sys/devices/system/cpu/online") == "0-1"
    guest.unload("xenbus", "platform")


def comes_back(guest, away):
    """Disk and network at work, away and back in a new domain: nothing lost, nothing left, everything goes on."""
    clocks = guest.bed.clock_ahead()
    name = busy_guest(guest, 60)
    before = counts(guest)
    print(away())
    assert guest.platform("resumes") == "1"
    check_life(guest, name, before)
    check_clock(guest, clocks)
    check_carrier(guest, name)


@pytest.mark.core
def test_save_restore(guest):
    """Saved and restored while it works."""
    comes_back(guest, guest.bed.save_restore)
    # the emulated card stays away: a look at the bus does not bring it back
    guest.sh("echo 1 >/sys/bus/pci/rescan; sleep 1")
    assert "eth0" not in guest.sh("ls /sys/class/net").split()


@pytest.mark.slow
def test_checkpoint(guest):
    """xl save -c: the guest goes on in the same domain with the same rings."""
    clocks = guest.bed.clock_ahead()
    name = busy_guest(guest, 60)
    domid = guest.sh("xenstore-read domid")
    before = counts(guest)
    print(guest.bed.save_restore(then=None, save="-c"))
    assert guest.platform("resumes") == "0"
    assert guest.sh("xenstore-read domid") == domid
    assert "suspend cancelled" in guest.dmesg()
    check_life(guest, name, before)
    check_clock(guest, clocks)


@pytest.mark.slow
def test_save_that_fails(guest):
    """No room for the file: the toolstack lets the guest go on, and can try again."""
    name = busy_guest(guest, 90)
    before = counts(guest)
    guest.bed.dom0("touch /bed/guest.save; mount -t tmpfs -o size=16M save /mnt; "
                   "touch /mnt/save; mount --bind /mnt/save /bed/guest.save")
    print(guest.bed.save_restore(check=False))
    assert guest.platform("resumes") == "0"
    guest.bed.dom0("umount /bed/guest.save; umount /mnt")
    print(guest.bed.save_restore())
    assert guest.platform("resumes") == "1"
    check_life(guest, name, before)


# a restored guest gets all of its CPUs back from xl
AS_THE_TOOLSTACK_WANTS = ("n=0; for i in $(xenstore-list cpu); do [ $(xenstore-read cpu/$i/availability) != online ] || n=$((n + 1)); "
                          "done; [ $(grep -c ^processor /proc/cpuinfo) = $n ]")


@pytest.mark.wide
def test_disk_taken_away_before_it_runs(guest):
    """The toolstack detaches a disk of a guest that is restored and still paused: what was being written fails, and ends."""
    guest.load()
    attach_extra(guest)
    guest.sh("(while [ -b /dev/xvdx ] && dd if=/dev/zero of=/dev/xvdx bs=64k count=1024 oflag=direct; do :; done; echo over >/tmp/dd.over) >/dev/null 2>&1 &")
    guest.wait("[ $(awk '$3 == \"xvdx\" { print $8 }' /proc/diskstats) -gt 50 ]")
    assert not guest.try_sh("[ -e /tmp/dd.over ]")

    def between():
        guest.bed.xl("restore -p /bed/guest.save", stall=600, total=1200)
        guest.bed.xl("block-detach guest xvdx", check=False, stall=120, total=300)
    print(guest.bed.save_restore(between=between, then="unpause guest"))
    guest.wait("[ -e /tmp/dd.over ] && [ ! -b /dev/xvdx ]", 60)
    assert "not resumed" in guest.dmesg()
    guest.sh("rm /tmp/dd.over; dd if=/dev/sda of=/dev/null bs=64k count=4 iflag=direct 2>/dev/null")


@pytest.mark.wide
@pytest.mark.fresh
def test_cpus_go_while_it_is_saved(guest):
    """The toolstack's wish for CPUs and a suspend at once: neither waits for the other for ever, both come true."""
    busy_guest(guest, 90, blkfront_max_queues=2)
    for _ in range(3):
        guest.bed.xl("vcpu-set guest 1")
        guest.bed.save_restore()
        guest.wait_connected("vif-0")
        guest.wait_connected("vbd-768")
        guest.wait(AS_THE_TOOLSTACK_WANTS)
    assert "CPU 1 is offline, as the toolstack wants" in guest.dmesg()
    check_fio(guest)


@pytest.mark.wide
def test_migrate(guest):
    """Live, to the host it is on: memory is copied while it works, and a new domain goes on."""
    comes_back(guest, guest.bed.migrate)


@pytest.mark.wide
def test_restore_while_xenstored_is_silent(guest):
    """A minute without an answer in the new domain: disk and card wait for it, and go on."""
    guest.bed.push_dom0([str(HERE / "silence.py")], "/run")
    guest.load("platform", "xenbus", xenbus_request_timeout="5")
    guest.load("netfront", "blkfront")
    guest.wait_connected("vif-0")
    dev = "/dev/" + switch_by_hand(guest)
    start_fio(guest, dev, 30)
    before = counts(guest)
    guest.bed.save_restore(then="restore -p /bed/guest.save && python3 /run/silence.py $(xl domid guest) 75")
    guest.wait_connected("vbd-768", 60)
    guest.wait_connected("vif-0", 60)
    check_fio(guest)
    assert counts(guest) == before
    assert "not resumed" not in guest.dmesg()


def offers(guest, queues, persistent):
    """What dom0's backends offer to those that connect from now on."""
    guest.bed.dom0(f"cd /sys/module; echo {queues} | tee xen_netback/parameters/max_queues "
                   f">xen_blkback/parameters/max_queues; echo {persistent} >xen_blkback/parameters/feature_persistent")


def negotiated(guest, name):
    """(queues of the card, rings of the disk, its persistent grants)"""
    return (guest.sh(f"ls /sys/class/net/{name}/queues | grep -c tx"),
            guest.device("vbd-768", "queues"), guest.device("vbd-768", "persistent"))


@pytest.mark.wide
@pytest.mark.own
def test_restore_where_less_is_offered(guest):
    """Fewer queues and rings, no persistent grants: frontends negotiate from scratch; and back again."""
    name = busy_guest(guest, 60, blkfront_max_queues=2)
    # one more, so that every CPU has requests in flight, and every hardware queue of the disk
    guest.background("other", "fio --name=o --filename=/dev/xvda --offset=64M --size=24M --ioengine=libaio --direct=1 --rw=randwrite --bs=4k "
                              "--iodepth=16 --verify=crc32c --verify_fatal=1 --verify_backlog=64 --cpus_allowed=1 --time_based --runtime=60")
    before, full = counts(guest), negotiated(guest, name)
    print(guest.bed.save_restore(between=lambda: offers(guest, 1, "N")))
    guest.wait_connected("vif-0")
    guest.wait_connected("vbd-768")
    assert full[1] == "2"
    assert negotiated(guest, name) == ("1", "1", "0")
    check_stream(guest)
    check_fio(guest)
    assert guest.outcome("other", 300) == 0, guest.read("/tmp/other.out")
    start_stream(guest)
    start_fio(guest, "/dev/xvda", 60)
    print(guest.bed.save_restore(between=lambda: offers(guest, 4, "Y")))
    check_life(guest, name, before)
    assert negotiated(guest, name) == full


@pytest.mark.wide
def test_outage_of_a_restore(guest):
    """From the moment the toolstack lets the domain run, the network is back within 1.5 s."""
    pv_up(guest)
    unplug_nics(guest)
    guest.bed.dom0("(ping -D -i 0.05 192.168.77.2 >/bed/pings 2>&1 & echo $! >/bed/ping.pid) </dev/null")
    # 'xl' itself takes a while before and after
    guest.bed.save_restore(then="restore -p /bed/guest.save && date +%s.%N >/bed/asked && xl unpause guest && "
                                "date +%s.%N >/bed/let-go")
    guest.wait_connected("vif-0")
    guest.bed.dom0("sleep 1; kill -INT $(cat /bed/ping.pid)")
    asked, let_go = map(float, guest.bed.dom0("cat /bed/asked /bed/let-go").out.split())
    replies = [float(t) for t in re.findall(r"^\[([\d.]+)\] .* time=", guest.bed.dom0("cat /bed/pings").out, re.M)]
    back = min(t for t in replies if t > asked)
    print(f"network back {back - asked:.2f} s after 'xl unpause' began, {back - let_go:.2f} s after it ended")
    assert back - asked < 1.5


@pytest.mark.fresh
def test_durable_writes_go_on(guest):
    """Writes that are said to be durable one by one, each followed by a flush of its own, and no scheduler to hold them."""
    guest.load()
    dev = "/dev/" + switch_by_hand(guest)
    guest.sh("echo none >/sys/block/xvda/queue/scheduler")
    assert guest.read("/sys/block/xvda/queue/write_cache") == "write back"
    guest.background("fio", f"fio --name=d --filename={dev} --ioengine=psync --sync=1 --direct=1 --rw=randwrite --bs=4k "
                            "--numjobs=8 --size=8M --offset_increment=8M --verify=crc32c --verify_fatal=1 --verify_backlog=64 "
                            "--randrepeat=0 --time_based --runtime=60")
    guest.wait("[ $(awk '/ xvda / {print $8}' /proc/diskstats) -gt 50 ]")
    before = counts(guest)
    guest.bed.save_restore(then=None, save="-c")
    guest.bed.save_restore()
    guest.wait_connected("vbd-768")
    check_fio(guest)
    assert counts(guest) == before


def ide_registers(guest):
    """What the emulated IDE controller decodes, and where: command and BARs."""
    return guest.sh("for dev in /sys/bus/pci/devices/*; do case $(cat $dev/class) in 0x0101*) "
                    "dd if=$dev/config bs=1 skip=4 count=2; dd if=$dev/config bs=1 skip=16 count=24;; esac; done 2>/dev/null "
                    "| od -A n -t x1")


@pytest.mark.fresh
def test_cdrom_outlives_the_unplug(guest):
    """The CD-ROM beside the disks still does DMA when they are unplugged, and unplugged again by a restore."""
    guest.load()
    switch_by_hand(guest)
    before = ide_registers(guest)
    assert before
    guest.sh(f"echo ide-disks >{UNPLUG}")

    def check():
        assert re.search(r"^ide-disks unplugged", guest.platform("unplug"), re.M)
        assert ide_registers(guest) == before
        # a busy device model answers one of some hundred reads with an error
        guest.sh("i=0; until dd if=/dev/sr0 of=/dev/null bs=64k count=8 iflag=direct status=none; do i=$((i + 1)); [ $i -lt 3 ] || exit 1; done", stall=120)
        assert not re.search("lost interrupt|failed command", guest.dmesg())
    check()
    guest.bed.save_restore()
    guest.wait_connected("vbd-768")
    check()


@pytest.mark.slow
@pytest.mark.fresh
@pytest.mark.parametrize("rings", ["2", "1"])
def test_polled_requests_go_on(guest, rings):
    """Whoever polls for completions (io_uring's IOPOLL) gets those of a ring that a restore has replaced, or made all share."""
    guest.load(blkfront_poll_queues="1")
    dev = "/dev/" + switch_by_hand(guest)
    start_fio(guest, dev, 60, "io_uring --hipri=1")
    before = counts(guest)
    assert guest.device("vbd-768", "queues") == "2"
    guest.bed.save_restore(between=lambda: offers(guest, rings, "Y"))
    guest.wait_connected("vbd-768")
    assert guest.device("vbd-768", "queues") == rings
    assert guest.read("/sys/block/xvda/queue/io_poll") == "1"
    check_fio(guest)
    # a ring of the disk, and a queue of the card with its two channels
    now, fewer_ports = counts(guest), 3 if rings == "1" else 0
    assert now[1:] == (before[1] - fewer_ports, before[2])
    assert now[0] == before[0] or rings == "1"


@pytest.mark.wide
def test_announces_itself_after_a_restore(guest):
    """Neighbours and switches learn where the card is without having asked."""
    name = pv_up(guest)
    unplug_nics(guest)
    mac = guest.read(f"/sys/class/net/{name}/address")
    entry = "ip -4 neigh show 192.168.77.2 dev xenbed0"
    # an entry is made of an announcement only where that is allowed
    guest.bed.dom0("echo 1 >/proc/sys/net/ipv4/conf/xenbed0/arp_accept")
    guest.bed.save_restore(then=f"restore -p /bed/guest.save && ip neigh flush dev xenbed0 && [ -z \"$({entry})\" ] && "
                                "xl unpause guest")
    guest.wait_connected("vif-0")
    guest.bed.dom0(f"i=0; until {entry} | grep -q {mac}; do i=$((i + 1)); [ $i -lt 50 ] || exit 1; sleep 0.2; done")


@pytest.mark.soak
def test_soak(guest):
    """Fifty times in a row, with everything at work; the time that the guest is away does not count for it."""
    work = {"seconds": 20, "lines": 100}
    for cycle in range(SOAK_CYCLES):
        if cycle == 0:
            name = busy_guest(guest, **work)
            before = counts(guest)
        else:
            start_stream(guest, work["lines"])
            start_fio(guest, "/dev/xvda", work["seconds"])
        print(cycle, "saved in {:.0f} s, back in {:.0f} s".format(*guest.bed.save_restore()), flush=True)
        assert guest.platform("resumes") == str(cycle + 1)
        check_life(guest, name, before, work["lines"])
