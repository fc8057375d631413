# SPDX-License-Identifier: GPL-2.0-only
"""pvhvm metrics: what node_exporter's textfile collector is given."""
import os
import re
import stat
import subprocess

import pytest

from fakeguest import MAC, PVHVM, tiny_disk

LABELS = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
SAMPLE = re.compile(rf"([a-z_][a-z0-9_]*)(?:\{{({LABELS}(?:,{LABELS})*)\}})? (-?[0-9.e+]+)")


def parse(text):
    """{(family, labels)}: value; demands what the format demands."""
    assert text.endswith("\n")
    found, types, family = {}, {}, None
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("# HELP "):
            family = line.split()[2]
            assert family not in types, f"{family} comes twice"
            kind = re.fullmatch(rf"# TYPE {family} (gauge|counter)", lines[number + 1])
            types[family] = kind.group(1)
        elif not line.startswith("# TYPE "):
            match = SAMPLE.fullmatch(line)
            assert match, line
            assert match.group(1) == family, line
            assert (types[family] == "counter") == family.endswith("_total")
            key = (family, match.group(2) or "")
            assert key not in found, f"{key} comes twice"
            found[key] = float(match.group(3))
    return found


def full(tree):
    tree.xen()
    tree.emulated_nic()
    tree.pv_nic()
    tree.put("sys/class/net/pv0/ethtool-S", "NIC statistics:\n     q0_tx_packets: 7\n     q1_tx_packets: 18446744073709\n"
             "     q0_tx_grants_used: 3\n     q0_tx_in_flight: 5\n     q0_rx_posted: 6\n     q0_tx_stopped: 2\n     odd-one: 4\n")
    tree.ide()
    tree.emulated_disk(1, "sdb", number="8:16")
    tree.vbd(832, "xvdb")
    for vdev, requests in ((51760, 11), (51776, 12)):
        tree.vbd(vdev, f"xvd{vdev}", held=False)
        tree.put(f"sys/bus/pvhvm/devices/vbd-{vdev}/statistics/requests", requests)
        tree.put(f"sys/bus/pvhvm/devices/vbd-{vdev}/statistics/stop_ring_full", 0)
        tree.put(f"sys/bus/pvhvm/devices/vbd-{vdev}/grants_held", 40)


def test_everything(tree):
    full(tree)
    m = parse(tree.pvhvm("metrics", check=0).stdout)
    assert m["pvhvm_driven", 'state="driven"'] == 1
    assert any(family == "pvhvm_info" and 'xen="4.17"' in labels for family, labels in m)
    assert m["pvhvm_module_loaded", 'module="pvhvm_netfront"'] == 1
    assert m["pvhvm_grants", 'state="used"'] == 9 and m["pvhvm_grants", 'state="max"'] == 16384
    assert m["pvhvm_event_channels", 'state="used"'] == 7
    assert m["pvhvm_event_channel_rests_total", ""] == 2 and m["pvhvm_resumes_total", ""] == 3
    assert m["pvhvm_timer_total", 'kind="saved"'] == 6 and m["pvhvm_ipis_total", 'kind="native"'] == 9
    assert m["pvhvm_emulated_devices", 'class="nics"'] == 1
    assert m["pvhvm_unplugged", 'class="nics"'] == 0
    assert m["pvhvm_xenstore_requests_total", ""] == 100 and m["pvhvm_xenstore_watches", ""] == 103
    assert m["pvhvm_xenstore_broken", ""] == 0
    assert m["pvhvm_device_connected", 'device="vif-0",name="pv0"'] == 1
    assert m["pvhvm_net_tx_packets_total", 'device="vif-0",name="pv0",queue="0"'] == 7
    assert m["pvhvm_net_tx_packets_total", 'device="vif-0",name="pv0",queue="1"'] == 18446744073709
    assert m["pvhvm_net_tx_grants_used", 'device="vif-0",name="pv0",queue="0"'] == 3
    for gauge, value in ("tx_in_flight", 5), ("rx_posted", 6), ("tx_stopped", 2):
        assert m[f"pvhvm_net_{gauge}", 'device="vif-0",name="pv0",queue="0"'] == value
    assert m["pvhvm_net_odd_one_total", 'device="vif-0",name="pv0"'] == 4
    assert m["pvhvm_disk_held", 'device="vbd-832"'] == 1
    assert m["pvhvm_disk_requests_total", 'device="vbd-51760",name="xvd51760"'] == 11
    assert m["pvhvm_disk_grants_held", 'device="vbd-51760",name="xvd51760"'] == 40
    assert m["pvhvm_disk_requests_total", 'device="vbd-51776",name="xvd51776"'] == 12


def test_trouble_is_seen(tree):
    full(tree)
    tree.put("sys/bus/pvhvm/devices/vif-0/quarantined", 'it says "no" and a \\')
    tree.put("sys/bus/pvhvm/devices/vif-0/state", "closed")
    tree.put("sys/devices/pvhvm/xenstore/broken", "xenstored does not answer")
    tree.put(f"sys/devices/pci0000:00/{'0000:00:02.0'}/pvhvm/unplug", "nics unplugged emulated=0 twins=1\n")
    m = parse(tree.pvhvm("metrics", check=0).stdout)
    assert m["pvhvm_device_quarantined", 'device="vif-0",name="pv0"'] == 1
    assert m["pvhvm_device_connected", 'device="vif-0",name="pv0"'] == 0
    assert m["pvhvm_xenstore_broken", ""] == 1 and m["pvhvm_unplugged", 'class="nics"'] == 1


def test_labels_are_escaped(tree):
    tree.xen()
    tree.put("sys/devices/pci0000:00/0000:00:02.0/pvhvm/xen_version", '4.17"x\\y')
    p = tree.pvhvm("metrics", check=0)
    assert r'xen="4.17\"x\\y"' in p.stdout
    parse(p.stdout)


@pytest.mark.parametrize("prepare,word", [
    (lambda t: None, "not-xen"),
    (lambda t: t.xen(driver=None), "not-loaded"),
])
def test_not_driven_is_a_value(tree, prepare, word):
    prepare(tree)
    m = parse(tree.pvhvm("metrics", check=0).stdout)
    assert m["pvhvm_driven", f'state="{word}"'] == 0


def test_a_real_driver_is_asked(tree, net):
    """veth has counters; whatever they are called, they arrive."""
    tree.xen()
    net.cable("pv0", MAC)
    tree.pv_nic()
    m = parse(tree.pvhvm("metrics", netns=net.guest, check=0).stdout)
    assert [key for key in m if key[0] == "pvhvm_net_peer_ifindex_total"]


def test_file_is_replaced(tree, tmp_path):
    full(tree)
    target = tmp_path / "out" / "pvhvm.prom"
    target.parent.mkdir()
    target.write_text("old\n")
    p = tree.pvhvm("metrics", "--output", target, check=0)
    assert not p.stdout and not p.stderr
    assert parse(target.read_text()) and stat.S_IMODE(target.stat().st_mode) == 0o644
    assert [f.name for f in target.parent.iterdir()] == ["pvhvm.prom"]


def test_no_link_is_followed(tree, tmp_path):
    """A name beside it that somebody could foresee is not written through."""
    full(tree)
    victim, target = tmp_path / "victim", tmp_path / "pvhvm.prom"
    victim.write_text("precious\n")
    p = subprocess.run(["sh", "-c", 'ln -s "$1" "$2.$$" && exec "$0" metrics --output "$2"', PVHVM, victim, target],
                       env=dict(os.environ, PVHVM_SYSROOT=str(tree.root)), check=True, capture_output=True)
    assert p.stderr == b"" and parse(target.read_text()) and victim.read_text() == "precious\n"


def test_names_that_are_not_text(tree):
    tree.xen()
    tree.pv_nic(os.fsdecode(b"pv\xff"))
    assert 'name="pv?"' in tree.pvhvm("metrics", check=0).stdout


def test_no_folder(tree):
    full(tree)
    p = tree.pvhvm("metrics", "--output", "/nonexistent/pvhvm.prom", check=1)
    assert "cannot write /nonexistent/pvhvm.prom: No such file" in p.stderr and p.stderr.count("\n") == 1


def test_full_disk(tree, tmp_path):
    """The old file stays as it was, and nothing is left beside it."""
    full(tree)
    with tiny_disk(tmp_path) as place:
        (place / "pvhvm.prom").write_text("old\n")
        p = tree.pvhvm("metrics", "--output", place / "pvhvm.prom", check=1)
        assert "No space left" in p.stderr and p.stderr.count("\n") == 1
        assert (place / "pvhvm.prom").read_text() == "old\n"
        assert sorted(f.name for f in place.iterdir()) == ["ballast", "pvhvm.prom"]


def test_what_is_no_file_stays(tree, tmp_path):
    """A device and a pipe are written to, a link leads to what is replaced, - is standard output."""
    full(tree)
    device, pipe, link, real = (tmp_path / name for name in ("device", "pipe", "link", "real"))
    os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    tree.pvhvm("metrics", "--output", device, check=0)
    assert stat.S_ISCHR(device.stat().st_mode)
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True)
    tree.pvhvm("metrics", "--output", pipe, check=0)
    assert parse(reader.communicate(timeout=10)[0]) and stat.S_ISFIFO(pipe.stat().st_mode)
    real.write_text("old\n")
    real.chmod(0o640)
    link.symlink_to("real")
    tree.pvhvm("metrics", "--output", link, check=0)
    assert link.is_symlink() and parse(real.read_text()) and stat.S_IMODE(real.stat().st_mode) == 0o640
    for name in ("-", "/dev/stdout"):
        assert parse(tree.pvhvm("metrics", "--output", name, check=0).stdout)
