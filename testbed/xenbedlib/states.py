# SPDX-License-Identifier: GPL-2.0-only
"""Saved machines: what their names mean and how they are made.

dom0 is made by booting; every guest state is made from it by 'xl create'.
"""
import pathlib
import platform

from . import cache, emulator, firmware, guestkernel, images, outer, progress
from .errors import BedError, EmulatorFault
from .guestcfg import GuestConfig

NAMED = {
    "small": GuestConfig("small"),
    "small-pv": GuestConfig("small", nopv=False),
    **{f"small-{name}": GuestConfig(f"small-{name}") for name in guestkernel.NAMES},
    "debian": GuestConfig("debian"),
    "debian-pv": GuestConfig("debian", nopv=False),
}
NAMES = ("dom0", *NAMED)
BOOT_TRIES = 4      # the emulator lost guests before it was mended, see watch.py


def config_of(state):
    """GuestConfig for a state given by name or as a GuestConfig; None for dom0."""
    if isinstance(state, GuestConfig):
        return state
    if state == "dom0":
        return None
    if state not in NAMED:
        raise BedError(f"no state '{state}': there are {', '.join(NAMES)}")
    return NAMED[state]


def name_of(state):
    config = config_of(state)
    if config is None:
        return "dom0"
    for name, known in NAMED.items():
        if known == config:
            return name
    return f"{config.kind}-{cache.digest(config.to_xl())[:6]}"


def boot_files(config):
    """Folder with what a guest boots: vmlinuz, initrd, and more."""
    if config.kind.startswith("small-"):
        return guestkernel.guest(config.kind.removeprefix("small-"))
    return images.small() if config.kind == "small" else images.debian()


def _cpu():
    # a saved machine counts time in the host's TSC ticks
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _dom0_key():
    return cache.digest("dom0-state-2", emulator.place().name, images.dom0().name, images.debian().name, outer.HARDWARE,
                        outer.XEN_ARGS, outer.DOM0_ARGS, _cpu())


def key_of(state):
    config = config_of(state)
    if config is None:
        return _dom0_key()
    # compiling a kernel for a name would take long
    guest = guestkernel.guest_place(config.kind.removeprefix("small-")) if config.kind.startswith("small-") \
        else boot_files(config)
    more = [firmware.keep().name] if config.firmware == "ovmf" else []
    return cache.digest("guest-state-2", _dom0_key(), guest.name, config.to_xl(), *more)


def place_of(state):
    return cache.root() / "states" / f"{name_of(state)}-{key_of(state)}"


def _boot(bed, config):
    """Brings a machine to the point at which it is saved."""
    if config is None:
        with progress.step("booting Xen and dom0"):
            bed.wait_dom0_boot()
    else:
        bed.wait_loaded(guest=False)
        bed.create_guest(config)
    bed.settle()
    bed.check_health()


def ensure(state, lock_fd, owner):
    """Folder of the saved machine, made if it is not there. Needs the machine lock."""
    from .bed import Bed    # which is made from states
    config = config_of(state)
    parent = ensure("dom0", lock_fd, owner) if config else None

    def make(tmp):
        cache.need_space(4)
        for left in reversed(range(BOOT_TRIES)):
            machine = outer.start(f"making {name_of(state)}", parent, lock_fd, dict(owner, kind="run"), config)
            bed = Bed(machine, config, lock_fd)
            try:
                _boot(bed, config)
                with progress.step(f"saving the machine as '{name_of(state)}'"):
                    bed.park()
                    machine.save_and_stop(tmp)
                return
            except EmulatorFault as e:
                bed.keep_logs()
                if not left:
                    raise
                progress.say(f"the emulator lost the guest ({e.findings[0].line}): once more")
            except BaseException:
                bed.keep_logs()
                raise
            finally:
                machine.kill()
    return cache.ensure("states", name_of(state), key_of(state), make)


def keep_set():
    """What prune must leave: everything the present recipe leads to, named states first."""
    keep = {emulator.place(), images.dom0_root().parent, images.debian_root().parent, images.agent().parent,
            images.small(), images.dom0(), images.debian(), firmware.keep()}
    keep |= guestkernel.keep_set() | {place_of(name) for name in NAMES}
    return keep
