# SPDX-License-Identifier: GPL-2.0-only
"""A key for modules, and a look at what was signed with it."""
import pathlib
import subprocess
import tempfile

from harness import run

SIGNER = "pvhvm test key"
MAGIC = b"~Module signature appended~\n"


def make_key(key, cert):
    """A new private key, and its certificate as DER, into these files."""
    run("key", "openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
        "-subj", f"/CN={SIGNER}/", "-outform", "DER", "-keyout", str(key), "-out", str(cert))


def check(m, module, cert):
    """The installed module's signature is that of the key, over these bytes."""
    signer = m.sh(f"modinfo -k {m.release()} -F signer {module}").strip()
    assert signer == SIGNER, f"{module} is signed by '{signer}'"
    path = next(m.path("/lib/modules").rglob(f"{module}.ko*"))
    data = path.read_bytes()
    if path.suffix == ".xz":
        data = subprocess.run(["xz", "-dc"], input=data, capture_output=True, check=True).stdout
    assert data.endswith(MAGIC), f"{module} has no signature"
    data = data[:-len(MAGIC)]
    length = int.from_bytes(data[-4:], "big")
    body, sig = data[:-12 - length], data[-12 - length:-12]
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        (place / "sig").write_bytes(sig)
        run("cert", "openssl", "x509", "-inform", "DER", "-in", str(cert), "-out", str(place / "cert.pem"))
        for content, fine in ((body, True), (body[:-1] + bytes([body[-1] ^ 1]), False)):
            (place / "body").write_bytes(content)
            done = subprocess.run(["openssl", "smime", "-verify", "-binary", "-inform", "DER", "-in", "sig",
                                   "-content", "body", "-certfile", "cert.pem", "-nointern", "-noverify",
                                   "-out", "/dev/null"], cwd=place, capture_output=True, text=True)
            assert (done.returncode == 0) == fine, f"{module}, {'as built' if fine else 'changed'}: {done.stderr}"
