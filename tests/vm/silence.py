# SPDX-License-Identifier: GPL-2.0-only
"""In dom0: silence.py DOMID NODE SECONDS: a watch event reaches the guest, and then xenstored says no more for a while.

The guest is paused in between, by libxenctrl: xl would ask xenstored.
"""
import ctypes
import glob
import os
import signal
import subprocess
import sys
import time

domid, node, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
xc = ctypes.CDLL(sorted(glob.glob("/usr/lib/**/libxenctrl.so.4*", recursive=True))[0])
xc.xc_interface_open.restype = ctypes.c_void_p
handle = ctypes.c_void_p(xc.xc_interface_open(None, None, 0))
server = int(subprocess.check_output(["pidof", "oxenstored"]))
value = subprocess.check_output(["xenstore-read", node], text=True).strip()

assert xc.xc_domain_pause(handle, domid) == 0
subprocess.run(["xenstore-write", node, value], check=True)
time.sleep(0.5)
os.kill(server, signal.SIGSTOP)
assert xc.xc_domain_unpause(handle, domid) == 0
time.sleep(seconds)
os.kill(server, signal.SIGCONT)
