# SPDX-License-Identifier: GPL-2.0-only
"""pvhvm bench, with real and with make-believe fio and iperf3."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from fakeguest import PVHVM, run

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
        for _ in range(200):
            if ":5201 " in run("ip", "netns", "exec", net.host, "ss", "-ltn").stdout:
                break
            time.sleep(0.1)
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


@pytest.mark.parametrize("args, says", [
    (["--dir", ".", "--only", "net"], "nothing is left to measure"), (["--dir", ".", "--only", ""], "nothing is left to measure"),
    (["--dir", ""], "is a variable empty?"), (["--dir", ".", "--label", ""], "--label wants 1 to 23"),
    (["--dir", ".", "--label", "x" * 24], "--label wants 1 to 23"), (["--dir", ".", "--label", "a\nb"], "in one line"),
    (["--dir", ".", "--rounds", "2.5"], "a whole number"), (["--dir", ".", "--size", "0"], "from 1 to 1048576"),
    (["--disk", "."], "is no disk"), (["--disk", "/dev/null"], "is no disk"),
    (["--nope"], "no option --nope"), (["--dir"], "--dir wants a value"), (["-x"], "no option -x"),
])
def test_arguments_that_measure_nothing(tree, programs, tmp_path, args, says):
    """One line each, and no file."""
    p = tree.pvhvm("bench", *args, cwd=tmp_path, check=2)
    assert says in p.stderr and p.stderr.count("\n") == 1 and not p.stdout
    assert not programs.exists() and not (tmp_path / "pvhvm-bench.tmp").exists()


def test_only_writing_rows_without_leave(tree, programs, tmp_path):
    dev = tmp_path / "device"
    dev.write_bytes(bytes(4096))
    p = tree.pvhvm("bench", "--disk", dev, "--only", "disk.write_1m_qd4", check=2)
    assert "left out" in p.stderr and "nothing is left to measure" in p.stderr


def test_place_for_the_results_is_looked_at_first(tree, programs, tmp_path):
    for place in ("/nonexistent/x.json", tmp_path, ""):
        p = tree.pvhvm("bench", "--dir", tmp_path, "--json", place, check=1)
        assert "cannot write" in p.stderr and p.stderr.count("\n") == 1
    assert not programs.exists()


def test_without_leave(tree, programs, tmp_path):
    """Not root: said as such, before anything is measured."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        for program in (PVHVM, tmp_path / "bin/fio"):
            shutil.copy(program, place)
        dev = pathlib.Path(place) / "device"
        dev.write_bytes(bytes(4096))
        dev.chmod(0o600)
        p = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", f"{place}/pvhvm", "bench", "--disk", dev, "--rounds", "1"],
                           env={"PATH": f"{place}:{os.environ['PATH']}"}, capture_output=True, text=True)
    assert p.returncode == 3 and "run it as root" in p.stderr and not programs.exists(), p


def test_what_fio_says_elsewhere_is_quoted(tree, programs, tmp_path):
    (tmp_path / "bin/fio").write_text("#!/bin/sh\necho 'fio: Permission denied'\nexit 1\n")
    p = tree.pvhvm("bench", "--dir", tmp_path, "--only", "disk.read_1m_qd4", "--rounds", "1", check=1)
    assert "status 1: fio: Permission denied" in p.stderr


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_stopped_it_leaves_nothing(tree, programs, tmp_path, sig):
    """Neither its file, nor a fio that would make it again."""
    (tmp_path / "bin/fio").write_text(f"#!/bin/sh\n[ \"$1\" != --version ] || exit 0\necho $$ >{tmp_path}/pid\nexec sleep 60\n")
    # tests that a shell has put into the background ignore some of them, and what they start would, too
    p = subprocess.Popen([PVHVM, "bench", "--dir", tmp_path, "--only", "disk"], stderr=subprocess.DEVNULL,
                         env=dict(os.environ, PVHVM_SYSROOT=str(tree.root)), preexec_fn=lambda: signal.signal(sig, signal.SIG_DFL))
    pid = tmp_path / "pid"
    for _ in range(200):
        if pid.exists() and pid.read_text().strip():
            break
        time.sleep(0.05)
    assert (tmp_path / "pvhvm-bench.tmp").exists()
    p.send_signal(sig)
    assert p.wait(10) == 128 + sig
    assert not os.path.exists(f"/proc/{pid.read_text().strip()}")
    assert not (tmp_path / "pvhvm-bench.tmp").exists()


def test_nohup(tree, programs, tmp_path):
    """A hang-up that somebody has it ignore does not end it."""
    (tmp_path / "bin/fio").write_text(f"#!/bin/sh\n[ \"$1\" != --version ] || exit 0\nkill -HUP $PPID\n{FIO.format(log=programs).split('exit 0', 1)[1]}")
    p = subprocess.run(["nohup", PVHVM, "bench", "--dir", tmp_path, "--only", "disk.read_1m_qd4", "--rounds", "1"], capture_output=True,
                       text=True, env=dict(os.environ, PVHVM_SYSROOT=str(tree.root)))
    assert p.returncode == 0 and "disk.read_1m_qd4" in p.stdout, p


def test_reader_that_goes(tree, programs, tmp_path):
    """The results are in their file all the same, the file that was measured is gone, and the status says that a reader has missed something."""
    out = tmp_path / "out.json"
    reader, writer = os.pipe()
    os.close(reader)
    p = subprocess.run([PVHVM, "bench", "--dir", tmp_path, "--rounds", "1", "--json", out], stdout=writer, stderr=subprocess.PIPE,
                       env=dict(os.environ, PVHVM_SYSROOT=str(tree.root)), text=True)
    os.close(writer)
    assert p.returncode == 1 and "cannot write standard output: Broken pipe" in p.stderr
    assert len(json.loads(out.read_text())["results"]) == 5 and not (tmp_path / "pvhvm-bench.tmp").exists()


def test_closed_output(tree, tmp_path):
    """What is said goes nowhere, and into no file that got the number of the closed one; the status says so."""
    tree.xen()
    for command in ("status", "metrics", "switch --help"):
        p = subprocess.run(["sh", "-c", f"exec {PVHVM} {command} >&-"], env=dict(os.environ, PVHVM_SYSROOT=str(tree.root)),
                           capture_output=True, text=True)
        assert p.returncode == 1 and "cannot write standard output" in p.stderr, (command, p)
