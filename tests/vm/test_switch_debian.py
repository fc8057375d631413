# SPDX-License-Identifier: GPL-2.0-only
"""pvhvm switch in a guest whose network systemd and ifupdown look after."""
import json
import pathlib
import re

import pytest

import guestmodules
import mbr
from guest import Guest
from test_blkfront import switch_by_hand
from test_blkfront_fake import PAGE83
from test_switch import gaps

PACKAGING = pathlib.Path(__file__).resolve().parents[2] / "packaging"
UDEV = PACKAGING / "udev"
DOM0 = "192.168.77.1"
# between eth0's going and the other eth0's coming, as systemd sees it
SLOW = 'SUBSYSTEM=="net", ACTION=="move", ENV{INTERFACE}=="eth0", PROGRAM="/bin/sleep 3"'


@pytest.mark.wide
@pytest.mark.fresh
@pytest.mark.state("debian")
def test_systemd_sees_the_name_go(guest, tool):
    """A name that is gone for a moment makes systemd stop ifup@eth0; the PV card stays up."""
    guest.bed.push_guest([tool] + guestmodules.libraries_of(tool), dest="/payload/tool")
    guest.sh(f"mkdir -p /run/udev/rules.d; echo '{SLOW}' >/run/udev/rules.d/90-slow.rules; udevadm control --reload")
    guest.wait("systemctl is-active ifup@eth0.service", 120)
    guest.load()
    guest.wait_connected("vif-0", 60)
    result = json.loads(guest.sh("LD_LIBRARY_PATH=/payload/tool /payload/tool/pvhvm switch --nic eth0 --no-persist "
                                 "--json", stall=300))
    guest.sh("udevadm settle; sleep 5", stall=120)
    # it did happen
    assert guest.try_sh("systemctl is-active ifup@eth0.service", stall=120).out.strip() == "inactive"
    guest.sh(f"ip -4 addr show dev eth0 | grep -q 192.168.77.2/24 && ping -c 3 -W 10 {DOM0}")
    assert "pvhvm" in guest.sh("readlink /sys/class/net/eth0/device/driver")
    assert [step for step in result["steps"] if "ifup@eth0.service" in step["what"]]


def install_udev(guest):
    """What the package puts in place for udev and systemd-networkd."""
    guest.bed.push_guest(sorted(UDEV.iterdir()), dest="/payload/udev")
    guest.sh("mkdir -p /run/systemd/network /run/udev/rules.d; cp /payload/udev/*.rules /run/udev/rules.d/; "
             "cp /payload/udev/*.link /payload/udev/*.network /run/systemd/network/; udevadm control --reload")


LINKS = ("by-path/xen-vbd-832", "by-id/xen-AB_12_3", "by-id/wwn-naa.600abcdef0000001")
FSID = "6d1d5a2e-0c1c-4a53-9f0e-5f2b3c0c9a11"


@pytest.mark.fresh
@pytest.mark.state("debian")
def test_udev_rules(guest):
    """A PV disk has its links. The twin of a card is called pvN, whatever names cards by MAC address. udev has no complaint."""
    install_udev(guest)
    guest.wait("[ -e /sys/class/net/eth0 ]", 120)
    guest.sh("mac=$(cat /sys/class/net/eth0/address); "
             "printf 'SUBSYSTEM==\"net\", ACTION==\"add\", ATTR{address}==\"%s\", NAME=\"lan0\"\\n' $mac "
             ">/run/udev/rules.d/70-persistent-net.rules; udevadm control --reload")
    guest.load("platform", "xenbus", "netfront")
    guest.wait_connected("vif-0")
    guest.sh("udevadm settle", stall=120)
    assert guest.pv_nic() == "pv0"
    disk = guest.emulated_disk("vbd-832")
    guest.sh(mbr.write(f"/dev/{disk}", (0x83, 2048, 65536)))
    path = guest.device("vbd-832", "otherend")
    guest.bed.dom0(f"xenstore-write {path}/serial ' AB 12/3 ' {path}/sm-data/scsi/0x12/0x83 {PAGE83}")
    guest.load("blkfront")
    assert switch_by_hand(guest, "vbd-832", disk) == "xvdb"
    guest.wait("[ -b /dev/xvdb1 ]")
    guest.sh(f"mkfs.ext4 -q -U {FSID} /dev/xvdb1; udevadm settle", stall=120)
    for link in LINKS:
        assert guest.sh(f"readlink -f /dev/disk/{link} /dev/disk/{link}-part1") == "/dev/xvdb\n/dev/xvdb1"
    assert guest.sh(f"readlink -f /dev/disk/by-uuid/{FSID}") == "/dev/xvdb1"
    journal = guest.sh("journalctl -b --no-pager").splitlines()
    said = [line for line in journal if re.search(r"udevd\[|\(udev-worker\)\[", line)]
    # the kernel counted the N of pvN, which is as it should be
    said = [line for line in said if not line.endswith("is applied to device based on potentially unpredictable interface name.")]
    assert said and not [line for line in said if "pvhvm" in line], said


# by the address that both cards have, as cloud-init and netplan do it
NETWORKD = ("printf '[Match]\\nMACAddress=%s\\n[Network]\\nAddress=192.168.77.2/24\\nGateway=192.168.77.1\\n' "
            "$(cat /sys/class/net/eth0/address) >/etc/systemd/network/10-eth0.network; systemctl start systemd-networkd",
            "networkctl --no-pager status eth0 | grep -q 'State: routable (configured)'")
NETWORK_MANAGER = ("systemctl start NetworkManager; nmcli connection add type ethernet con-name lan ifname eth0 "
                   "ip4 192.168.77.2/24 gw4 192.168.77.1",
                   "nmcli -g GENERAL.STATE,GENERAL.CONNECTION device show eth0 | tr '\\n' ' ' | "
                   "grep -q '^100 (connected) lan'")


def silence_ifupdown(guest):
    guest.sh("systemctl stop ifup@eth0.service; systemctl mask ifup@eth0.service; "
             "printf 'auto lo\\niface lo inet loopback\\n' >/etc/network/interfaces", stall=300)


def load_as_installed(guest):
    """As a package is installed on a system that runs: the files for udev and networkd come, then the modules."""
    install_udev(guest)
    guest.bed.push_guest([str(PACKAGING / "load")])
    out = guest.sh("mkdir -p /lib/modules/$(uname -r)/updates; cp /payload/pvhvm_*.ko /lib/modules/$(uname -r)/updates; depmod; "
                   "sh /payload/load", stall=300)
    assert "the modules are loaded" in out, out


def switch(guest, load=Guest.load):
    """By the command; how long dom0 had no answer from the address is printed."""
    load(guest)
    guest.wait_connected("vif-0", 60)
    guest.sh("udevadm settle; sleep 5", stall=120)
    # nobody has renamed the twin or taken it into his care
    assert guest.sh("ip -br addr show dev pv0").split()[1:] == ["DOWN"], guest.sh("ip addr; udevadm info /sys/class/net/pv0")
    assert "ID_NET_LINK_FILE=/run/systemd/network/05-pvhvm-twin.link" in guest.sh("udevadm info /sys/class/net/pv0")
    address = guest.sh("ip -4 -br addr show dev eth0").split()[2].partition("/")[0]
    guest.bed.dom0(f"(ping -D -i 0.2 {address} >/bed/pings 2>&1 & echo $! >/bed/ping.pid) </dev/null")
    print(guest.sh("LD_LIBRARY_PATH=/payload/tool /payload/tool/pvhvm switch --nic eth0 --no-persist", stall=300))
    return address


def check_switched(guest, address):
    guest.bed.dom0("kill -INT $(cat /bed/ping.pid)")
    print(f"dom0 had no answer for {gaps(guest.bed, '/bed/pings')[0]:.1f} s at the most")
    assert "pvhvm" in guest.sh("readlink /sys/class/net/eth0/device/driver")
    there = guest.try_sh(f"ip -4 addr show dev eth0 | grep -q {address}/24 && ip route | grep -q 'default via {DOM0} dev eth0' && "
                         f"ping -c 3 -W 10 {DOM0}")
    assert there.code == 0, guest.sh(f"echo not {address}; ip addr; ip route; ip neigh; "
                                   "journalctl -b -o short-monotonic --no-pager -u systemd-networkd -u NetworkManager -u ifup@eth0 | tail -n 60")


@pytest.mark.wide
@pytest.mark.fresh
@pytest.mark.state("debian")
@pytest.mark.parametrize("setup, configured", [NETWORKD, NETWORK_MANAGER], ids=["networkd", "NetworkManager"])
def test_managed(guest, tool, setup, configured):
    """A daemon configures the card: it hears that the twin is not its; what it configured stays, and it goes on with the PV card."""
    guest.bed.push_guest([tool] + guestmodules.libraries_of(tool), dest="/payload/tool")
    guest.wait("[ -e /sys/class/net/eth0 ]", 120)
    guest.sh("mac=$(cat /sys/class/net/eth0/address); printf '[Match]\\nMACAddress=%s\\n[Link]\\nName=lan0\\n' $mac "
             ">/etc/systemd/network/10-lan.link; udevadm control --reload")
    silence_ifupdown(guest)
    guest.sh(setup, stall=300)
    guest.wait(configured, 120)
    address = switch(guest, load_as_installed)
    guest.wait(configured, 120)
    guest.sh("sleep 15")
    guest.wait(configured, 10)
    check_switched(guest, address)


# from when the twin is up, past the time when the names pass over
HOLD_UP = """(pid=$(systemctl show -P MainPID systemd-networkd)
f=0; until [ $((f & 1)) = 1 ]; do sleep 0.05; read -r f </sys/class/net/pv0/flags; done
kill -STOP $pid; echo held >/tmp/held; sleep %d; kill -CONT $pid) >/dev/null 2>&1 </dev/null &"""


@pytest.mark.wide
@pytest.mark.fresh
@pytest.mark.state("debian")
@pytest.mark.parametrize("seconds", [8, 45])
def test_networkd_hears_of_it_late(guest, tool, seconds):
    """networkd, held up while the names pass over, still looks after eth0: the emulated card waits for it, or it is told to."""
    guest.bed.push_guest([tool] + guestmodules.libraries_of(tool), dest="/payload/tool")
    install_udev(guest)
    guest.wait("[ -e /sys/class/net/eth0 ]", 120)
    silence_ifupdown(guest)
    setup, configured = NETWORKD
    guest.sh(setup, stall=300)
    guest.wait(configured, 120)

    def load(guest):
        guest.load()
        guest.wait("[ -e /sys/class/net/pv0 ]", 60)
        guest.sh(HOLD_UP % seconds)

    address = switch(guest, load)
    guest.sh("cat /tmp/held")
    guest.wait(configured, 60)
    check_switched(guest, address)
    assert seconds > 8 or not guest.sh("journalctl -b --no-pager -u systemd-networkd | grep -iE 'fail|could not' || true")


LEASE = 60
SERVER = f"""start 192.168.77.50
end 192.168.77.59
interface xenbed0
lease_file /run/udhcpd.leases
pidfile /run/udhcpd.pid
min_lease {LEASE}
option lease {LEASE}
option subnet 255.255.255.0
option router {DOM0}
"""
BY_DHCP = {
    "ifupdown": "printf 'allow-hotplug eth0\\niface eth0 inet dhcp\\n' >>/etc/network/interfaces; "
                "systemctl unmask ifup@eth0.service; systemctl start ifup@eth0.service",
    "networkd": "printf '[Match]\\nName=eth0\\n[Network]\\nDHCP=ipv4\\n' >/etc/systemd/network/10-eth0.network; "
                "systemctl start systemd-networkd",
    "NetworkManager": "systemctl start NetworkManager; nmcli connection add type ethernet con-name lan ifname eth0",
}


@pytest.mark.wide
@pytest.mark.fresh
@pytest.mark.state("debian")
@pytest.mark.parametrize("setup", BY_DHCP.values(), ids=BY_DHCP)
def test_leased(guest, tool, setup):
    """The address is leased: it is renewed by the PV card, whoever looks after it."""
    guest.bed.push_guest([tool] + guestmodules.libraries_of(tool), dest="/payload/tool")
    install_udev(guest)
    client = guestmodules.unpacked("isc-dhcp-client")
    guest.bed.push_guest([str(client / "sbin/dhclient"), str(client / "sbin/dhclient-script")], dest="/sbin")
    guest.bed.push_dom0([str(guestmodules.unpacked("busybox") / "bin/busybox")], "/bed/dhcp")
    guest.bed.dom0("cat >/bed/dhcp/conf; touch /run/udhcpd.leases; /bed/dhcp/busybox udhcpd /bed/dhcp/conf", stdin=SERVER.encode())
    silence_ifupdown(guest)
    guest.sh(f"mkdir -p /var/lib/dhcp; {setup}", stall=300)
    guest.wait("ip -4 addr show dev eth0 | grep -q 192.168.77.5", 120)
    address = switch(guest)
    guest.sh(f"sleep {LEASE * 1.5:.0f}", stall=200)
    check_switched(guest, address)
    left = int(guest.sh("ip -4 addr show dev eth0 | grep -o 'valid_lft [0-9]*'").split()[1])
    assert 0 < left <= LEASE
