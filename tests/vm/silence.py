# SPDX-License-Identifier: GPL-2.0-only
"""In dom0: silence.py DOMID SECONDS [NODE VALUE]: a guest goes on while xenstored says no more for a while.

The last that it hears is a watch event, that NODE was given VALUE; without one it is paused already.
Paused and unpaused by libxenctrl: xl would ask xenstored.
"""
import ctypes
import glob
import os
import signal
import subprocess
import sys
import time

domid, seconds = int(sys.argv[1]), float(sys.argv[2])
xc = ctypes.CDLL(sorted(glob.glob("/usr/lib/**/libxenctrl.so.4*", recursive=True))[0])
xc.xc_interface_open.restype = ctypes.c_void_p
handle = ctypes.c_void_p(xc.xc_interface_open(None, None, 0))
server = int(subprocess.check_output(["pidof", "oxenstored"]))

if sys.argv[3:]:
    assert xc.xc_domain_pause(handle, domid) == 0
    subprocess.run(["xenstore-write", *sys.argv[3:]], check=True)
    time.sleep(0.5)
os.kill(server, signal.SIGSTOP)
assert xc.xc_domain_unpause(handle, domid) == 0
time.sleep(seconds)
os.kill(server, signal.SIGCONT)
