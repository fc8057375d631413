# SPDX-License-Identifier: GPL-2.0-only
"""What can go wrong, each with one line that names cause and way out."""


class BedError(Exception):
    """The testbed itself could not do what was asked."""


class Stalled(BedError):
    """No sign of progress for too long."""


class CommandFailed(BedError):
    """A command in dom0 or a guest ended with a non-zero code."""

    def __init__(self, where, command, result):
        self.result = result
        lines = (result.err or result.out).strip().splitlines()
        tail = [ln for ln in lines if "rror" in ln][:1] or lines[-1:]
        super().__init__(f"{where}: '{command}' ended with code {result.code}"
                         + (f": {tail[0]}" if tail else ""))


class Unhealthy(BedError):
    """Guest, dom0 or Xen logged something that must never happen."""

    def __init__(self, findings):
        self.findings = findings
        lines = "\n  ".join(str(f) for f in findings)
        super().__init__(f"{len(findings)} bad sign(s) in the logs:\n  {lines}")


class EmulatorFault(Unhealthy):
    """QEMU's software CPU lost a guest: nothing is known about what was tested. Try again."""
