# SPDX-License-Identifier: GPL-2.0-only
"""pvhvm status, and what the command says when it is used wrongly."""
import json
import os
import shutil
import subprocess

import pytest

from fakeguest import MAC, PVHVM


def full(tree):
    tree.xen()
    tree.emulated_nic()
    tree.pv_nic()
    tree.ide()
    tree.emulated_disk(0, "sda", number="8:0")
    tree.put("proc/self/mountinfo", "22 1 8:0 / / rw - ext4 /dev/sda rw\n")
    tree.emulated_disk(1, "sdb", number="8:16")
    tree.vbd(768, "xvda")
    tree.vbd(832, "xvdb")


def test_everything(tree):
    full(tree)
    p = tree.pvhvm("status", check=0)
    assert "Xen 4.17, driven by pvhvm" in p.stdout
    assert "upcall vector, events fifo" in p.stdout
    assert "switch hands it to pv0 (vif-0, connected)" in p.stdout
    assert "stays emulated for now: mounted on /" in p.stdout
    assert "switch replaces it by vbd-832" in p.stdout
    assert "pvhvm_blkfront  loaded 0.1.0" in p.stdout


@pytest.mark.parametrize("text, line", [
    ("root\n", "0 NICs and all disks to be switched at boot"),
    (f"nic {MAC}\ndisk 832\n", "1 NIC and 1 disk to be switched at boot"),
])
def test_what_is_switched_at_boot(tree, text, line):
    full(tree)
    tree.put("etc/pvhvm/switch.conf", text)
    assert line in tree.pvhvm("status", check=0).stdout


def test_json(tree):
    full(tree)
    o = json.loads(tree.pvhvm("status", "--json", check=0).stdout)
    assert o["xen"]["state"] == "driven"
    assert o["xen"]["classes"][1] == {"name": "nics", "state": "present", "emulated": 1, "twins": 1}
    nics = {n["name"]: n for n in o["nics"]}
    assert nics["eth0"]["switchable"] and nics["eth0"]["twin"] == "pv0"
    assert nics["eth0"]["mac"] == MAC and not nics["pv0"]["switchable"]
    disks = {d["name"] or d["pv_device"]: d for d in o["disks"]}
    assert not disks["sda"]["switchable"] and disks["sda"]["use"] == "mounted on /"
    assert disks["sdb"]["switchable"] and disks["sdb"]["twin"] == "vbd-832"
    assert disks["vbd-832"]["held"]


def test_disks_without_a_driver(tree):
    """The CD-ROM's stays so; of another it is told."""
    full(tree)
    tree.cdrom(2, 5632)
    tree.pvdev("vbd-51760")
    o = json.loads(tree.pvhvm("status", "--json", check=0).stdout)
    assert {d["pv_device"] for d in o["disks"] if d["cdrom"]} == {"vbd-5632"}
    outlook = {d["pv_device"]: d["outlook"] for d in o["disks"]}
    assert outlook["vbd-5632"] == "the emulated CD-ROM stays in use" and outlook["vbd-51760"] == "no driver has taken it"


def test_names_that_are_not_text(tree):
    """The kernel takes any bytes for a name, JSON does not."""
    tree.xen()
    tree.emulated_nic(os.fsdecode(b"et\xff\xc3\xa9\xe2\x82"))
    o = json.loads(tree.pvhvm("status", "--json", check=0).stdout)
    assert o["nics"][0]["name"] == "et?é??"


def test_long_names_end_with_a_character(tree):
    tree.xen()
    tree.ide()
    tree.emulated_disk(0, "a" * 30 + "é")
    tree.arm()
    assert json.loads(tree.pvhvm("status", "--json", check=0).stdout)["disks"][0]["name"] == "a" * 30


@pytest.mark.parametrize("args", [("status",), ("status", "--json"), ("metrics",), ("--help",), ("switch", "--help"),
                                  ("switch", "--dry-run")])
def test_lost_output(tree, args):
    """What was asked for and could not be written is a failure."""
    full(tree)
    with open("/dev/full", "w", encoding="ascii") as nowhere:
        p = subprocess.run([PVHVM, *args], env=dict(os.environ, PVHVM_SYSROOT=str(tree.root)), check=False,
                           stdout=nowhere, stderr=subprocess.PIPE, text=True)
    assert p.returncode == 1 and p.stderr.splitlines()[-1] == "pvhvm: cannot write standard output: No space left on device"


@pytest.mark.parametrize("prepare,word,advice", [
    (lambda t: None, "not-xen", "does not run on Xen"),
    (lambda t: t.put("sys/class/dmi/id/sys_vendor", "Xen"), "no-platform-device",
     "xen_platform_pci=1"),
    (lambda t: t.xen(driver=None), "not-loaded", "modprobe"),
    (lambda t: (t.xen(driver="xen-platform-pci"), t.put("sys/hypervisor/type", "xen")),
     "in-kernel", "nopv"),
])
def test_not_driven(tree, prepare, word, advice):
    prepare(tree)
    p = tree.pvhvm("status", check=6)
    assert advice in p.stdout
    assert json.loads(tree.pvhvm("status", "--json", check=6).stdout)["xen"]["state"] == word
    p = tree.pvhvm("switch", check=6)
    assert advice in p.stderr and p.stderr.count("\n") == 1


def test_loaded_but_not_bound(tree):
    tree.xen(driver=None)
    tree.put("sys/module/pvhvm_platform/version", "0.1.0")
    assert "not bound" in tree.pvhvm("status", check=6).stdout


@pytest.mark.parametrize("state,quarantined,text", [
    ("initwait", "no", "in state initwait, not connected"),
    ("connected", "bad response id 77", "quarantined: bad response id 77"),
])
def test_twin_not_usable(tree, state, quarantined, text):
    tree.xen()
    tree.emulated_nic()
    tree.pv_nic()
    tree.put("sys/bus/pvhvm/devices/vif-0/state", state)
    tree.put("sys/bus/pvhvm/devices/vif-0/quarantined", quarantined)
    assert text in tree.pvhvm("status", check=0).stdout
    p = tree.pvhvm("switch", "--nic", "eth0", check=4)
    assert text in p.stderr and p.stderr.count("\n") == 1


def test_no_twin(tree):
    tree.xen()
    tree.emulated_nic()
    tree.pv_nic(mac="00:16:3e:ff:ff:ff")
    p = tree.pvhvm("switch", "--nic", "eth0", check=4)
    assert f"no PV interface has its address {MAC}" in p.stderr
    assert "no emulated device can be switched" in tree.pvhvm("switch", check=4).stderr


def test_ambiguous_disk(tree):
    tree.xen()
    tree.ide()
    tree.emulated_disk(0, "sda")
    tree.vbd(768, "xvda")
    tree.vbd(51712, "xvde")
    p = tree.pvhvm("switch", "--disk", "sda", check=4)
    assert "more than one PV disk" in p.stderr


def test_xvd_names_are_emulated_too(tree):
    """The toolstack emulates xvda..xvdd as hda..hdd: the twin may be visible."""
    tree.xen()
    tree.ide()
    tree.emulated_disk(1, "sdb")
    tree.vbd(51728, "xvdb", held=False)
    assert "switch replaces it by vbd-51728" in tree.pvhvm("status", check=0).stdout


@pytest.mark.parametrize("args", [
    (), ("frob",), ("status", "--frob"), ("status", "extra"), ("switch", "eth0"),
    ("switch", "--wait", "x"), ("switch", "--wait", "0"), ("switch", "--boot", "--forget"),
    ("switch", "--boot", "--nic", "eth0"), ("switch", "--sysroot", "/nonexistent"),
    ("metrics", "--frob"), ("metrics", "extra"), ("metrics", "--output"),
    ("bench", "--frob"), ("report",), ("bench", "--rounds", "0"), ("switch", "--root", "--no-persist"),
])
def test_usage(tree, args):
    """One line, behind the usage when there is no command at all."""
    p = tree.pvhvm(*args, check=2)
    assert p.stderr.splitlines()[-1].startswith("pvhvm: ") and not p.stdout
    assert not args or p.stderr.count("\n") == 1


@pytest.mark.parametrize("args", [
    ("--help",), ("status", "--help"), ("switch", "--help"), ("bench", "--help"),
    ("report", "--help"), ("metrics", "--help"), ("--version",),
])
def test_help(tree, args):
    p = tree.pvhvm(*args, check=0)
    assert p.stdout and not p.stderr


def test_wrong_names(tree):
    full(tree)
    assert "there is no device eth9" in tree.pvhvm("switch", "--nic", "eth9", check=4).stderr
    assert "PV device already" in tree.pvhvm("switch", "--nic", "pv0", check=4).stderr
    assert "there is no device /dev/sdz" in tree.pvhvm("switch", "--disk", "/dev/sdz", check=4).stderr
    p = tree.pvhvm("switch", "--disk", "sda", check=5)
    assert "sda is mounted on /: unmount" in p.stderr


def test_not_root(tree):
    full(tree)
    assert os.geteuid() == 0, "this drops root, so it needs it first"
    # Everything on the way must be reachable for nobody.
    p = tree.root
    while p != p.parent and p.name:
        if p.stat().st_uid == 0 and str(p).startswith("/tmp/"):
            p.chmod(0o755)
        p = p.parent
    binary = shutil.copy(PVHVM, tree.root)      # the checkout may be out of reach
    q = tree.pvhvm("switch", check=3, user=65534, binary=binary)
    assert "needs root" in q.stderr and q.stderr.count("\n") == 1
