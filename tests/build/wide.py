# SPDX-License-Identifier: GPL-2.0-only
"""The wide build root, for `make test-build`: flavours, clang, and kernels configured here.

Beside what roots.py puts into its own:

* the headers of Debian's cloud and rt flavours, as far as roots.py has them not;
* trees that no package has, configured from linux-source with Debian's
  configuration as the start: with clang (kCFI, LTO), and such as differ in
  what touches these modules (no Xen at all or none for HVM guests, other preemption). They
  are prepared as for building modules, then thinned; Debian's Module.symvers
  says which symbols there are.

Made once for each recipe (this file and roots.py), which takes a while.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import roots
from roots import cache

CLANG = "19"
# LLVM=-19 is unknown to older kernels: the tools are found under their plain names
PATH = f"/usr/lib/llvm-{CLANG}/bin:/usr/bin:/usr/sbin:/bin:/sbin"
PACKAGES = [*roots.PACKAGES, f"clang-{CLANG}", f"lld-{CLANG}", f"llvm-{CLANG}", "flex", "bison", "bc",
            "libelf-dev", "libssl-dev", "libdw-dev", "xz-utils"]
PLAIN = "amd64"
FLAVOURS = ("cloud-amd64", "rt-amd64")
# name: series, options on (A|B: what one of them is called there), options off; with clang when the name says so
CONFIGURED = {
    "5.10-clang": ("5.10", [], []),
    "6.1-clang": ("6.1", [], []),
    "6.1-noguest": ("6.1", [], ["XEN_PVHVM_GUEST", "XEN_PVH"]),
    # the fast root's kernels without Xen are Debian's headers with lines left out; this one's own rules say what goes with it
    # (live patching would want a symbol that Debian's kernel, which Module.symvers is of, has not)
    "6.12-noxen-nopreempt": ("6.12", ["PREEMPT_NONE"],
                             ["XEN", "PREEMPT", "PREEMPT_VOLUNTARY", "PREEMPT_DYNAMIC", "LIVEPATCH"]),
    "6.12-clang-kcfi": ("6.12", ["CFI_CLANG|CFI"], ["CFI_PERMISSIVE"]),
    "newest-clang-kcfi-lto": ("newest", ["LTO_CLANG_THIN", "CFI_CLANG|CFI"], ["LTO_NONE", "CFI_PERMISSIVE"]),
    "newest-debug": ("newest", ["PREEMPT", "PROVE_LOCKING", "DEBUG_ATOMIC_SLEEP", "KASAN", "UBSAN", "DEBUG_KMEMLEAK",
                                "DMA_API_DEBUG", "DEBUG_SG"], ["PREEMPT_DYNAMIC", "PREEMPT_LAZY"]),
}
# Of a prepared source tree, what building a module reads.
KEEP = ("arch", "include", "scripts", "tools", "Makefile", "Kbuild", ".config", "Module.symvers", "System.map",
        "certs", "rust", "kernel")


def _source(root, version):
    """Downloads and unpacks linux-source-X.Y; the path of the tree."""
    debs = root / "debs"
    debs.mkdir()
    roots.hook(debs, "apt-get", "download", f"linux-source-{version}")
    deb = next(debs.glob("*.deb"))
    subprocess.run(f"dpkg-deb --fsys-tarfile '{deb}' | tar -xO --wildcards '*/linux-source-{version}.tar.xz' |"
                   f" xz -dc -T0 | tar -x -C '{root}/usr/src'", shell=True, check=True)
    shutil.rmtree(debs)
    return root / f"usr/src/linux-source-{version}"


def _inside(root, folder, *args):
    subprocess.run(["chroot", str(root), "/usr/bin/env", "-i", f"PATH={PATH}", "LC_ALL=C",
                    "make", "-C", "/" + str(folder.relative_to(root)), f"-j{os.cpu_count()}", *args],
                   check=True, stdin=subprocess.DEVNULL)


def toolchain(name, compiler):
    """make's arguments for a configured kernel."""
    if "-clang" in name:
        return ["LLVM=1"]
    return [f"CC={compiler}", f"HOSTCC={compiler}"]


def _thin(tree):
    for entry in tree.iterdir():
        if entry.name in KEEP:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    for arch in (tree / "arch").iterdir():
        if arch.is_dir() and arch.name != "x86":
            shutil.rmtree(arch)
    for tool in (tree / "tools").iterdir():
        if tool.is_dir() and tool.name not in ("objtool", "include", "lib", "bpf", "build", "scripts", "arch"):
            shutil.rmtree(tool)


def not_in_force(tree, name):
    """Options of CONFIGURED that the kernel's own rules did not accept."""
    _, on, off = CONFIGURED[name]
    said = set(re.findall(r"^CONFIG_(\w+)=y$", (tree / ".config").read_text(), re.M))
    wanted = [*on, "CC_IS_CLANG"] if "-clang" in name else on
    return [names for names in wanted if not said & set(names.split("|"))] + [f"not {option}" for option in off if option in said]


def _configure(root, name, kernel, compiler, source):
    """A tree of its own, prepared; the release it calls itself."""
    _, on, off = CONFIGURED[name]
    tree = root / f"usr/src/pvhvm-{name}"
    shutil.copytree(source, tree, symlinks=True)
    headers = root / f"usr/src/linux-headers-{kernel}"
    shutil.copy(headers / ".config", tree / ".config")
    changes = [arg for names in on for option in names.split("|") for arg in ("-e", option)]
    changes += [arg for option in off for arg in ("-d", option)]
    # what names files of Debian's build, and what only costs time here
    for option in ("SYSTEM_TRUSTED_KEYS", "SYSTEM_REVOCATION_KEYS", "BUILD_SALT"):
        changes += ["--set-str", option, ""]
    for option in ("DEBUG_INFO_BTF", "GCC_PLUGINS", "RUST", "MODULE_SIG"):
        changes += ["-d", option]
    subprocess.run([str(tree / "scripts/config"), "--file", str(tree / ".config"), *changes], check=True)
    args = toolchain(name, compiler)
    _inside(root, tree, *args, "olddefconfig")
    refused = not_in_force(tree, name)
    if refused:
        raise roots.RootError(f"the kernel's rules did not accept what {name} is for: {', '.join(refused)}")
    _inside(root, tree, *args, "modules_prepare")
    shutil.copy(headers / "Module.symvers", tree / "Module.symvers")
    release = (tree / "include/config/kernel.release").read_text().strip() + f"-{name}"
    _thin(tree)
    modules = root / "usr/lib/modules" / release
    modules.mkdir()
    (modules / "build").symlink_to(f"/usr/src/pvhvm-{name}")
    return release


def fill(root):
    """Called by mmdebstrap as its customize hook."""
    root = pathlib.Path(root)
    table, plain = [], {}
    for series, (release, own, compiler) in roots.SERIES.items():
        if own != PLAIN:
            continue
        plain[series] = (roots.unpack_headers(root, release, PLAIN), compiler)
        for flavour in FLAVOURS:
            name = f"{series}-{flavour.removesuffix('-amd64')}"
            if name not in roots.SERIES:
                table.append(f"{name} {roots.unpack_headers(root, release, flavour)} {compiler}\n")
    subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)
    try:
        for series, (kernel, compiler) in plain.items():
            source = _source(root, re.match(r"\d+\.\d+", kernel).group())
            for name in [n for n, what in CONFIGURED.items() if what[0] == series]:
                release = _configure(root, name, kernel, compiler, source)
                used = f"clang-{CLANG}" if "-clang" in name else compiler
                table.append(f"{name} {release} {used}\n")
            shutil.rmtree(source)
    finally:
        subprocess.run(["umount", str(root / "proc")], check=True)
    (root / "kernels").write_text("".join(table))


def ensure():
    """Path of the wide build root, made first when the cache has none."""
    key = cache.digest(pathlib.Path(__file__).read_bytes(), pathlib.Path(roots.__file__).read_bytes())
    return cache.ensure("kernels", "wide-root", key, lambda tmp: roots.make(tmp, PACKAGES, __file__)) / "root"


if __name__ == "__main__":
    try:
        fill(sys.argv[1])
    except roots.RootError as e:
        sys.exit(f"wide.py: {e}")
