# SPDX-License-Identifier: GPL-2.0-only
"""What a guest's work cost: CPU time by Xen's books, exits, hypercalls and interrupts by xentrace."""
import collections
import re

TRACE_SECONDS = 2
FILE = "/run/bench.trace"
# which domain runs where, and all that guests exit for
EVENTS = "0xaf000"


def spent(bed, domid):
    """(CPU seconds of a domain's vCPUs, doorbells that dom0's backends heard), both so far.

    All other guests are paused: what is heard between two looks is this one's. Rings of a
    doorbell that no backend had answered yet are one.
    """
    text = bed.dom0("xl list; grep -E 'vif[0-9]|blkif-backend' /proc/interrupts || true").out
    lines = [line.split() for line in text.splitlines()]
    cpu = [float(words[-1]) for words in lines if words[1] == domid and words[0][-1] != ":"]
    if not cpu:
        raise ValueError(f"no domain {domid}")
    heard = sum(int(word) for words in lines if words[0].endswith(":") for word in words[1:] if word.isdigit())
    return cpu[0], heard


class Trace:
    """Records what Xen does for its guests while it is open."""

    def __init__(self, bed):
        self.bed = bed

    def __enter__(self):
        self.bed.dom0(f"rm -f {FILE}; (xentrace -D -S 512 -e {EVENTS} {FILE} >{FILE}.out 2>&1 & "
                      f"echo $! >{FILE}.pid) </dev/null; sleep 0.3")
        return self

    def __exit__(self, *_):
        self.bed.dom0(f"kill -INT $(cat {FILE}.pid); i=0; while kill -0 $(cat {FILE}.pid) 2>/dev/null; "
                      "do i=$((i + 1)); [ $i -lt 100 ] || exit 1; sleep 0.1; done", check=False)

    def _summary(self):
        return self.bed.dom0(f"xenalyze --svm-mode --summary {FILE} 2>/dev/null", stall=300).out

    def counts(self, domid):
        """{'exits', 'hypercalls', 'interrupts'}: n, of one domain."""
        reasons, interrupts = read_summary(self._summary(), domid)
        return {"exits": sum(reasons.values()), "hypercalls": reasons["VMEXIT_VMMCALL"], "interrupts": interrupts}

    def reasons(self, domid):
        """Exits of one domain by reason."""
        return read_summary(self._summary(), domid)[0]


def read_summary(text, domid):
    """(exits by reason, interrupts), over a domain's vCPUs, from xenalyze's summary.

    Which hypercalls they were it tells for one vCPU only.
    """
    part = re.search(rf"\|-- Domain {domid} --\|(.*?)(\n\|-- Domain|\Z)", text, re.S)
    if not part:
        raise ValueError(f"xenalyze tells nothing of domain {domid}")
    reasons, interrupts = collections.Counter(), 0
    vcpus = re.findall(r"^Exit reasons:\n((?: .*\n)*)Guest interrupt counts:\n((?: .*\n)*)", part[1], re.M)
    if not vcpus:
        raise ValueError(f"xenalyze tells nothing of the exits of domain {domid}")
    for vcpu in vcpus:
        for reason, number in re.findall(r"^ (VMEXIT_\w+)\s+(\d+) ", vcpu[0], re.M):
            reasons[reason] += int(number)
        interrupts += sum(int(n) for n in re.findall(r"^  \[ *\d+\] (\d+)$", vcpu[1], re.M))
    return reasons, interrupts
