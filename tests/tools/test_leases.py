# SPDX-License-Identifier: GPL-2.0-only
"""pvhvm switch on a NIC with a leased address, by real DHCP clients and a real server."""
import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from fakeguest import MAC, PVHVM, run

# seconds of a lease; udhcpc gives up too early on one of 10
LEASES = {"dhclient": 10, "dhcpcd": 10, "udhcpc": 30}
CLIENTS = {
    "dhclient": "{d}/dhclient -4 -pf {d}/pid -lf {d}/leases eth0",
    "dhcpcd": "dhcpcd -4 -t 20 eth0",
    "udhcpc": "busybox udhcpc -b -i eth0 -s {d}/script",
}
UDHCPC_SCRIPT = """#!/bin/sh
case $1 in
deconfig) ip addr flush dev $interface; ip link set $interface up;;
bound|renew) ip addr replace $ip/24 dev $interface valid_lft $lease preferred_lft $lease;;
esac
"""


# What a client writes and reads below / is a folder of ours, or it would meet the host's own.
APART = """#!/bin/sh -e
for pair in {d}/run:/run/dhcpcd {d}/lib:/var/lib/dhcpcd {d}/resolv.conf:/etc/resolv.conf; do
	mount --bind "${{pair%:*}}" "${{pair#*:}}"
done
exec "$@"
"""


@pytest.fixture
def lease(tree, net, tmp_path, request):
    """eth0 has a lease of a few seconds; yields the client's name, pvhvm() runs beside it."""
    tree.xen()
    tree.emulated_nic()
    tree.pv_nic()
    net.cable("eth0", MAC)
    net.cable("pv0", MAC)
    tree.arm(limbo=net.limbo, guest=net.guest)
    for folder in ("run", "lib", "/run/dhcpcd", "/var/lib/dhcpcd"):
        (tmp_path / folder).mkdir(exist_ok=True)
    for file in ("given", "resolv.conf"):
        (tmp_path / file).touch()
    for script, text in (("apart", APART.format(d=tmp_path)), ("script", UDHCPC_SCRIPT)):
        (tmp_path / script).write_text(text)
        (tmp_path / script).chmod(0o755)
    shutil.copy("/sbin/dhclient", tmp_path)
    conf = tmp_path / "udhcpd.conf"
    seconds = LEASES[request.param]
    conf.write_text(f"start 10.9.0.50\nend 10.9.0.59\ninterface br0\nlease_file {tmp_path}/given\n"
                    f"pidfile {tmp_path}/server.pid\nmin_lease {seconds}\noption lease {seconds}\n"
                    "option subnet 255.255.255.0\noption router 10.9.0.1\n")
    server = subprocess.Popen(["ip", "netns", "exec", net.host, "busybox", "udhcpd", "-f", conf],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # its children hold its output, so no pipe
    with open(tmp_path / "client.log", "w") as log:
        subprocess.run(["ip", "netns", "exec", net.guest, tmp_path / "apart",
                        *CLIENTS[request.param].format(d=tmp_path).split()],
                       stdout=log, stderr=log, check=True, timeout=60)
    assert "inet 10.9.0.5" in net.g("addr", "show", "eth0"), (tmp_path / "client.log").read_text()
    tree.pvhvm = functools.partial(tree.pvhvm, PVHVM, binary=tmp_path / "apart", netns=net.guest)
    yield request.param
    server.kill()
    server.wait()
    for pid in run("ip", "netns", "pids", net.guest, check=False).stdout.split():
        # one of their scripts' commands may have ended since
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    print((tmp_path / "client.log").read_text())


def switch_and_see_it_stay(tree, net, lease):
    address = re.search(r"inet (10\.9\.0\.5\d)", net.g("addr", "show", "eth0"))[1]
    p = tree.pvhvm("switch", check=0)
    assert p.stderr == ""
    until = time.time() + 1.5 * LEASES[lease]
    while time.time() < until:
        now = net.g("addr", "show", "eth0")
        assert address in now, now
        time.sleep(0.1)
    return p


@pytest.mark.parametrize("lease", CLIENTS, indirect=True)
def test_lease_is_renewed(tree, net, lease):
    """Its client spoke by the emulated interface, which is gone."""
    p = switch_and_see_it_stay(tree, net, lease)
    assert ("anew" in p.stdout) == (lease != "udhcpc")


@pytest.mark.parametrize("lease", ["dhclient"], indirect=True)
def test_client_that_was_upgraded(tree, net, tmp_path, lease):
    """What still runs is of a file that is gone; another one has its name."""
    (tmp_path / "dhclient").unlink()
    shutil.copy("/sbin/dhclient", tmp_path)
    assert "anew" in switch_and_see_it_stay(tree, net, lease).stdout


@pytest.mark.parametrize("lease", ["dhclient"], indirect=True)
def test_client_that_does_not_start_again(tree, net, tmp_path, lease):
    """The switch stays, and says what is left to do."""
    hook = tree.root / "write-hook"
    hook.write_text(hook.read_text().replace("sys.exit(", "import os\nif sys.argv[2] == 'nics':\n"
                    f"    os.unlink('{tmp_path}/dhclient')\nsys.exit("))
    p = tree.pvhvm("switch", "--json", check=0)
    assert re.search(r"^pvhvm: the lease will not be renewed: `\S*/dhclient -4 .*` failed: start it by hand$", p.stderr)
    assert p.stderr.strip().removeprefix("pvhvm: ") in json.loads(p.stdout)["skipped"]
