# SPDX-License-Identifier: GPL-2.0-only
"""pvhvm report: measurements side by side, as text, JSON and HTML."""
import html.parser
import json
import os
import re
import subprocess

import pytest

from fakeguest import PVHVM, run, tiny_disk


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


def test_different_hosts(tree, tmp_path):
    """The headline has what holds for all of them, and the version that was measured, not the one that reports."""
    hosts = [{"pvhvm": "0.0.9", "xen": "4.17", "kernel": kernel, "cpus": 2, "time": time}
             for kernel, time in (("6.1.0", 1760000000), ("6.12.1", 1770000000))]
    names = [tmp_path / "a.json", tmp_path / "b.json"]
    for name, host in zip(names, hosts):
        name.write_text(json.dumps({"host": host, "results": []}))
    tree.pvhvm("report", *names, "--html", tmp_path / "r.html", check=0)
    head = re.search(r"</h1>\n<p class=.soft.>(.*)</p>", (tmp_path / "r.html").read_text()).group(1)
    assert head == "pvhvm 0.0.9 · Xen 4.17 · 2 vCPUs · 2025-10-09"


def test_long_names(tree, tmp_path):
    """Two that differ beyond what is kept are one, with the samples of both; a chart has room for the longest."""
    names = []
    for end, value in (("one", 1), ("two", 3)):
        names.append(tmp_path / f"{end}.json")
        names[-1].write_text(json.dumps({"results": [{"name": "x", "variants": {"v" * 30 + end: {"samples": [value]}}}]}))
    o = json.loads(tree.pvhvm("report", *names, "--json", "-", check=0).stdout)
    assert o["results"][0]["variants"] == {"v" * 23: {"median": 2, "min": 1, "max": 3, "n": 2, "samples": [1, 3]}}
    tree.pvhvm("report", *names, "--html", tmp_path / "r.html", check=0)
    x = int(re.search(r'class="name" x="(\d+)"', (tmp_path / "r.html").read_text()).group(1))
    assert x >= 23 * 7


def test_all_columns(tree, tmp_path):
    many = tmp_path / "many.json"
    many.write_text(json.dumps({"results": [{"name": "x", "variants": {f"v{i}": {"median": i} for i in range(1, 12)}}]}))
    tree.pvhvm("report", many, "--html", tmp_path / "r.html", "--title", os.fsdecode(b"\xff"), check=0)
    text = (tmp_path / "r.html").read_text()
    assert text.count("<th>v") == 11 and "<title>?</title>" in text


@pytest.mark.parametrize("variant", ['{"samples": [NaN, 1]}', '{"samples": [Infinity]}', '{"median": 1e999}', '{"samples": ["abc", null]}', '5'])
def test_what_is_no_number(tree, tmp_path, variant):
    bad = tmp_path / "bad.json"
    bad.write_text('{"results": [{"name": "x", "variants": {"a": %s}}]}' % variant)
    p = tree.pvhvm("report", bad, "--html", tmp_path / "r.html", check=1)
    assert "bad.json: x has something that is no number for a" in p.stderr and p.stderr.count("\n") == 1
    assert not (tmp_path / "r.html").exists()


def test_tiny_numbers(tree, tmp_path):
    """A chart of some decades, not without end."""
    tiny = tmp_path / "tiny.json"
    tiny.write_text('{"results": [{"name": "x", "variants": {"a": {"median": 1e-323}, "b": {"median": 1}}},'
                    '{"name": "y", "variants": {"a": {"median": 1e-323}, "b": {"median": 1e-310}}}]}')
    steps = tmp_path / "steps.json"
    steps.write_text('[{"name": "%s", "seconds": NaN}]' % ("long " * 40))
    tree.pvhvm("report", tiny, "--html", tmp_path / "r.html", "--steps", steps, check=0)
    text = (tmp_path / "r.html").read_text()
    assert len(text) < 50000 and "nan" not in text and "…" in text


def test_why_a_file_cannot_be_read(tree, tmp_path):
    cut = tmp_path / "cut.json"
    cut.write_text('{"results": [')
    loop = tmp_path / "loop.json"
    loop.symlink_to(loop)
    good = bench_file(tmp_path / "one.json", "pvhvm", 1)
    for name, says in ((tmp_path, "Is a directory"), (cut, "no JSON in it, or not all"), (loop, "symbolic links"), (tmp_path / "no", "No such file")):
        assert says in tree.pvhvm("report", name, check=1).stderr
        assert says in tree.pvhvm("report", good, "--steps", name, check=1).stderr


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_full_disk(tree, files, tmp_path, option):
    """What was in the file is still there, and nothing beside it."""
    with tiny_disk(tmp_path) as place:
        (place / "out").write_text("old\n")
        p = tree.pvhvm("report", *files, option, place / "out", check=1)
        assert "No space left" in p.stderr and (place / "out").read_text() == "old\n"
        assert sorted(f.name for f in place.iterdir()) == ["ballast", "out"]


def test_reader_that_goes(tree, files, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    p = subprocess.run([PVHVM, "report", files[0], "--html", tmp_path / "r.html"], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert p.returncode == 1 and b"Broken pipe" in p.stderr
    assert "</html>" in (tmp_path / "r.html").read_text()


def test_slow_reader_gets_all(tree, tmp_path):
    big = tmp_path / "big.json"
    big.write_text(json.dumps({"results": [{"name": f"row{i}", "variants": {"a": {"median": i}}} for i in range(2000)]}))
    whole = tree.pvhvm("report", big, "--json", "-", check=0).stdout
    assert len(whole) > 3 << 16
    out = subprocess.run(["sh", "-c", f"{PVHVM} report {big} --json - | (sleep 3; cat)"], capture_output=True, text=True)
    assert out.stdout == whole and out.stderr == ""
