# SPDX-License-Identifier: GPL-2.0-only
"""A .deb's life in Debian systems without a VM: all but what needs a kernel that runs."""
import os
import pathlib
import subprocess
import tempfile

import debianroot
from harness import DEB, LOGS, MODULES, TOP, VERSION, run

NEXT = VERSION + ".1"
INSTALL = "apt-get install -y --no-install-recommends --no-download --allow-downgrades"
KEY = "/var/lib/dkms/mok.key"
CERT = "/var/lib/dkms/mok.pub"
SIGNER = "pvhvm test key"


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


def signature(m, module):
    """Is the module's signature that of our key, over these bytes?"""
    path = next(m.path("/lib/modules").rglob(f"{module}.ko*"))
    data = path.read_bytes()
    if path.suffix == ".xz":
        data = subprocess.run(["xz", "-dc"], input=data, capture_output=True, check=True).stdout
    magic = b"~Module signature appended~\n"
    assert data.endswith(magic), f"{module} has no signature"
    data = data[:-len(magic)]
    length = int.from_bytes(data[-4:], "big")
    body, sig = data[:-12 - length], data[-12 - length:-12]
    m.path("/tmp/body").write_bytes(body)
    m.path("/tmp/sig").write_bytes(sig)
    m.sh(f"openssl x509 -inform DER -in {CERT} -out /tmp/cert.pem")
    check = "openssl smime -verify -binary -inform DER -in /tmp/sig -content /tmp/body -certfile /tmp/cert.pem " \
            "-nointern -noverify -out /dev/null"
    m.sh(check)
    m.path("/tmp/body").write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    assert "failure" in m.sh(check + " || echo failure"), "a changed module passes the same check"


def parameters(m):
    """What modinfo tells of the built modules is what docs/parameters.md has."""
    text = (TOP / "docs/parameters.md").read_text()
    for module in MODULES:
        told = {line.split(":")[0] for line in m.sh(f"modinfo -k {m.release()} -F parm {module}").splitlines()}
        part = text.split(f"## {module}\n")[1].split("\n## ")[0]
        listed = {line.split("`")[1] for line in part.splitlines() if line.startswith("| `")}
        assert told == listed, f"{module}: {sorted(told ^ listed)}"


def whole_life():
    """install (signed with the machine's own key; parameters as documented), upgrade, downgrade, remove, purge"""
    with debianroot.machine("bookworm") as m:
        m.put(*DEB.glob("*.deb"), *debs_of_next())
        m.sh(f"openssl req -new -x509 -newkey rsa:2048 -nodes -days 30 -subj '/CN={SIGNER}/' "
             f"-outform DER -keyout {KEY} -out {CERT}")
        before = m.remains()
        out = install(m)
        assert ours(out) == ["pvhvm: no Xen platform device here: nothing is loaded"], f"says {ours(out)}"
        assert m.built() == sorted(MODULES), f"built: {m.built()}"
        for module in MODULES:
            signer = m.sh(f"modinfo -k {m.release()} -F signer {module}").strip()
            assert signer == SIGNER, f"{module} is signed by '{signer}'"
            signature(m, module)
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
        m.sh("dpkg -r pvhvm-dkms pvhvm-tools")
        assert not m.built() and m.path("/etc/pvhvm/switch.conf").exists()
        m.sh("dpkg -P pvhvm-dkms pvhvm-tools")
        assert m.remains() == before, f"left: {m.remains()}"


def without_headers():
    """without headers it installs, says so in one line, and builds once they are there"""
    with debianroot.machine("bookworm") as m:
        m.put(*DEB.glob("*.deb"))
        kernel = m.release()
        m.path(f"/lib/modules/{kernel}").rename(m.path("/srv/headers"))
        out = install(m)
        assert not m.built(), f"built without headers: {m.built()}"
        assert len(ours(out)) == 1 and "install its headers" in ours(out)[0], f"says {ours(out)}"
        m.path("/srv/headers").rename(m.path(f"/lib/modules/{kernel}"))
        m.sh(f"dkms autoinstall -k {kernel}")
        assert m.built() == sorted(MODULES), f"built: {m.built()}"
        m.sh("dpkg -P pvhvm-dkms pvhvm-tools")
        assert not m.built() and not m.remains(), f"left: {m.remains()}"


def wrong_folder():
    """with a folder that is no kernel's headers the build says so in one line and leaves nothing"""
    with debianroot.machine("bookworm") as m:
        m.put(*DEB.glob("*.deb"))
        kernel = m.release()
        m.path(f"/lib/modules/{kernel}").rename(m.path("/srv/headers"))
        install(m)
        common = next(m.path("/usr/src").glob("linux-headers-*-common")).name
        m.sh(f"dkms build pvhvm/{VERSION} -k {kernel} --kernelsourcedir /usr/src/{common} || true")
        log = m.path(f"/var/lib/dkms/pvhvm/{VERSION}/build/make.log").read_text()
        assert len(ours(log)) == 1 and "not those of one kernel" in log, f"says {ours(log)}"
        assert not m.built() and "installed" not in m.sh("dkms status pvhvm")


def full_disk():
    """a disk that fills up while DKMS builds: one line, no half module, and a second try works"""
    with debianroot.machine("bookworm") as m:
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


def clean_build(release):
    def test():
        with debianroot.machine(release) as m:
            src = tree(m.path("/srv"))
            m.sh(f"cd /srv/{src.name} && SOURCE_DATE_EPOCH=1 packaging/build-debs /srv/out include/xen-public")
            names = sorted(p.name for p in m.path("/srv/out").glob("*.deb"))
            assert names == [f"pvhvm-dkms_{VERSION}_all.deb", f"pvhvm-tools_{VERSION}_amd64.deb"], f"{names}"
            m.sh(f"dpkg -i /srv/out/{names[1]} && pvhvm --version")
    test.__doc__ = f"the archive builds its packages in a clean Debian root: {release}"
    return test


TESTS = [whole_life, without_headers, wrong_folder, full_disk,
         *map(clean_build, ("bullseye", "bookworm", "trixie"))]
