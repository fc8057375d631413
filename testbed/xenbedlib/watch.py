# SPDX-License-Identifier: GPL-2.0-only
"""Finds in kernel and hypervisor logs what must never happen."""
import dataclasses
import re

BAD = re.compile("|".join((
    r"\bBUG: ", r"kernel BUG at", r"\bOops\b", r"WARNING: CPU: ", r"WARNING: possible ",
    r"WARNING: .* at .*\.[ch]:\d+", r"WARNING: (inconsistent|suspicious|bad unlock|held lock|Nested lock)",
    r"Kernel panic", r"general protection", r"unable to handle", r"double fault", r"invalid opcode: 0000",
    r"divide error", r"stack segment: ", r"blocked for more than \d+ seconds", r"soft lockup",
    r"hard LOCKUP", r"rcu.*detected.*stall", r"rcu.*stall", r"suspicious RCU usage",
    r"possible (recursive locking|circular locking|irq lock inversion|deadlock)",
    r"inconsistent lock state", r"turning off the locking correctness validator",
    r"scheduling while atomic", r"sleeping function called", r"refcount_t: ", r"\bUBSAN: ", r"\bKASAN: ",
    r"\bKCSAN: ", r"\bKFENCE: ", r"list_(add|del) corruption", r"Bad page (state|map)", r"NETDEV WATCHDOG",
    r"nobody cared", r"unchecked MSR access", r"EXT4-fs error", r"page allocation failure",
    r"Out of memory: ", r"segfault at", r"traps: .* trap ", r"Modules linked in:", r"Call Trace:",
    r"DMAR-API|DMA-API: ", r"ODEBUG: ", r"kmemleak: .*new suspected", r"Bad FPU state",
)), re.IGNORECASE)

XEN_BAD = re.compile("|".join((
    r"\bcrash", r"\bBUG\b", r"Assertion .* failed", r"\bFATAL\b", r"Panic on CPU", r"Xen (BUG|WARN)",
    r"Xen call trace", r"grant_table\.c", r"Insn mismatch", r"Bad (ref|page|flags|grant)",
    r"event_channel\.c", r"EVTCHNOP failure", r"[Pp]age fault|pagetable walk", r"unhandled",
    r"Failed to inject", r"Triple fault", r"VMEXIT code", r"Freed in use", r"NMI - .* ERROR",
)))

DEAD = re.compile(r".*(Kernel panic - not syncing|Attempted to kill init).*")
# a small guest says so when it is up, perhaps as the next kernel after a crash
UP = "xenbed: small guest is up"

# QEMU's software CPU lost guests: it went on with Xen's registers in guest mode, and
# Xen reported a triple fault. testbed/emulator/ says why and mends it; none was seen
# since, but not for long enough to drop this. A Linux guest that breaks by itself says
# so first: an oops, a panic. So a run with a triple fault is repeated, and what
# triple-faults in every repetition has failed.
EMULATOR_FAULT = re.compile(r"Triple fault - invoking HVM shutdown")

# (pattern, why it is no finding); keep this list short
HARMLESS = (
    (re.compile(r"\] (Kernel c|C)ommand line: "), "it repeats what it was told, words such as 'stall' with it"),
    (re.compile(r"kasan: KernelAddressSanitizer initialized"), "it says that it watches"),
    (re.compile(r"xen:grant_table: Grant tables using version"), "kernel names the ABI it uses"),
)


@dataclasses.dataclass(frozen=True)
class Finding:
    source: str
    line: str

    def __str__(self):
        return f"[{self.source}] {self.line}"


def dead(console):
    """The line a guest died with, or None; what an earlier kernel died with does not count."""
    found = DEAD.search(console.rpartition(UP)[2])
    return found and found.group().strip()


def scan(source, text, bad=BAD, most=12):
    """Findings in a log; the first ones, a splat has many lines."""
    found = []
    for line in text.splitlines():
        line = line.strip("\r\0 ")
        if bad.search(line) and not any(p.search(line) for p, _ in HARMLESS):
            if len(found) == most:
                found.append(Finding(source, "... and more"))
                break
            found.append(Finding(source, line[:300]))
    return found


def scan_xen(text):
    return scan("xen", "\n".join(ln for ln in text.splitlines() if "(XEN)" in ln), XEN_BAD)


_GUEST_LINE = re.compile(r"^(?:\(XEN\) )?(?:\[[^]]*\] )?\(d[1-9]\d*\) ?", re.MULTILINE)


def guest_lines(serial):
    """What guests said on Xen's debug port, from the outer machine's console."""
    return "\n".join(_GUEST_LINE.sub("", ln) for ln in serial.splitlines() if _GUEST_LINE.match(ln))


def dom0_lines(serial):
    """What is left of the outer machine's console without Xen and guests."""
    return "\n".join(ln for ln in serial.splitlines()
                     if "(XEN)" not in ln and not _GUEST_LINE.match(ln))


def after_mark(text, mark):
    """The part of a log after the last line with the mark; all of it without one."""
    return text.rpartition(mark)[2]
