# SPDX-License-Identifier: GPL-2.0-only
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import fakeguest  # noqa: E402


@pytest.fixture
def tree(tmp_path):
    return fakeguest.Tree(tmp_path / "root")


@pytest.fixture
def net(request):
    if os.geteuid():
        pytest.skip("network namespaces need root")
    n = fakeguest.Net(f"{os.getpid()}")
    request.addfinalizer(n.close)
    return n
