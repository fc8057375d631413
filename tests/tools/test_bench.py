# SPDX-License-Identifier: GPL-2.0-only
"""pvhvm bench, with real and with make-believe fio and iperf3; pvhvm report."""
import html.parser
import json
import subprocess
import time

import pytest

from fakeguest import run

FIO = """#!/bin/sh
[ "$1" != --version ] || exit 0
echo "$*" >> {log}
echo 'fio: a warning before the JSON'
echo '{{"jobs": [{{"read": {{"iops": 1234.5, "bw_bytes": 50000000}},
 "write": {{"iops": 99, "bw_bytes": 7000000}}}}]}}'
"""
IPERF = """#!/bin/sh
[ "$1" != --version ] || exit 0
echo "$*" >> {log}
if [ -e {busy} ]; then
	rm {busy}
	echo '{{"error": "the server is busy running a test. try again later"}}'
	exit 1
fi
echo '{{"end": {{"sum_received": {{"bits_per_second": 123456789}}}}}}'
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """fio and iperf3 that answer at once."""
    bindir = tmp_path / "bin"
    bindir.mkdir()
    log = tmp_path / "calls.log"
    for name, text in (("fio", FIO), ("iperf3", IPERF)):
        (bindir / name).write_text(text.format(log=log, busy=tmp_path / "busy"))
        (bindir / name).chmod(0o755)
    import os
    monkeypatch.setenv("PATH", f"{bindir}:{os.environ['PATH']}")
    return log


def test_rows_and_json(tree, programs, tmp_path):
    out = tmp_path / "out.json"
    p = tree.pvhvm("bench", "--dir", tmp_path, "--peer", "127.0.0.1", "--rounds", "3",
                   "--seconds", "0.2", "--label", "pvhvm", "--json", out, "--clock-check", check=0)
    o = json.loads(out.read_text())
    rows = {r["name"]: r for r in o["results"]}
    assert len(rows) == 8 and list(rows)[0] == "net.tcp_tx"
    tx = rows["net.tcp_tx"]["variants"]["pvhvm"]
    assert tx["n"] == 3 and tx["median"] == pytest.approx(123.456789) and len(tx["samples"]) == 3
    assert rows["disk.randread_4k_qd1"]["variants"]["pvhvm"]["median"] == 1234.5
    assert rows["disk.write_1m_qd4"]["variants"]["pvhvm"]["median"] == 7
    assert rows["net.rtt"]["better"] == "lower" and rows["net.rtt"]["variants"]["pvhvm"]["median"] > 0
    c = o["clock"]
    assert c["end"]["monotonic"] > c["start"]["monotonic"] and c["end"]["tsc"] > c["start"]["tsc"]
    assert abs(c["end"]["realtime"] - time.time()) < 60 and c["tsc_hz"] > 1e8
    assert p.stderr.count("round ") == 24 and "net.tcp_rx" in p.stdout
    calls = programs.read_text().splitlines()
    fio = [c for c in calls if "--rw=" in c]
    assert all("--direct=1" in c and "--time_based" in c for c in fio)
    assert any("--ioengine=libaio --iodepth=32" in c for c in fio)
    assert any("--reverse" in c for c in calls)
    # Rounds outside, rows inside.
    assert [("--rw=randread" in c) for c in fio[:5]] == [True, True, False, False, False]
    assert not (tmp_path / "pvhvm-bench.tmp").exists()


def test_busy_server_is_asked_again(tree, programs, tmp_path):
    (tmp_path / "busy").touch()
    tree.pvhvm("bench", "--peer", "127.0.0.1", "--only", "net.tcp_tx", "--rounds", "1", check=0)
    assert len(programs.read_text().splitlines()) == 2


def test_device_is_only_read(tree, programs, tmp_path):
    dev = tmp_path / "device"
    dev.write_bytes(bytes(4096))
    p = tree.pvhvm("bench", "--disk", dev, "--rounds", "1", check=0)
    assert p.stderr.count("left out: it would destroy") == 2
    assert "write" not in programs.read_text() and "--readonly" in programs.read_text()
    tree.pvhvm("bench", "--disk", dev, "--rounds", "1", "--overwrite", check=0)
    assert "--rw=randwrite" in programs.read_text()


def test_wrong_use(tree, programs, tmp_path):
    assert "nothing to measure" in tree.pvhvm("bench", check=2).stderr
    assert "no row x" in tree.pvhvm("bench", "--dir", tmp_path, "--only", "x", check=2).stderr
    assert "there is no /dev/nope" in tree.pvhvm("bench", "--disk", "/dev/nope", check=4).stderr
    assert "no interface nope" in tree.pvhvm("bench", "--peer", "127.0.0.1", "--nic", "nope",
                                             check=4).stderr
    (tmp_path / "pvhvm-bench.tmp").write_text("not ours")
    assert "cannot make" in tree.pvhvm("bench", "--dir", tmp_path, check=1).stderr
    assert (tmp_path / "pvhvm-bench.tmp").read_text() == "not ours"


def test_missing_program(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    p = tree.pvhvm("bench", "--dir", tmp_path, check=8)
    assert "cannot run fio" in p.stderr and "install the package fio" in p.stderr
    assert not (tmp_path / "pvhvm-bench.tmp").exists()


def test_missing_program_is_found_before_the_first_row(tree, programs, tmp_path, monkeypatch):
    (tmp_path / "bin/iperf3").unlink()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    p = tree.pvhvm("bench", "--dir", tmp_path, "--peer", "127.0.0.1", check=8)
    assert p.stderr.count("\n") == 1 and "install the package iperf3" in p.stderr
    assert not (tmp_path / "calls.log").exists()


def test_failing_row_does_not_end_it(tree, programs, tmp_path):
    (tmp_path / "bin/fio").write_text("#!/bin/sh\necho 'fio: no space' >&2\nexit 1\n")
    p = tree.pvhvm("bench", "--dir", tmp_path, "--peer", "127.0.0.1", "--only",
                   "disk.read_1m_qd4,net.tcp_tx", "--rounds", "1", check=1)
    assert "fio: no space" in p.stderr and "net.tcp_tx" in p.stdout


def test_the_real_programs(tree, net, tmp_path):
    net.cable("eth0", "00:16:3e:00:00:01")
    net.g("link", "set", "eth0", "up")
    net.g("addr", "add", "10.9.0.2/24", "dev", "eth0")
    tree.xen()
    tree.emulated_nic(mac="00:16:3e:00:00:01")
    server = subprocess.Popen(["ip", "netns", "exec", net.host, "iperf3", "-s"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        out = tmp_path / "o.json"
        # fio has its own thoughts about a colon
        folder = tmp_path / "a:b"
        folder.mkdir()
        tree.pvhvm("bench", "--peer", "10.9.0.1", "--nic", "eth0", "--dir", folder, "--size", "8",
                   "--rounds", "1", "--seconds", "0.3", "--json", out, netns=net.guest, check=0)
    finally:
        server.kill()
        server.wait()
    assert not list(folder.iterdir())
    o = json.loads(out.read_text())
    assert len(o["results"]) == 8
    rows = {r["name"]: r["variants"] for r in o["results"]}
    assert "emulated" in rows["net.tcp_tx"] and rows["net.tcp_tx"]["emulated"]["median"] > 1
    assert o["settings"]["nic"] == "eth0"


def bench_file(path, variant, factor, samples=True):
    results = []
    for name, unit, better, base in (("net.tcp_tx", "Mbit/s", "higher", 10),
                                     ("net.rtt", "us", "lower", 1000),
                                     ("disk.randread_4k_qd32", "IOPS", "higher", 30),
                                     ("own.row", "things", "higher", 5)):
        v = base * factor if better == "higher" else base / factor
        s = [v * 0.9, v, v * 1.2]
        d = {"median": v, "min": s[0], "max": s[2], "n": 3}
        if samples:
            d["samples"] = s
        results.append({"name": name, "unit": unit, "better": better, "variants": {variant: d}})
    path.write_text(json.dumps({"host": {"kernel": "6.1 <x>", "xen": "4.17"}, "results": results}))
    return path


@pytest.fixture
def files(tmp_path):
    return [bench_file(tmp_path / "p.json", "pvhvm", 40),
            bench_file(tmp_path / "e.json", "emulated", 1),
            bench_file(tmp_path / "i.json", "inkernel", 32, samples=False)]


def test_report_merges(tree, files, tmp_path):
    again = bench_file(tmp_path / "e2.json", "emulated", 2)
    p = tree.pvhvm("report", *files, again, "--json", "-", check=0)
    o = json.loads(p.stdout)
    tx = o["results"][0]
    assert tx["name"] == "net.tcp_tx" and list(tx["variants"]) == ["emulated", "inkernel", "pvhvm"]
    assert tx["variants"]["emulated"]["n"] == 6 and tx["variants"]["emulated"]["max"] == 24
    assert tx["variants"]["inkernel"] == {"median": 320, "min": 288, "max": 384, "n": 3}
    assert o["results"][-1]["name"] == "own.row" and o["host"]["xen"] == "4.17"
    # A report can be reported again and stays what it is.
    merged = tmp_path / "m.json"
    merged.write_text(p.stdout)
    assert json.loads(tree.pvhvm("report", merged, "--json", "-", check=0).stdout) == o


def test_report_table(tree, files):
    p = tree.pvhvm("report", *files, check=0)
    line = [ln for ln in p.stdout.splitlines() if ln.startswith("net.tcp_tx")][0].split()
    assert line[1:] == ["Mbit/s", "10.0", "320", "400", "40x", "1.25x"]
    line = [ln for ln in p.stdout.splitlines() if ln.startswith("net.rtt")][0].split()
    assert line[-2:] == ["40x", "1.25x"]


class Checker(html.parser.HTMLParser):
    """Well nested, and nothing fetched from anywhere."""
    VOID = {"meta", "line", "path", "rect", "br", "link", "img"}

    def __init__(self):
        super().__init__()
        self.open, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not {"src", "href", "xlink:href"} & {a for a, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_report_html(tree, files, tmp_path):
    steps = tmp_path / "steps.json"
    steps.write_text(json.dumps([{"name": "boot <guest>", "seconds": 42.5}, {"name": "switch", "seconds": 0.1}]))
    out = tmp_path / "r.html"
    tree.pvhvm("report", *files, "--html", out, "--steps", steps, "--title", "A <b> & \"c\"", check=0)
    text = out.read_text()
    c = Checker()
    c.feed(text)
    assert not c.open and c.tags.count("svg") == 5
    assert "http" not in text and "url(" not in text and "@import" not in text
    assert "A &lt;b&gt; &amp; &quot;c&quot;" in text and "6.1 &lt;x&gt;" in text
    assert "boot &lt;guest&gt;" in text and "prefers-color-scheme:dark" in text
    assert "nan" not in text.lower().replace("pvhvm", "") and "inf\"" not in text


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"results": 5}', '{"results": [{}]}',
                                  '{"results": [{"name": "x", "variants": 3}]}'])
def test_report_bad_input(tree, tmp_path, text):
    bad = tmp_path / "bad.json"
    bad.write_text(text)
    p = tree.pvhvm("report", bad, check=1)
    assert "bad.json" in p.stderr and p.stderr.count("\n") == 1


def test_report_null(tree, tmp_path):
    """Values that are not there: in the host, and a step without a name."""
    odd, steps, out = tmp_path / "odd.json", tmp_path / "steps.json", tmp_path / "o.html"
    odd.write_text('{"host": {"xen": null, "kernel": null, "time": 9e18, "emulation": null}, "results": []}')
    steps.write_text('[{"name": null, "seconds": null}, {"name": "boot", "seconds": 2}, null]')
    tree.pvhvm("report", odd, "--html", out, "--steps", steps, check=0)
    assert "boot" in out.read_text()


def test_report_odd_numbers(tree, tmp_path):
    odd = tmp_path / "odd.json"
    odd.write_text(json.dumps({"results": [
        {"name": "net.tcp_tx", "variants": {"pvhvm": {"median": 0, "min": 0, "max": 0, "n": 1}}},
        {"name": "b", "variants": {}},
        {"name": "c", "variants": {"a" * 99: {"median": -5}, "emulated": {"median": 1e12}}},
        {"name": "d", "variants": {"x": {}, "y": {"median": 1e-9, "max": 1e9}}}]}))
    tree.pvhvm("report", odd, "--html", tmp_path / "o.html", check=0)
    assert run("test", "-s", tmp_path / "o.html")


def test_report_missing_files(tree, files, tmp_path):
    assert "cannot read" in tree.pvhvm("report", tmp_path / "no.json", check=1).stderr
    p = tree.pvhvm("report", files[0], "--html", tmp_path / "no/x.html", check=1)
    assert "cannot write" in p.stderr
    p = tree.pvhvm("report", files[0], "--steps", files[0], check=1)
    assert "no list of steps" in p.stderr
