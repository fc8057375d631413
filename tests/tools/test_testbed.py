# SPDX-License-Identifier: GPL-2.0-only
"""What the testbed does on the host, and its channel for files, without a machine."""
import os
import pathlib
import subprocess
import sys
import tarfile

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "testbed"))

from xenbedlib import cache  # noqa: E402

# Reads like the real one, but the reads numbered in $FAIL end early with an error,
# that of the header before it has anything.
FAULTY_DD = """#!/bin/sh
n=$(($(cat {here}/reads) + 1))
echo $n >{here}/reads
case " $FAIL " in
*" $n "*)
	case "$*" in
	*skip=*) /bin/dd "$@" 2>/dev/null | head -c 5000 ;;
	esac
	echo "dd: error reading '/dev/sr0': Input/output error" >&2
	exit 1 ;;
esac
exec /bin/dd "$@"
"""


@pytest.fixture
def payload(tmp_path):
    """Runs xb-fetch on a payload of two files; its result, and the folder it filled."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "large").write_bytes(os.urandom(300_000))
    (source / "last").write_text("the end\n")
    with tarfile.open(tmp_path / "tar", "w") as tar:
        for path in sorted(source.iterdir()):
            tar.add(path, path.name)
    data = (tmp_path / "tar").read_bytes()
    device = tmp_path / "device"
    device.write_bytes(f"XENBED1 nonce {len(data)}\n".encode().ljust(2048, b"\0") + data.ljust(-(-len(data) // 2048) * 2048, b"\0"))
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in (("dd", FAULTY_DD.format(here=tmp_path)), ("blockdev", "#!/bin/sh\n"), ("sleep", "#!/bin/sh\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)

    def fetch(failing="", nonce="nonce"):
        (tmp_path / "reads").write_text("0\n")
        done = subprocess.run(
            ["sh", TOP / "testbed/image/xb-fetch", tmp_path / "out", nonce], capture_output=True, text=True, check=False,
            env=dict(os.environ, XB_PAYLOAD=str(device), FAIL=failing, PATH=f"{programs}:{os.environ['PATH']}"))
        same = {p.name: p.read_bytes() for p in source.iterdir()} == \
            {p.name: p.read_bytes() for p in (tmp_path / "out").glob("*")}
        return done, same
    return fetch


@pytest.mark.parametrize("failing", ["", "1", "2", "1 3 4 5"])
def test_payload_is_read_until_it_is_whole(payload, failing):
    done, same = payload(failing)
    assert done.returncode == 0, done.stderr
    assert same
    assert done.stderr.count("xb-fetch:") == len(failing.split())


@pytest.mark.parametrize("failing", ["1 2 3 4 5 6 7 8 9 10", "2 3 4 5 6 7 8 9 10 11"])
def test_payload_that_stays_bad_is_an_error(payload, failing):
    done, _ = payload(failing)
    assert done.returncode == 1
    assert "Input/output error" in done.stderr


def test_payload_of_another_push_is_not_taken(payload):
    done, same = payload(nonce="other")
    assert done.returncode == 1 and not same
    assert "expected 'XENBED1 other'" in done.stderr


@pytest.fixture
def mounted(tmp_path):
    """A tree with a file system mounted in it, as a killed bootstrap leaves one."""
    tree = tmp_path / "a tree"
    place = tree / "root/proc"
    place.mkdir(parents=True)
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious").write_text("kept\n")
    subprocess.run(["mount", "--bind", other, place], check=True)
    yield tree, other
    subprocess.run(["umount", "--lazy", "--quiet", place], check=False)


def test_removing_a_tree_spares_what_is_mounted_in_it(mounted):
    tree, other = mounted
    cache.remove_tree(tree)
    assert not tree.exists()
    assert (other / "precious").read_text() == "kept\n"
