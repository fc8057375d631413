# SPDX-License-Identifier: GPL-2.0-only
"""What the images are made of. Everything here is part of their keys."""
import os
import pathlib
import subprocess

from .errors import BedError

IMAGE_FILES = pathlib.Path(__file__).resolve().parent.parent / "image"
SUITE = "bookworm"
# Xen's versions, and the Debian release that has each and is its dom0
XENS = {"4.17": SUITE, "4.20": "trixie"}


def xen():
    """The version to run: the first, or what XENBED_XEN says."""
    wanted = os.environ.get("XENBED_XEN") or next(iter(XENS))
    if wanted not in XENS:
        raise BedError(f"XENBED_XEN={wanted}: there are {' and '.join(XENS)}")
    return wanted


# The root of 4.17's dom0 is also where the libraries and firmware of the outer machine's QEMU
# (emulator.py) and the small guest's programs come from.
DOM0_PACKAGES = """
    xen-hypervisor-{xen}-amd64 xen-utils-{xen} xenstore-utils qemu-system-xen
    qemu-system-data qemu-utils seabios libslirp0 libfdt1 libpixman-1-0 linux-image-amd64
    iproute2 bridge-utils iputils-ping iperf3 ethtool tcpdump
    fio e2fsprogs util-linux mount kmod udev procps strace busybox-static
    bash python3-minimal
"""


def dom0_packages(version):
    return DOM0_PACKAGES.format(xen=version).split()


DEBIAN_PACKAGES = """
    systemd systemd-sysv dbus udev apt linux-image-amd64 linux-headers-amd64 dkms gcc make
    fio iperf3 ethtool iproute2 bridge-utils ifupdown iputils-ping kmod procps
    e2fsprogs libnl-3-200 libnl-route-3-200 libjson-c5 xenstore-utils
    file less strace busybox-static network-manager python3 nftables xdp-tools
""".split()

DPKG_OPTIONS = [
    "force-unsafe-io", "force-confold",
    "path-exclude=/usr/share/doc/*", "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/locale/*", "path-exclude=/usr/share/info/*",
]

# Devices that no guest of Xen has: DKMS ends with depmod, which reads every module.
DEBIAN_DPKG_OPTIONS = [f"path-exclude=/lib/modules/*/kernel/{place}/*" for place in """
    sound net/wireless drivers/gpu drivers/hid drivers/hwmon drivers/iio drivers/infiniband
    drivers/media drivers/mfd drivers/mtd drivers/net/wireless drivers/platform
    drivers/staging drivers/usb
""".split()]

# Kernel modules in the small guest's initramfs, loaded at boot in this order
# (their dependencies first); the rest is for modprobe, from the tools archive.
BOOT_MODULES = ["virtio_pci", "virtio_console", "ata_piix", "ahci", "sd_mod", "sr_mod", "ext4"]
NIC_MODULES = ["e1000", "8139cp"]
PV_MODULES = ["xen-blkfront", "xen-netfront"]
TOOL_MODULES = BOOT_MODULES + NIC_MODULES + PV_MODULES + """
    bridge bonding 8021q macvlan veth dummy tun ipvlan
    crc32c_generic crc32c_intel libcrc32c crc16 crct10dif_generic
    dm-mod raid1 loop squashfs isofs
    ip_tables iptable_filter nf_tables sch_fq sch_fq_codel sch_tbf sch_netem tcp_bbr
    pktgen af_packet null_blk netconsole evdev xen-evtchn xen-gntdev xen-privcmd
""".split()

# Programs of the small guest, with the libraries they need, from dom0's root.
TOOL_PROGRAMS = """
    bash dash kmod modprobe insmod rmmod lsmod modinfo depmod
    iperf3 fio ethtool ip bridge tc ss ping tcpdump strace taskset chrt
    xenstore xenstore-ls xenstore-read xenstore-write xenstore-list xenstore-exists xenstore-rm
    xenstore-watch xenstore-chmod mke2fs mkfs.ext4 e2fsck resize2fs blockdev brctl
""".split()

HOST_TOOLS = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "gcc": "gcc",
              "depmod": "kmod", "xz": "xz-utils", "gzip": "gzip", "tar": "tar"}


def apt_lines(wanted=SUITE):
    """sources.list lines for a release, with its updates, from the mirror that the host already uses."""
    form = "$(CREATED_BY)|$(ORIGIN)|$(REPO_URI)|$(CODENAME)|$(RELEASE)|$(COMPONENT)"
    try:
        text = subprocess.run(["apt-get", "indextargets", "--format", form],
                              check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError) as e:
        raise BedError(f"cannot ask apt for its mirror ({e}): xenbed needs a Debian host") from e
    lines = set()
    for line in text.splitlines():
        by, origin, uri, codename, release, component = line.split("|")
        if by != "Packages" or origin != "Debian" or component != "main":
            continue
        base = codename.split("-")[0]
        part = release.removeprefix(base)
        # such as trixie-backports: nothing comes after it
        if part in (("",) if "-" in wanted else ("", "-updates", "-security")):
            lines.add(f"deb {uri} {wanted}{part} main")
    if not any(line.endswith(f" {wanted} main") for line in lines):
        raise BedError("apt knows no Debian mirror: run 'apt-get update' with a Debian "
                       "source in /etc/apt first")
    return sorted(lines)
