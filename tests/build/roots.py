# SPDX-License-Identifier: GPL-2.0-only
"""The build root: one Debian 13 tree with compilers and the kernel headers of every series.

The headers of 6.12 and later bring tools linked with a newer glibc than
Debian 12's, while the older series' tools run on Debian 13 as well: so one
root serves all. It is made from the mirror that the host's apt uses, once for
each recipe (this file), in the cache that the testbed keeps, too.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "testbed"))
from xenbedlib import cache

BASE = "trixie"
PACKAGES = "gcc-12 gcc-14 make sparse libelf1t64 libssl3t64 libc6-dev perl-base kmod pahole".split()
# for checkpatch, which the kernel's packages carry only in the source
SOURCE_PACKAGE = "linux-source-6.12"
# series: Debian release its headers come from, their flavour, compiler, as close to that release's as Debian 13 has it
SERIES = {
    "5.10": ("bullseye", "amd64", "gcc-12"),
    "6.1": ("bookworm", "amd64", "gcc-12"),
    "6.12": ("trixie", "amd64", "gcc-14"),
    "6.12-rt": ("trixie", "rt-amd64", "gcc-14"),
    "newest": ("trixie-backports", "amd64", "gcc-14"),
}
# Series whose headers are there a second time, as of a kernel without any Xen support.
WITHOUT_XEN = ("6.1", "newest")
DPKG_OPTIONS = ["force-unsafe-io", "path-exclude=/usr/share/doc/*", "path-exclude=/usr/share/man/*",
                "path-exclude=/usr/share/locale/*", "path-exclude=/usr/share/info/*"]


class RootError(Exception):
    """Says in one line what is missing and what to do."""


def mirrors():
    """(main archive, security archive) as the host's apt has them."""
    form = "$(CREATED_BY)|$(ORIGIN)|$(COMPONENT)|$(CODENAME)|$(RELEASE)|$(REPO_URI)"
    try:
        text = subprocess.run(["apt-get", "indextargets", "--format", form], check=True,
                              capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as e:
        raise RootError(f"cannot ask apt for its mirror ({e}): the kernel matrix needs a Debian host") from e
    main = security = None
    for line in text.splitlines():
        by, origin, component, _, release, uri = line.split("|")
        if (by, origin, component) != ("Packages", "Debian", "main"):
            continue
        if release.endswith("-security"):
            security = security or uri
        elif "-" not in release:
            main = main or uri
    if not main:
        raise RootError("apt knows no Debian mirror: put a Debian source into /etc/apt and run 'apt-get update'")
    return main, security


def sources():
    main, security = mirrors()
    lines = []
    for release in dict.fromkeys([BASE] + [release for release, *_ in SERIES.values()]):
        lines.append(f"deb {main} {release} main")
        if security and "-" not in release:
            lines.append(f"deb {security} {release}-security main")
    return "\n".join(lines) + "\n"


def hook(folder, *args):
    """Runs apt-get or apt-cache with the new root's package lists."""
    env = dict(os.environ, APT_CONFIG=os.environ["MMDEBSTRAP_APT_CONFIG"])
    done = subprocess.run(args, capture_output=True, text=True, env=env, cwd=folder)
    if done.returncode:
        raise RootError(f"{' '.join(args[:2])} failed: {(done.stderr.strip().splitlines() or ['no word'])[-1]}")
    return done.stdout


def _newest(root, release, package):
    """The highest version of a package in a Debian release and its security updates."""
    newest = None
    for line in hook(root, "apt-cache", "madison", package).splitlines():
        _, version, where = (field.strip() for field in line.split("|"))
        if where.split()[1].split("/")[0] not in (release, release + "-security"):
            continue
        if not newest or subprocess.run(["dpkg", "--compare-versions", version, "gt", newest]).returncode == 0:
            newest = version
    if not newest:
        raise RootError(f"the mirror has no {package} in {release}")
    return newest


def _headers_of(root, release, flavour):
    """name=version of the newest header packages of a Debian release.

    The parts need not be of one version: the mirror gets them one after the other.
    """
    meta = f"linux-headers-{flavour}"
    todo = [f"{meta}={_newest(root, release, meta)}"]
    names = []
    while todo:
        package = todo.pop()
        for line in hook(root, "apt-cache", "show", package).splitlines():
            if not line.startswith("Depends:"):
                continue
            for name, exact in re.findall(r"\b(linux-(?:headers|kbuild)-[^ ,|]+)(?: \(= ([^)]+)\))?", line):
                part = f"{name}={exact or _newest(root, release, name)}"
                if part not in names:
                    names.append(part)
                    todo.append(part)
            break
    return names


def _unpack(deb, root):
    """dpkg-deb -x would replace the root's /lib symlink by the older packages' folder."""
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "--keep-directory-symlink", "-C", str(root)], input=tar, check=True)


def unpack_headers(root, release, flavour):
    """Puts the newest headers of a Debian release into the root; the kernel's release."""
    debs = root / "debs"
    debs.mkdir()
    before = {p.name for p in (root / "lib/modules").glob("*")}
    hook(debs, "apt-get", "download", *_headers_of(root, release, flavour))
    for deb in debs.glob("*.deb"):
        _unpack(deb, root)
    shutil.rmtree(debs)
    new = {p.name for p in (root / "lib/modules").glob("*")} - before
    if len(new) != 1:
        raise RootError(f"headers of {release} brought {len(new)} kernels, one was expected")
    return new.pop()


def _without_xen(root, kernel):
    """A copy of a kernel's configured headers with CONFIG_XEN and all that hangs on it off."""
    name = f"{kernel}-noxen"
    old, new = (root / f"usr/src/linux-headers-{k}" for k in (kernel, name))
    shutil.copytree(old, new, symlinks=True)
    option = re.compile(r"\bCONFIG_(\w*_)?XEN(_\w+|FS|BUS\w*)?\b")
    for part in (".config", "include/config/auto.conf", "include/generated/autoconf.h"):
        path = new / part
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for line in lines if not option.search(line)))
    symbols = new / "Module.symvers"
    symbols.write_text("".join(line for line in symbols.read_text().splitlines(keepends=True)
                               if not re.search(r"\b(drivers|arch/x86)/xen/", line)))
    makefile = new / "Makefile"
    makefile.write_text(makefile.read_text().replace(f"KBUILD_OUTPUT=/usr/src/linux-headers-{kernel}",
                                                     f"KBUILD_OUTPUT=/usr/src/linux-headers-{name}"))
    modules = root / "usr/lib/modules" / name
    modules.mkdir()
    (modules / "build").symlink_to(f"/usr/src/linux-headers-{name}")
    return name


def fill(root):
    """Called by mmdebstrap as its customize hook: unpacks the headers into the root."""
    root = pathlib.Path(root)
    table = []
    for series, (release, flavour, compiler) in SERIES.items():
        kernel = unpack_headers(root, release, flavour)
        table.append(f"{series} {kernel} {compiler}\n")
        if series in WITHOUT_XEN:
            table.append(f"{series}-noxen {_without_xen(root, kernel)} {compiler}\n")
    (root / "kernels").write_text("".join(table))
    _unpack_checkpatch(root)


def _unpack_checkpatch(root):
    debs = root / "debs"
    debs.mkdir()
    hook(debs, "apt-get", "download", SOURCE_PACKAGE)
    deb = next(debs.glob("*.deb"))
    place = root / "checkpatch"
    place.mkdir()
    wanted = [f"{SOURCE_PACKAGE}/scripts/{name}" for name in
              ("checkpatch.pl", "spelling.txt", "const_structs.checkpatch")]
    subprocess.run(f"dpkg-deb --fsys-tarfile '{deb}' | tar -xO --wildcards '*/{SOURCE_PACKAGE}.tar.xz' |"
                   f" xz -dc -T0 | tar -x -C '{place}' --strip-components=2 {' '.join(wanted)}",
                   shell=True, check=True)
    shutil.rmtree(debs)


def make(tmp, packages, recipe):
    """A Debian tree in tmp/root with the packages; the recipe, a file, fills it as mmdebstrap's hook."""
    if os.geteuid():
        raise RootError("making the kernel matrix' build root needs root (mmdebstrap, chroot)")
    if not shutil.which("mmdebstrap"):
        raise RootError("mmdebstrap is missing: apt-get install mmdebstrap")
    cache.need_space(4)
    log = tmp / "build.log"
    args = ["mmdebstrap", "--mode=root", "--format=directory", "--variant=essential",
            *(f"--dpkgopt={o}" for o in DPKG_OPTIONS), f"--include={','.join(packages)}",
            f"--customize-hook=python3 '{pathlib.Path(recipe).resolve()}' \"$1\"",
            BASE, str(tmp / "root"), "-"]
    with open(log, "wb") as out:
        done = subprocess.run(args, input=sources().encode(), stdout=out, stderr=out,
                              env=dict(os.environ, DEBIAN_FRONTEND="noninteractive"))
    if done.returncode:
        keep = cache.root() / "failed-kernel-root.log"
        shutil.copyfile(log, keep)
        tail = " / ".join(log.read_text(errors="replace").splitlines()[-3:])
        raise RootError(f"mmdebstrap failed: {tail} (all of it: {keep})")
    (tmp / "root/src").mkdir()


def ensure():
    """Path of the build root, made first when the cache has none."""
    key = cache.digest(pathlib.Path(__file__).read_bytes())
    return cache.ensure("kernels", "build-root", key, lambda tmp: make(tmp, PACKAGES, __file__)) / "root"


def kernels(root):
    """[(series, release, compiler)] in the root."""
    return [tuple(line.split()) for line in (root / "kernels").read_text().splitlines()]


if __name__ == "__main__":
    try:
        fill(sys.argv[1])
    except RootError as e:
        sys.exit(f"roots.py: {e}")
