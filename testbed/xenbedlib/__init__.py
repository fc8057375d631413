# SPDX-License-Identifier: GPL-2.0-only
"""A real Xen in software: machine, dom0 and HVM guests for tests.

    from xenbedlib import Bed
    with Bed.acquire("small") as bed:
        bed.push_guest(["build/vm/src/out/pvhvm_platform.ko"])
        bed.guest("insmod /payload/pvhvm_platform.ko")
        bed.check_health()
"""
from .errors import BedError, CommandFailed, EmulatorFault, Stalled, Unhealthy
from .bed import Bed
from .guestcfg import GuestConfig

__all__ = ["Bed", "BedError", "CommandFailed", "EmulatorFault", "GuestConfig", "Stalled", "Unhealthy"]
