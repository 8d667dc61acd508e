"""
A door at which one node finds another, and the two ways between them, on which anything may happen.

TCP hides loss and disorder: a lost packet is a pause, and a broken cable is silence. So bytes are never
taken out here; they are delayed, held, slowed, or given to nobody at the end of a connection. What TCP does
not promise to hide is done as well: a reset, an end that only one side hears of, a changed byte.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import TypeAlias

import trio
from attrs import frozen

CHUNK_BYTES = 16 << 10
# What one way holds while its bytes are delayed; beyond it the sender waits, as with a full socket.
CHUNKS_HELD = 64
# A connection of which one side has gone is kept for the other no longer than it would be silent itself.
FORGOTTEN_SECONDS = 60.0
_LINGER_NOTHING = struct.pack("ii", 1, 0)  # close sends RST

_Held: TypeAlias = "tuple[float, bytes]"


@frozen
class Weather:
    """What happens to every byte of one way."""

    delay_seconds: float = 0.0
    stall_chance: float = 0.0  # of a chunk: lost and sent again by TCP
    stall_seconds: float = 0.2  # Linux's least time before it sends again
    bytes_per_second: int | None = None
    is_cut: bool = False


FAIR = Weather()


class Way:
    """One direction between two nodes, on all their connections."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._weather = FAIR
        self._open = trio.Event()
        self._open.set()
        self._corrupt = self._repeat = False
        self._corrupt_at: int | None = None
        self._free_at = 0.0  # a slow line is busy until then
        self.counters: Counter[str] = Counter()

    @property
    def weather(self) -> Weather:
        """What happens to bytes now."""
        return self._weather

    @weather.setter
    def weather(self, weather: Weather) -> None:
        self._weather = weather
        if weather.is_cut:
            if self._open.is_set():
                self._open = trio.Event()
        else:
            self._open.set()

    def corrupt_next(self, at: int | None = None) -> None:
        """Change one bit of what comes next: in this byte, counted from the end where negative, or in any."""
        self._corrupt, self._corrupt_at = True, at

    def repeat_next(self) -> None:
        """Send what comes next twice."""
        self._repeat = True

    async def wait_open(self) -> None:
        """Until bytes come through."""
        await self._open.wait()

    def delay(self) -> float:
        """How long a chunk that is read now takes."""
        weather, seconds = self._weather, self._weather.delay_seconds
        if weather.stall_chance and self._dice.random() < weather.stall_chance:
            self.counters["stalls"] += 1
            seconds += weather.stall_seconds
        return seconds

    async def pass_through(self, data: bytes) -> bytes:
        """What comes out, when its turn is there."""
        await self.wait_open()
        if rate := self._weather.bytes_per_second:
            now = trio.current_time()
            self._free_at = max(now, self._free_at) + len(data) / rate
            await trio.sleep(self._free_at - now)
        self.counters["bytes"] += len(data)
        return self._changed(data)

    def _changed(self, data: bytes) -> bytes:
        if self._corrupt:
            self._corrupt = False
            self.counters["corrupted"] += 1
            at = self._dice.randrange(len(data)) if self._corrupt_at is None else self._corrupt_at % len(data)
            data = data[:at] + bytes((data[at] ^ 1 << self._dice.randrange(8),)) + data[at + 1 :]
        if self._repeat:
            self._repeat = False
            self.counters["repeated"] += 1
            data += data
        return data


class Proxy:
    """Where one node dials another. ``run`` serves until it is cancelled."""

    def __init__(self, target: Callable[[], tuple[str, int]], there: Way, back: Way) -> None:
        self._target, self._there, self._back = target, there, back
        self._carried: dict[_Carried, None] = {}
        self.counters: Counter[str] = Counter()

    async def run(
        self,
        listener: trio.SocketListener,
        task_status: trio.TaskStatus[list[trio.SocketListener]] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve a listener, and close it."""
        await trio.serve_listeners(self._carry, [listener], task_status=task_status)

    def reset(self) -> None:
        """Both ends of every connection hear of a reset."""
        for carried in self._carried:
            carried.end(reset=True)

    def half_open(self) -> None:
        """The dialled end of every connection goes; the dialling end hears nothing of it."""
        for carried in self._carried:
            carried.forget()

    @property
    def connections(self) -> int:
        """How many are carried now."""
        return len(self._carried)

    async def _carry(self, near: trio.SocketStream) -> None:
        self.counters["connections"] += 1
        await self._there.wait_open()  # the first packet, and
        await self._back.wait_open()  # its answer
        try:
            far = await trio.open_tcp_stream(*self._target())
        except OSError:
            self.counters["refused"] += 1
            _close_by_reset(near)
            return
        carried = _Carried(near, far)
        self._carried[carried] = None
        try:
            await carried.run(self._there, self._back)
        finally:
            del self._carried[carried]
            carried.close()


class _Carried:
    """One connection of two halves."""

    def __init__(self, near: trio.SocketStream, far: trio.SocketStream) -> None:
        self._near, self._far = near, far
        self._scope = trio.CancelScope()
        self._is_forgotten = False

    async def run(self, there: Way, back: Way) -> None:
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pump, self._near, self._far, there)
                nursery.start_soon(self._pump, self._far, self._near, back)
        if self._is_forgotten:
            self._far.socket.close()
            await _swallow(self._near)

    def end(self, *, reset: bool) -> None:
        if reset:
            for stream in (self._near, self._far):
                with suppress(OSError):
                    stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, _LINGER_NOTHING)
        self._scope.cancel()

    def forget(self) -> None:
        self._is_forgotten = True
        self._scope.cancel()

    def close(self) -> None:
        # Not by awaiting: of two that are to be closed a cancelled task would close one.
        for stream in (self._near, self._far):
            stream.socket.close()

    async def _pump(self, source: trio.SocketStream, sink: trio.SocketStream, way: Way) -> None:
        send, receive = trio.open_memory_channel[_Held](CHUNKS_HELD)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_take, source, way, send)
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                async for due, data in receive:
                    await trio.sleep_until(due)
                    await sink.send_all(await way.pass_through(data))
            self.end(reset=False)  # the peers' protocol knows no half-closed connection


async def _take(source: trio.SocketStream, way: Way, send: trio.MemorySendChannel[_Held]) -> None:
    async with send:
        due = -math.inf  # order is kept whatever the weather becomes
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while data := await source.receive_some(CHUNK_BYTES):
                due = max(due, trio.current_time() + way.delay())
                await send.send((due, bytes(data)))
        # Nobody hears of the end either while nothing comes through.
        await way.wait_open()


async def _swallow(stream: trio.SocketStream) -> None:
    with trio.move_on_after(FORGOTTEN_SECONDS), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while await stream.receive_some(CHUNK_BYTES):
            pass


def _close_by_reset(stream: trio.SocketStream) -> None:
    with suppress(OSError):
        stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, _LINGER_NOTHING)
    stream.socket.close()
