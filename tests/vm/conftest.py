# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the VM tests: a guest on the real Xen, and its health afterwards."""
import os
import pathlib
import re
import sys

import pytest
from _pytest.runner import runtestprotocol

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "testbed"))

import guestmodules                      # noqa: E402
from guest import Guest                  # noqa: E402
from xenbedlib import remote             # noqa: E402
from xenbedlib.bed import Bed            # noqa: E402
from xenbedlib.errors import BedError, CommandFailed    # noqa: E402


# a kernel of guestkernel.NAMES for the small guest, instead of dom0's
KERNEL = os.environ.get("PVHVM_TEST_KERNEL", "")
DEBUG = KERNEL == "debug"


@pytest.fixture(scope="session")
def modules():
    return guestmodules.build_modules(KERNEL)


@pytest.fixture(scope="session")
def relabel():
    return guestmodules.build_helper("relabel", KERNEL)


@pytest.fixture(scope="session")
def nearring():
    return guestmodules.build_helper("nearring", KERNEL)


@pytest.fixture(scope="session")
def tool():
    return guestmodules.build_tool()


class Beds:
    """One machine for the whole run; loaded anew when the state differs or was spoiled."""

    def __init__(self):
        self.bed = self.guest = self.state = None

    def get(self, state, files, what):
        if self.state != state:
            if self.bed is None:
                self.bed = Bed.acquire(state, what=f"VM tests, {what}")
            else:
                self.bed.load(state)
            self.guest = Guest(self.bed)
            self.bed.push_guest(files)
            self.state = state
        return self.guest

    def spoil(self):
        """The next test gets a fresh machine."""
        self.state = None

    def drop(self):
        if self.bed:
            self.bed.close()
        self.bed = self.guest = self.state = None


@pytest.fixture(scope="session")
def beds():
    pool = Beds()
    yield pool
    pool.drop()


@pytest.fixture
def guest(request, beds, modules):
    """A guest in the state the test's mark 'state' names (default: small), modules in /payload.

    The machine is shared by the tests of one state that leave the guest as it
    was; a test marked 'fresh' gets its own, and nobody gets one after it, after
    one that failed, or one that has marked its guest as spent.
    Whatever the test says: an oops, a warning or a hang anywhere fails it, but
    for lines of the kind that its mark 'expects' names.
    """
    mark = request.node.get_closest_marker("state")
    state = mark.args[0] if mark else f"small-{KERNEL}" if KERNEL else "small"
    fresh = request.node.get_closest_marker("fresh")
    if fresh:
        beds.spoil()
    it = beds.get(state, modules, request.node.name)
    it.start_test(request.node.name)
    yield it
    expected = [re.compile(mark.args[0]) for mark in request.node.iter_markers("expects")]
    findings = [f for f in it.bed.findings() if not any(e.search(f.line) for e in expected)]
    if DEBUG and it.alive():
        try:
            findings += it.leaks()
        except CommandFailed as e:      # kmemleak has switched itself off
            findings.append(str(e))
    failed_or_ill = findings or getattr(request.node, "rep_call", None) is None or request.node.rep_call.failed
    request.node.emulator_fault = bool(failed_or_ill) and it.bed.emulator_fault()
    if failed_or_ill:
        report = getattr(request.node, "rep_call", None)
        print(f"---- {report.longreprtext if report else 'not run'}\n---- guest console\n{it.bed.console()[-4000:]}")
        it.bed.keep_logs()
    if fresh or failed_or_ill:
        beds.spoil()
    else:
        unloaded = it.clean_up()
        if it.spent or not unloaded:
            beds.spoil()
        assert unloaded, "modules could not be unloaded after the test"
    assert not findings, "\n".join(str(f) for f in findings)


def _other_kernel(item):
    mark = item.get_closest_marker("state")
    return mark and getattr(mark.args[0], "kind", "") != f"small-{KERNEL}"


def pytest_collection_modifyitems(config, items):
    """Leaves out what cannot be: with a kernel of its own, machines that have another; a power cut elsewhere."""
    others = [item for item in items if KERNEL and _other_kernel(item)
              or remote.url() and item.get_closest_marker("own")]
    items[:] = [item for item in items if item not in others]
    config.hook.pytest_deselected(items=others)


EMULATOR_TRIES = 4


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """Repeats a test whose guest was lost by QEMU itself, and says so.

    The software CPU continued a guest with Xen's own registers (xenbedlib/watch.py
    tells how it is recognised, which no guest can cause), and once the whole
    machine, dom0 with it, stood still. Such a run says nothing; a test that never
    gets a run without it fails.
    """
    for left in reversed(range(EMULATOR_TRIES)):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        if hasattr(item, "_initrequest"):
            item._initrequest()
        item.emulator_fault = False
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        if not item.emulator_fault or not left:
            break
        print(f"\n{item.name}: the emulator lost the guest or the machine; once more", flush=True)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "rep_" + call.when, outcome.get_result())


def pytest_configure(config):
    try:
        remote.url()
    except BedError as e:
        raise pytest.UsageError(str(e)) from e
    config.addinivalue_line("markers", "state(name): the machine's state the test starts from")
    config.addinivalue_line("markers", "wide: only with 'make test-wide'")
    config.addinivalue_line("markers", "slow: only with 'make test-slow'")
    config.addinivalue_line("markers", "core: also on other kernels, with 'make test-kernels'")
    config.addinivalue_line("markers", "debug: needs the debug kernel, only with 'make test-debug'")
    config.addinivalue_line("markers", "soak: only with 'make test-soak'")
    config.addinivalue_line("markers", "fuzz: only with 'make test-fuzz'")
    config.addinivalue_line("markers", "pending(why): fails, or has not been seen passing yet; 'make test-slow' runs it")
    config.addinivalue_line("markers", "expects(regex): lines of the logs that are no finding in this test")
    config.addinivalue_line("markers", "own: needs the testbed's own machine, or changes what other guests of a host see: not for somebody's dom0 (TESTBED)")
    config.addinivalue_line("markers", "fresh: a machine of its own, thrown away afterwards")
