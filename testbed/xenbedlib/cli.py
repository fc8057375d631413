# SPDX-License-Identifier: GPL-2.0-only
"""The command line."""
import argparse
import os
import shutil
import signal
import sys
import termios
import time
import tty

from . import cache, hosttool, images, kernelmodules, outer, progress, session, states, watch
from .bed import Bed
from .errors import BedError, Stalled
from .guestcfg import GuestConfig

DESCRIPTION = """\
A real Xen 4.17 with a Debian 12 dom0 and HVM guests, in QEMU's software CPU.
Saved machines are loaded in seconds; one runs at a time, other clients queue.
"""

EPILOG = """\
one-shot:      xenbed run --push build/x.ko -- 'insmod /payload/x.ko && dmesg | tail'
interactive:   xenbed up small; xenbed guest 'lsmod'; xenbed shell guest; xenbed down
states:        dom0 (no guest), small and debian (guest up, nopv, nothing loaded),
               small-pv and debian-pv (the same with the in-kernel PV drivers)
The cache is ${PVHVM_CACHE:-${XDG_CACHE_HOME:-~/.cache}/pvhvm}.
"""


# exit codes of ours, beside 124 (no sign of life, or too long) and 125 (our own error)
EMULATOR = 98
UNHEALTHY = 99


def _to(stream):
    def write(data):
        stream.buffer.write(data)
        stream.buffer.flush()
    return write


def _live(run, command, **kw):
    """Runs a command with its output going straight to ours; its code."""
    return run(command, check=False, on_out=_to(sys.stdout), on_err=_to(sys.stderr), **kw).code


def _state_of(args):
    """The state that --guest and the options beside it name."""
    name = "dom0" if args.guest == "none" else args.guest
    config = states.config_of(name)
    changed = {k: v for k in ("vcpus", "memory", "nics", "nic_model", "disks", "disk_backend", "firmware", "extra")
               if (v := getattr(args, k)) is not None}
    if not changed:
        return name
    if config is None:
        raise BedError("dom0 alone has no guest to change: drop the guest options")
    try:
        return GuestConfig(config.kind, nopv=config.nopv, **changed)
    except ValueError as e:
        raise BedError(str(e)) from e


def cmd_build(_args):
    hosttool.install_missing()
    start = time.monotonic()
    images.build_all()
    progress.say(f"images are in place ({progress.seconds(start)})")
    return 0


def cmd_up(args):
    bed = Bed.acquire(_state_of(args), what=f"xenbed up {args.guest}", wait=not args.no_wait, keep=True)
    bed.leave()
    progress.say(f"up; given up when idle for {session.IDLE_MINUTES} min while others wait; "
                 "end it with 'xenbed down'")
    return 0


def _verdict(bed):
    """Prints what the logs say; True if all is well."""
    found = bed.findings()
    for f in found:
        print(f"xenbed: BAD SIGN {f}", file=sys.stderr)
    print("xenbed: health: " + ("NOT OK" if found else "ok"), file=sys.stderr)
    return not found


def _tail(bed, lines):
    """The end of the guest's console, on stderr."""
    tail = bed.console().splitlines()[-lines:] if lines and bed.config else []
    if tail:
        print("xenbed: end of the guest's console:", file=sys.stderr)
    for line in tail:
        print(f"  | {line}", file=sys.stderr)


def _push(bed, files):
    start = time.monotonic()
    if bed.config:
        bed.push_guest(files)
    else:
        bed.push_dom0(files, "/payload")
    progress.say(f"pushed in {progress.seconds(start)}")


def _run_once(bed, args, command):
    """One run in a fresh machine: the exit code for xenbed, EMULATOR if it means nothing."""
    code = None
    start = time.monotonic()
    try:
        if args.push:
            _push(bed, args.push)
        if args.dom0:
            _live(bed.dom0, args.dom0)
        start = time.monotonic()
        code = _live(bed.guest if bed.config else bed.dom0, command, total=args.total, stall=args.stall)
        progress.say(f"exit code {code} after {progress.seconds(start)}")
    except Stalled as e:
        progress.say(f"FAILED after {progress.seconds(start)}: {e}")
    _tail(bed, args.tail)
    healthy = _verdict(bed)
    if not healthy or code is None:
        bed.keep_logs()
    if bed.emulator_fault():
        return EMULATOR
    if code is None:
        return 124
    for path in args.pull or ():
        (bed.pull_guest if bed.config else bed.pull_dom0)(path, args.into)
    return code or (0 if healthy else UNHEALTHY)


def cmd_run(args):
    state = _state_of(args)
    command = " ".join(args.command)
    if not command:
        raise BedError("run what? xenbed run [options] -- 'shell command'")
    with Bed.acquire(state, what=f"xenbed run: {command[:60]}", wait=not args.no_wait) as bed:
        for _ in range(args.retries):
            code = _run_once(bed, args, command)
            if code != EMULATOR:
                return code
            progress.say("the emulator lost the guest, which says nothing about the command: once more")
            bed.load(state)
        return _run_once(bed, args, command)


def cmd_guest(args):
    return _live(Bed.attach().guest, " ".join(args.command), total=args.total)


def cmd_dom0(args):
    return _live(Bed.attach().dom0, " ".join(args.command), total=args.total)


def cmd_xl(args):
    return _live(Bed.attach().dom0, "xl " + " ".join(args.command))


def cmd_push(args):
    bed = Bed.attach()
    if args.dom0:
        bed.push_dom0(args.files, args.to or "/tmp")
    else:
        bed.push_guest(args.files, args.to or "/payload")
    return 0


def cmd_pull(args):
    bed = Bed.attach()
    for path in args.files:
        (bed.pull_dom0 if args.dom0 else bed.pull_guest)(path, args.to)
    return 0


def cmd_shell(args):
    bed = Bed.attach()
    cols, rows = shutil.get_terminal_size()
    fd = sys.stdin.fileno()
    saved = termios.tcgetattr(fd) if os.isatty(fd) else None
    try:
        if saved:
            tty.setraw(fd)
        return bed.shell(args.where, fd, sys.stdout.fileno(), (rows, cols))
    finally:
        if saved:
            termios.tcsetattr(fd, termios.TCSADRAIN, saved)


def cmd_console(args):
    bed = Bed.attach()
    pick = watch.guest_lines if args.where == "guest" else str
    with open(bed.machine.serial_log, errors="replace") as log:
        while True:
            for line in log:
                text = pick(line.rstrip("\r\n"))
                if text:
                    print(text, flush=True)
            if not args.follow:
                return 0
            bed.machine.check_alive()
            time.sleep(0.5)


def cmd_health(_args):
    return 0 if _verdict(Bed.attach()) else UNHEALTHY


def cmd_reset(args):
    machine = outer.current()
    if not machine:
        raise BedError("no machine is up: 'xenbed up small' starts one")
    _end(machine, args.force)
    args.guest = args.guest or machine.record["state"]
    return cmd_up(args)


def _end(machine, force):
    if machine.record["owner"]["kind"] == "run" and session.client_alive(machine) and not force:
        raise BedError(f"in use by {session.describe(machine)}: wait for it, or use --force")
    machine.kill()


def cmd_down(args):
    machine = outer.current()
    if machine:
        _end(machine, args.force)
        progress.say("down")
    else:
        progress.say("nothing was up")
    return 0


def cmd_snapshot(args):
    names = args.names or ["dom0", "small", "debian"]
    for name in names:
        states.config_of(name)
    hosttool.install_missing()
    owner = session.me("run", f"xenbed snapshot {' '.join(names)}")
    fd = session.lock(owner, not args.no_wait)
    try:
        for name in names:
            start = time.monotonic()
            if args.again and states.place_of(name).exists():
                cache.remove_tree(states.place_of(name))
            place = states.ensure(name, fd, owner)
            mib = sum(f.stat().st_blocks * 512 for f in place.iterdir()) >> 20
            print(f"{name}: {place.name}, {mib} MiB, {progress.seconds(start)}")
    finally:
        os.close(fd)
    return 0


def cmd_status(_args):
    print(f"cache: {cache.root()}")
    for kind in ("images", "states"):
        folder = cache.root() / kind
        for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
            if not entry.name.startswith("."):
                print(f"  {kind[:-1]}: {entry.name}")
    machine = outer.current()
    if not machine:
        print("machine: none")
        return 0
    print(f"machine: {machine.record['state']}, QEMU pid {machine.pid}, used by {session.describe(machine)}")
    print(f"  dom0's agent: port {machine.dom0_port} on 127.0.0.1")
    print(f"  logs: {machine.serial_log}")
    return 0


def cmd_kernel(_args):
    print(kernelmodules.release(images.dom0_root()))
    return 0


def cmd_prune(_args):
    for path in cache.prune(states.keep_set()):
        print(f"removed {path}")
    return 0


def _guest_options(p):
    p.add_argument("--vcpus", type=int, help="virtual CPUs (2)")
    p.add_argument("--memory", type=int, help="MiB (small 768, debian 1280)")
    p.add_argument("--nics", type=int, help="network cards (1)")
    p.add_argument("--nic-model", choices=("e1000", "rtl8139"))
    p.add_argument("--disks", type=int, help="data disks of 256 MB (1)")
    p.add_argument("--disk-backend", choices=("phy", "qdisk"), help="phy: loop device and xen-blkback")
    p.add_argument("--firmware", choices=("seabios", "ovmf"), help="ovmf: UEFI; boots in four minutes, once")
    p.add_argument("--extra", metavar="ARGS", help="more on the guest's kernel command line")
    p.add_argument("--no-wait", action="store_true", help="fail instead of queueing")


def parser():
    form = argparse.RawDescriptionHelpFormatter
    ap = argparse.ArgumentParser(prog="xenbed", description=DESCRIPTION, epilog=EPILOG, formatter_class=form)
    ap.add_argument("-q", "--quiet", action="store_true", help="no progress messages")
    sub = ap.add_subparsers(dest="cmd", required=True, metavar="COMMAND")

    def add(name, func, text):
        p = sub.add_parser(name, help=text, description=text)
        p.set_defaults(func=func)
        return p

    add("build", cmd_build, "make the images (needs root; done on demand anyway)")
    p = add("up", cmd_up, "load a state and leave the machine up")
    p.add_argument("guest", nargs="?", default="small", metavar="STATE", help=", ".join(states.NAMES))
    _guest_options(p)
    p = add("run", cmd_run, "fresh state, push files, run one command in the guest, verdict, down")
    p.add_argument("--guest", default="small", metavar="STATE", help="none, " + ", ".join(states.NAMES))
    p.add_argument("--push", action="append", nargs="+", metavar="FILE",
                   help="files and folders that go to /payload in the guest (FILE=NAME renames)")
    p.add_argument("--pull", action="append", metavar="PATH", help="file of the guest to bring back")
    p.add_argument("--into", default=".", metavar="DIR", help="where --pull puts it (.)")
    p.add_argument("--dom0", metavar="CMD", help="command for dom0 first")
    p.add_argument("--retries", type=int, default=2, metavar="N", help="repeats if the emulator loses the guest (2)")
    p.add_argument("--tail", type=int, default=15, metavar="N", help="lines of the guest's console to show (15)")
    p.add_argument("--total", type=float, default=3600, metavar="S", help="most seconds in all (3600)")
    p.add_argument("--stall", type=float, default=120, metavar="S", help="most seconds without a heartbeat (120)")
    _guest_options(p)
    p.add_argument("command", nargs="*", help="shell command, after --")
    for name, func, text in (("guest", cmd_guest, "run a command in the guest of the machine that is up"),
                             ("dom0", cmd_dom0, "run a command in its dom0")):
        p = add(name, func, text)
        p.add_argument("--total", type=float, default=3600, metavar="S", help="most seconds in all (3600)")
        p.add_argument("command", nargs="+")
    p = add("xl", cmd_xl, "run xl in its dom0")
    p.add_argument("command", nargs=argparse.REMAINDER)
    p = add("push", cmd_push, "files to the guest (or dom0)")
    p.add_argument("--dom0", action="store_true")
    p.add_argument("--to", metavar="DIR", help="/payload in the guest, /tmp in dom0")
    p.add_argument("files", nargs="+")
    p = add("pull", cmd_pull, "files from the guest (or dom0)")
    p.add_argument("--dom0", action="store_true")
    p.add_argument("--to", metavar="DIR", default=".")
    p.add_argument("files", nargs="+")
    p = add("shell", cmd_shell, "interactive shell")
    p.add_argument("where", nargs="?", default="guest", choices=("guest", "dom0"))
    p = add("console", cmd_console, "console log of the guest, or of everything (Xen, dom0, guest)")
    p.add_argument("where", nargs="?", default="guest", choices=("guest", "dom0"))
    p.add_argument("-f", "--follow", action="store_true")
    add("health", cmd_health, "look for bad signs since the state was loaded")
    p = add("reset", cmd_reset, "the machine that is up, back to its (or another) state")
    p.add_argument("guest", nargs="?", metavar="STATE")
    p.add_argument("--force", action="store_true", help="even if a run uses it")
    _guest_options(p)
    p = add("snapshot", cmd_snapshot, "make saved states (done on demand anyway)")
    p.add_argument("names", nargs="*", metavar="STATE", help="default: dom0 small debian")
    p.add_argument("--again", action="store_true", help="even if they are there")
    p.add_argument("--no-wait", action="store_true", help="fail instead of queueing")
    add("status", cmd_status, "what is built, what is up, who uses it")
    add("kernel", cmd_kernel, "kernel release of dom0 and the guests")
    p = add("down", cmd_down, "end the machine")
    p.add_argument("--force", action="store_true", help="even if a run uses it")
    add("prune", cmd_prune, "remove what the present recipe does not lead to")
    return ap


def main(argv=None):
    args = parser().parse_args(argv)
    progress.set_quiet(args.quiet)
    if getattr(args, "push", None):
        args.push = [f for group in args.push for f in group]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))     # through the with blocks
    try:
        code = args.func(args)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # 'xenbed status | head': nobody listens any more, not even to the flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except BedError as e:
        print(f"xenbed: error: {e}", file=sys.stderr)
        return 125
    except KeyboardInterrupt:
        print("xenbed: interrupted", file=sys.stderr)
        return 130
