# SPDX-License-Identifier: GPL-2.0-only
"""The host's end of the command agent (image/agent.c describes the frames)."""
import dataclasses
import os
import socket
import struct
import subprocess
import threading
import time
import zlib

from .errors import Stalled

HELLO, EXEC, STDIN, KILL, OUT, ERR, EXIT, BEAT, WINCH = range(1, 10)
SLICE = 5.0     # seconds between looks at other signs of life
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


class _Wire:
    """Frames over a stream with send(bytes), receive(timeout) and close().

    receive gives bytes, or None when the time is over; both raise OSError.
    """

    def __init__(self, stream):
        self._stream = stream
        self._rx = bytearray()
        self._send_lock = threading.Lock()

    def close(self):
        self._stream.close()

    def send(self, kind, ident, payload=b"", flags=0):
        frame = _HEAD.pack(0xa7, b"X", kind, flags, ident, len(payload)) + payload
        with self._send_lock:
            self._stream.send(frame + struct.pack("<I", zlib.crc32(frame)))

    def _parse(self):
        while len(self._rx) >= 16:
            magic, x, kind, _, ident, length = _HEAD.unpack_from(self._rx)
            end = 12 + length
            if magic != 0xa7 or x != b"X" or length > 65536:
                del self._rx[0]
            elif len(self._rx) < end + 4:
                return None
            elif struct.unpack_from("<I", self._rx, end)[0] != zlib.crc32(self._rx[:end]):
                del self._rx[0]
            else:
                payload = bytes(self._rx[12:end])
                del self._rx[:end + 4]
                return kind, ident, payload
        return None

    def receive(self, timeout):
        """Next frame as (kind, id, payload), or None after timeout seconds."""
        until = time.monotonic() + timeout
        while True:
            frame = self._parse()
            if frame:
                return frame
            left = until - time.monotonic()
            if left <= 0:
                return None
            self._rx += self._stream.receive(left) or b""


class _Stream:
    """A connected socket."""

    def __init__(self, sock):
        self._sock = sock

    def send(self, data):
        self._sock.settimeout(300)
        self._sock.sendall(data)

    def receive(self, timeout):
        self._sock.settimeout(timeout)
        try:
            data = self._sock.recv(1 << 18)
        except TimeoutError:
            return None
        if not data:
            raise ConnectionResetError("the other end closed the line")
        return data

    def close(self):
        self._sock.close()


def tcp(port, timeout):
    """A stream to a port of this host."""
    sock = socket.create_connection(("127.0.0.1", port), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _Stream(sock)


class Process(_Stream):
    """A stream to a program's standard input and output."""

    def __init__(self, command):
        ours, its = socket.socketpair()
        with its:
            self._program = subprocess.Popen(command, stdin=its, stdout=its, stderr=subprocess.DEVNULL)
        super().__init__(ours)

    def close(self):
        super().close()
        self._program.terminate()
        self._program.wait()


class _Relay:
    """A stream to what a command in dom0 copies from and to."""

    def __init__(self, stream, command):
        self._wire = _Wire(stream)
        self._wire.send(EXEC, 1, command.encode())

    def send(self, data):
        self._wire.send(STDIN, 1, data)

    def receive(self, timeout):
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0:
            frame = self._wire.receive(left)
            if frame and frame[0] == OUT:
                return frame[2]
            if frame and frame[0] == EXIT:
                raise ConnectionResetError("nobody holds the guest's serial port in dom0")
        return None

    def close(self):
        self._wire.close()


class Channel:
    """One command after the other, by an agent.

    connect(timeout) gives a stream to dom0's agent, see _Wire.
    relay: a command in dom0 that leads to the agent; None: the agent is dom0's.
    chunk bounds what is sent in one frame. on_beat is called about once a second
    while a command runs; on_silence after every few seconds without a frame: it
    says whether there was another sign of life, or raises if all hope is gone.
    """

    def __init__(self, where, connect, relay=None, chunk=32768, on_beat=lambda: None,
                 on_silence=lambda: False):
        self.where = where
        self._connect = connect
        self._relay = relay
        self._chunk = chunk
        self._on_beat = on_beat
        self._on_silence = on_silence
        self._wire = None
        self._next_id = int.from_bytes(os.urandom(3), "little") << 4

    def close(self):
        if self._wire:
            self._wire.close()
        self._wire = None

    def _send(self, kind, ident, payload=b"", flags=0):
        try:
            self._wire.send(kind, ident, payload, flags)
        except OSError as e:
            raise LineDown(f"{self.where}: line lost while sending ({e})") from e

    def _receive(self, timeout):
        try:
            return self._wire.receive(timeout)
        except OSError as e:
            raise LineDown(f"{self.where}: line lost ({e})") from e

    def try_hello(self, timeout, anew=True):
        """Greets, by a new connection or by the one there is; True if the agent answered in time."""
        if anew:
            self.close()
        try:
            if not self._wire:
                stream = self._connect(timeout)
                self._wire = _Wire(_Relay(stream, self._relay) if self._relay else stream)
            nonce = os.urandom(8)
            self._send(HELLO, 0, nonce)
            until = time.monotonic() + timeout
            while (left := until - time.monotonic()) > 0:
                frame = self._receive(left)
                if frame and frame[0] == HELLO and frame[2] == nonce:
                    return True
        except (OSError, LineDown):
            self.close()
        return False

    def hello(self, total, alive=None):
        """Greets until the agent answers.

        Twice by each connection, the one there is being the first: to make one takes time
        where the host is slow, and what is sent while the guest sees one go and another come is lost.
        alive() says whether there was a sign of life since the last call; it
        keeps us waiting up to total seconds, without it we wait total at most.
        """
        start = last = time.monotonic()
        wait = 2.0
        tries = 0
        while not self.try_hello(wait, anew=tries > 0 and tries % 2 == 0):
            tries += 1
            now = time.monotonic()
            if alive and alive():
                last = now
            if now - start > total or (alive and now - last > max(120.0, total / 4)):
                self.close()
                raise LineDown(f"{self.where}: no answer from its agent for {now - start:.0f} s")
            wait = min(8.0, wait * 1.5)
            time.sleep(0.5)

    def run(self, command, stdin=None, on_out=None, on_err=None, stall=90, total=3600):
        """Runs a shell command to its end.

        The agent's heartbeat is what keeps it alive: Stalled after stall
        seconds without a frame, or after total seconds in all. on_out and
        on_err get bytes as they come, which then are not in the result.
        """
        if not self._wire:
            self.hello(60)
        self._next_id += 1
        ident = self._next_id & 0xffffffff
        start = time.monotonic()
        self._send(EXEC, ident, command.encode())
        feeder = threading.Thread(target=self._feed, args=(ident, stdin), daemon=True)
        feeder.start()
        out, err = bytearray(), bytearray()
        silent = 0.0
        while True:
            if time.monotonic() - start > total:
                self._send(KILL, ident, b"\x09")
                self.close()
                raise Stalled(f"{self.where}: '{command[:80]}' still runs after {total} s, killed")
            frame = self._receive(min(SLICE, stall))
            silent = 0.0 if frame else silent + min(SLICE, stall)
            if frame is None:
                if self._on_silence():
                    silent = 0.0
                if silent < stall:
                    continue
                self.close()
                raise LineDown(f"{self.where}: no sign of life for {stall} s during '{command[:80]}'")
            kind, got, payload = frame
            if got != ident:
                continue
            if kind == BEAT:
                self._on_beat()
            elif kind == OUT:
                on_out(payload) if on_out else out.extend(payload)
            elif kind == ERR:
                on_err(payload) if on_err else err.extend(payload)
            elif kind == EXIT:
                took = time.monotonic() - start
                return Result(struct.unpack("<I", payload)[0], out.decode(errors="replace"),
                              err.decode(errors="replace"), took, bytes(out))

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
        if not self._wire:
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
