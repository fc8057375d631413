# SPDX-License-Identifier: GPL-2.0-only
"""An initramfs that Debian's own mkinitramfs, or dracut, makes in the Debian guest's root.

The cached root stays as it is: modules, hook, further packages and configuration
are laid over it where only the maker sees them.
"""
import pathlib
import shlex
import shutil
import subprocess

from xenbedlib import debs, images, kernelmodules

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
OUT = TOP / "build" / "vm" / "initrd"
SHARE = "usr/share/initramfs-tools"
# what the testbed's guest boots with, so that it need not read MODULES=most through the firmware
MODULES = ("ata_piix", "sd_mod", "sr_mod", "ext4", "crc32c_generic", "virtio_pci", "virtio_console")
MKINITRAMFS = "mkinitramfs -o /initrd {release}"


def dracut(without=""):
    """The command to make an image, smaller than it would be, and without more of dracut's modules."""
    return (f"dracut --no-hostonly --omit '{without} network kernel-network-modules crypt dm lvm mdraid btrfs nfs iscsi "
            "multipath plymouth qemu kernel-modules' --add-drivers '{drivers}' --gzip /initrd {release}")


def put(src, dest, mode=0o755):
    dest.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(src, dest)
    dest.chmod(mode)


def put_text(text, dest):
    dest.parent.mkdir(parents=True, exist_ok=True)
    dest.write_text(text)


def _lay(upper, release, modules, more_modules):
    """What the package and the administrator would have put there."""
    pack = TOP / "packaging"
    put(pack / "boot/boot-disks", upper / "usr/lib/pvhvm/boot-disks")
    put(pack / "initramfs-tools/hook", upper / SHARE / "hooks/pvhvm")
    put(pack / "initramfs-tools/init-top", upper / SHARE / "scripts/init-top/pvhvm")
    for path in (pack / "dracut/90pvhvm").iterdir():
        put(path, upper / "usr/lib/dracut/modules.d/90pvhvm" / path.name)
    put(pack / "udev/70-pvhvm.rules", upper / "usr/lib/udev/rules.d/70-pvhvm.rules", 0o644)
    for ko in modules:
        put(ko, upper / "usr/lib/modules" / release / "updates/dkms" / pathlib.Path(ko).name, 0o644)
    put_text("root\n", upper / "etc/pvhvm/switch.conf")
    put_text("MODULES=list\nCOMPRESS=gzip\n", upper / "etc/initramfs-tools/conf.d/test")
    put_text("\n".join((*MODULES, *more_modules)) + "\n", upper / "etc/initramfs-tools/modules")
    # packages that come now need not make the one in /boot
    put_text("update_initramfs=no\n", upper / "etc/initramfs-tools/update-initramfs.conf")


def make(name, modules, packages=(), more_modules=(), lay=None, command=MKINITRAMFS):
    """Path of the image and what its maker complained of; without modules it is one of a kernel that DKMS did not build for.

    packages: Debian's, installed before; lay: called with the folder of what else goes there.
    """
    root, work = images.debian_root(), OUT / name
    release = kernelmodules.release(root)
    shutil.rmtree(work, ignore_errors=True)
    for sub in ("upper", "work", "root", "debs"):
        (work / sub).mkdir(parents=True)
    _lay(work / "upper", release, modules, more_modules)
    if lay:
        lay(work / "upper")
    if packages:
        debs.missing(root, packages, work / "debs")
    at = {key: shlex.quote(str(work / key)) for key in ("upper", "work", "root", "debs", "initrd")}
    script = "\n".join((
        f"mount -t overlay -o lowerdir={shlex.quote(str(root))},upperdir={at['upper']},workdir={at['work']} overlay {at['root']}",
        f"mount -t proc proc {at['root']}/proc",
        f"mount --bind {at['debs']} {at['root']}/mnt",
        f"chroot {at['root']} sh -ec " + shlex.quote(
            "export DEBIAN_FRONTEND=noninteractive; set -- /mnt/*.deb; [ ! -e \"$1\" ] || dpkg --force-confold -i \"$@\" >&2; "
            f"depmod {release}; " + command.format(release=release, drivers=" ".join((*MODULES, *more_modules)))),
        f"cp {at['root']}/initrd {at['initrd']}"))
    done = subprocess.run(["unshare", "-m", "sh", "-ec", script], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"making the initramfs failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    for sub in ("upper", "debs"):
        shutil.rmtree(work / sub)
    return str(work / "initrd"), done.stderr
