# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's part when pvhvm writes to an attribute of the fake sysfs."""
import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys


def ip(*args):
    subprocess.run(["ip", *args], check=False)


def forget_links(root, folder, prefix):
    for link in (root / folder).iterdir():
        if prefix in os.readlink(link):
            link.unlink()


def remove(root, conf, path):
    """A PCI function goes, and its interface with it."""
    bdf = path.split("/")[-2]
    d = root / "sys/devices/pci0000:00" / bdf
    name = next((d / "net").iterdir()).name
    if "limbo" in conf:
        # one that a rescan has just found has no other name yet
        for now in (f"{name}-emu", name):
            if os.path.exists(f"/sys/class/net/{now}"):
                break
        ip("link", "set", now, "name", f"{name}-emu", "netns", conf["limbo"])
    forget_links(root, "sys/class/net", bdf)
    (root / "sys/bus/pci/devices" / bdf).unlink()
    (root / "gone").mkdir(exist_ok=True)
    d.rename(root / "gone" / bdf)
    (root / "gone" / f"{bdf}.name").write_text(name)


def rescan(root, conf):
    """It comes back under a name of the kernel's choice, as if new."""
    for n, d in enumerate(sorted((root / "gone").glob("*:*:*.?"))):
        name = (root / "gone" / f"{d.name}.name").read_text()
        new = f"eth{7 + n}"
        if "limbo" in conf:
            subprocess.run(["ip", "-n", conf["limbo"], "link", "set", f"{name}-emu",
                            "name", new, "netns", conf["guest"]], check=False)
        home = root / "sys/devices/pci0000:00" / d.name
        d.rename(home)
        (home / "net" / name).rename(home / "net" / new)
        os.symlink(f"../../../devices/pci0000:00/{d.name}", root / "sys/bus/pci/devices" / d.name)
        os.symlink(f"../../devices/pci0000:00/{d.name}/net/{new}", root / "sys/class/net" / new)


def delete(root, path):
    name = path.split("/")[3]
    block = root / "sys/block" / name
    scsi = block.resolve().parent.parent
    (root / "gone").mkdir(exist_ok=True)
    (root / "gone" / f"disk.{scsi.name}").write_text(f"{name}\n{scsi}")
    scsi.rename(root / "gone" / f"scsi.{scsi.name}")
    (root / "sys/bus/scsi/devices" / scsi.name).unlink()
    block.unlink()


def lowest_name(root):
    return next(name for name in map("sd{}".format, "abcdefgh") if not (root / "sys/block" / name).exists())


def scan(root, conf, path, value):
    """What is at that address ('-': any) comes back, under the lowest name that is free if the test says so."""
    host = path.split("/")[-2].removeprefix("host")
    for note in sorted((root / "gone").glob(f"disk.{host}:*")):
        address = note.name.removeprefix("disk.")
        if any(want not in ("-", got) for want, got in zip(value.split(), address.split(":")[1:])):
            continue
        old, scsi = note.read_text().splitlines()
        (root / "gone" / f"scsi.{address}").rename(scsi)
        name = lowest_name(root) if conf.get("lowest_names") else old
        (pathlib.Path(scsi) / "block" / old).rename(pathlib.Path(scsi) / "block" / name)
        os.symlink(os.path.relpath(scsi, root / "sys/bus/scsi/devices"), root / "sys/bus/scsi/devices" / address)
        os.symlink(os.path.relpath(f"{scsi}/block/{name}", root / "sys/block"), root / "sys/block" / name)
        note.unlink()


def hold(root, conf, path, value):
    pvdev = path.split("/")[-2]
    # Whoever has the disk open closes it after so many tries.
    tries = (root / "writes.log").read_text().count("hold 1\n")
    if value == "1" and tries <= conf.get("opened", 0):
        return errno.EBUSY
    d = (root / "sys/bus/pvhvm/devices" / pvdev).resolve()
    name, sectors = conf["vbds"][pvdev]
    (d / "hold").write_text(value + "\n")
    if value == "0":
        (d / "state").write_text("connected\n")
        if conf.get("never_appears"):
            return 0
        (d / "block" / name).mkdir(parents=True)
        (d / "block" / name / "size").write_text(f"{conf.get('pv_sectors', sectors)}\n")
        (d / "block" / name / "dev").write_text("202:0\n")
        os.symlink(os.path.relpath(d / "block" / name, root / "sys/block"), root / "sys/block" / name)
    else:
        (d / "state").write_text("initialising\n")
        shutil.rmtree(d / "block", ignore_errors=True)
        link = root / "sys/block" / name
        if link.is_symlink():
            link.unlink()
    return 0


def main(root):
    root = pathlib.Path(root)
    path, value = sys.argv[1:3]
    conf = json.loads((root / "hook.json").read_text())
    with open(root / "writes.log", "a", encoding="ascii") as log:
        log.write(f"{path} {value}\n")
    for part, name in conf["fail"].items():
        if part in f"{path} {value}":
            return getattr(errno, name)
    if path.endswith("/remove"):
        remove(root, conf, path)
    elif path == "/sys/bus/pci/rescan":
        rescan(root, conf)
    elif path.endswith("/delete"):
        delete(root, path)
    elif path.endswith("/scan"):
        scan(root, conf, path, value)
    elif path.endswith("/hold"):
        return hold(root, conf, path, value)
    elif path.endswith("/unplug"):
        pass
    else:
        return errno.ENOENT
    return 0
