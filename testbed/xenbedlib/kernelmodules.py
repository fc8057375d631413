# SPDX-License-Identifier: GPL-2.0-only
"""The kernel of a root file system and its modules."""
import pathlib
import shutil

from . import hosttool, progress
from .errors import BedError


def release(root):
    """The one kernel's name."""
    names = sorted(p.name for p in (root / "lib/modules").iterdir())
    if len(names) != 1:
        raise BedError(f"{root}/lib/modules holds {len(names)} kernels, one was expected")
    return names[0]


def name_of(path):
    """A module's name by its file's."""
    return pathlib.PurePath(path).name.split(".ko")[0]


def _key(name):
    return name.replace("-", "_")


def paths(root, names):
    """Folder of the modules, and the files in it for the names, dependencies first, from modules.dep."""
    base = root / "lib/modules" / release(root)
    deps, by_name = {}, {}
    for line in (base / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        deps[path] = rest.split()
        by_name[_key(name_of(path))] = path
    builtin = {_key(name_of(p)) for p in (base / "modules.builtin").read_text().split()}
    found = []

    def add(path):
        for dep in deps[path]:
            add(dep)
        if path not in found:
            found.append(path)

    for name in names:
        if _key(name) in by_name:
            add(by_name[_key(name)])
        elif _key(name) not in builtin:
            progress.say(f"note: the kernel has no module {name}")
    return base, found


def read(path):
    """A module's bytes, unpacked."""
    if path.suffix == ".xz":
        return hosttool.run(["xz", "-dc", str(path)], f"unpacking {path.name}")
    return path.read_bytes()


def to_archive(archive, base, files):
    """Puts modules into an initramfs, and the order in which its init loads them."""
    for path in files:
        archive.file(f"modules/{name_of(path)}.ko", read(base / path), 0o644)
    archive.file("modules/order", "".join(f"{name_of(path)}.ko\n" for path in files).encode(), 0o644)


def copy(root, names, target):
    """A small /lib/modules tree for modprobe below target."""
    base, files = paths(root, names)
    out = target / "lib/modules" / base.name
    for rel in files:
        dest = out / rel
        dest.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(base / rel, dest)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copyfile(base / name, out / name)
    hosttool.run(["depmod", "-b", str(target), base.name], "depmod")
