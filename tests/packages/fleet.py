# SPDX-License-Identifier: GPL-2.0-only
"""The Ansible role: linted, run on two pretended guests (see tests/tools/fakeguest.py), its installation in a Debian system."""
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile

import debianroot
from harness import DEB, MODULES, TOP, run
from xenbedlib import debs

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

    def play(self, *steps, fails=(), check=False, **values):
        """({guest: (changed, failed)}, output)"""
        name = "ansible-" + "-".join(steps)
        command = ["ansible-playbook", "-i", str(self.place / "hosts.json"), "guests.yml",
                   "-e", json.dumps(dict(values, pvhvm_do=steps)), *(["--check"] if check else [])]
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
        _, out = fleet.play("verify", fails=["one"], pvhvm_disks=["sdb"])
        assert "sdb is still emulated" in out
        recap, out = fleet.play("switch", "verify", check=True)
        assert recap == {"one": (0, 0), "two": (0, 0)} and "sdb" in out, recap
        assert not any(g.writes() for g in fleet.guests.values()), "--check wrote something"
        recap, _ = fleet.play("switch", "verify")
        assert recap == {"one": (1, 0), "two": (1, 0)}, recap
        for guest in fleet.guests.values():
            assert (guest.root / "sys/block/xvdb").exists() and not (guest.root / "sys/block/sdb").exists()
            assert "disk 832" in guest.get("etc/pvhvm/switch.conf")
        recap, _ = fleet.play("switch", "verify")
        assert recap == {"one": (0, 0), "two": (0, 0)}, recap
        fleet.play("verify", pvhvm_disks=["sdb"])
        fleet.guests["two"].put("sys/bus/pvhvm/devices/vbd-832/quarantined", "bad response id 7")
        _, out = fleet.play("verify", fails=["two"])
        assert "bad response id 7" in out, "the reason is not told"
        recap, _ = fleet.play("roll_back", check=True)
        assert recap == {"one": (0, 0), "two": (0, 0)} and all((g.root / "etc/pvhvm/switch.conf").exists() for g in fleet.guests.values()), recap
        recap, _ = fleet.play("roll_back")
        assert recap == {"one": (1, 0), "two": (1, 0)}, recap
        assert not any((g.root / "etc/pvhvm/switch.conf").exists() for g in fleet.guests.values())


def no_such_step():
    """a step that does not exist is refused before anything is done"""
    with tempfile.TemporaryDirectory() as place:
        _, out = Fleet(pathlib.Path(place)).play("swich", fails=["one"])
        assert "install, dry_run, switch, verify and roll_back are known" in out


class Installing:
    """The role in a Debian system that is its own controller, with programs that the guests of a fleet have."""

    def __init__(self, m):
        self.m = m
        debs.missing(m.top, ["ansible-core", "python3-apt"], m.path("/srv/ansible-debs"))
        m.sh("dpkg -i /srv/ansible-debs/*.deb")
        shutil.copytree(ROLE, m.path("/srv/role"))
        shutil.copytree(DEB, m.path("/srv/packages"))
        # what apt knows of is here: nothing is fetched
        m.path("/etc/apt/sources.list").write_text("deb [trusted=yes] file:/srv/packages ./\n")
        m.sh("cd /srv/packages && dpkg-scanpackages . > Packages")

    def play(self, *steps, fails=False, check="", **values):
        """(changed, output); it must fail, or must not."""
        values.update(pvhvm_do=steps, pvhvm_reboot=False, ansible_python_interpreter="/usr/bin/python3", ansible_become=False)
        self.m.path("/srv/values.json").write_text(json.dumps(values))
        out = self.m.sh(f"cd /srv/role && ANSIBLE_NOCOLOR=1 ansible-playbook -i localhost, -c local -e @/srv/values.json {check} guests.yml || true")
        recap = re.search(r"^localhost\s+: ok=\d+\s+changed=(\d+)\s+unreachable=0\s+failed=(\d+)", out, re.M)
        assert recap and bool(int(recap.group(2))) == fails, out[-1500:]
        return int(recap.group(1)), out


def installs():
    """installs from a folder and from a repository, once, builds for the kernel whose headers are named, and removes"""
    with debianroot.machine() as m:
        before = m.remains()
        role = Installing(m)
        folder = {"pvhvm_packages": "/srv/packages", "pvhvm_headers": f"linux-headers-{m.release()}"}
        _, out = role.play("install", fails=True, **{**folder, "pvhvm_packages": "/srv/role"})
        assert "/srv/role: pvhvm-dkms and pvhvm-tools for apt are not there" in out, out[-1000:]
        _, out = role.play("install", fails=True, **{**folder, "pvhvm_headers": "linux-headers-none"})
        assert "linux-headers-none" in out
        _, out = role.play("install", fails=True, pvhvm_metrics=True, **folder)
        assert "no /var/lib/prometheus/node-exporter" in out, out[-1000:]
        for values in (folder, {"pvhvm_headers": ""}):
            role.play("install", "dry_run", check="--check", **values)
        assert m.remains() == before, m.remains()
        for values in (folder, {"pvhvm_headers": ""}):
            changed, out = role.play("install", "dry_run", **values)
            assert changed and m.built() == sorted(MODULES), f"{values}: {m.built()}"
            assert "does not run on Xen" in out, out[-1000:]
            assert role.play("install", **values)[0] == 0, f"{values}: changed again"
            m.path("/var/lib/prometheus/node-exporter").mkdir(parents=True, exist_ok=True)
            role.play("install", pvhvm_metrics=True, **values)
            timer = m.path("/etc/systemd/system/timers.target.wants/pvhvm-metrics.timer")
            assert timer.is_symlink(), "no counters"
            timer.unlink()
            role.play("roll_back", pvhvm_remove=True)
            assert not m.built(), m.built()
            assert role.play("roll_back", pvhvm_remove=True)[0] == 0, f"{values}: removed again"


TESTS = [lint, steps, no_such_step, installs]
