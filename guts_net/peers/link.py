"""
One authenticated connection to one peer: reader, writer and pulse.

The handshake is read to the byte, so nothing after it is lost. Each way of ending (silence, a fault
of the peer, a reset, our own ``close``) ends the link and nothing else; what it was stands in
``ending``.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable

import trio

from guts_core.errors import Malformed, PeerFault
from guts_core.link.frames import Lane, Opener, Sealer, split_pieces
from guts_core.link.handshake import HANDSHAKE_BYTES_MAX, Dialer, Listener, Session

from .outbox import TRANSACTION_BYTES, Outbox, OutboxFull, Urgency
from .wire import wire_over

# An honest handshake takes one round trip and a millisecond; commonware's bound.
HANDSHAKE_SECONDS = 5.0
PING_SECONDS = 5.0
# The first pings come quicker, so that the round trip is known before the node is busy.
FIRST_PING_SECONDS = 0.1
# Six pings without one whole frame of the peer: it or the way to it is gone, or changes what is said (F27, F28).
IDLE_SECONDS = 30.0
# A peer that takes no byte for this long is not coming back on this connection.
WRITE_SECONDS = 30.0
_PING_BYTES = 8
# Of so many the least counts: queues and busy loops only ever add.
_ROUND_TRIPS_KEPT = 8

Hear = Callable[[bytes], Awaitable[None]]


async def dial(stream: trio.abc.Stream, dialer: Dialer) -> Session:
    """Our side of a connection we opened; raises PeerFault or trio.TooSlowError."""
    with trio.fail_after(HANDSHAKE_SECONDS):
        await stream.send_all(_framed(dialer.syn))
        last, session = dialer.finish(await _read_handshake(stream))
        await stream.send_all(_framed(last))
    return session


async def welcome(stream: trio.abc.Stream, listener: Listener) -> Session:
    """Our side of a connection someone else opened; raises PeerFault or trio.TooSlowError."""
    with trio.fail_after(HANDSHAKE_SECONDS):
        answer = listener.answer(await _read_handshake(stream))
        await stream.send_all(_framed(answer))
        return listener.finish(await _read_handshake(stream))


def _framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


async def _read_handshake(stream: trio.abc.Stream) -> bytes:
    size = int.from_bytes(await _read_exactly(stream, 2), "big")
    if size > HANDSHAKE_BYTES_MAX:
        raise Malformed(f"a handshake message of {size} bytes; the most is {HANDSHAKE_BYTES_MAX}")
    return await _read_exactly(stream, size)


async def _read_exactly(stream: trio.abc.Stream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await stream.receive_some(size - len(data))
        if not more:
            raise trio.BrokenResourceError("the connection ended inside the handshake")
        data += more
    return data


class Link:
    """An established connection; ``run`` returns when it is over."""

    def __init__(
        self,
        index: int,
        stream: trio.abc.Stream,
        session: Session,
        counters: Counter[str],
        blame: Callable[[], None],
        queue_bytes: int = TRANSACTION_BYTES,
    ) -> None:
        """``blame`` is called when the peer says, in a frame that opened, what no honest node says."""
        self.index, self.session = index, session
        self.since = trio.current_time()
        self.finished = trio.Event()  # set by whoever runs it, after everyone was told
        self.ending: str | None = None
        self.outbox = Outbox(queue_bytes)
        self._stream, self._counters, self._blame = stream, counters, blame
        self._wire = wire_over(stream)
        self._sealer, self._opener = Sealer(session.send_key), Opener(session.receive_key)
        self._scope = trio.CancelScope()
        self._rest = b""  # of a frame that the socket did not take at once
        self._writing = False
        self._waits_since = math.inf  # when the reader began to wait for the peer; never, while it does not
        self._pinged_at = 0.0
        self._ping = 0
        self._round_trips: deque[int] = deque(maxlen=_ROUND_TRIPS_KEPT)

    @property
    def round_trip_us(self) -> int | None:
        """The quickest of the last pings; None before the first came back."""
        return min(self._round_trips, default=None)

    def put(self, data: bytes, urgency: Urgency, *, wake: bool = True) -> None:
        """Queue a message; a peer that does not take its votes is reset. Without ``wake``, ``flush`` follows."""
        try:
            self._counters["messages_dropped"] += self.outbox.put(data, urgency, wake=wake)
        except OutboxFull as full:
            self._counters["links_reset_full"] += 1
            self.close(f"reset: {full}")

    def flush(self) -> None:
        """
        Write a frame of what waits, now, as far as the socket takes it; the writer goes on from there.

        Most frames are small and find room at once: they need no turn of another task.
        """
        if not self._writing and not self._rest:
            frame = self._next_frame()
            try:
                self._rest = self._wire.write_now(frame)
            except OSError:
                self.close("the connection broke")
        if self._rest or self.outbox.waits:
            self.outbox.wake()

    def close(self, reason: str) -> None:
        """End the link soon; the first reason stands."""
        self.ending = self.ending or reason
        self._scope.cancel()

    async def run(self, hear: Hear, *companions: Callable[[], Awaitable[None]]) -> None:
        """Read, write and ping until it ends; ``companions`` are tasks that live as long as the link."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    for job in (lambda: self._read(hear), self._write, self._pulse, self._watch, *companions):
                        nursery.start_soon(self._guard, job)
        finally:
            await self.abandon()

    async def abandon(self) -> None:
        """Close the connection without a word."""
        await trio.aclose_forcefully(self._stream)

    async def _guard(self, job: Callable[[], Awaitable[None]]) -> None:
        try:
            await job()
        except PeerFault as fault:
            if isinstance(fault, Malformed):
                self._blame()
            self.close(f"{fault.code}: {fault}")
        except trio.TooSlowError:
            self.close("nothing came through in time")
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            self.close("the connection broke")

    async def _read(self, hear: Hear) -> None:
        opened_at = trio.current_time()
        while True:
            # Bytes that make no frame are no sign of life: a changed length would swallow all that follows.
            self._waits_since = opened_at
            data = await self._wire.read()
            self._waits_since = math.inf
            if not data:
                return self.close("the peer ended the connection")
            self._counters["bytes_received"] += len(data)
            try:
                frames = self._opener.feed(data)
            except PeerFault as broken:
                # Anyone on the way can cause this, so the peer is not to blame.
                return self.close(f"{broken.code}: {broken}")
            for plain in frames:
                for lane, message in split_pieces(plain):
                    if lane is Lane.SAID:
                        self._counters["messages_received"] += 1
                        await hear(message)
                    else:
                        self._hear_pulse(lane, message)
            if frames:
                opened_at = trio.current_time()

    async def _watch(self) -> None:
        """End the link when the peer was silent for too long while it was listened to."""
        while (left := self._waits_since + IDLE_SECONDS - trio.current_time()) > 0:  # noqa: ASYNC110  # waits for time to pass
            await trio.sleep(min(left, IDLE_SECONDS))
        self.close("nothing came through in time")

    async def _write(self) -> None:
        while True:
            await self.outbox.wait_filled()
            frame, self._rest = self._rest or self._next_frame(), b""
            if frame:
                self._writing = True
                with trio.fail_after(WRITE_SECONDS):
                    await self._stream.send_all(frame)
                self._writing = False

    def _next_frame(self) -> bytes:
        """What waits most urgently, sealed; empty when nothing does."""
        plain = self.outbox.take()
        if not plain:
            return b""
        frame = self._sealer.seal(plain)
        self._counters["frames_sent"] += 1
        self._counters["bytes_sent"] += len(frame)
        return frame

    async def _pulse(self) -> None:
        pause = FIRST_PING_SECONDS
        while True:
            self._ping += 1
            self._pinged_at = trio.current_time()
            self.outbox.put_piece(Lane.PING, self._ping.to_bytes(_PING_BYTES, "big"))
            await trio.sleep(pause)
            pause = min(PING_SECONDS, pause * 2)

    def _hear_pulse(self, lane: Lane, token: bytes) -> None:
        if len(token) != _PING_BYTES:
            raise Malformed(f"a ping of {len(token)} bytes")
        if lane is Lane.PING:
            self.outbox.put_piece(Lane.PONG, token)
        elif int.from_bytes(token, "big") == self._ping:
            self._round_trips.append(round((trio.current_time() - self._pinged_at) * 1e6))
