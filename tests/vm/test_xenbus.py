# SPDX-License-Identifier: GPL-2.0-only
"""pvhvm_xenbus: xenstore, the bus, and what the toolstack asks."""
import pathlib

import pytest

import guestmodules
from hotplug import quick_disks
from netstat import DOM0, backend
from test_blkfront import back, switch_by_hand
from test_netfront import pv_up
from test_suspend import counts
from xenbedlib.guestcfg import GuestConfig

HERE = pathlib.Path(__file__).resolve().parent


@pytest.mark.core
def test_stock_xenstore_clients(guest):
    """Debian's xenstore-utils work unchanged on /dev/xen/xenbus."""
    guest.load("platform", "xenbus")
    assert "vif" in guest.sh("xenstore-list device")
    domid = guest.sh("xenstore-read domid")
    assert domid.isdigit()
    guest.sh("xenstore-write data/pvhvm-test hello")
    assert guest.sh("xenstore-read data/pvhvm-test") == "hello"
    assert guest.bed.dom0(f"xenstore-read /local/domain/{domid}/data/pvhvm-test").out.strip() == "hello"
    guest.sh("xenstore-rm data/pvhvm-test")
    assert guest.try_sh("xenstore-read data/pvhvm-test").code != 0
    assert len(guest.sh(f"xenstore-ls /local/domain/{domid}").splitlines()) > 10


@pytest.mark.fresh
@pytest.mark.state("debian")
def test_client_of_another_hand(guest):
    """Debian's python3-pyxs: threads, transactions and watches on one connection."""
    guest.load("platform", "xenbus")
    package = guestmodules.unpacked("python3-pyxs") / "usr/lib/python3/dist-packages/pyxs"
    guest.bed.push_guest([str(package), str(HERE / "pyxsclient.py")], dest="/payload/client")
    print(guest.sh("timeout 120 python3 /payload/client/pyxsclient.py", stall=150))
    guest.unload("xenbus", "platform")


def test_watch_from_dom0(guest):
    guest.load("platform", "xenbus")
    domid = guest.sh("xenstore-read domid")
    guest.sh("(xenstore-watch -n 2 data/pvhvm-watched >/tmp/watched 2>&1 &)")
    guest.wait("grep -q . /tmp/watched")
    guest.bed.dom0(f"xenstore-write /local/domain/{domid}/data/pvhvm-watched 1")
    guest.wait("[ $(wc -l </tmp/watched) -ge 2 ]")


def test_many_clients_at_once(guest):
    guest.load("platform", "xenbus")
    out = guest.sh("xenstore-ls device >/tmp/ls; for i in 1 2 3 4 5 6 7 8; do (for j in 1 2 3 4 5; do "
                   "xenstore-ls device | cmp - /tmp/ls || echo failed; done) & done; wait", stall=300)
    assert out == ""
    assert "backend-id" in guest.read("/tmp/ls")


def test_clients_that_die_leave_nothing(guest):
    """A client killed with a watch."""
    guest.load("platform", "xenbus")
    before = counts(guest)
    guest.sh("xenstore-watch data >/tmp/watched 2>&1 & i=0; until [ -s /tmp/watched ]; do i=$((i + 1)); [ $i -lt 100 ] || exit 1; "
             "sleep 0.1; done; kill -9 $!")
    guest.wait(f"[ $(cat /sys/devices/pvhvm/xenstore/watches) = {before[2]} ]")
    assert counts(guest) == before
    assert guest.sh("xenstore-read domid")
    guest.unload("xenbus", "platform")


def test_bus_shows_devices(guest):
    guest.load("platform", "xenbus")
    guest.wait("[ -e /sys/bus/pvhvm/devices/vif-0 ]")
    assert guest.device("vif-0", "modalias") == "pvhvm:vif"
    assert guest.device("vif-0", "nodename") == "device/vif/0"
    assert "/backend/vif/" in guest.device("vif-0", "otherend")
    assert "vbd-832" in guest.sh("ls /sys/bus/pvhvm/devices") or \
        "vbd-768" in guest.sh("ls /sys/bus/pvhvm/devices")


@pytest.mark.fresh
def test_hot_plug(guest):
    """A card attached and detached by xl appears and goes."""
    guest.load("platform", "xenbus")
    guest.bed.xl("network-attach guest mac=00:16:3e:01:02:20 bridge=xenbed0 script=/bed/dom0-vif", stall=120)
    guest.wait("[ -e /sys/bus/pvhvm/devices/vif-1 ]")
    guest.bed.xl("network-detach guest 1", check=False, stall=120)
    guest.wait("[ ! -e /sys/bus/pvhvm/devices/vif-1 ]", 60)


def test_each_init_step_unwinds(guest):
    guest.load("platform")
    failed = 0
    for step in range(1, 64):
        if guest.try_load("xenbus", f"fail_step={step}").code == 0:
            guest.unload("xenbus")
            break
        failed += 1
    assert failed >= 4, "fail_step reached no step"
    guest.load("xenbus")
    assert guest.sh("xenstore-read domid")


def told_to_stop(guest, request):
    """A guest whose commands for it work; request is run in dom0."""
    guest.load("platform", "xenbus")
    # the small guest's init is a shell, which busybox cannot ask to power off or to reboot
    for name in ("poweroff", "reboot"):
        guest.sh(f"rm -f /sbin/{name}; printf '#!/bin/sh\\nexec busybox {name} -f\\n' >/sbin/{name}; chmod +x /sbin/{name}")
    guest.bed.dom0(request, stall=120)


@pytest.mark.fresh
@pytest.mark.parametrize("request_in_dom0", ["xl shutdown guest", "xenstore-write /local/domain/$(xl domid guest)/control/shutdown halt"],
                         ids=["poweroff", "halt"])
def test_xl_shutdown(guest, request_in_dom0):
    """xl shutdown, served by control/shutdown, powers the guest off; so does a halt."""
    told_to_stop(guest, request_in_dom0)
    guest.bed.dom0("i=0; while xl list guest >/dev/null 2>&1; do i=$((i + 1)); [ $i -lt 120 ] || exit 1; "
                   "sleep 1; done", stall=180)


@pytest.mark.wide
@pytest.mark.fresh
def test_xl_reboot(guest):
    """The guest is there again, in a domain of its own, with nothing loaded."""
    boot = guest.read("/proc/sys/kernel/random/boot_id")
    old = guest.bed.dom0("xl domid guest").out.strip()
    guest.bed.offer_tools()
    quick_disks(guest.bed)
    told_to_stop(guest, "xl reboot guest")
    guest.bed.dom0(f"i=0; until new=$(xl domid guest 2>/dev/null) && [ $new != {old} ]; do i=$((i + 1)); [ $i -lt 120 ] || exit 1; "
                   "sleep 1; done", stall=180)
    guest.bed.reconnect_guest(600)
    assert guest.read("/proc/sys/kernel/random/boot_id") != boot
    guest.start_test("after reboot")
    assert guest.loaded() == []


SYSRQ_HELP = "dmesg | grep -c 'sysrq: HELP :'"


def sysrq_is_heard(guest):
    before = int(guest.try_sh(SYSRQ_HELP).out)
    guest.bed.xl("sysrq guest h", stall=60)
    guest.wait(f"[ $({SYSRQ_HELP}) -gt {before} ]")


def test_sysrq(guest):
    guest.load("platform", "xenbus")
    sysrq_is_heard(guest)


def test_words_that_are_not_offered_stay(guest):
    """What nobody understands is not acknowledged; what comes next is heard."""
    guest.load("platform", "xenbus")
    node = f"/local/domain/{guest.sh('xenstore-read domid')}/control/shutdown"
    guest.bed.dom0(f"xenstore-write {node} dance")
    guest.wait("dmesg | grep -q 'asks for \"dance\"'")
    assert guest.bed.dom0(f"xenstore-read {node}").out.strip() == "dance"
    guest.bed.dom0(f"xenstore-write {node} ''")
    sysrq_is_heard(guest)


def test_a_flood_of_events(guest):
    """A backend that writes faster than anybody can look, and then has something to say, is heard."""
    pv_up(guest)
    counts = "/sys/devices/pvhvm/xenstore"
    events = f"cat {counts}/watch_events"
    before = int(guest.sh(events))
    guest.bed.dom0(f"set --; i=0; while [ $i -lt 1000 ]; do set -- \"$@\" {backend(guest)}/state 4; i=$((i + 1)); done; "
                   "for i in 1 2 3; do xenstore-write \"$@\"; done", stall=120)
    guest.wait(f"[ $({events}) -ge {before + 3000} ]", 60)
    merged = int(guest.read(f"{counts}/merged_events"))
    print("events that were merged:", merged)
    assert merged > 100
    guest.bed.dom0(f"xenstore-write {backend(guest)}/carrier 0")
    guest.wait(f"[ $(cat /sys/class/net/{guest.pv_nic()}/carrier) = 0 ]")
    guest.bed.dom0(f"xenstore-write {backend(guest)}/carrier 1")
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")


def test_no_answer_is_no_news(guest):
    """xenstored falls silent when a backend's state may have changed: the disk works on, and so does xenstore later."""
    guest.load(xenbus_request_timeout="5")
    dev = "/dev/" + switch_by_hand(guest)
    guest.bed.push_dom0([str(HERE / "silence.py")], "/run")
    domid = guest.sh("xenstore-read domid")
    quiet = f"python3 /run/silence.py {domid} 8 /local/domain/0/backend/vbd/{domid}/768/state"
    guest.bed.dom0(f"{quiet} 4", stall=60)
    assert "state cannot be read" in guest.dmesg()
    guest.sh(f"dd if={dev} of=/dev/null bs=64k count=16 iflag=direct status=none", stall=60)
    assert guest.device("vbd-768", "state") == "connected"
    assert guest.sh("xenstore-read domid")
    # one that did change, to Closing, is heard of all the same: the disk, which nobody uses, closes, and starts again
    assert guest.dmesg().count("MiB, ") == 1
    guest.bed.dom0(f"{quiet} 5", stall=60)
    guest.wait("[ $(dmesg | grep -c 'vbd-768.*MiB, ') = 2 ]", 60)
    guest.wait_connected("vbd-768")
    back(guest)


@pytest.mark.wide
@pytest.mark.fresh
def test_probe_without_an_answer(guest):
    """A card's driver comes while xenstored is silent: it is probed again, by nobody's hand, when there are answers."""
    guest.load("platform", "xenbus", xenbus_request_timeout="5")
    guest.bed.push_dom0([str(HERE / "silence.py")], "/run")
    domid = guest.sh("xenstore-read domid")
    guest.bed.dom0(f"(python3 /run/silence.py {domid} 80 /tool/pvhvm-test 1 >/run/silence.out 2>&1 &) >/dev/null 2>&1")
    guest.wait("! timeout 2 xenstore-read domid")
    # the first question waits for 5 s, the four tries for 10 each
    guest.load("netfront")
    guest.wait("dmesg | grep -q 'vif-0.* failed with error -110'", 20)
    guest.wait_connected("vif-0", 90)
    guest.bed.dom0("xenstore-rm /tool/pvhvm-test; [ ! -s /run/silence.out ]")


# XS_WATCH of data/NUMBER, request id NUMBER
WATCH = r"""printf "\4\0\0\0\\$(printf %o $i)\0\0\0\0\0\0\0\15\0\0\0data/%03d\0tok\0" $i >&3"""


def test_all_watches_taken(guest):
    """A card that comes while a program holds every watch that xenstored lets a guest have is there when it lets go."""
    guest.load("platform", "xenbus")
    guest.background("watcher", f"exec 3<>/dev/xen/xenbus; cat <&3 >/tmp/replies & i=0; while [ $i -lt 200 ]; do i=$((i + 1)); {WATCH}; done; "
                     "until [ -e /tmp/let-go ]; do sleep 1; done; kill $!")
    guest.wait("tr '\\0' '\\n' </tmp/replies | grep -q ENOSPC")
    guest.bed.xl("network-attach guest mac=00:16:3e:01:02:21 bridge=xenbed0 script=/bed/dom0-vif", stall=120)
    guest.wait("dmesg | grep -q 'cannot look at the devices (-28), trying again'")
    guest.sh("sleep 4")
    assert guest.dmesg().count("cannot look at the devices") == 1
    assert guest.try_sh("[ -e /sys/bus/pvhvm/devices/vif-1 ]").code == 1
    guest.sh("touch /tmp/let-go")
    guest.wait("[ -e /sys/bus/pvhvm/devices/vif-1 ]", 30)
    guest.outcome("watcher")
    guest.bed.xl("network-detach guest 1", check=False, stall=120)
    guest.wait("[ ! -e /sys/bus/pvhvm/devices/vif-1 ]", 60)


BEGIN = r"printf '\6\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0' >&3; dd bs=4096 count=1 <&3 2>/dev/null | tail -c +17 | tr -d '\0'; echo"


def test_transactions_that_begin_too_late(guest):
    """xenstored lets a guest have ten or so at a time: one that begins when nobody waits for it any more is ended."""
    guest.load("platform", "xenbus")
    guest.bed.push_dom0([str(HERE / "latereply.py"), str(HERE / "fakeback.py")], "/run")
    domid = guest.sh("xenstore-read domid")
    begun = guest.sh(f"exec 3<>/dev/xen/xenbus; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do {BEGIN}; done; sleep 300 >/dev/null 2>&1 &").split()
    assert len(begun) == 12 and all(txn.isdigit() for txn in begun[:10]) and begun[11] == "EQUOTA", begun
    stale = "cat /sys/devices/pvhvm/xenstore/stale_replies"
    before = int(guest.sh(stale))
    guest.bed.xl(f"pause {domid}")
    guest.bed.dom0(f"python3 /run/latereply.py {domid} {' '.join(begun[:10])}")
    guest.bed.xl(f"unpause {domid}")
    # what xenstored says next makes the guest look
    guest.sh("xenstore-read domid")
    assert int(guest.sh(stale)) == before + 10
    guest.wait(f"exec 3<>/dev/xen/xenbus; {{ {BEGIN}; }} | grep -q '^[0-9]'", 10)
    guest.sh("kill $(pidof sleep)")


@pytest.mark.fresh
def test_a_ring_out_of_bounds(guest):
    """The host breaks the xenstore ring: who waits for it hears so, disk and card go on, modules unload and find it again."""
    name = pv_up(guest, xenbus_request_timeout="10")
    guest.load("blkfront")
    dev = "/dev/" + switch_by_hand(guest)
    guest.bed.push_dom0([str(HERE / "badring.py"), str(HERE / "fakeback.py")], "/run")
    guest.background("reader", "dd if=/dev/xen/xenbus of=/dev/null bs=16 count=1")
    guest.sh("sleep 1")
    domid = guest.sh("xenstore-read domid")
    # somebody is always about to write
    guest.sh("rm -f /tmp/ended; for i in 1 2 3 4 5 6; do (while xenstore-ls device >/dev/null 2>&1; do :; done; echo >>/tmp/ended) & done")
    guest.wait("pidof xenstore-ls")
    guest.bed.dom0(f"python3 /run/badring.py {domid}")
    assert guest.try_sh("xenstore-read domid").code != 0
    assert guest.outcome("reader") != 0 and "error" in guest.read("/tmp/reader.out")
    guest.wait("[ $(wc -l </tmp/ended) = 6 ]")
    assert guest.dmesg().count("xenstore is given up: reply indices out of bounds") == 1
    guest.sh(f"ping -c 3 -i 0.2 -W 2 {DOM0} && dd if={dev} of=/dev/null bs=64k count=16 iflag=direct status=none")
    guest.sh(f"ip link set {name} down")
    guest.unload("netfront", "blkfront", "xenbus", "platform")
    guest.load("platform", "xenbus")
    assert guest.sh("xenstore-read domid")


@pytest.mark.wide
@pytest.mark.state(GuestConfig("small", vcpus=1))
def test_one_vcpu(guest):
    assert guest.sh("nproc") == "1"
    guest.load()
    assert guest.sh("xenstore-read domid")
