# SPDX-License-Identifier: GPL-2.0-only
"""The testbed as a test sees it: one machine, its dom0, a guest; more of them on request."""
import contextlib
import io
import os
import pathlib
import shlex
import tarfile
import time

from . import cache, firmware, hosttool, outer, progress, remote, session, states, watch
from .channel import Channel, LineDown
from .errors import BedError, CommandFailed, EmulatorFault, Stalled, Unhealthy
from .guestcfg import GUEST_LINE, GuestConfig

PAYLOAD_SIZE = 256 << 20
BLOCK = 2048


def _tar_of(paths):
    """Tar archive of files (what a link leads to) and folders by their base names; PATH=NAME renames."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for spec in paths:
            path, _, name = str(spec).partition("=")
            if not os.path.exists(path):
                raise BedError(f"cannot push {path}: no such file")
            path = os.path.normpath(path)
            tar.add(os.path.realpath(path), arcname=name or os.path.basename(path))
    return out.getvalue()


def _read_clock(run, tries=5):
    """A wall clock less the host's monotonic one, and half the time that took: of several readings, the shortest."""
    best = None
    for _ in range(tries):
        before = time.monotonic()
        shown = float(run("bash -c 'echo $EPOCHREALTIME'").out)
        after = time.monotonic()
        if not best or after - before < 2 * best[1]:
            best = shown - (before + after) / 2, (after - before) / 2
    return best


def _run(line, where, command, check, kw):
    session.touch()
    result = line.run(f"set -e\n{command}" if check else command, **kw)
    if check and result.code:
        raise CommandFailed(where, command, result)
    return result


class Bed:
    """Use Bed.acquire(state), best in a with statement, or Bed.attach()."""

    def __init__(self, machine, config, lock_fd=None):
        self.machine = machine
        self.config = config
        self._lock_fd = lock_fd
        self._dom0 = Channel("dom0", machine.connect, on_beat=session.touch,
                             on_silence=self._serial_grew)
        self._guest = self._line_of("guest", GUEST_LINE)
        self._more = {}     # lines to further guests, by name
        self.powered = True
        self._mark = machine.record.get("mark", "")
        self._log_seen = -1
        self._cpu_seen = ""

    def _line_of(self, where, socket):
        # through dom0: a connection forwarded by QEMU that nobody reads makes QEMU spin
        return Channel(where, self.machine.connect, f"exec /bed/xbagent relay {socket}",
                       on_beat=session.touch, on_silence=self._guest_silent)

    # --- coming and going

    @classmethod
    def acquire(cls, state="small", what=None, wait=True, keep=False):
        """Waits for the machine and loads a state: a name, or a GuestConfig.

        keep leaves the machine up when this process ends ('xenbed up').
        """
        hosttool.install_missing()
        where = remote.url()
        if where:
            if keep:
                raise BedError("a machine that is left up is the testbed's own: unset TESTBED")
            return cls._created(state, where)
        owner = session.me("up" if keep else "run", what or f"test of {states.name_of(state)}")
        fd = session.lock(owner, wait)
        try:
            return cls._loaded(state, fd, owner)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def _loaded(cls, state, fd, owner):
        config = states.config_of(state)
        saved = states.ensure(state, fd, owner)
        start = time.monotonic()
        machine = outer.start(states.name_of(state), saved, fd, owner, config)
        bed = cls(machine, config, fd)
        try:
            bed.wait_loaded(guest=config is not None)
        except BaseException:
            bed.keep_logs()
            machine.kill()
            raise
        progress.say(f"'{states.name_of(state)}' loaded in {progress.seconds(start)}")
        return bed

    @classmethod
    def _created(cls, state, where):
        """The same on somebody's dom0, where nothing is saved."""
        config = states.config_of(state)
        host = remote.Host(where)
        host.open()
        bed = cls(host, config)
        try:
            bed._dom0.hello(60)
            if config and config.kind == "debian":
                host.put_debian()
            bed._mark = f"xenbed-mark-{os.urandom(4).hex()}"
            bed._mark_log(bed.dom0)
            if config:
                bed.create_guest(config)
                bed._mark_log(bed.guest)
        except BaseException:
            bed.keep_logs()
            host.kill()
            raise
        return bed

    def load(self, state):
        """Another (or the same) state, fresh, without letting others in between."""
        if self.machine.own and self._lock_fd is None:
            raise BedError("only the client that acquired the machine can load a state")
        self.disconnect(0)
        self.machine.kill()
        fresh = self._loaded(state, self._lock_fd, self.machine.record["owner"]) if self.machine.own \
            else self._created(state, remote.url())
        self.__dict__.update(fresh.__dict__)

    @classmethod
    def attach(cls):
        """The machine that 'xenbed up' left running."""
        machine = outer.current()
        if not machine:
            raise BedError("no machine is up: 'xenbed up small' starts one")
        session.touch()
        config = machine.record.get("config")
        return cls(machine, GuestConfig(**config) if config else None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def disconnect(self, pause=1.0):
        """Closes the lines; dom0 must have seen that before it is saved."""
        for line in (self._guest, *self._more.values()):
            line.close()
        self._dom0.close()
        time.sleep(pause)

    def leave(self):
        """Ends this client, not the machine."""
        self.disconnect(0)
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def close(self):
        """Ends the machine and lets the next client in."""
        self.disconnect(0)
        self.machine.kill()
        self.leave()

    def keep_logs(self):
        """Copies logs of a failure to where the next run does not overwrite them.

        Xen says before what its guests' CPUs are at, their interrupts and event channels; if
        it does not, QEMU says of the whole machine's.
        """
        place = cache.root() / "last-failure"
        place.mkdir(exist_ok=True)
        for earlier in place.iterdir():
            earlier.unlink()
        try:
            self.dom0("{ xl vcpu-list; for key in v I e; do xl debug-keys $key; done; } || true; sleep 1; xl dmesg >/bed/xen.log", stall=30)
            (place / "xen.log").write_text(self.dom0("cat /bed/xen.log", stall=30).out)
        except BedError:
            if self.machine.own:
                with contextlib.suppress(BedError):
                    (place / "cpus.log").write_text(self.machine.cpus())
        for name in ("serial.log", "qemu.log"):
            src = self.machine.dir / name
            if src.exists():
                (place / name).write_bytes(src.read_bytes())
        progress.say(f"logs are in {place}")

    # --- life signs

    def _serial_grew(self):
        self.machine.check_alive()
        size = self.machine.serial_log.stat().st_size if self.machine.serial_log.exists() else 0
        grew, self._log_seen = size != self._log_seen, size
        return grew

    def wait_dom0_boot(self, total=1200):
        self._dom0.hello(total, self._serial_grew)

    def wait_loaded(self, guest=True):
        """After a load: machine runs, agents answer, clocks say today, logs are marked."""
        self.machine.wait_loaded()
        self._dom0.hello(300, self._serial_grew)
        self._mark = f"xenbed-mark-{os.urandom(4).hex()}"
        self.machine.record["mark"] = self._mark
        outer.rewrite(self.machine)
        self._mark_log(self.dom0, "date -s @{} >/dev/null")
        self.xl("dmesg -c >/dev/null")
        if guest:
            self.xl(f"unpause {self.config.name}")
            self._guest.hello(300, self._guest_progress)
            self._mark_log(self.guest, "date -s @{} >/dev/null")

    def _mark_log(self, run, first="true"):
        """What this kernel logs from now on counts; first: a command, with the time in it."""
        run(f"{first.format(int(time.time()))}; echo {self._mark} >/dev/kmsg")

    def _guest_silent(self):
        """Like _serial_grew, but a guest that panicked need not be waited for."""
        grew = self._serial_grew()
        dead = watch.dead(self.console())
        if dead and not grew:
            raise LineDown(f"guest: dead: {dead}")
        return grew

    def _guest_progress(self):
        """Whether the guest wrote to its console or used its CPUs since the last call."""
        now = (self._serial_grew(), self._dom0.run("xl list | tail -n +3", stall=120).out)
        grew, self._cpu_seen = now != (False, self._cpu_seen), now[1]
        return grew

    def settle(self):
        """Lets the machine come to rest."""
        self.dom0("sync")
        time.sleep(2)

    def park(self):
        """Pauses the guest and closes the lines, so that the machine can be saved.

        QEMU saves a CPU that runs a nested guest, but refuses to load it ('vCPU set
        in guest-mode inconsistent ...'). wait_loaded goes on from here.
        """
        if self.config:
            self.xl(f"pause {self.config.name}")
        self.disconnect()

    # --- commands

    def dom0(self, command, check=True, **kw):
        """Runs shell commands in dom0 (see Channel.run); check: they must all succeed, it stops at the first that does not."""
        return _run(self._dom0, "dom0", command, check, kw)

    def guest(self, command, check=True, name=None, **kw):
        """The same in the guest, over its serial line; name: in one that add_guest() made."""
        return _run(self._more[name] if name else self._guest, name or "guest", command, check, kw)

    def xl(self, arguments, check=True, **kw):
        return self.dom0(f"xl {arguments}", check, **kw)

    def shell(self, where, fd_in, fd_out, size):
        """Interactive shell; its exit code."""
        line = self._dom0 if where == "dom0" else self._guest
        return line.interact("cd; exec bash -i 2>/dev/null || exec sh -i", fd_in, fd_out, size)

    def clock_ahead(self):
        """Seconds that the guest's wall clock is ahead of dom0's, and how wrong that may be."""
        (guest, doubt), (dom0, more) = _read_clock(self.guest), _read_clock(self.dom0)
        return guest - dom0, doubt + more

    # --- files

    def push_dom0(self, paths, dest="/tmp"):
        self.dom0(f"mkdir -p {shlex.quote(dest)} && tar -x -C {shlex.quote(dest)} -f -",
                  stdin=_tar_of(paths))

    def pull_dom0(self, path, dest):
        self._unpack(self.dom0(f"tar -C / -c -f - {shlex.quote(path.lstrip('/'))}").raw, dest)

    @staticmethod
    def _unpack(data, dest):
        pathlib.Path(dest).mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            tar.extractall(dest, **safe)

    def write_payload(self, archive):
        """Puts an archive on the guest's payload disk; the nonce that names it."""
        if len(archive) > PAYLOAD_SIZE - BLOCK:
            raise BedError(f"{len(archive) >> 20} MB do not fit on the payload disk "
                           f"({PAYLOAD_SIZE >> 20} MB): push less at a time")
        nonce = os.urandom(4).hex()
        head = f"XENBED1 {nonce} {len(archive)}\n".encode().ljust(BLOCK, b"\0")
        self.dom0("dd of=/bed/payload.img bs=256k iflag=fullblock conv=notrunc status=none",
                  stdin=head + archive, stall=300)
        return nonce

    def push_guest(self, paths, dest="/payload", name=None):
        """Files and folders into the guest; not over the network."""
        nonce = self.write_payload(_tar_of(paths))
        self.guest(f"xb-fetch {shlex.quote(dest)} {nonce}", name=name, stall=300)

    def pull_guest(self, path, dest):
        """Files out of the guest: compressed, over the serial line, so keep them small."""
        name = shlex.quote(path.lstrip("/"))
        self._unpack(self.guest(f"tar -C / -cz -f - {name}", stall=600).raw, dest)

    # --- the guest

    def create_guest(self, config, total=1800):
        """'xl create' in a dom0 without a guest, until the guest's agent answers."""
        self.config = config
        self._create(config, self._guest, total)

    def add_guest(self, config, total=1800):
        """'xl create' of one more guest beside others, which guest(..., name=) then talks to."""
        line = self._more[config.name] = self._line_of(config.name, config.line)
        self._create(config, line, total)

    def _create(self, config, line, total):
        place = states.boot_files(config)
        with progress.step(f"putting the {config.kind} guest's boot files in dom0"):
            self.push_dom0([f"{place / name}={config.kind}-{name}" for name in ("vmlinuz", "initrd")],
                           "/bed")
            if config.kind != "debian":
                self.write_payload((place / "tools.tar").read_bytes())
        if config.firmware == "ovmf":
            self.push_dom0([str(firmware.place() / "OVMF.fd")], "/bed")
        if config.overlay:
            self.dom0(f"qemu-img create -q -f qcow2 -F raw -b $(readlink -f /bed/debian) {config.overlay}", stall=120)
        self.dom0(f"cat >/bed/{config.name}.cfg", stdin=config.to_xl().encode())
        with progress.step(f"booting the {config.kind} guest{' nopv' if config.nopv else ''}"):
            self.xl(f"create /bed/{config.name}.cfg", stall=300)
            self._log_seen = -1
            line.hello(total, self._guest_boots)

    def _guest_boots(self):
        """Like _guest_progress, for a guest whose failure to boot need not be waited for."""
        found = watch.scan_xen(self.machine.serial_log.read_text(errors="replace"))
        if found:
            time.sleep(1)   # for the rest of the dump
            raise (EmulatorFault if self.emulator_fault() else Unhealthy)(found)
        return self._guest_progress()

    def reconnect_guest(self, total=900):
        """Waits for the guest's agent again, after a reboot or a restore."""
        self._guest.hello(total, self._guest_progress)

    def offer_tools(self):
        """For a boot of the small guest, which fetches its tools from the payload disk."""
        self.write_payload((states.boot_files(self.config) / "tools.tar").read_bytes())

    def replace_kernel(self, command, total=900):
        """Runs a command in the guest that ends its kernel, and waits for the next one's agent."""
        self.offer_tools()
        self.guest(f"(sleep 2; {command}) >/dev/null 2>&1 &")
        self._guest.close()
        self.dom0("sleep 15")
        self.reconnect_guest(total)

    def save_restore(self, then="restore /bed/guest.save", save="", check=True, between=None):
        """'xl save' to dom0's disk and 'xl restore' from it; seconds until the guest's agent answers.

        then: what follows the save instead; save: options of it, "-c" for a checkpoint;
        between: called in between, with the guest away.
        The first number is the time in 'xl save', the second the time from its end on.
        """
        self._guest.close()
        start = time.monotonic()
        # a save may take minutes under emulation, and says nothing meanwhile
        saved = self.xl(f"save {save} {self.config.name} /bed/guest.save", check, stall=600, total=1200)
        middle = time.monotonic()
        if between:
            between()
        if then and saved.code == 0:
            self.xl(then, stall=600, total=1200)
        self.reconnect_guest()
        # a test may have put something else in its place
        self.dom0("rm -f /bed/guest.save", check=False)
        return middle - start, time.monotonic() - middle

    def migrate(self):
        """'xl migrate' to the host the guest is on; seconds in it, and until its agent answers.

        For a moment there are two device models, which cannot listen on one socket, and two domains, which may
        share a disk if they are one by their uuid.
        """
        name = self.config.name
        self._guest.close()
        socket = f"{self.config.line}.{int(time.time())}"
        self.dom0(f"sed 's#path={self.config.line},#path={socket},#' /bed/{name}.cfg >/bed/arrives.cfg; "
                  f"vm=$(xenstore-read /local/domain/$(xl domid {name})/vm) && "
                  "echo \"uuid = '${vm#/vm/}'\" >>/bed/arrives.cfg")
        start = time.monotonic()
        self.xl(f"migrate -C /bed/arrives.cfg -s '' {name} 'xl migrate-receive'", stall=600, total=1200)
        middle = time.monotonic()
        self._guest = self._line_of("guest", socket)
        self.reconnect_guest()
        return middle - start, time.monotonic() - middle

    def cut_power(self, target):
        """Ends the machine as a power cut would; its first disk goes to a raw image. Only logs are left."""
        self.machine.cut_power(target)
        self.powered = False

    def console(self):
        """The guest's console log so far (since the state was loaded)."""
        return watch.guest_lines(self.machine.serial_log.read_text(errors="replace"))

    # --- health

    def findings(self):
        """Every bad sign since the state was loaded, in guest, dom0 and Xen."""
        found, mark = [], self._mark
        serial = self.machine.serial_log.read_text(errors="replace")
        found += watch.scan("dom0 console", watch.dom0_lines(serial))
        found += watch.scan("guest console", self.console()) if self._all_guests() else []
        found += watch.scan_xen(serial)
        if not self.powered:
            return found
        try:
            text = self.dom0("dmesg", stall=60).out
            found += watch.scan("dom0", watch.after_mark(text, mark) if mark else text)
            found += watch.scan_xen(self.xl("dmesg", stall=60).out)
            for name, line in self._all_guests():
                found += self._guest_findings(name, line, mark)
        except (LineDown, Stalled, CommandFailed) as e:
            found.append(watch.Finding("dom0", f"does not answer any more: {e}"))
        # the guest's messages come twice: on its console and in its dmesg
        seen = {f.line for f in found if f.source == "guest console"}
        return [f for f in dict.fromkeys(found) if f.source != "guest" or f.line not in seen]

    def _all_guests(self):
        """Name and line of every guest that was created."""
        return ([(self.config.name, self._guest)] if self.config else []) + list(self._more.items())

    def _guest_findings(self, name, agent, mark):
        found = []
        line = [ln for ln in self.xl("list", stall=60).out.splitlines() if ln.startswith(name + " ")]
        if line and "c" in line[0].split()[4]:
            found.append(watch.Finding("xl list", f"the guest crashed: {line[0]}"))
        if not line or "p" in line[0].split()[4]:
            return found
        try:
            agent.hello(30)
            said = agent.run("dmesg", stall=60)
            if said.code:
                found.append(watch.Finding("guest", f"dmesg ended with code {said.code}"))
            found += watch.scan("guest", watch.after_mark(said.out, mark) if mark else said.out)
        except (LineDown, Stalled) as e:
            found.append(watch.Finding("guest", f"does not answer any more: {e}"))
        return found

    def check_health(self):
        """Raises Unhealthy (or EmulatorFault, then just repeat) with the evidence, or returns."""
        found = self.findings()
        if found:
            raise (EmulatorFault if self.emulator_fault() else Unhealthy)(found)

    def emulator_fault(self):
        """Whether QEMU itself lost the guest, or all of the machine: whatever else happened means nothing.

        All of it is lost when dom0 falls silent, too, and neither it nor Xen has said a bad word.
        """
        time.sleep(2)   # the line to the guest breaks before Xen has said why
        serial = self.machine.serial_log.read_text(errors="replace")
        if watch.EMULATOR_FAULT.search(serial):
            return True
        if not self.powered or self._dom0.try_hello(30):
            return False
        return not watch.scan("dom0", watch.dom0_lines(serial)) and not watch.scan_xen(serial)
