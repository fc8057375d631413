# SPDX-License-Identifier: GPL-2.0-only
"""What tests say to a backend in dom0's user space: fakeblkback.py and fakenetback.py, which see."""
import pathlib

DIR = pathlib.Path(__file__).parent


class Fake:
    """A device of the guest's that such a backend serves.

    script, args: what to start, after the domain's number; node: the device below the
    guest's directory in xenstore; module: what drives it; ready: succeeds in the guest when it does.
    """

    def __init__(self, guest, script, args, node, module, ready):
        self.guest, self.bed = guest, guest.bed
        self.script, self.args, self.node, self.module, self.ready = script, args, node, module, ready
        self.bed.push_dom0([str(DIR / name) for name in ("fakeback.py", script)], "/run")
        self.bed.dom0("rm -f /run/fake.disk")

    def start(self, *keys, deed=None):
        self.launch(*keys, deed=deed)
        self.guest.wait(self.ready, 60)

    def launch(self, *keys, deed=None):
        """As start(), whatever the guest may make of it; returns when the device is offered."""
        self.domid = self.bed.dom0("xl domid guest").out.strip()
        first = f"echo {deed} >/run/fake.deed; " if deed else ""
        self.bed.dom0(f"rm -f /run/fake.deed /run/fake.storm; : >/run/fake.log; {first}"
                      f"(python3 /run/{self.script} {self.domid} {self.args} {' '.join(keys)} >/run/fake.out 2>&1 "
                      "& echo $! >/run/fake.pid) </dev/null; i=0; "
                      f"until xenstore-exists /local/domain/{self.domid}/{self.node}/state; do i=$((i + 1)); "
                      "[ $i -lt 150 ] || exit 1; sleep 0.2; done", stall=60)

    def deed(self, text=""):
        self.bed.dom0(f"echo {text} >/run/fake.deed")

    def log(self):
        """What it has written down so far, each line a list of words."""
        return [line.split() for line in self.bed.dom0("cat /run/fake.log").out.splitlines()]

    def unplug(self):
        """Takes the device away, as a toolstack would that does not wait."""
        self.bed.dom0(f"xenstore-rm /local/domain/{self.domid}/{self.node} 2>/dev/null || true")

    def stop(self):
        # a disk that has just come is still being read for partitions
        self.guest.wait(f"rmmod pvhvm_{self.module} 2>/dev/null")
        self.stop_backend()
        self.unplug()

    def stop_backend(self):
        ended = self.bed.dom0("rm -f /run/fake.deed; i=0; "
                              "while kill -0 $(cat /run/fake.pid) 2>/dev/null; do i=$((i + 1)); "
                              "[ $i -lt 150 ] || { kill $(cat /run/fake.pid) || true; sleep 1; echo did not end; break; }; "
                              "sleep 0.2; done; cat /run/fake.out").out
        # pages that the guest has taken back from a liar cannot be mapped, says libxengnttab
        left = [line for line in ended.splitlines() if not line.startswith("gnttab: error: mmap failed")]
        assert not left, ended

    def storm(self, seconds):
        """Events for nothing: how many were sent, and what they cost, as a share of one CPU of the guest's."""
        measure = "xl list guest | awk 'END { print $6 }'; cut -d' ' -f1 /proc/uptime; "
        idle = self._numbers(f"{measure} sleep {seconds}; {measure}")
        self.deed("storm")
        busy = self._numbers("until [ -s /run/fake.storm ]; do sleep 0.5; done; "
                             f"{measure} cat /run/fake.storm; sleep {seconds}; {measure} cat /run/fake.storm")
        self.deed()
        before = (idle[2] - idle[0]) / (idle[3] - idle[1])
        during = (busy[3] - busy[0]) / (busy[4] - busy[1])
        print(f"{busy[5] - busy[2]:.0f} events sent in {seconds} s: {during:.2f} of a CPU used, {before:.2f} before")
        return busy[5] - busy[2], during - before

    def _numbers(self, command):
        return [float(word) for word in self.bed.dom0(command, stall=60).out.split()]


def served(guest, *fake):
    """A generator for a fixture: the backend, then that nothing is left of it."""
    guest.load("platform", "xenbus")
    before = guest.lent()
    it = Fake(guest, *fake)
    guest.load(it.module)
    yield it
    it.stop()
    assert guest.lent() == before
