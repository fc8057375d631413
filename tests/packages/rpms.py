# SPDX-License-Identifier: GPL-2.0-only
"""The .rpm packages, built and installed with Debian's rpm."""
import os
import pathlib

import debianroot
import signing
from harness import MODULES, RPM, VERSION, one, run, sums


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
    return ["rpm", "--root", str(m.top), "--nodeps"]


def life():
    """rpm -i builds the modules by DKMS, rpm -e leaves nothing"""
    with debianroot.machine() as m:
        before = m.remains()
        out = run("rpm-install", *rpm_in(m), "-i", *(str(one(f"pvhvm-{part}-{VERSION}*.rpm", RPM))
                                                     for part in ("kmod-common", "dkms", "tools")))
        # for a kernel that does not run here, where rpm's scripts build for the one that does
        assert out.count("pvhvm: ") == 1 and "not built for" in out, f"says: {out.splitlines()[-2:]}"
        m.sh(f"dkms autoinstall -k {m.release()}")
        assert m.built() == sorted(MODULES), f"built: {m.built()}"
        assert m.sh("pvhvm --version").strip() == f"pvhvm {VERSION}"
        run("rpm-remove", *rpm_in(m), "-e", "pvhvm-dkms", "pvhvm-tools", "pvhvm-kmod-common")
        assert not m.built() and m.remains() == before, f"left: {m.built()} {m.remains()}"


def akmod():
    """as akmods does it, rpmbuild makes a package of signed modules for a kernel; it installs, and leaves nothing"""
    with debianroot.machine(debianroot.of_release("trixie")) as m:
        before = m.remains()
        run("akmod-install", *rpm_in(m), "-i", str(one("akmod-pvhvm-*.rpm", RPM)), str(one("pvhvm-kmod-common-*.rpm", RPM)))
        key, cert = "/etc/pki/akmods/private/private_key.priv", "/etc/pki/akmods/certs/public_key.der"
        m.sh(f"mkdir -p {pathlib.PurePath(key).parent} {pathlib.PurePath(cert).parent}")
        signing.make_key(m.path(key), m.path(cert))
        m.sh(f"rpmbuild --nodeps --define '_topdir /srv/rpm' --define 'kernels {m.release()}' --target x86_64 "
             "--rebuild /usr/src/akmods/pvhvm-kmod.latest")
        made = one(f"kmod-pvhvm-{m.release()}-{VERSION}-1.x86_64.rpm", m.path("/srv/rpm/RPMS/x86_64"))
        run("kmod-install", *rpm_in(m), "-i", str(made))
        assert m.built() == sorted(MODULES), f"built: {m.built()}"
        for module in MODULES:
            assert m.sh(f"modinfo -k {m.release()} -F filename {module}").strip().endswith(f"/extra/pvhvm/{module}.ko")
            signing.check(m, module, m.path(cert))
        run("kmod-remove", *rpm_in(m), "-e", f"kmod-pvhvm-{m.release()}", "akmod-pvhvm", "pvhvm-kmod-common")
        m.sh("rm -r /srv/rpm")
        assert not m.built() and m.remains() == before, f"left: {m.built()} {m.remains()}"


TESTS = [builds, rpmlint, reproducible, same_sources, life, akmod]
