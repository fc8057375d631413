# SPDX-License-Identifier: GPL-2.0-only
"""What a guest looks like, and the xl configuration that says so."""
import dataclasses

from . import guestkernel

GUEST_LINE = "/run/xen/guest-agent.sock"
KINDS = ("small", *(f"small-{name}" for name in guestkernel.NAMES), "debian")
MEMORY = {"small-debug": 1280, "debian": 1280}     # MB; other kinds: 768


@dataclasses.dataclass(frozen=True)
class GuestConfig:
    """kind: small (busybox, no root disk), that with another kernel (see guestkernel.py), or debian (root on hda).

    disks counts data disks, each of 256 MB; their backend is "phy" (loop
    device, xen-blkback) or "qdisk" (plain file, QEMU). nopv: the in-kernel PV
    drivers stay away and nothing is unplugged. Guests that run side by side have
    names and numbers of their own (0 to 2). xl is a further line of xl.cfg.
    """
    kind: str = "small"
    vcpus: int = 2
    memory: int = 0
    nics: int = 1
    nic_model: str = "e1000"
    disks: int = 1
    disk_backend: str = "phy"
    firmware: str = "seabios"
    nopv: bool = True
    extra: str = ""
    name: str = "guest"
    number: int = 0
    xl: str = ""

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"no such guest: {self.kind}; there are {', '.join(KINDS)}")
        if self.nic_model not in ("e1000", "rtl8139"):
            raise ValueError(f"no such card: {self.nic_model}; there are e1000 and rtl8139")
        if self.disk_backend not in ("phy", "qdisk"):
            raise ValueError(f"no such disk backend: {self.disk_backend}; there are phy and qdisk")
        if self.firmware not in ("seabios", "ovmf"):
            raise ValueError(f"no such firmware: {self.firmware}; there are seabios and ovmf")
        most = {"phy": 4, "qdisk": 2}[self.disk_backend]
        if not 0 <= self.disks <= most or not 0 <= self.nics <= 4 or not 1 <= self.vcpus <= 8:
            raise ValueError(f"a guest has 0 to {most} data disks ({self.disk_backend}), "
                             "0 to 4 cards and 1 to 8 vCPUs")
        if self.number and (not 0 < self.number < 3 or self.disks > 1 or self.kind not in ("small", "debian")):
            raise ValueError("beside another there are small and debian guests with one data disk at most, numbers 1 and 2")

    @property
    def line(self):
        """The socket in dom0 that leads to its agent."""
        return GUEST_LINE if not self.number else f"/run/xen/guest-agent-{self.number}.sock"

    @property
    def overlay(self):
        """The file in dom0 that takes what a Debian guest beside another writes to its root disk; or ""."""
        return f"/bed/debian-{self.number}.qcow2" if self.kind == "debian" and self.number else ""

    def cmdline(self):
        # the console goes to Xen's debug port: the emulated serial port costs
        # a trip to dom0 for every byte, and both would do the same
        # (the debug kernel, which knows no Xen, takes that port for a serial one until its module xencon comes)
        early = "serial,0xe9" if self.kind == "small-debug" else "xen,keep"
        words = [f"earlyprintk={early}", "quiet", "net.ifnames=0", "panic=0"]
        # without it the guest's clock is the HPET, of which every reading is a
        # trip to the device model; the emulator's TSC is one clock for all CPUs
        words.append("tsc=reliable")
        if self.nopv:
            words.append("nopv")
        if self.kind == "debian":
            words.append("xb.root=debian")
        return " ".join(words + ([self.extra] if self.extra else []))

    def _disks(self):
        specs = []
        names = ["hda", "hdb", "hdd", "xvde", "xvdf", "xvdg"]
        if self.kind == "debian":
            form, target = ("qcow2", self.overlay) if self.overlay else ("raw", "/bed/debian")
            specs.append(f"format={form},vdev={names.pop(0)},access=rw,target={target}")
        for n in range(self.disks):
            target = f"/bed/disk{n + self.number}" if self.disk_backend == "phy" else f"/bed/file{n}.img"
            specs.append(f"format=raw,vdev={names.pop(0)},access=rw,target={target}")
        specs.append("format=raw,vdev=hdc,access=ro,devtype=cdrom,target=/bed/payload.img")
        return specs

    def to_xl(self):
        vifs = [f"type=ioemu,model={self.nic_model},bridge=xenbed0,"
                f"mac=00:16:3e:01:{self.number + 2:02x}:{n + 3:02x},script=/bed/dom0-vif" for n in range(self.nics)]
        memory = self.memory or MEMORY.get(self.kind, 768)
        # the agent's line: no network, no disk, and no unplug request removes it
        line = ["-chardev", f"socket,id=xb,path={self.line},server=on,wait=off",
                "-device", "virtio-serial-pci,id=xbs,max_ports=2",
                "-device", "virtserialport,bus=xbs.0,chardev=xb,name=xenbed"]
        lists = {"vif": vifs, "disk": self._disks(), "device_model_args_hvm": line}
        text = [f'name = "{self.name}"', 'type = "hvm"', f"memory = {memory}",
                f"vcpus = {self.vcpus}", f'kernel = "/bed/{self.kind}-vmlinuz"',
                f'ramdisk = "/bed/{self.kind}-initrd"', f'cmdline = "{self.cmdline()}"',
                'vga = "none"', "vnc = 0", 'on_crash = "preserve"', 'on_reboot = "restart"',
                'on_poweroff = "destroy"', "xen_platform_pci = 1", 'tsc_mode = "native"']
        for key, values in lists.items():
            text.append(f"{key} = [ " + ", ".join(f'"{v}"' for v in values) + " ]")
        if self.firmware == "ovmf":
            text.append('bios = "ovmf"\nbios_path_override = "/bed/OVMF.fd"')
        if self.xl:
            text.append(self.xl)
        return "\n".join(text) + "\n"
