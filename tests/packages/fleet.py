# SPDX-License-Identifier: GPL-2.0-only
"""The Ansible role: linted, and run on two pretended guests (see tests/tools/fakeguest.py)."""
import json
import os
import pathlib
import re
import sys
import tempfile

from harness import TOP, run

sys.path.insert(0, str(TOP / "tests/tools"))
import fakeguest  # noqa: E402

ROLE = TOP / "packaging/ansible"


class Fleet:
    def __init__(self, place):
        self.place = place
        self.guests = {}
        hosts = {}
        for name in ("one", "two"):
            tree = self.guests[name] = fakeguest.Tree(place / name)
            tree.xen()
            tree.ide()
            tree.emulated_disk(1, "sdb", number="8:16")
            tree.vbd(832, "xvdb")
            tree.cdrom(2, 5632)
            tree.arm()
            command = place / f"pvhvm-{name}"
            command.write_text(f"#!/bin/sh\nPVHVM_SYSROOT={tree.root} exec unshare -n {TOP}/build/tools/pvhvm \"$@\"\n")
            command.chmod(0o755)
            hosts[name] = {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3",
                           "pvhvm_command": str(command), "pvhvm_reboot": False, "ansible_become": False}
        (place / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}))

    def play(self, *steps, fails=()):
        """({guest: (changed, failed)}, output)"""
        name = "ansible-" + "-".join(steps)
        command = ["ansible-playbook", "-i", str(self.place / "hosts.json"), "guests.yml",
                   "-e", json.dumps({"pvhvm_do": steps})]
        env = dict(os.environ, ANSIBLE_NOCOLOR="1", ANSIBLE_LOCAL_TEMP=str(self.place / "tmp"), LC_ALL="C.UTF-8",
                   ANSIBLE_GATHERING="smart", ANSIBLE_REMOTE_TEMP=str(self.place / "tmp"))
        try:
            out = run(name, *command, cwd=ROLE, env=env)
            assert not fails, f"{steps} did not fail"
        except AssertionError:
            if not fails:
                raise
            out = (TOP / f"build/test/packages/{name}.log").read_text()
        recap = {m.group(1): (int(m.group(2)), int(m.group(3))) for m in
                 re.finditer(r"^(\w+)\s+: ok=\d+\s+changed=(\d+)\s+unreachable=0\s+failed=(\d+)", out, re.M)}
        assert [n for n, (_, failed) in recap.items() if failed] == list(fails), f"{steps}: {recap}"
        return recap, out


def lint():
    """ansible-lint has no complaint"""
    run("ansible-lint", "ansible-lint", "--offline", "-q", "guests.yml", "roles", cwd=ROLE)


def steps():
    """dry run, switch, verify and roll back on two guests, and again without a change"""
    run("tools-for-fleet", "make", "tools")
    with tempfile.TemporaryDirectory() as place:
        fleet = Fleet(pathlib.Path(place))
        recap, out = fleet.play("dry_run")
        assert recap == {"one": (0, 0), "two": (0, 0)}, recap
        assert "sdb" in out and not any(g.writes() for g in fleet.guests.values()), "a dry run wrote something"
        fleet.play("verify", fails=["one"])     # the first batch fails: the second guest is not touched
        recap, _ = fleet.play("switch", "verify")
        assert recap == {"one": (1, 0), "two": (1, 0)}, recap
        for guest in fleet.guests.values():
            assert (guest.root / "sys/block/xvdb").exists() and not (guest.root / "sys/block/sdb").exists()
            assert "disk 832" in guest.get("etc/pvhvm/switch.conf")
        recap, _ = fleet.play("switch", "verify")
        assert recap == {"one": (0, 0), "two": (0, 0)}, recap
        fleet.guests["two"].put("sys/bus/pvhvm/devices/vbd-832/quarantined", "bad response id 7")
        _, out = fleet.play("verify", fails=["two"])
        assert "bad response id 7" in out, "the reason is not told"
        recap, _ = fleet.play("roll_back")
        assert recap == {"one": (1, 0), "two": (1, 0)}, recap
        assert not any((g.root / "etc/pvhvm/switch.conf").exists() for g in fleet.guests.values())


def no_such_step():
    """a step that does not exist is refused before anything is done"""
    with tempfile.TemporaryDirectory() as place:
        _, out = Fleet(pathlib.Path(place)).play("swich", fails=["one"])
        assert "install, dry_run, switch, verify and roll_back are known" in out


TESTS = [lint, steps, no_such_step]
