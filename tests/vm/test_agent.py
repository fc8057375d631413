# SPDX-License-Identifier: GPL-2.0-only
"""The testbed's agent, here on the host: what it is told to run does not outlive its line."""
import os
import pathlib
import struct
import subprocess
import time
import zlib

TESTBED = pathlib.Path(__file__).resolve().parents[2] / "testbed"
# a host where a child takes its time to have a process group of its own
SLOW = "#include <unistd.h>\n#include <sys/syscall.h>\npid_t setsid(void) { usleep(200000); return syscall(SYS_setsid); }\n"
HELLO, EXEC = 1, 2


def frame(kind, ident, payload):
    head = struct.pack("<BcBBII", 0xa7, b"X", kind, 0, ident, len(payload)) + payload
    return head + struct.pack("<I", zlib.crc32(head))


def child(pid):
    """The process that one has begun."""
    for _ in range(200):
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                words = stat.read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(words[1]) == pid:
                return int(stat.parent.name)
        time.sleep(0.005)
    raise AssertionError("no command was begun")


def test_dropped_before_it_has_a_group(tmp_path):
    """The line goes when the command has hardly begun: it ends, and so does the agent."""
    subprocess.run(["gcc", "-O2", "-o", tmp_path / "agent", TESTBED / "image/agent.c", "-lutil"], check=True)
    subprocess.run(["gcc", "-x", "c", "-shared", "-fPIC", "-o", tmp_path / "slow.so", "-"], input=SLOW, text=True, check=True)
    with subprocess.Popen([tmp_path / "agent", "stdio"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          env=dict(os.environ, LD_PRELOAD=str(tmp_path / "slow.so"))) as agent:
        agent.stdin.write(frame(HELLO, 1, b"x") + frame(EXEC, 2, b"exec sleep 20"))
        agent.stdin.flush()
        command = child(agent.pid)
        agent.stdin.close()
        # else it waits for the command
        assert agent.wait(10) == 0
    assert not os.path.exists(f"/proc/{command}")
