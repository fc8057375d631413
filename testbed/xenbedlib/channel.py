# SPDX-License-Identifier: GPL-2.0-only
"""The host's end of the command agent (image/agent.c describes the frames)."""
import dataclasses
import os
import socket
import struct
import threading
import time
import zlib

from .errors import Stalled

HELLO, EXEC, STDIN, KILL, OUT, ERR, EXIT, BEAT, WINCH = range(1, 10)
_HEAD = struct.Struct("<BcBBII")


@dataclasses.dataclass
class Result:
    code: int
    out: str
    err: str
    seconds: float
    raw: bytes = b""

    def __bool__(self):
        return self.code == 0


class LineDown(Stalled):
    """The other end is not there (any more)."""


class Channel:
    """One command after the other over a TCP connection to an agent.

    chunk bounds what is sent in one frame: small for a serial line.
    """

    def __init__(self, where, port, chunk=32768):
        self.where = where
        self._port = port
        self._chunk = chunk
        self._sock = None
        self._rx = bytearray()
        self._next_id = int.from_bytes(os.urandom(3), "little") << 4
        self._send_lock = threading.Lock()

    def close(self):
        if self._sock:
            self._sock.close()
        self._sock = None
        self._rx.clear()

    def _send(self, kind, ident, payload=b"", flags=0):
        frame = _HEAD.pack(0xa7, b"X", kind, flags, ident, len(payload)) + payload
        frame += struct.pack("<I", zlib.crc32(frame))
        try:
            with self._send_lock:
                self._sock.sendall(frame)
        except OSError as e:
            raise LineDown(f"{self.where}: line lost while sending ({e})") from e

    def _parse(self):
        while len(self._rx) >= 16:
            magic, x, kind, _, ident, length = _HEAD.unpack_from(self._rx)
            if magic != 0xa7 or x != b"X" or length > 65536:
                del self._rx[0]
                continue
            end = 12 + length
            if len(self._rx) < end + 4:
                return None
            if struct.unpack_from("<I", self._rx, end)[0] != zlib.crc32(self._rx[:end]):
                del self._rx[0]
                continue
            payload = bytes(self._rx[12:end])
            del self._rx[:end + 4]
            return kind, ident, payload
        return None

    def _receive(self, timeout):
        """Next frame, or None after timeout seconds."""
        until = time.monotonic() + timeout
        while True:
            frame = self._parse()
            if frame:
                return frame
            left = until - time.monotonic()
            if left <= 0:
                return None
            self._sock.settimeout(left)
            try:
                data = self._sock.recv(1 << 18)
            except TimeoutError:
                return None
            except OSError as e:
                raise LineDown(f"{self.where}: line lost ({e})") from e
            if not data:
                raise LineDown(f"{self.where}: the other end closed the line")
            self._rx += data

    def try_hello(self, timeout):
        """Connects and greets; True if the agent answered in time."""
        self.close()
        try:
            self._sock = socket.create_connection(("127.0.0.1", self._port), timeout)
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            nonce = os.urandom(8)
            self._send(HELLO, 0, nonce)
            until = time.monotonic() + timeout
            while time.monotonic() < until:
                frame = self._receive(until - time.monotonic())
                if frame and frame[0] == HELLO and frame[2] == nonce:
                    return True
        except (OSError, LineDown):
            pass
        self.close()
        return False

    def hello(self, total, alive=None):
        """Greets until the agent answers.

        alive() says whether there was a sign of life since the last call; it
        keeps us waiting up to total seconds, without it we wait total at most.
        """
        start = last = time.monotonic()
        wait = 2.0
        while not self.try_hello(wait):
            now = time.monotonic()
            if alive and alive():
                last = now
            if now - start > total or (alive and now - last > max(120.0, total / 4)):
                raise LineDown(f"{self.where}: no answer from its agent for {now - start:.0f} s")
            wait = min(8.0, wait * 1.5)
            time.sleep(0.3)

    def run(self, command, stdin=None, on_out=None, on_err=None, stall=90, total=3600):
        """Runs a shell command to its end.

        The agent's heartbeat is what keeps it alive: Stalled after stall
        seconds without a frame, or after total seconds in all. on_out and
        on_err get bytes as they come, which then are not in the result.
        """
        if not self._sock:
            self.hello(60)
        self._next_id += 1
        ident = self._next_id & 0xffffffff
        start = time.monotonic()
        self._send(EXEC, ident, command.encode())
        feeder = threading.Thread(target=self._feed, args=(ident, stdin), daemon=True)
        feeder.start()
        out, err = bytearray(), bytearray()
        while True:
            frame = self._receive(stall)
            if frame is None:
                self.close()
                raise LineDown(f"{self.where}: no sign of life for {stall} s during '{command[:80]}'")
            kind, got, payload = frame
            if got != ident:
                continue
            if kind == OUT:
                on_out(payload) if on_out else out.extend(payload)
            elif kind == ERR:
                on_err(payload) if on_err else err.extend(payload)
            elif kind == EXIT:
                took = time.monotonic() - start
                return Result(struct.unpack("<I", payload)[0], out.decode(errors="replace"),
                              err.decode(errors="replace"), took, bytes(out))
            if time.monotonic() - start > total:
                self._send(KILL, ident, b"\x09")
                self.close()
                raise Stalled(f"{self.where}: '{command[:80]}' still runs after {total} s, killed")

    def _feed(self, ident, stdin):
        try:
            if stdin is not None:
                view = memoryview(stdin)
                for at in range(0, len(view), self._chunk):
                    self._send(STDIN, ident, bytes(view[at:at + self._chunk]))
            self._send(STDIN, ident)
        except (LineDown, AttributeError):
            pass    # run() notices

    def interact(self, command, fd_in, fd_out, size):
        """Runs a command on a pty between two local descriptors; its exit code."""
        if not self._sock:
            self.hello(60)
        self._next_id += 1
        ident = self._next_id & 0xffffffff
        self._send(EXEC, ident, command.encode(), flags=1)
        self._send(WINCH, ident, struct.pack("<HH", *size))

        def typed():
            while True:
                data = os.read(fd_in, 512)
                if not data:
                    data = b"\x04"
                try:
                    self._send(STDIN, ident, data)
                except (LineDown, AttributeError):
                    return
        threading.Thread(target=typed, daemon=True).start()
        while True:
            frame = self._receive(3600)
            if frame is None:
                raise LineDown(f"{self.where}: no sign of life")
            kind, got, payload = frame
            if got == ident and kind == OUT:
                os.write(fd_out, payload)
            elif got == ident and kind == EXIT:
                return struct.unpack("<I", payload)[0]
