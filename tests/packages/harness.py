# SPDX-License-Identifier: GPL-2.0-only
"""What the package tests share: commands with logs, and one line a test."""
import hashlib
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]
LOGS = TOP / "build/test/packages"
DEB = TOP / "build/deb"
RPM = TOP / "build/rpm"
VERSION = (TOP / "VERSION").read_text().strip()
MODULES = ("pvhvm_platform", "pvhvm_xenbus", "pvhvm_netfront", "pvhvm_blkfront")


def run(name, *args, **kw):
    """Output of a command that must succeed; kept in a log as well."""
    done = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", **{"cwd": TOP, **kw})
    (LOGS / f"{name}.log").write_text(done.stdout)
    if done.returncode:
        last = [line for line in done.stdout.splitlines() if line.strip()][-3:]
        raise AssertionError(f"exit code {done.returncode}: {' / '.join(last)} (log: build/test/packages/{name}.log)")
    return done.stdout


def sums(folder, pattern):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob(pattern))}


def one(pattern, folder=DEB):
    found = sorted(folder.glob(pattern))
    assert len(found) == 1, f"{len(found)} files {pattern} in {folder.relative_to(TOP)}"
    return found[0]


def run_tests(tests):
    """Runs each, says what came of it, ends with totals; the exit code."""
    passed = failed = 0
    for test in tests:
        try:
            test()
        except AssertionError as e:
            failed += 1
            print(f"FAIL {test.__doc__}: {e}", flush=True)
        else:
            passed += 1
            print(f"ok   {test.__doc__}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0
