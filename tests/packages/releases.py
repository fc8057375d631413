# SPDX-License-Identifier: GPL-2.0-only
"""The .deb of each Debian release: built, looked at, installed and removed there, from the source archive alone."""
import re

import debianroot
from harness import LOGS, MODULES, TOP, VERSION
from life import at_boot


def _life(suite):
    with debianroot.machine(debianroot.of_release(suite)) as m, open(LOGS / f"release-{suite}.log", "w") as log:
        def sh(command):
            out = m.sh(command)
            print(f"$ {command}\n{out}", file=log, flush=True)
            return out

        before = m.remains()
        m.put(TOP / f"build/dist/pvhvm-{VERSION}.tar.gz")
        # all that is needed is there, and is recognised: apt has no mirror
        sh("mv /etc/apt/sources.list /srv")
        sh(f"cd /srv && tar xf pvhvm-{VERSION}.tar.gz && cd pvhvm-{VERSION} && make deb && mv build/deb/*.deb /srv")
        said = sh("lintian --allow-root --fail-on error,warning /srv/*.deb")
        assert not said.strip(), f"lintian: {said.strip().splitlines()[0]}"
        # each dkms has its own way of not noticing that a disk is full
        place = f"/lib/modules/{m.release()}/updates"
        sh(f"mkdir {place}")
        m.small(place, "40k")       # they may be compressed
        out = sh(f"dpkg -i /srv/pvhvm-dkms_{VERSION}_all.deb /srv/pvhvm-tools_{VERSION}_amd64.deb")
        assert not m.built() and "/lib/modules or /var/lib/dkms is full" in out, f"on a full disk: {m.built()}"
        m.usual_again(place)
        sh(re.search("then run '(.*)'", out).group(1))
        assert m.built() == sorted(MODULES), f"built: {m.built()}"
        assert sh("pvhvm --version").strip() == f"pvhvm {VERSION}"
        # one that cannot be built for: what its package runs must go through, by each release's dkms
        kernel = m.release()
        sh(f"mkdir /lib/modules/99.1.0; cp -a /usr/src/linux-headers-{kernel} /usr/src/headers-99; ln -s /usr/src/headers-99 /lib/modules/99.1.0/build; "
           "printf 'all modules:\\n\\tfalse\\n' >/usr/src/headers-99/Makefile")
        assert "not built for kernel 99.1.0" in sh("run-parts --exit-on-error --regex '^dkms' --arg=99.1.0 /etc/kernel/postinst.d 2>&1")
        sh("rm -r /lib/modules/99.1.0 /usr/src/headers-99")
        if "udev" in debianroot.RELEASES[suite]:
            sh("udevadm verify /usr/lib/udev/rules.d/70-pvhvm.rules")
        if "systemd" in debianroot.RELEASES[suite]:
            # debhelpers differ in what they do to the unit of a package that goes and comes
            m.path("/etc/pvhvm").mkdir()
            m.path("/etc/pvhvm/switch.conf").write_text("nic 00:16:3e:00:00:01\n")
            sh("systemctl enable pvhvm-switch.service && dpkg -r pvhvm-tools")
            assert not at_boot(m)
            sh(f"dpkg -i /srv/pvhvm-tools_{VERSION}_amd64.deb")
            assert at_boot(m), "what was switched for good is not switched any more"
        sh("dpkg -P pvhvm-dkms pvhvm-tools")
        assert not m.built() and m.remains() == before, f"left: {m.built()} {m.remains()}"


def _test(suite):
    def test():
        _life(suite)
    test.__doc__ = f"Debian's {suite} builds the packages from the source archive, lintian has no complaint; " \
                   "they install, with modules, and leave nothing"
    return test


TESTS = [_test(suite) for suite in debianroot.RELEASES]
