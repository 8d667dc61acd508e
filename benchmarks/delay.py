"""
``python -m benchmarks.delay SECONDS DOOR TARGET ...``: a long way between processes, and how long it really is.

Whoever connects to a door on this machine is connected to its target, and every byte takes that long, both ways. One
thread, no framework and timers of microseconds, because what this does itself is added to what is measured. "ready"
says that the doors are open; a line on standard input is answered by how long the way took since the last such line:
median and 99th percentile in milliseconds.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import deque

from .figures import percentile

CHUNK_BYTES = 64 << 10
# Of a few minutes.
TIMES_KEPT = 1 << 17


class _End:
    """One end of a connection, and what is on its way to it."""

    def __init__(self, raw: socket.socket) -> None:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setblocking(True)
        self.raw = raw
        self.coming: deque[tuple[float, bytes]] = deque()  # by when it was read; nothing to read is the end
        self.other: _End = self

    def fileno(self) -> int:
        return self.raw.fileno()


class Emulator:
    """The doors, the connections, and one loop over them."""

    def __init__(self, seconds: float, doors: dict[int, int]) -> None:
        self._seconds = seconds
        self._doors = {_listening(door): target for door, target in doors.items()}
        self._ends: dict[int, _End] = {}
        self.times: deque[float] = deque(maxlen=TIMES_KEPT)

    def run(self) -> None:
        """Until standard input ends."""
        while True:
            readable, _, _ = select.select([*self._doors, *self._ends.values(), sys.stdin], [], [], self._pause())
            for one in readable:
                if isinstance(one, _End):
                    self._take(one)
                elif isinstance(one, socket.socket):
                    self._connect(one)
                elif not sys.stdin.readline():
                    return
                else:
                    self._tell()
            self._deliver()

    def _pause(self) -> float | None:
        due = min((end.coming[0][0] for end in self._ends.values() if end.coming), default=None)
        return None if due is None else max(0.0, due + self._seconds - time.monotonic())

    def _connect(self, door: socket.socket) -> None:
        near, _ = door.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self._doors[door]))
        except OSError:
            near.close()
            return
        ends = _End(near), _End(far)
        for end, other in (ends, ends[::-1]):
            end.other = other
            self._ends[end.fileno()] = end

    def _take(self, end: _End) -> None:
        try:
            data = end.raw.recv(CHUNK_BYTES)
        except OSError:
            data = b""
        end.other.coming.append((time.monotonic(), data))
        if not data:
            self._ends.pop(end.fileno(), None)
            # What is on its way to it is not taken any more.
            end.coming.clear()

    def _deliver(self) -> None:
        for end in list(self._ends.values()):
            while end.coming and (now := time.monotonic()) >= end.coming[0][0] + self._seconds:
                since, data = end.coming.popleft()
                self.times.append((now - since) * 1000)
                if not _sent(end, data):
                    self._ends.pop(end.fileno(), None)
                    end.raw.close()
                    end.other.raw.close()
                    break

    def _tell(self) -> None:
        times = list(self.times)
        self.times.clear()
        print(json.dumps([percentile(times, 0.5), percentile(times, 0.99)] if times else [0.0, 0.0]), flush=True)


def _sent(end: _End, data: bytes) -> bool:
    """Whether the connection goes on. What is carried here is small: a full socket may be waited for."""
    try:
        end.raw.sendall(data)
    except OSError:
        return False
    return bool(data)


def _listening(port: int) -> socket.socket:
    raw = socket.create_server(("127.0.0.1", port), backlog=64)
    raw.setblocking(True)
    return raw


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[2:]]
    emulator = Emulator(float(sys.argv[1]), dict(zip(numbers[::2], numbers[1::2], strict=True)))
    print("ready", flush=True)
    emulator.run()
