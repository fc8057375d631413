# SPDX-License-Identifier: GPL-2.0-only
"""The .rpm packages, built and installed with Debian's rpm."""
import os
import pathlib

import debianroot
from harness import MODULES, RPM, VERSION, one, run, sums


def builds():
    """make rpm makes both packages and the source package"""
    run("rpm", "make", "rpm")
    one(f"pvhvm-dkms-{VERSION}-1.noarch.rpm", RPM)
    one(f"pvhvm-tools-{VERSION}-1.x86_64.rpm", RPM)
    one(f"pvhvm-{VERSION}-1.src.rpm", RPM)


def rpmlint():
    """rpmlint has no complaint but those that packaging/rpm/rpmlint.toml explains"""
    out = run("rpmlint", "rpmlint", "-c", "packaging/rpm/rpmlint.toml", *map(str, sorted(RPM.glob("*.rpm"))))
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


def life():
    """rpm -i builds the modules, rpm -e leaves nothing"""
    with debianroot.machine() as m:
        rpm = ["rpm", "--root", str(m.top), "--nodeps"]
        out = run("rpm-install", *rpm, "-i", str(one("pvhvm-dkms-*.rpm", RPM)), str(one("pvhvm-tools-*.rpm", RPM)))
        # for a kernel that does not run here, where rpm's scripts build for the one that does
        assert out.count("pvhvm: ") == 1 and "not built for" in out, f"says: {out.splitlines()[-2:]}"
        m.sh(f"dkms autoinstall -k {m.release()}")
        assert m.built() == sorted(MODULES), f"built: {m.built()}"
        assert m.sh("pvhvm --version").strip() == f"pvhvm {VERSION}"
        run("rpm-remove", *rpm, "-e", "pvhvm-dkms", "pvhvm-tools")
        assert not m.built() and not m.remains(), f"left: {m.built()} {m.remains()}"


TESTS = [builds, rpmlint, reproducible, same_sources, life]
