# SPDX-License-Identifier: GPL-2.0-only
import os
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import fakeguest  # noqa: E402


def pytest_sessionstart(session):
    """The binary under test, with the sanitizers in it."""
    if "PVHVM_BINARY" in os.environ:
        return
    top = pathlib.Path(__file__).resolve().parents[2]
    subprocess.run(["make", "-s", "-j2", "-C", top / "tools", "SAN=1",
                    f"BUILD={top}/build/tools-san"], check=True)


@pytest.fixture
def tree(tmp_path):
    return fakeguest.Tree(tmp_path / "root")


@pytest.fixture
def net(request):
    assert os.geteuid() == 0, "network namespaces need root"
    n = fakeguest.Net(f"{os.getpid()}")
    request.addfinalizer(n.close)
    return n
