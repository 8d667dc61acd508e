"""
Chunks of packs, texts and snapshots over one bulk link, both ways (``consensus.md`` 6, Head-of-line blocking).

Credit: at most ``CREDIT_CHUNKS`` requests are unanswered at a time. A request that its caller gave
up keeps its credit until the answer comes, so the other side never holds more than that many
megabytes for us; a peer that answers nothing for ``STALL_SECONDS`` loses the link, and with it all
credit is new. Requests are served one after the other, each when the one before was taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio
from attrs import define, evolve, field, frozen

from guts_core.codec import Family, to_bytes
from guts_core.errors import Malformed, PeerFault, Unavailable
from guts_core.link.chunks import (
    Chunk,
    ChunkMissing,
    ChunkWanted,
    TextAbsent,
    TextSupplied,
    TextWanted,
)
from guts_core.names import RepoId
from guts_core.sync import messages as sync

from .link import Link
from .outbox import Urgency

CREDIT_CHUNKS = 4
STALL_SECONDS = 30.0

Serve: TypeAlias = Callable[[bytes, int], Awaitable[tuple[bytes, tuple[bytes, ...]] | None]]
ServeText: TypeAlias = Callable[[RepoId, bytes], Awaitable[bytes | None]]
ServeState: TypeAlias = Callable[[sync.Question], Awaitable[sync.Answer]]
_Wanted: TypeAlias = ChunkWanted | TextWanted | sync.Question
_Answer: TypeAlias = Chunk | ChunkMissing | TextSupplied | TextAbsent | sync.Answer
_ANSWERS: dict[type[_Wanted], tuple[type[_Answer], ...]] = {
    ChunkWanted: (Chunk, ChunkMissing),
    TextWanted: (TextSupplied, TextAbsent),
    **{question: (*answers,) for question, answers in sync.ANSWERS.items()},
}
BULK_MESSAGES = Family(
    {*_ANSWERS, *(answer for answers in _ANSWERS.values() for answer in answers)},
)


@frozen
class ChunkAnswer:
    """A chunk as the peer sent it, with its path; nothing about it is believed yet."""

    data: bytes
    path: tuple[bytes, ...]


class LinkLost(Unavailable):
    """The link ended before the answer came."""

    code = "link-lost"


async def serve_nothing(_digest: bytes, _index: int) -> None:
    """The server side of a node that holds no files."""


async def serve_no_text(_repo: RepoId, _commitment: bytes) -> None:
    """The same for texts."""


async def serve_no_state(question: sync.Question) -> sync.Answer:
    """The same for snapshots."""
    return sync.SyncAbsent(question.number)


@define(eq=False)
class _Request:
    """One unanswered question; ``answer`` counts once ``done`` is set."""

    wanted: _Wanted
    at: float
    done: trio.Event = field(factory=trio.Event)
    answer: _Answer | None = None
    lost: bool = False


class Exchange:
    """Both sides of asking on one bulk link."""

    def __init__(
        self,
        link: Link,
        serve: Serve,
        counters: Counter[str],
        serve_text: ServeText = serve_no_text,
        serve_state: ServeState = serve_no_state,
    ) -> None:
        self._link, self._serve, self._serve_text, self._counters = link, serve, serve_text, counters
        self._serve_state = serve_state
        self._requests: dict[int, _Request] = {}
        self._number = 0
        self._credit = trio.Semaphore(CREDIT_CHUNKS, max_value=CREDIT_CHUNKS)
        self._answered_at = link.since
        self._ended = False
        self._asked_in, self._asked_out = trio.open_memory_channel[_Wanted](CREDIT_CHUNKS)

    async def fetch(self, digest: bytes, index: int) -> ChunkAnswer | None:
        """The peer's answer, None if it has no such chunk; raises LinkLost. The caller sets the deadline."""
        answer = await self._answered(lambda number: ChunkWanted(number, digest, index))
        return ChunkAnswer(answer.data, answer.path) if isinstance(answer, Chunk) else None

    async def fetch_text(self, repo: RepoId, commitment: bytes) -> bytes | None:
        """The text as the peer sent it, None if it does not hold it; otherwise as ``fetch``."""
        answer = await self._answered(lambda number: TextWanted(number, repo, commitment))
        return answer.data if isinstance(answer, TextSupplied) else None

    async def ask(self, question: sync.Question) -> sync.Answer:
        """What the peer says to a joining node's question, unchecked, with that question's number; as ``fetch``."""
        answer = await self._answered(lambda number: evolve(question, number=number))
        assert isinstance(answer, sync.ANSWERS[type(question)])
        return evolve(answer, number=question.number)

    async def _answered(self, ask: Callable[[int], _Wanted]) -> _Answer | None:
        await self._credit.acquire()
        if self._ended:
            self._credit.release()
            raise LinkLost
        self._number += 1
        wanted = ask(self._number)
        request = self._requests[self._number] = _Request(wanted, trio.current_time())
        self._link.put(to_bytes(wanted), Urgency.CATCH_UP)
        await request.done.wait()
        if request.lost:
            raise LinkLost
        return request.answer

    async def hear(self, message: bytes) -> None:
        """One message from the peer; raises PeerFault for what an honest one never sends."""
        heard: _Wanted | _Answer = BULK_MESSAGES.from_bytes(message)
        if isinstance(heard, _Wanted):
            self._ask(heard)
        else:
            self._answer(heard)
        await trio.lowlevel.checkpoint()

    async def serve_asked(self) -> None:
        """Answer what the peer asks, one at a time, never further than a chunk ahead of its reading."""
        async for wanted in self._asked_out:
            self._link.put(to_bytes(await self._reply(wanted)), Urgency.CATCH_UP)
            await self._link.outbox.wait_emptied()

    async def _reply(self, wanted: _Wanted) -> _Answer:
        if isinstance(wanted, ChunkWanted):
            return await self._chunk(wanted)
        if isinstance(wanted, TextWanted):
            return await self._text(wanted)
        answer = await self._serve_state(wanted)
        self._counters["state_absent" if isinstance(answer, sync.SyncAbsent) else "state_served"] += 1
        return answer

    async def _chunk(self, wanted: ChunkWanted) -> _Answer:
        found = await self._serve(wanted.digest, wanted.index)
        self._counters["chunks_served" if found else "chunks_missing"] += 1
        return ChunkMissing(wanted.number) if found is None else Chunk(wanted.number, *found)

    async def _text(self, wanted: TextWanted) -> _Answer:
        found = await self._serve_text(RepoId(wanted.repo), wanted.commitment)
        self._counters["texts_absent" if found is None else "texts_served"] += 1
        return TextAbsent(wanted.number) if found is None else TextSupplied(wanted.number, found)

    async def watch(self) -> None:
        """End the link if the peer owes answers and gives none."""
        while True:
            await trio.sleep(STALL_SECONDS / 4)
            oldest = min((request.at for request in self._requests.values()), default=None)
            if oldest is not None and trio.current_time() - max(oldest, self._answered_at) > STALL_SECONDS:
                self._counters["links_reset_stalled"] += 1
                self._link.close(f"{len(self._requests)} chunks or texts asked for and none sent")

    def end(self) -> None:
        """The link is over: whoever waits learns it."""
        self._ended = True
        for request in self._requests.values():
            request.lost = True
            request.done.set()
            self._credit.release()
        self._requests.clear()

    def _ask(self, wanted: _Wanted) -> None:
        try:
            self._asked_in.send_nowait(wanted)
        except trio.WouldBlock:
            raise PeerFault(f"more than {CREDIT_CHUNKS} chunks asked for at once") from None

    def _answer(self, answer: _Answer) -> None:
        request = self._requests.get(answer.number)
        if request is None:
            raise Malformed(f"an answer to request {answer.number}, which is not open")
        if not isinstance(answer, _ANSWERS[type(request.wanted)]):
            raise Malformed(f"{type(answer).__name__} in answer to {type(request.wanted).__name__}")
        del self._requests[answer.number]
        self._answered_at = trio.current_time()
        self._credit.release()
        request.answer = answer
        request.done.set()
