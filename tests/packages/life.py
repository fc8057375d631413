# SPDX-License-Identifier: GPL-2.0-only
"""A .deb's life in Debian systems without a VM: all but what needs a kernel that runs."""
import os
import pathlib
import re
import tempfile
import threading

import debianroot
import signing
from xenbedlib import debs
from harness import DEB, LOGS, MODULES, TOP, VERSION, run

NEXT = VERSION + ".1"
INSTALL = "apt-get install -y --no-install-recommends --allow-downgrades"
KEY = "/var/lib/dkms/mok.key"
CERT = "/var/lib/dkms/mok.pub"


def tree(place):
    """The sources, unpacked from 'make dist'."""
    run("dist-for-life", "make", "dist")
    run("untar-for-life", "tar", "-xf", str(TOP / f"build/dist/pvhvm-{VERSION}.tar.gz"), "-C", str(place))
    return place / f"pvhvm-{VERSION}"


def tree_of_next(place):
    """The sources as of a later version."""
    src = tree(place)
    (src / "VERSION").write_text(NEXT + "\n")
    for name in ("dkms.conf", "packaging/modules", "packaging/rpm/pvhvm.spec", "packaging/rpm/pvhvm-kmod.spec.in"):
        text = (src / name).read_text()
        (src / name).write_text(re.sub(rf"(PACKAGE_VERSION=\"|Version: +|\bversion=){re.escape(VERSION)}\b", rf"\g<1>{NEXT}", text))
    return src


def debs_of_next():
    """The same packages as of a later version."""
    out = LOGS / "next"
    if out.exists():
        return sorted(out.glob("*.deb"))
    with tempfile.TemporaryDirectory() as place:
        src = tree_of_next(pathlib.Path(place))
        run("deb-next", str(src / "packaging/build-debs"), str(out), str(src / "include/xen-public"), cwd=src,
            env=dict(os.environ, SOURCE_DATE_EPOCH="1"))
    return sorted(out.glob("*.deb"))


def install(m, version=VERSION, booted=False):
    out = m.sh(f"{INSTALL} /srv/pvhvm-dkms_{version}_all.deb /srv/pvhvm-tools_{version}_amd64.deb", booted)
    with open(LOGS / "life.log", "a") as log:
        log.write(out)
    return out


def ours(out):
    """Lines of the package's own, each of which says something."""
    return [line for line in out.splitlines() if line.startswith("pvhvm: ")]


def version_of(m, module, kernel=None):
    return m.sh(f"modinfo -k {kernel or m.release()} -F version {module}").strip()


def at_boot(m):
    """Is the switch enabled?"""
    return m.path("/etc/systemd/system/sysinit.target.wants/pvhvm-switch.service").is_symlink()


def parameters(m):
    """What modinfo tells of the built modules is what docs/parameters.md has."""
    text = (TOP / "docs/parameters.md").read_text()
    for module in MODULES:
        told = {line.split(":")[0] for line in m.sh(f"modinfo -k {m.release()} -F parm {module}").splitlines()}
        part = text.split(f"## {module}\n")[1].split("\n## ")[0]
        listed = {line.split("`")[1] for line in part.splitlines() if line.startswith("| `")}
        assert told == listed, f"{module}: {sorted(told ^ listed)}"


def whole_life():
    """install (signed with the machine's own key; parameters as documented), upgrade, downgrade, remove, again, purge"""
    with debianroot.machine() as m:
        m.put(*DEB.glob("*.deb"), *debs_of_next())
        m.path("/var/lib/dkms").mkdir(exist_ok=True)
        signing.make_key(m.path(KEY), m.path(CERT))
        before = m.remains()
        out = install(m)
        assert ours(out) == ["pvhvm: in a chroot nothing is loaded"], f"says {ours(out)}"
        assert m.built() == sorted(MODULES), f"built: {m.built()}"
        for module in MODULES:
            signing.check(m, module, m.path(CERT))
            assert version_of(m, module) == VERSION
        parameters(m)
        told = m.sh("pvhvm --version").strip()
        assert told == f"pvhvm {VERSION}", told
        install(m, NEXT)
        assert m.built() == sorted(MODULES) and version_of(m, MODULES[0]) == NEXT, "not upgraded"
        assert m.sh("dkms status pvhvm").count("installed") == 1, "the old version is still there"
        install(m)
        assert m.built() == sorted(MODULES) and version_of(m, MODULES[0]) == VERSION, "not downgraded"
        m.path("/etc/pvhvm").mkdir()
        m.path("/etc/pvhvm/switch.conf").write_text("nic 00:16:3e:00:00:01\n")
        m.sh("systemctl enable pvhvm-switch.service; mkdir -p /var/lib/prometheus/node-exporter; touch /var/lib/prometheus/node-exporter/pvhvm.prom")
        assert at_boot(m)
        m.sh("dpkg -r pvhvm-dkms pvhvm-tools")
        assert not m.built() and not at_boot(m) and m.path("/etc/pvhvm/switch.conf").exists()
        assert not m.sh("ls /var/lib/prometheus/node-exporter"), "counters that nobody renews"
        install(m)
        assert at_boot(m), "what was switched for good is not switched any more"
        m.sh("systemctl disable pvhvm-switch.service")
        install(m, NEXT)
        assert not at_boot(m), "an upgrade enabled what the administrator has disabled"
        m.sh("systemctl enable pvhvm-switch.service && dpkg -r pvhvm-dkms")
        assert not at_boot(m)
        m.sh("dpkg -P pvhvm-dkms pvhvm-tools")
        assert m.remains() == before, f"left: {m.remains()}"


def without_headers():
    """without headers it installs, says so in one line, and builds once they are there"""
    with debianroot.machine() as m:
        m.put(*DEB.glob("*.deb"))
        kernel = m.release()
        headers = m.path(f"/lib/modules/{kernel}/build")
        headers.rename(m.path("/srv/headers"))
        out = install(m)
        assert not m.built(), f"built without headers: {m.built()}"
        assert len(ours(out)) == 1 and "install its headers" in ours(out)[0], f"says {ours(out)}"
        m.path("/srv/headers").rename(headers)
        m.sh(f"run-parts --arg={kernel} /etc/kernel/header_postinst.d")
        assert m.built() == sorted(MODULES), f"built: {m.built()}"
        m.sh("dpkg -P pvhvm-dkms pvhvm-tools")
        assert not m.built() and not m.remains(), f"left: {m.remains()}"


def kernels_left_out():
    """for a kernel that DKMS leaves out, too old or without what is needed, it says so in one line"""
    def without_page_pool(m, kernel):
        for name in (".config", "include/config/auto.conf"):
            m.sh(f"sed -i /^CONFIG_PAGE_POOL=/d /usr/src/linux-headers-{kernel}/{name}")
        return kernel

    def old(m, kernel):
        m.sh(f"mv /lib/modules/{kernel} /lib/modules/5.4.0-1-amd64")
        return "5.4.0-1-amd64"

    def old_without_headers(m, kernel):
        m.sh(f"rm /lib/modules/{kernel}/build")
        return old(m, kernel)

    for change, says in ((without_page_pool, "made without CONFIG_PAGE_POOL"), (old, "older than Linux 5.10"),
                         (old_without_headers, "older than Linux 5.10")):
        with debianroot.machine() as m:
            m.put(*DEB.glob("*.deb"))
            kernel = change(m, m.release())
            m.runs(kernel)
            out = install(m)
            assert not m.built() and "installed" not in m.sh("dkms status pvhvm"), f"built: {m.built()}"
            assert len(ours(out)) == 1 and f"the running kernel {kernel}, which is {says}" in ours(out)[0], f"says {ours(out)}"


def wrong_folder():
    """with a folder that is no kernel's headers, or another's, the build says so in one line and leaves nothing"""
    with debianroot.machine() as m:
        m.put(*DEB.glob("*.deb"))
        kernel = m.release()
        headers = m.path(f"/lib/modules/{kernel}/build")
        headers.rename(m.path("/srv/headers"))
        install(m)
        common = next(m.path("/usr/src").glob("linux-headers-*-common")).name

        def says(word):
            m.sh(f"! dkms build --force pvhvm/{VERSION} -k {kernel} --kernelsourcedir /usr/src/{folder}")
            log = m.path(f"/var/lib/dkms/pvhvm/{VERSION}/build/make.log").read_text()
            assert len(ours(log)) == 1 and word in log, f"says {ours(log)}"
            assert not m.built() and "installed" not in m.sh("dkms status pvhvm")

        folder = common
        says("not those of one kernel")
        folder = f"linux-headers-{kernel}"
        m.path(f"/usr/src/{folder}/include/generated/utsrelease.h").write_text('#define UTS_RELEASE "6.1.0-1-other"\n')
        says(f"are of kernel 6.1.0-1-other, not of {kernel}")


def _filled_up(folder, size, word):
    """A place of DKMS's that is too small: one line, no half module, and what it says to do then works on what the first try has left."""
    with debianroot.machine() as m:
        m.put(*DEB.glob("*.deb"))
        place = m.path(folder.format(m.release()))
        place.mkdir(exist_ok=True)
        m.runs(m.release())
        m.small(folder.format(m.release()), size)
        out = install(m)
        assert not m.built(), f"half built: {m.built()}"
        assert len(ours(out)) == 1 and word in ours(out)[0], f"says {ours(out)}"
        assert m.sh("dpkg -s pvhvm-dkms").count("Status: install ok installed") == 1
        m.large_again(folder.format(m.release()))
        m.sh(re.search("then run '(.*)'", ours(out)[0]).group(1))
        assert m.built() == sorted(MODULES), f"second try: {m.built()}"
        m.sh(f"modinfo -k {m.release()} pvhvm_blkfront")
        m.sh("dpkg -P pvhvm-dkms pvhvm-tools")
        assert not m.built() and not m.remains() and not list(place.glob("pvhvm*")), f"left: {m.remains()}"


def most_used(folder, do):
    """KiB of a file system that were in use at the most while something was done."""
    seen, over = [], threading.Event()

    def look():
        while not over.wait(0.02):
            state = os.statvfs(folder)
            seen.append((state.f_blocks - state.f_bfree) * state.f_frsize // 1024)
    watch = threading.Thread(target=look)
    watch.start()
    try:
        do()
    finally:
        over.set()
        watch.join()
    return max(seen)


def full_disk():
    """a disk that fills up before, while and after DKMS builds: one line, no half module, and what it says to do then works"""
    with debianroot.machine() as m:
        m.put(*DEB.glob("*.deb"))
        m.path("/var/lib/dkms").mkdir(exist_ok=True)
        m.small("/var/lib/dkms", "64m")
        most = most_used(m.path("/var/lib/dkms"), lambda: install(m))
        assert m.built() == sorted(MODULES), m.built()
    # the last: where DKMS copies the modules that it has built
    for size in ("1m", "3m", f"{most - 200}k"):
        _filled_up("/var/lib/dkms", size, "/var/lib/dkms is full")
    _filled_up("/lib/modules/{}/updates", "200k", "/lib/modules or /var/lib/dkms is full")


def half_installed():
    """an upgrade that dpkg gives up leaves the old version's modules; an installation that was killed is finished by dpkg, or removed"""
    with debianroot.machine() as m:
        m.put(*DEB.glob("*.deb"), *debs_of_next())
        before = m.remains()
        install(m)
        # a file of another package's, which dpkg finds when the old modules are gone
        bad = "/srv/bad.deb"
        m.sh(f"cd /srv && dpkg-deb -R pvhvm-dkms_{NEXT}_all.deb bad && mkdir -p bad/usr/bin && touch bad/usr/bin/dpkg && dpkg-deb -b bad {bad}")
        out = m.sh(f"! dpkg -i {bad} 2>&1")
        assert "trying to overwrite" in out and len(ours(out)) == 1, out
        assert m.built() == sorted(MODULES) and version_of(m, MODULES[0]) == VERSION, f"after the upgrade that failed: {m.built()}"
        # killed while DKMS copied: its tree has half of a build
        place = m.path(f"/var/lib/dkms/pvhvm/{VERSION}/{m.release()}/x86_64")
        m.sh(f"dpkg -P pvhvm-dkms pvhvm-tools; dpkg --unpack /srv/pvhvm-*_{VERSION}_*.deb")
        (place / "module").mkdir(parents=True)
        m.sh("dpkg --configure -a")
        assert m.built() == sorted(MODULES), f"half of a build: {m.built()}"
        # and without its sources, which DKMS will not remove
        m.sh(f"rm /var/lib/dkms/pvhvm/{VERSION}/source")
        for way in ("dpkg --configure -a", "dpkg -P pvhvm-dkms pvhvm-tools"):
            m.sh("dpkg -P pvhvm-dkms pvhvm-tools")
            m.sh(f"dpkg --unpack /srv/pvhvm-*_{VERSION}_*.deb && {{ (timeout -s KILL 3 dpkg --configure -a) || [ $? = 137 ]; }} && "
                 "! dpkg -s pvhvm-dkms | grep -q '^Status: install ok installed'")
            m.sh(way)
            assert m.built() == (sorted(MODULES) if "configure" in way else []), f"{way}: {m.built()}"
        assert not m.built() and m.remains() == before, f"left: {m.remains()}"


def on_xen():
    """on a guest of Xen's the modules are loaded, when networkd knows what is not its; else one line says why not, and what to do"""
    device = "bus/pci/devices/0000:00:02.0/vendor"
    told = "/srv/told"
    with debianroot.machine() as m:
        m.put(*DEB.glob("*.deb"))
        out = install(m, booted=True)
        assert ours(out) == ["pvhvm: no Xen platform device here: nothing is loaded"], ours(out)
        m.sysfs(**{device: "0x5853"})
        out = m.sh("dpkg-reconfigure pvhvm-dkms", booted=True)
        assert len(ours(out)) == 1 and "not built for the running kernel" in out, ours(out)
        m.runs(m.release())
        for program in ("modprobe", "networkctl"):
            m.sh(f"rm -f /usr/sbin/{program} /usr/bin/{program}")
            m.path(f"/usr/bin/{program}").write_text(f'#!/bin/sh\necho "{program} $*" >>{told}\n')
        m.path("/usr/bin/systemctl").rename(m.path("/usr/bin/systemctl.true"))
        m.path("/usr/bin/systemctl").write_text('#!/bin/sh\n[ "$2" != is-active ] || exit 0\nexec systemctl.true "$@"\n')
        m.sh("chmod 755 /usr/bin/modprobe /usr/bin/networkctl /usr/bin/systemctl")
        out = m.sh("dpkg-reconfigure pvhvm-dkms", booted=True)
        assert len(ours(out)) == 1 and "the modules are loaded" in out, ours(out)
        assert m.path(told).read_text().splitlines() == ["networkctl reload", "modprobe pvhvm_xenbus"]
        m.sysfs(**{"hypervisor/type": "xen"})
        out = m.sh("dpkg-reconfigure pvhvm-dkms", booted=True)
        assert len(ours(out)) == 1 and "Xen support is active" in out and "boot with 'nopv'" in out, ours(out)
        assert m.built() == sorted(MODULES), f"built: {m.built()}"


def kernels_beside():
    """a kernel that cannot be built for, newer or left out, is installed all the same, and said; the one that runs keeps its modules"""
    with debianroot.machine() as m:
        m.put(*DEB.glob("*.deb"), *debs_of_next())
        kernel = m.release()
        m.runs(kernel)
        m.sh("mkdir /lib/modules/9.9.0; touch /lib/modules/9.9.0/modules.dep")
        out = install(m)
        assert len(ours(out)) == 2 and "not built for kernel 9.9.0: install its headers" in out, ours(out)
        m.sh("rm -r /lib/modules/9.9.0")
        for other in ("99.1.0-1-amd64", "5.4.0-1-amd64"):
            m.sh(f"cp -a /lib/modules/{kernel} /lib/modules/{other}; rm -r /lib/modules/{other}/updates /lib/modules/{other}/build; "
                 f"cp -a /usr/src/linux-headers-{kernel} /usr/src/linux-headers-{other}; ln -s /usr/src/linux-headers-{other} /lib/modules/{other}/build; "
                 f"cp /boot/config-{kernel} /boot/config-{other}")
        # what dkms would give to a module of somebody's that cannot be built
        m.path("/usr/src/linux-headers-99.1.0-1-amd64/Makefile").write_text("all modules:\n\tfalse\n")
        for other, says in (("99.1.0-1-amd64", "not built for kernel 99.1.0-1-amd64"), ("5.4.0-1-amd64", "older than Linux 5.10")):
            # as a kernel's package does it: the first failure would be the last script
            out = m.sh(f"run-parts --verbose --exit-on-error --arg={other} /etc/kernel/postinst.d 2>&1")
            assert len(ours(out)) == 1 and says in ours(out)[0], f"says {ours(out)}"
            assert "initramfs-tools" in out
        assert m.built() == sorted(MODULES), m.built()
        # a kernel of the same name again: what was built for the one before goes first
        m.sh(f"run-parts --exit-on-error --arg={kernel} /etc/kernel/preinst.d")
        assert not m.built(), "of the kernel before"
        m.sh(f"run-parts --exit-on-error --regex '^dkms' --arg={kernel} /etc/kernel/postinst.d")
        assert m.built() == sorted(MODULES), m.built()
        out = install(m, NEXT)
        assert sorted(says in "\n".join(ours(out)) for says in ("99.1.0", "5.4.0", "in a chroot")) == [True] * 3 and len(ours(out)) == 3, ours(out)
        assert m.built() == sorted(MODULES) and version_of(m, MODULES[0], kernel) == NEXT


def boots_with(m, kernel):
    """Names of our files in a kernel's initramfs; None: it has none."""
    image = m.path(f"/boot/initrd.img-{kernel}")
    if not image.exists():
        return None
    return {pathlib.Path(line).name for line in m.sh(f"lsinitramfs /boot/initrd.img-{kernel}").splitlines() if "pvhvm" in line}


def kernel_upgrade():
    """with a further kernel come its modules and its initramfs with them; without headers one that boots emulated, and it says so"""
    want = {"pvhvm_platform.ko", "pvhvm_xenbus.ko", "pvhvm_blkfront.ko", "boot-disks", "switch.conf"}
    with debianroot.machine() as m:
        m.put(*DEB.glob("*.deb"))
        m.path("/etc/pvhvm").mkdir()
        m.path("/etc/pvhvm/switch.conf").write_text("root\n")
        m.path("/etc/initramfs-tools/update-initramfs.conf").write_text("update_initramfs=yes\n")
        # an image with no drivers but those that are asked for, as MODULES=dep makes one for the PV disk in use
        m.path("/etc/initramfs-tools/conf.d/driver-policy").write_text("MODULES=list\n")
        old = m.release()
        install(m)
        flavour = "cloud-amd64"
        found = debs.missing(m.top, [f"linux-image-{flavour}", f"linux-headers-{flavour}"], m.path("/srv/kernel"))
        out = m.sh("dpkg -i $(ls /srv/kernel/*.deb | grep -v headers)")
        kernel = next(p.name for p in m.path("/lib/modules").iterdir() if p.name != old)
        assert f"pvhvm is not built for {kernel}: it will boot from the emulated disk" in out, out[-500:]
        assert "boot-disks" in boots_with(m, kernel) and not want <= boots_with(m, kernel)
        m.sh("dpkg -i /srv/kernel/*headers*.deb")
        assert m.built() == sorted(MODULES * 2), f"built: {m.built()}"
        assert want <= boots_with(m, kernel), f"{boots_with(m, kernel)} of {[p.name for p in found]}"
        m.sh("dpkg -r pvhvm-dkms")
        assert not boots_with(m, kernel), f"removed, and still in the initramfs: {boots_with(m, kernel)}"
        assert "ata_piix.ko" in m.sh(f"lsinitramfs /boot/initrd.img-{kernel}"), "no driver of the emulated disk"
        assert not m.path("/etc/initramfs-tools/conf.d/zz-all-drivers").exists()
        install(m)
        assert want <= boots_with(m, kernel), f"installed again: {boots_with(m, kernel)}"
        m.sh(f"dpkg -P linux-image-{flavour} linux-image-{kernel} linux-headers-{flavour} linux-headers-{kernel}")
        assert m.built() == sorted(MODULES) and boots_with(m, kernel) is None, f"{m.built()}, {boots_with(m, kernel)}"


def dracut_hostonly():
    """where dracut makes images for this host only, the modules and the emulated disk's drivers are in; removed, only these"""
    modules = {"pvhvm_platform.ko", "pvhvm_xenbus.ko", "pvhvm_blkfront.ko", "boot-disks", "switch.conf"}
    with debianroot.machine() as m:
        m.put(*DEB.glob("*.deb"))
        kernel = m.release()
        m.path("/etc/pvhvm").mkdir()
        m.path("/etc/pvhvm/switch.conf").write_text("root\n")
        debs.missing(m.top, ["dracut"], m.path("/srv/dracut"))
        m.sh("dpkg -r --force-depends initramfs-tools initramfs-tools-core; rm -f /boot/initrd*; dpkg -i /srv/dracut/*.deb; echo 'hostonly=yes' >/etc/dracut.conf.d/hostonly.conf")

        def image():
            return {pathlib.Path(line.split()[-1]).name for line in m.sh(f"lsinitrd /boot/initrd.img-{kernel}").splitlines() if line.split()}

        install(m)
        emulated = {"ata_piix.ko", "ahci.ko", "sd_mod.ko"}
        assert modules | emulated <= image(), f"not in it: {(modules | emulated) - image()}"
        assert "virtio_scsi.ko" not in image(), "it has all drivers: not hostonly"
        m.sh("dpkg -r pvhvm-dkms")
        assert emulated <= image() and not modules & image(), image() & (modules | emulated)
        assert "virtio_scsi.ko" not in image(), "removed, it has all drivers"


TESTS = [whole_life, without_headers, kernels_left_out, wrong_folder, full_disk, half_installed, on_xen, kernels_beside, kernel_upgrade, dracut_hostonly]
