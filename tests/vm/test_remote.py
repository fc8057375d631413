# SPDX-License-Identifier: GPL-2.0-only
"""The VM tests on somebody's dom0 (TESTBED=ssh://...), for which the testbed's own is taken."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

import sshserver
from xenbedlib.bed import Bed

pytestmark = [pytest.mark.slow, pytest.mark.own]

HERE = pathlib.Path(__file__).resolve().parent
PLACE = "/bed/sshd"


@pytest.fixture(scope="module")
def remote(beds, tmp_path_factory):
    """Environment for a client of a dom0 that has an ssh server and no guest."""
    beds.drop()
    key = sshserver.make_key(tmp_path_factory.mktemp("ssh"))
    with Bed.acquire("dom0", what="VM tests, over ssh") as bed:
        bed.push_dom0(sshserver.files(key), PLACE)
        bed.dom0(f"{sshserver.setup(PLACE)}; {sshserver.start(PLACE)}")
        yield bed, dict(os.environ, TESTBED=f"ssh://root@127.0.0.1:{bed.machine.ssh_port}", TESTBED_SSH=sshserver.client(key))


def pytest_of(env, *arguments):
    """Exit code and output of a pytest there, which can be followed while it runs."""
    run = subprocess.Popen([sys.executable, "-u", "-m", "pytest", "-p", "no:cacheprovider", "-v", "--tb=short", *arguments], cwd=HERE,
                           env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = []
    for line in run.stdout:
        said.append(line)
        print("there:", line, end="", flush=True)
    return run.wait(), "".join(said)


def test_core(remote):
    """The core of the VM tests passes there, and leaves neither a domain nor a client behind."""
    bed, env = remote
    listed = pytest_of(os.environ, "-m", "core", "--collect-only")[1]
    wanted = re.search(r"(\d+)/\d+ tests collected", listed).group(1)
    code, said = pytest_of(env, "-m", "core")
    assert code == 0
    assert f" {wanted} passed" in said
    assert len(bed.xl("list").out.splitlines()) == 2, bed.xl("list").out
    bed.dom0("flock -n /bed/lock true")
    bed.check_health()


def test_what_is_in_the_way(remote):
    """One clear line: another client, a program that is not there, an address that is none."""
    bed, env = remote
    one = ["test_platform.py::test_finds_xen"]
    bed.dom0("(flock /bed/lock sleep 3000 >/dev/null 2>&1 &) </dev/null; sleep 1")
    assert "in use by another client" in pytest_of(env, *one)[1]
    bed.dom0("pkill sleep; mv /usr/bin/iperf3 /bed")
    assert "has no iperf3: 'apt install iperf3' there" in pytest_of(env, *one)[1]
    bed.dom0("mv /bed/iperf3 /usr/bin")
    assert "it is ssh://[USER@]HOST[:PORT]" in pytest_of(dict(env, TESTBED="http://there"), *one)[1]
