# SPDX-License-Identifier: GPL-2.0-only
"""Memory that is refused now and then, by the debug kernel's fault injection."""
import pytest

from netstat import grown, serve_iperf, total
from test_blkfront import switch_by_hand
from test_life import DRIVER
from test_netfront import DOM0, iperf, pv_up
from test_suspend import check_fio, counts, start_fio

pytestmark = [pytest.mark.debug, pytest.mark.fresh]

MANY = 1000000
KINDS = ("failslab", "fail_page_alloc")


def refuse(guest, percent, sleepers):
    """Refuses allocations: those that may not sleep, or any of the tasks that are marked for it."""
    for kind in KINDS:
        guest.sh(f"cd /sys/kernel/debug/{kind}; echo 0 >probability; echo 0 >verbose; echo {MANY} >times; echo 1 >interval; "
                 f"echo {'N' if sleepers else 'Y'} >ignore-gfp-wait; echo {'Y' if sleepers else 'N'} >task-filter; "
                 f"[ ! -e min-order ] || echo 0 >min-order; echo {percent} >probability")


def allow(guest):
    """An end of it; some were refused."""
    refused = 0
    for kind in KINDS:
        refused += MANY - int(guest.sh(f"cd /sys/kernel/debug/{kind}; echo 0 >probability; cat times"))
    print(f"{refused} allocations refused")
    assert refused > 0


def test_traffic(guest):
    """Interrupts and the data path are refused one allocation in ten: slower, and well again afterwards."""
    name = pv_up(guest)
    guest.load("blkfront")
    start_fio(guest, "/dev/" + switch_by_hand(guest), 40)
    before = counts(guest)
    serve_iperf(guest)

    def traffic():
        for options in ((), ("-R",)):
            guest.try_sh(f"timeout 20 iperf3 -c {DOM0} -t 5 {' '.join(options)}", stall=120)
    refuse(guest, 10, sleepers=False)
    moved = grown(guest, name, traffic)
    allow(guest)
    assert total(moved, "tx_packets") > 100 and total(moved, "rx_packets") > 100
    guest.wait(f"ping -c 1 -W 2 {DOM0} >/dev/null")
    assert iperf(guest) > 0 and iperf(guest, "-R") > 0
    check_fio(guest)
    stopped = guest.sh(f"ethtool -S {name} | grep tx_stopped").splitlines()
    assert stopped and all(line.endswith(": 0") for line in stopped)
    assert counts(guest) == before


# An interrupt goes on without its entries in /proc if these are refused memory; the kernel warns when it removes what is
# not there. A splat of another kind has a first line of its own.
@pytest.mark.expects(r"fs/proc/generic\.c:\d+ remove_proc_entry|Modules linked in:|Call Trace:")
def test_bind(guest):
    """A card is bound and unbound while allocations are refused: each try works or leaves nothing behind."""
    guest.load("platform", "xenbus", "netfront")
    guest.wait_connected("vif-0")
    before = counts(guest)
    guest.sh("for p in /proc/[0-9]*; do case $(cat $p/comm) in pvhvm*|kworker/u*) echo 1 >$p/make-it-fail || [ ! -e $p ] ;; esac; done")
    refuse(guest, 3, sleepers=True)
    guest.sh(f"echo vif-0 >{DRIVER}/unbind")
    for _ in range(40):
        guest.try_sh(f"bash -c 'echo 1 >/proc/self/make-it-fail; echo vif-0 >{DRIVER}/bind' 2>/dev/null; sleep 0.3; "
                     f"[ ! -e {DRIVER}/vif-0 ] || echo vif-0 >{DRIVER}/unbind", stall=120)
    allow(guest)
    assert not guest.try_sh(f"[ -e {DRIVER}/vif-0 ]")
    guest.sh(f"echo vif-0 >{DRIVER}/bind", stall=120)
    guest.wait_connected("vif-0")
    guest.wait("grep -q 'parked 0' /sys/bus/pci/drivers/pvhvm-platform/0*/pvhvm/grants")
    assert counts(guest) == before
