# SPDX-License-Identifier: GPL-2.0-only
"""The four modules and the command, built for the testbed's guests.

They are built inside the Debian guest's own root: its headers, its compiler,
as DKMS would. The cached root stays as it is; the sources are mounted into a
private view of it.
"""
import os
import pathlib
import shlex
import subprocess

from xenbedlib import debugkernel, guestkernel, images, kernelmodules

TOP = pathlib.Path(__file__).resolve().parents[2]
OUT = TOP / "build" / "vm"
NAMES = ("pvhvm_platform", "pvhvm_xenbus", "pvhvm_netfront", "pvhvm_blkfront")
SOURCES = ("Kbuild", "Makefile", "KERNELS", "VERSION", "compat", "include",
           "platform-pci", "xenbus", "netfront", "blkfront")


def _in_root(root, command, mounts):
    """Runs a command in a root, with folders mounted where only it sees them."""
    steps = [f"mount --bind {shlex.quote(str(src))} {shlex.quote(str(root / dest))}"
             for src, dest in mounts]
    steps += [f"mount -t proc proc {shlex.quote(str(root / 'proc'))}",
              f"exec chroot {shlex.quote(str(root))} sh -c {shlex.quote(command)}"]
    done = subprocess.run(["unshare", "-m", "sh", "-ec", "\n".join(steps)],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"building for the guests failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def _kernel(root, debug):
    """(name of the build's folder, its KDIR in the root, mounts for it)"""
    if debug:
        return "src-debug", "/srv", [(debugkernel.place() / "kbuild", "srv")]
    release = kernelmodules.release(root)
    if release != kernelmodules.release(images.dom0_root()):
        raise RuntimeError("the guests have different kernels: 'testbed/xenbed build' makes them anew")
    return "src", f"/lib/modules/{release}/build", []


def _xen_headers():
    return os.environ.get("XEN_HEADERS", "/usr/include/xen")


def _of_the_matrix(series):
    """Modules for a kernel that the guests' roots have no headers of: as the build matrix makes them."""
    out = OUT / f"modules-{series}"
    done = subprocess.run([str(TOP / "tests/build/matrix"), "modules", series, str(out)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"building for {series} failed:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    built = done.stdout.split()[-1]
    boots = kernelmodules.release(guestkernel.place(series))
    if built != boots:
        raise RuntimeError(f"modules for {built}, but the guest boots {boots}: one of both is older in the cache; remove it there")
    found = [out / f"{name}.ko" for name in NAMES]
    subprocess.run(["strip", "--strip-debug", *found], check=True)
    return [str(path) for path in found]


def build_modules(kernel=""):
    """Paths of the .ko files, stripped of debug information; kernel: see guestkernel.NAMES, "" is dom0's."""
    if kernel not in ("", "debug"):
        return _of_the_matrix(kernel)
    root = images.debian_root()
    name, kdir, mounts = _kernel(root, kernel == "debug")
    src = OUT / name
    src.mkdir(parents=True, exist_ok=True)
    # by content: a file edited during a slow build would be older than its object
    subprocess.run(["rsync", "-rlpc", "--delete", "--exclude=xen-public", "--exclude=/out", "--exclude=/xen-headers",
                    *(str(TOP / s) for s in SOURCES), str(src)], check=True)
    # the guest's root has no libxen-dev
    subprocess.run(["rsync", "-aL", f"{_xen_headers()}/", str(src / "xen-headers")], check=True)
    _in_root(root, f"cd /mnt && make -j2 modules KDIR={kdir} OUT=/mnt/out "
             "XEN_HEADERS=/mnt/xen-headers && strip --strip-debug out/*.ko", [(src, "mnt"), *mounts])
    found = [src / "out" / f"{name}.ko" for name in NAMES]
    return [str(path) for path in found]


def build_helper(name, kernel=""):
    """A test's own module, of the folder of that name, for guests with dom0's kernel or the debug kernel."""
    root = images.debian_root()
    built_for, kdir, mounts = _kernel(root, kernel == "debug")
    src = OUT / f"{name}-{built_for}"
    (src / "include").mkdir(parents=True, exist_ok=True)
    subprocess.run(["rsync", "-rlpc", f"{pathlib.Path(__file__).parent}/{name}/", str(src)], check=True)
    subprocess.run(["rsync", "-rpc", str(TOP / "include/pvhvm"), str(src / "include")], check=True)
    subprocess.run(["rsync", "-aL", f"{_xen_headers()}/", str(src / "include/xen-public")], check=True)
    _in_root(root, f"make -C {kdir} M=/mnt modules && strip --strip-debug /mnt/{name}.ko", [(src, "mnt"), *mounts])
    return str(src / f"{name}.ko")


def build_tool():
    """The pvhvm command with its libraries beside it, for the small guest."""
    subprocess.run(["make", "-s", "-C", str(TOP), "tools"], check=True, stdin=subprocess.DEVNULL)
    return str(TOP / "build" / "tools" / "pvhvm")


def libraries_of(program, root=pathlib.Path("/")):
    """The shared libraries a program needs, from a Debian root (here: this system's), the loader left out."""
    text = subprocess.run([str(root / "lib64/ld-linux-x86-64.so.2"), "--library-path",
                           str(root / "usr/lib/x86_64-linux-gnu"), "--list", program],
                          check=True, capture_output=True, text=True).stdout
    return [word for line in text.splitlines() for word in line.split()
            if word.startswith("/") and "ld-linux" not in word]


def unpacked(package):
    """Folder with the files of a Debian package that need not be installed here."""
    place = OUT / "packages" / package
    if not place.exists():
        work = place.with_name(f".{package}")
        work.mkdir(parents=True, exist_ok=True)
        subprocess.run(["sh", "-ec", f"rm -f ./*.deb; apt-get -q download {package}; dpkg-deb -x ./*.deb .; rm ./*.deb"],
                       cwd=work, check=True, capture_output=True)
        work.rename(place)
    return place


def build_xdptool():
    """The loader of tiny XDP programs, for any root."""
    OUT.mkdir(parents=True, exist_ok=True)
    program = OUT / "xdptool"
    subprocess.run(["gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program),
                    str(pathlib.Path(__file__).parent / "xdptool.c")], check=True)
    return str(program)
