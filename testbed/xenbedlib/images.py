# SPDX-License-Identifier: GPL-2.0-only
"""Builds the images from Debian packages, each once per recipe."""
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import tarfile
import zlib

from . import bootstrap, cache, cpio, emulator, hosttool, kernelmodules, progress, recipe

F = recipe.IMAGE_FILES


def _dom0_root(version):
    packages, suite = recipe.dom0_packages(version), recipe.XENS[version]

    def make(tmp):
        cache.need_space(8)
        with progress.step(f"bootstrapping the root of dom0, Xen {version}, from Debian packages"):
            bootstrap.tree(packages, tmp / "root", tmp / "build.log", "dom0's root", suite=suite)
    return cache.ensure("images", "dom0-root", bootstrap.tree_key(packages, suite=suite), make) / "root"


def dom0_root():
    """The root file system of the usual dom0 as a tree; the outer machine's QEMU uses its libraries and firmware."""
    return _dom0_root(next(iter(recipe.XENS)))


def debian_root():
    """The Debian guest's root file system as a tree."""
    def make(tmp):
        cache.need_space(8)
        with progress.step("bootstrapping the Debian guest's root from Debian packages"):
            bootstrap.tree(recipe.DEBIAN_PACKAGES, tmp / "root", tmp / "build.log", "the Debian guest's root",
                           recipe.DEBIAN_DPKG_OPTIONS)
    key = bootstrap.tree_key(recipe.DEBIAN_PACKAGES, recipe.DEBIAN_DPKG_OPTIONS)
    return cache.ensure("images", "debian-root", key, make) / "root"


def agent():
    """The static command agent for dom0 and guests."""
    src = F / "agent.c"

    def make(tmp):
        hosttool.logged(["gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-s", "-o", str(tmp / "xbagent"),
                         str(src)], tmp / "build.log", "compiling the agent")
    return cache.ensure("images", "agent", cache.digest(cache.file_bytes(src)), make) / "xbagent"


def _busybox_links(busybox):
    return hosttool.run([str(busybox), "--list-full"], "busybox").decode().split()


def _initramfs(root, init, modules, extra=()):
    """gzipped cpio: busybox, the agent, an init and modules in load order."""
    ar = cpio.Archive()
    for d in ("dev", "proc", "sys", "run", "tmp", "mnt", "etc", "modules", "bin", "sbin",
              "usr", "usr/bin", "usr/sbin", "usr/local", "usr/local/bin", "var", "root", "lib"):
        ar.directory(d)
    busybox = root / "bin/busybox"
    ar.file("bin/busybox", busybox.read_bytes(), 0o755)
    for link in _busybox_links(busybox):
        if link != "bin/busybox":
            ar.symlink(link, "/bin/busybox")
    ar.file("bin/xbagent", agent().read_bytes(), 0o755)
    ar.file("init", init.read_bytes(), 0o755)
    kernelmodules.to_archive(ar, *kernelmodules.paths(root, modules))
    ar.device("dev/console", 5, 1)
    for name, data in extra:
        ar.file(name, data, 0o755)
    z = zlib.compressobj(9, zlib.DEFLATED, 31)
    return z.compress(ar.finish()) + z.flush()


def _libraries(root, programs):
    """The shared libraries that programs of a root need, as paths in it."""
    libs = set()
    for prog in programs:
        text = subprocess.run(["chroot", str(root), "/usr/bin/ldd", prog], capture_output=True,
                              text=True).stdout
        for word in text.split():
            if word.startswith("/"):
                libs.add(word)
    return sorted(libs)


def _tools_tar(root, out):
    """Archive for the small guest: programs, their libraries, kernel modules."""
    stage = out.parent / "tools"
    progs = []
    for name in recipe.TOOL_PROGRAMS:
        for d in ("usr/sbin", "usr/bin", "sbin", "bin"):
            if (root / d / name).exists() or (root / d / name).is_symlink():
                progs.append(f"/{d}/{name}")
                break
        else:
            progress.say(f"note: dom0's root has no program {name}")
    for path in progs + _libraries(root, progs):
        src = root / path.lstrip("/")
        # absolute links inside the root
        real = pathlib.Path(os.path.realpath(src)) if not src.is_symlink() else _resolve(root, path)
        dest = stage / (f"usr/local/bin/{src.name}" if path in progs else path.lstrip("/"))
        dest.parent.mkdir(parents=True, exist_ok=True)
        if not dest.exists():
            shutil.copyfile(real, dest)
            dest.chmod(0o755)
    _shrink_icu(stage)
    kernelmodules.copy(root, recipe.TOOL_MODULES, stage)
    with tarfile.open(out, "w") as tar:
        tar.add(stage, arcname=".", filter=_as_root)
    cache.remove_tree(stage)


def _shrink_icu(stage):
    """Puts an empty table in the place of 30 MB of Unicode data that fio never looks at."""
    for lib in stage.glob("**/libicudata.so.*"):
        version = lib.name.rpartition(".")[2]
        source = f"const char icudt{version}_dat[64] = {{ 0 }};\n"
        hosttool.run(["gcc", "-shared", "-nostdlib", f"-Wl,-soname,{lib.name}", "-x", "c", "-o", str(lib), "-"],
             "compiling an empty libicudata", input=source.encode())


def _as_root(info):
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    return info


def _resolve(root, path):
    """Follows symbolic links as seen from inside a root."""
    text = hosttool.run(["chroot", str(root), "/bin/readlink", "-f", path], f"following {path}")
    return root / text.decode().strip().lstrip("/")


def _copy_tree(src, dest):
    hosttool.run(["cp", "-a", "--reflink=auto", str(src), str(dest)], f"copying {src.name}")


def _make_ext4(tree, image, size, label):
    with open(image, "wb") as f:
        f.truncate(size)
    hosttool.run(["mke2fs", "-q", "-F", "-t", "ext4", "-L", label, "-m", "0", "-E",
          "lazy_itable_init=1,lazy_journal_init=1,no_copy_xattrs", "-d", str(tree), str(image)],
         f"making {image.name}")


def small():
    """Folder with vmlinuz, initrd and tools.tar of the small guest."""
    root = dom0_root()
    init = F / "guest-init"

    def make(tmp):
        with progress.step("making the small guest"):
            release = kernelmodules.release(root)
            shutil.copyfile(root / f"boot/vmlinuz-{release}", tmp / "vmlinuz")
            (tmp / "initrd").write_bytes(_initramfs(
                root, init, recipe.BOOT_MODULES + recipe.NIC_MODULES + recipe.PV_MODULES,
                [("etc/rc.small", (F / "guest-rc").read_bytes()),
                 ("bin/xb-fetch", (F / "xb-fetch").read_bytes())]))
            _tools_tar(root, tmp / "tools.tar")
    key = cache.digest("small-1", root.parent.name, agent().parent.name,
                       cache.file_bytes(init, F / "guest-rc", F / "xb-fetch"),
                       recipe.BOOT_MODULES, recipe.NIC_MODULES, recipe.PV_MODULES,
                       recipe.TOOL_MODULES, recipe.TOOL_PROGRAMS, _source_key())
    return cache.ensure("images", "small", key, make)


def _source_key():
    here = pathlib.Path(__file__).resolve().parent
    return cache.digest(cache.file_bytes(*(here / name for name in ("images.py", "cpio.py", "kernelmodules.py"))))


DOM0_FILES = ("dom0-init", "dom0-bed", "dom0-vif")


def dom0():
    """Folder with xen, vmlinuz, initrd and root.img of dom0."""
    root = _dom0_root(recipe.xen())

    def make(tmp):
        with progress.step("making dom0's image"):
            release = kernelmodules.release(root)
            shutil.copyfile(root / f"boot/vmlinuz-{release}", tmp / "vmlinuz")
            (tmp / "initrd").write_bytes(_initramfs(
                root, F / "dom0-initramfs", ["virtio_pci", "virtio_blk", "ext4", "crc32c_generic"]))
            gz = root / f"boot/xen-{recipe.xen()}-amd64.gz"
            (tmp / "xen").write_bytes(zlib.decompress(gz.read_bytes(), 47))
            tree = tmp / "tree"
            _copy_tree(root, tree)
            _trim_dom0(tree)
            bed = tree / "bed"
            bed.mkdir()
            for name in DOM0_FILES:
                shutil.copyfile(F / name, bed / name)
                (bed / name).chmod(0o755)
            shutil.copyfile(agent(), bed / "xbagent")
            (bed / "xbagent").chmod(0o755)
            (tree / "var/log/xen/console").mkdir(parents=True, exist_ok=True)
            _make_ext4(tree, tmp / "root.img", 6 << 30, "dom0")
            cache.remove_tree(tree)
    key = cache.digest("dom0-1", root.parent.name, agent().parent.name,
                       cache.file_bytes(F / "dom0-initramfs", *(F / n for n in DOM0_FILES)),
                       _source_key())
    return cache.ensure("images", "dom0", key, make)


def _trim_dom0(tree):
    """Takes out what dom0 never reads, and the guest's kernel copies."""
    for pattern in ("usr/share/perl*/pod",
                    "boot/*", "var/cache/apt/*", "var/lib/apt/lists/*"):
        for path in tree.glob(pattern):
            cache.remove_tree(path)


def debian():
    """Folder with vmlinuz, initrd and root.img of the Debian guest."""
    root = debian_root()
    files = ("guest-init", "debian-setup", "xb-fetch")

    def make(tmp):
        with progress.step("making the Debian guest's image"):
            release = kernelmodules.release(root)
            shutil.copyfile(root / f"boot/vmlinuz-{release}", tmp / "vmlinuz")
            (tmp / "initrd").write_bytes(_initramfs(
                root, F / "guest-init", recipe.BOOT_MODULES + recipe.PV_MODULES[:1] + ["crc32c_generic"]))
            tree = tmp / "tree"
            _copy_tree(root, tree)
            for src, dest in ((agent(), "usr/local/sbin/xbagent"), (F / "xb-fetch", "usr/local/sbin/xb-fetch"),
                              (F / "debian-setup", "debian-setup")):
                shutil.copyfile(src, tree / dest)
                (tree / dest).chmod(0o755)
            hosttool.logged(["chroot", str(tree), "/debian-setup"], tmp / "build.log", "debian-setup")
            (tree / "debian-setup").unlink()
            _make_ext4(tree, tmp / "root.img", 4 << 30, "debian")
            cache.remove_tree(tree)
    key = cache.digest("debian-1", root.parent.name, agent().parent.name,
                       cache.file_bytes(*(F / n for n in files)), _source_key())
    return cache.ensure("images", "debian", key, make)


def build_all():
    """Everything; the bootstraps, which wait for the network and the disk, beside the compiler."""
    hosttool.install_missing()
    agent()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(emulator.place), pool.submit(lambda: (dom0(), small(), debian()))]
        return [job.result() for job in jobs]

