# SPDX-License-Identifier: GPL-2.0-only
"""A .deb's life in Debian systems without a VM: all but what needs a kernel that runs."""
import os
import pathlib
import tempfile

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


def debs_of_next():
    """The same packages as of a later version."""
    out = LOGS / "next"
    if out.exists():
        return sorted(out.glob("*.deb"))
    with tempfile.TemporaryDirectory() as place:
        src = tree(pathlib.Path(place))
        (src / "VERSION").write_text(NEXT + "\n")
        conf = src / "dkms.conf"
        conf.write_text(conf.read_text().replace(f'"{VERSION}"', f'"{NEXT}"'))
        run("deb-next", str(src / "packaging/build-debs"), str(out), str(src / "include/xen-public"), cwd=src,
            env=dict(os.environ, SOURCE_DATE_EPOCH="1"))
    return sorted(out.glob("*.deb"))


def install(m, version=VERSION):
    out = m.sh(f"{INSTALL} /srv/pvhvm-dkms_{version}_all.deb /srv/pvhvm-tools_{version}_amd64.deb")
    with open(LOGS / "life.log", "a") as log:
        log.write(out)
    return out


def ours(out):
    """Lines of the package's own, each of which says something."""
    return [line for line in out.splitlines() if line.startswith("pvhvm: ")]


def version_of(m, module):
    return m.sh(f"modinfo -k {m.release()} -F version {module}").strip()


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
        assert ours(out) == ["pvhvm: no Xen platform device here: nothing is loaded"], f"says {ours(out)}"
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
        m.sh("systemctl enable pvhvm-switch.service; dpkg -r pvhvm-dkms")
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
        m.sh(f"dkms autoinstall -k {kernel}")
        assert m.built() == sorted(MODULES), f"built: {m.built()}"
        m.sh("dpkg -P pvhvm-dkms pvhvm-tools")
        assert not m.built() and not m.remains(), f"left: {m.remains()}"


def wrong_folder():
    """with a folder that is no kernel's headers the build says so in one line and leaves nothing"""
    with debianroot.machine() as m:
        m.put(*DEB.glob("*.deb"))
        kernel = m.release()
        headers = m.path(f"/lib/modules/{kernel}/build")
        headers.rename(m.path("/srv/headers"))
        install(m)
        common = next(m.path("/usr/src").glob("linux-headers-*-common")).name
        m.sh(f"dkms build pvhvm/{VERSION} -k {kernel} --kernelsourcedir /usr/src/{common} || true")
        log = m.path(f"/var/lib/dkms/pvhvm/{VERSION}/build/make.log").read_text()
        assert len(ours(log)) == 1 and "not those of one kernel" in log, f"says {ours(log)}"
        assert not m.built() and "installed" not in m.sh("dkms status pvhvm")


def full_disk():
    """a disk that fills up while DKMS builds: one line, no half module, and a second try works"""
    with debianroot.machine() as m:
        m.put(*DEB.glob("*.deb"))
        m.path("/var/lib/dkms").mkdir(exist_ok=True)
        m.small("/var/lib/dkms", "1m")
        out = install(m)
        assert not m.built(), f"half built: {m.built()}"
        assert len(ours(out)) == 1 and "not built:" in ours(out)[0], f"says {ours(out)}"
        assert m.sh("dpkg -s pvhvm-dkms").count("Status: install ok installed") == 1
        m.large_again("/var/lib/dkms")
        m.sh("dpkg-reconfigure pvhvm-dkms")
        assert m.built() == sorted(MODULES), f"second try: {m.built()}"
        m.sh("dpkg -P pvhvm-dkms pvhvm-tools")
        assert not m.built() and not m.remains(), f"left: {m.remains()}"


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
        m.sh("dpkg -i /srv/kernel/*.deb")
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


TESTS = [whole_life, without_headers, wrong_folder, full_disk, kernel_upgrade]
