# SPDX-License-Identifier: GPL-2.0-only
"""The .rpm packages, built and installed with Debian's rpm."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import debianroot
import signing
from harness import LOGS, MODULES, RPM, VERSION, one, run, sums
from life import NEXT, tree_of_next, version_of


def builds():
    """make rpm makes the packages, DKMS's and akmods', and the source packages"""
    run("rpm", "make", "rpm")
    one(f"akmod-pvhvm-{VERSION}-1.noarch.rpm", RPM)
    one(f"pvhvm-kmod-{VERSION}-1.src.rpm", RPM)
    one(f"pvhvm-kmod-common-{VERSION}-1.noarch.rpm", RPM)
    one(f"pvhvm-dkms-{VERSION}-1.noarch.rpm", RPM)
    one(f"pvhvm-tools-{VERSION}-1.x86_64.rpm", RPM)
    one(f"pvhvm-{VERSION}-1.src.rpm", RPM)


def rpmlint():
    """rpmlint has no complaint but those that packaging/rpm/rpmlint.toml explains"""
    files = sorted(RPM.glob("*.rpm"))
    assert files
    # one by one: two source packages at once are taken for one with two .spec
    for file in files:
        out = run("rpmlint", "rpmlint", "-c", "packaging/rpm/rpmlint.toml", str(file))
        assert "0 errors, 0 warnings" in out, out.splitlines()[-1]


def reproducible():
    """a second make rpm, in another time zone and umask, gives the same bytes"""
    first = sums(RPM, "*.rpm")
    run("rpm-again", "sh", "-c", "umask 077; TZ=Asia/Tokyo make rpm", env=dict(os.environ))
    again = sums(RPM, "*.rpm")
    assert first and first == again, "differ: " + ", ".join(n for n in first if first[n] != again.get(n))


def same_sources():
    """both kinds of package carry the same sources for DKMS"""
    def names(text):
        place = f"/usr/src/pvhvm-{VERSION}/"
        return {n[len(place):] for n in text.split() if place in n and n[len(place):] and not n.endswith("/")}
    rpm = run("rpm-list", "rpm", "-qpl", str(one("pvhvm-dkms-*.rpm", RPM)))
    deb = run("deb-list", "dpkg-deb", "-c", str(one("pvhvm-dkms_*.deb")))
    of_deb = names(deb.replace(" ./usr", " /usr"))
    of_rpm = {n for n in names(rpm) if n in of_deb or "." in pathlib.PurePath(n).name}
    assert of_deb == of_rpm, f"only in one: {sorted(of_deb ^ of_rpm)[:5]}"


def rpm_in(m):
    """rpm on a machine's root, from outside; what it needs that is no .rpm is there as a .deb."""
    return m.with_proc("rpm", "--root", str(m.top), "--nodeps")


def rpms_of_next():
    """The same packages as of a later version."""
    out = LOGS / "next-rpm"
    with tempfile.TemporaryDirectory() as place:
        src = tree_of_next(pathlib.Path(place))
        run("rpm-next", "make", "rpm", cwd=src, env=dict(os.environ, SOURCE_DATE_EPOCH="1"))
        shutil.copytree(src / "build/rpm", out, dirs_exist_ok=True)
    return out


def life():
    """rpm builds the modules by DKMS, for each kernel, as it installs, upgrades and goes back, says so, or why not, in one line, and leaves nothing"""
    def rpm(m, *what):
        out = run("rpm-life", *rpm_in(m), *what)
        return [line for line in out.splitlines() if line.startswith("pvhvm: ")]

    def parts(folder, version):
        return [str(one(f"pvhvm-{part}-{version}-*.rpm", folder)) for part in ("kmod-common", "dkms", "tools")]

    now, later = parts(RPM, VERSION), parts(rpms_of_next(), NEXT)
    removal = ("-e", "pvhvm-dkms", "pvhvm-tools", "pvhvm-kmod-common")
    with debianroot.machine() as m:
        before = m.remains()
        kernel = m.release()
        m.runs(kernel)
        headers = m.path(f"/lib/modules/{kernel}/build")
        headers.rename(m.path("/srv/headers"))
        said = rpm(m, "-i", *now)
        assert len(said) == 1 and "install its headers" in said[0], said
        rpm(m, *removal)
        m.path("/srv/headers").rename(headers)
        m.small("/var/lib/dkms", "1m")
        said = rpm(m, "-i", *now)
        assert len(said) == 1 and "/var/lib/dkms is full" in said[0] and not m.built(), said
        rpm(m, *removal)
        m.usual_again("/var/lib/dkms")
        said = rpm(m, "-i", *now)
        assert said == ["pvhvm: in a chroot nothing is loaded"], said
        assert m.built() == sorted(MODULES), f"built: {m.built()}"
        assert m.sh("pvhvm --version").strip() == f"pvhvm {VERSION}"
        # another kernel, not booted yet
        other = kernel.replace("-amd64", "-other")
        m.sh(f"cp -a /lib/modules/{kernel} /lib/modules/{other}; rm -r /lib/modules/{other}/updates; "
             f"/usr/lib/kernel/install.d/45-pvhvm.install add {other} /boot/x /boot/y")
        assert m.built() == sorted(MODULES), "headers are of another kernel, and it builds"
        m.sh(f"rm /lib/modules/{other}/build; cp -a /usr/src/linux-headers-{kernel} /usr/src/linux-headers-{other}; "
             f"sed -i s/{kernel}/{other}/ /usr/src/linux-headers-{other}/include/generated/utsrelease.h "
             f"/usr/src/linux-headers-{other}/include/config/kernel.release; ln -s /usr/src/linux-headers-{other} /lib/modules/{other}/build; "
             f"/usr/lib/kernel/install.d/45-pvhvm.install add {other} /boot/x /boot/y")
        assert m.built() == sorted(MODULES * 2), f"for another kernel: {m.built()}"
        for way, packages, version in (("-U", later, NEXT), ("-U --oldpackage", now, VERSION)):
            rpm(m, *way.split(), *packages)
            assert m.built() == sorted(MODULES * 2) and version_of(m, MODULES[0], kernel) == version, f"{way}: {m.built()}"
            assert m.sh("dkms status pvhvm").count("installed") == 2, m.sh("dkms status pvhvm")
        rpm(m, *removal)
        assert not m.built() and m.remains() == before, f"left: {m.built()} {m.remains()}"


def akmod():
    """as akmods does it, rpmbuild makes a package of signed modules for a kernel; it installs, is upgraded, and leaves nothing"""
    def rebuilt(m, version):
        m.sh(f"rpmbuild --nodeps --define '_topdir /srv/rpm' --define 'kernels {m.release()}' --target x86_64 "
             "--rebuild /usr/src/akmods/pvhvm-kmod.latest")
        return str(one(f"kmod-pvhvm-{m.release()}-{version}-1.x86_64.rpm", m.path("/srv/rpm/RPMS/x86_64")))

    def held_up_by_modules(m, files):
        """What an upgrade would miss on behalf of the modules that are installed, but for the kernel, which is no .rpm here."""
        done = subprocess.run(["rpm", "--root", str(m.top), "-U", "--test", *files], capture_output=True, text=True)
        assert "Failed dependencies" in done.stderr, "Debian has what only .rpms provide"
        return [line for line in done.stderr.splitlines() if "(installed) kmod-pvhvm" in line and "pvhvm-kmod" in line.split(" is ")[0]]

    with debianroot.machine(debianroot.of_release("trixie")) as m:
        before = m.remains()
        run("akmod-install", *rpm_in(m), "-i", str(one("akmod-pvhvm-*.rpm", RPM)), str(one("pvhvm-kmod-common-*.rpm", RPM)))
        key, cert = "/etc/pki/akmods/private/private_key.priv", "/etc/pki/akmods/certs/public_key.der"
        m.sh(f"mkdir -p {pathlib.PurePath(key).parent} {pathlib.PurePath(cert).parent}")
        signing.make_key(m.path(key), m.path(cert))
        run("kmod-install", *rpm_in(m), "-i", rebuilt(m, VERSION))
        assert m.built() == sorted(MODULES), f"built: {m.built()}"
        for module in MODULES:
            assert m.sh(f"modinfo -k {m.release()} -F filename {module}").strip().endswith(f"/extra/pvhvm/{module}.ko")
            signing.check(m, module, m.path(cert))
        folder = rpms_of_next()
        later = [str(one(f"{name}-{NEXT}-1.noarch.rpm", folder)) for name in ("akmod-pvhvm", "pvhvm-kmod-common")]
        held_up = held_up_by_modules(m, later)
        assert not held_up, held_up
        run("akmod-upgrade", *rpm_in(m), "-U", *later)
        assert version_of(m, MODULES[0]) == VERSION, "the modules went before there were others"
        run("kmod-upgrade", *rpm_in(m), "-U", rebuilt(m, NEXT))
        assert m.built() == sorted(MODULES) and version_of(m, MODULES[0]) == NEXT, f"built: {m.built()}"
        run("kmod-remove", *rpm_in(m), "-e", f"kmod-pvhvm-{m.release()}", "akmod-pvhvm", "pvhvm-kmod-common")
        m.sh("rm -r /srv/rpm")
        assert not m.built() and m.remains() == before, f"left: {m.built()} {m.remains()}"


TESTS = [builds, rpmlint, reproducible, same_sources, life, akmod]
