# SPDX-License-Identifier: GPL-2.0-only
"""The Ansible role on two Debian guests at once, over ssh as on any fleet."""
import json
import os
import pathlib
import shlex
import shutil
import subprocess

import pytest

import guestmodules
import sshserver
from xenbedlib.bed import Bed
from xenbedlib.guestcfg import GuestConfig

pytestmark = [pytest.mark.slow, pytest.mark.own]

ROLE = pathlib.Path(__file__).resolve().parents[2] / "packaging" / "ansible"
PLACE = "/opt/sshd"
TOOL = "/opt/pvhvm"
# starts the server at each boot, as that of a distribution would
UNIT = f"""[Unit]
After=network.target
[Service]
Environment=LD_LIBRARY_PATH={PLACE}
ExecStart={PLACE}/dropbear -F -r {PLACE}/host -p 22
[Install]
WantedBy=multi-user.target
"""


class Fleet:
    """Two guests that differ by number, name and address."""

    def __init__(self, bed, folder, modules, tool):
        self.bed = bed
        self.folder = folder
        self.key = sshserver.make_key(folder)
        bed.push_dom0(sshserver.files(self.key), PLACE)
        bed.dom0(f"{sshserver.setup(PLACE)}; {sshserver.start(PLACE)}")
        self.addresses = {}
        for number in (1, 2):
            self._add(number, modules, tool)
        self._write_inventory()

    def _add(self, number, modules, tool):
        name = f"fleet{number}"
        self.bed.add_guest(GuestConfig("debian", name=name, number=number, memory=1024))
        address = self.addresses[name] = f"192.168.77.{10 + number}"
        self.sh(name, "i=0; until ip -4 -o addr show dev eth0 2>/dev/null | grep -q 192.168.77.2; do i=$((i + 1)); "
                      "[ $i -lt 120 ] || exit 1; sleep 1; done", stall=180)
        self.sh(name, f"sed -i s/192.168.77.2/{address}/ /etc/network/interfaces; ip addr flush dev eth0; ip addr add {address}/24 dev eth0")
        self.bed.push_guest(sshserver.files(self.key), dest=PLACE, name=name)
        self.bed.push_guest([tool] + guestmodules.libraries_of(tool), dest=TOOL, name=name)
        self.bed.push_guest(modules, name=name)
        self.sh(name, f"{sshserver.setup(PLACE)}; printf '%s' '{UNIT}' >/etc/systemd/system/fleet-ssh.service; "
                      f"systemctl enable --now fleet-ssh.service; "
                      f"printf '#!/bin/sh\\nLD_LIBRARY_PATH={TOOL} exec {TOOL}/pvhvm \"$@\"\\n' >/usr/sbin/pvhvm; chmod 755 /usr/sbin/pvhvm")

    def _write_inventory(self):
        ssh = sshserver.client(self.key)
        jump = f"{ssh} -p {self.bed.machine.ssh_port} -W %h:%p root@127.0.0.1"
        hosts = {name: {"ansible_host": address, "ansible_user": "root", "ansible_become": False,
                        "ansible_python_interpreter": "/usr/bin/python3", "ansible_ssh_private_key_file": str(self.key),
                        "ansible_ssh_common_args": f"-F none {sshserver.OPTIONS} -o ProxyCommand='{jump}'"}
                 for name, address in self.addresses.items()}
        (self.folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))

    def sh(self, name, command, **kw):
        return self.bed.guest(command, name=name, **kw).out.strip()

    def over_ssh(self, name, command):
        """Output of a command, by the way that Ansible takes: a guest that was booted again answers here."""
        settings = json.loads((self.folder / "hosts.json").read_text())["all"]["hosts"][name]
        options = shlex.split(settings["ansible_ssh_common_args"])
        done = subprocess.run(["ssh", "-i", self.key, *options, f"root@{self.addresses[name]}", command],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, f"{name}: '{command}': {done.stderr}"
        return done.stdout.strip()

    def driver(self, name):
        return self.over_ssh(name, "basename $(readlink /sys/class/net/eth0/device/driver)")

    def load(self):
        """What the packages' installation ends with."""
        for name in self.addresses:
            self.sh(name, "for m in platform xenbus netfront blkfront; do insmod /payload/pvhvm_$m.ko; done", stall=120)
            self.sh(name, "i=0; until [ \"$(cat /sys/bus/pvhvm/devices/vif-0/state)\" = connected ]; do i=$((i + 1)); "
                          "[ $i -lt 300 ] || exit 1; sleep 0.2; done", stall=60)

    def play(self, *steps, check=False, **settings):
        """What the playbook said, per host how many tasks it changed and failed."""
        settings.update(pvhvm_do=list(steps), pvhvm_serial=2, pvhvm_wait=60)
        env = dict(os.environ, ANSIBLE_SSH_TRANSFER_METHOD="piped", ANSIBLE_TIMEOUT="120", ANSIBLE_STDOUT_CALLBACK="default",
                   ANSIBLE_HOME=str(self.folder / "ansible"), ANSIBLE_PIPELINING="1", LC_ALL="C.UTF-8")
        done = subprocess.run(["ansible-playbook", "-i", str(self.folder / "hosts.json"), "guests.yml", "-e", json.dumps(settings),
                               *(["--check"] if check else [])],
                              cwd=ROLE, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        print(done.stdout, flush=True)
        recap = {line.split()[0]: dict(word.split("=") for word in line.split()[2:])
                 for line in done.stdout.rpartition("PLAY RECAP")[2].splitlines() if " ok=" in line}
        assert sorted(recap) == sorted(self.addresses), recap
        return done.returncode, recap


@pytest.fixture
def fleet(beds, modules, tool, tmp_path):
    """Two emulated guests with modules in /payload, an ssh server and the command."""
    assert shutil.which("ansible-playbook"), "ansible-playbook is missing: 'apt install ansible-core'"
    beds.drop()
    with Bed.acquire("dom0", what="VM tests, a fleet") as bed:
        yield Fleet(bed, tmp_path, modules, tool)


def test_two_guests_at_once(fleet):
    """A plan, proof that it is needed, the switch, proof that it is done, nothing to do, and the way back."""
    fleet.load()
    code, recap = fleet.play("dry_run")
    assert code == 0 and all(host["changed"] == "0" for host in recap.values())
    code, recap = fleet.play("verify")
    assert code != 0 and all(host["failed"] == "1" for host in recap.values())
    assert {fleet.driver(name) for name in fleet.addresses} == {"e1000"}
    code, recap = fleet.play("switch", "verify")
    assert code == 0 and all(host["changed"] == "1" for host in recap.values())
    assert {fleet.driver(name) for name in fleet.addresses} == {"pvhvm-netfront"}
    code, recap = fleet.play("switch", "verify")
    assert code == 0 and all(host["changed"] == "0" for host in recap.values())
    code, recap = fleet.play("roll_back", check=True)
    assert code == 0 and {fleet.driver(name) for name in fleet.addresses} == {"pvhvm-netfront"}
    code, recap = fleet.play("roll_back")
    assert code == 0
    for name in fleet.addresses:
        assert fleet.driver(name) == "e1000"
        fleet.over_ssh(name, "test ! -e /etc/pvhvm/switch.conf")
    fleet.bed.check_health()
