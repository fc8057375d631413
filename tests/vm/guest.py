# SPDX-License-Identifier: GPL-2.0-only
"""What tests say to a guest, in the words of the bundle."""
import time

MODULES = ("platform", "xenbus", "netfront", "blkfront")
PLATFORM = "/sys/bus/pci/drivers/pvhvm-platform"


class Guest:
    """A guest of the testbed with the modules in /payload.

    spent: a test has changed it beyond what unloading the modules undoes. A fresh
    machine is there in seconds; to find the emulated card again takes half a minute.
    """

    def __init__(self, bed):
        self.bed = bed
        self.spent = False
        self._mark = ""

    # --- commands

    def sh(self, command, **kw):
        """Runs shell commands that must all succeed; their output, stripped."""
        return self.bed.guest(command, total=kw.pop("total", 400), **kw).out.strip()

    def try_sh(self, command, **kw):
        """Runs shell commands; the whole result, failure or not."""
        return self.bed.guest(command, check=False, total=kw.pop("total", 400), **kw)

    def read(self, path):
        return self.sh(f"cat {path}")

    def start_test(self, name):
        self._mark = f"pvhvm-test: {name} {time.time():.0f}"
        self.sh(f"echo '{self._mark}' >/dev/kmsg")

    def dmesg(self):
        """Kernel messages since the test started."""
        return self.sh("dmesg").rpartition(self._mark)[2]

    def alive(self):
        """Does it answer? A test may have shut it down."""
        return self.bed.powered and bool(self.bed.xl("list guest", check=False, stall=60)) and bool(self.try_sh("true", stall=60))

    def leaks(self):
        """What the debug kernel's kmemleak finds twice; the second look is at what is older than 5 s."""
        look = "echo scan >/sys/kernel/debug/kmemleak; cat /sys/kernel/debug/kmemleak"
        if not self.sh(look, stall=300):
            return []
        lines = self.sh(f"sleep 6; {look}; echo clear >/sys/kernel/debug/kmemleak", stall=300).splitlines()
        return [f"kmemleak: {line}" for line in lines]

    # --- modules

    def load(self, *names, **params):
        """insmod, each with 'module_param=value' given as keyword platform_evtchn='2l'."""
        meant = {key: key.partition("_")[0] for key in params}
        assert set(meant.values()) <= set(names or MODULES), params
        for name in names or MODULES:
            mine = [f"{key.partition('_')[2]}={value}" for key, value in params.items() if meant[key] == name]
            self.sh(f"insmod /payload/pvhvm_{name}.ko {' '.join(mine)}", stall=120)
            assert not mine or f"pvhvm_{name}: unknown parameter" not in self.dmesg(), mine

    def try_load(self, name, *params):
        return self.try_sh(f"insmod /payload/pvhvm_{name}.ko {' '.join(params)}", stall=120)

    def unload(self, *names):
        for name in names or reversed(MODULES):
            self.sh(f"rmmod pvhvm_{name}", stall=120)

    def loaded(self):
        """The bundle's modules that are loaded, lowest first."""
        words = self.sh("cut -d' ' -f1 /proc/modules").split()
        return [name for name in MODULES if f"pvhvm_{name}" in words]

    def clean_up(self):
        """Unloads what a test left loaded; False if that does not work."""
        return all(self.try_sh(f"rmmod pvhvm_{name}", stall=120) for name in reversed(self.loaded()))

    # --- what sysfs says

    def emulated_disk(self, vbd):
        """The name of an IDE disk, by the place it is at: the kernel looks at disks side by side, and the first seen is sda."""
        place = {"vbd-768": "0:0:0:0", "vbd-832": "0:0:1:0", "vbd-5632": "1:0:0:0", "vbd-5696": "1:0:1:0"}[vbd]
        return self.sh(f"ls /sys/bus/scsi/devices/{place}/block")

    def platform(self, attribute):
        """An attribute of the platform device, such as 'upcall' or 'grants'."""
        return self.sh(f"cat {PLATFORM}/0*/pvhvm/{attribute}")

    def numbers(self, attribute):
        """'used 3 free 5' as a dictionary."""
        words = self.platform(attribute).split()
        return {key: int(value) for key, value in zip(words[::2], words[1::2])}

    def device(self, name, attribute):
        return self.sh(f"cat /sys/bus/pvhvm/devices/{name}/{attribute}")

    def wait(self, command, seconds=30):
        """Runs a command in the guest until it succeeds."""
        self.sh(f"i=0; until {command}; do i=$((i + 1)); [ $i -lt {seconds * 5} ] || exit 1; "
                "sleep 0.2; done", stall=60)

    def background(self, name, command):
        """Starts a command; /tmp/NAME.out has what it says, outcome(NAME) how it ended."""
        self.sh(f"rm -f /tmp/{name}.code; (set +e; {command} >/tmp/{name}.out 2>&1; echo $? >/tmp/{name}.code) "
                "</dev/null >/dev/null 2>&1 &")

    def outcome(self, name, seconds=30):
        """The exit code of what background() started, when it has ended."""
        self.wait(f"[ -s /tmp/{name}.code ]", seconds)
        return int(self.read(f"/tmp/{name}.code"))

    def wait_connected(self, name, seconds=30):
        self.wait(f'[ "$(cat /sys/bus/pvhvm/devices/{name}/state)" = connected ]', seconds)

    def lent(self):
        """Grants and ports that are in use."""
        return self.numbers("grants")["used"], self.numbers("ports")["used"]

    def settles(self, before):
        """lent() is as before; pages that a backend still had come back when it has let go."""
        for _ in range(30):
            if self.lent() == before:
                return
            time.sleep(1)
        assert self.lent() == before

    def pv_nic(self, name="vif-0"):
        return self.sh(f"ls /sys/bus/pvhvm/devices/{name}/net")
