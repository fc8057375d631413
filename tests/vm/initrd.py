# SPDX-License-Identifier: GPL-2.0-only
"""An initramfs that Debian's own mkinitramfs makes in the Debian guest's root.

The cached root stays as it is: modules, hook and configuration are laid over
it where only mkinitramfs sees them.
"""
import pathlib
import shlex
import shutil
import subprocess

from xenbedlib import images, kernelmodules

TOP = pathlib.Path(__file__).resolve().parents[2]
OUT = TOP / "build" / "vm" / "initrd"
SHARE = "usr/share/initramfs-tools"
# what the testbed's guest boots with, so that it need not read MODULES=most through the firmware
MODULES = ("ata_piix", "sd_mod", "sr_mod", "ext4", "crc32c_generic", "virtio_pci", "virtio_console")


def _put(src, dest, mode=0o755):
    dest.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(src, dest)
    dest.chmod(mode)


def _lay(upper, release, modules):
    """What the package and the administrator would have put there."""
    pack = TOP / "packaging"
    _put(pack / "boot/boot-disks", upper / "usr/lib/pvhvm/boot-disks")
    _put(pack / "initramfs-tools/hook", upper / SHARE / "hooks/pvhvm")
    _put(pack / "initramfs-tools/init-top", upper / SHARE / "scripts/init-top/pvhvm")
    _put(pack / "udev/70-pvhvm.rules", upper / "usr/lib/udev/rules.d/70-pvhvm.rules", 0o644)
    for ko in modules:
        _put(ko, upper / "lib/modules" / release / "updates/dkms" / pathlib.Path(ko).name, 0o644)
    conf = upper / "etc/pvhvm/switch.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("root\n")
    conf = upper / "etc/initramfs-tools/conf.d/test"
    conf.parent.mkdir(parents=True)
    conf.write_text("MODULES=list\nCOMPRESS=gzip\n")
    (upper / "etc/initramfs-tools/modules").write_text("\n".join(MODULES) + "\n")


def make(name, modules):
    """Path of the image; without modules it is one of a kernel that DKMS did not build for."""
    root, work = images.debian_root(), OUT / name
    release = kernelmodules.release(root)
    shutil.rmtree(work, ignore_errors=True)
    for sub in ("upper", "work", "root"):
        (work / sub).mkdir(parents=True)
    # links such as /lib must be those of the root
    (work / "upper/usr/lib").mkdir(parents=True)
    (work / "upper/lib").symlink_to("usr/lib")
    _lay(work / "upper", release, modules)
    (work / "upper/lib").unlink()
    script = "\n".join((
        f"mount -t overlay -o lowerdir={shlex.quote(str(root))},upperdir={shlex.quote(str(work / 'upper'))},"
        f"workdir={shlex.quote(str(work / 'work'))} overlay {shlex.quote(str(work / 'root'))}",
        f"mount -t proc proc {shlex.quote(str(work / 'root/proc'))}",
        f"chroot {shlex.quote(str(work / 'root'))} sh -ec 'depmod {release}; mkinitramfs -o /initrd {release}'",
        f"cp {shlex.quote(str(work / 'root/initrd'))} {shlex.quote(str(work / 'initrd'))}"))
    done = subprocess.run(["unshare", "-m", "sh", "-ec", script], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"mkinitramfs failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    shutil.rmtree(work / "upper")
    return str(work / "initrd"), done.stderr
