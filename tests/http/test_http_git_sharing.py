"""Answers that several clients share: nobody waits for the slowest, nobody is given other bytes, nothing grows."""

from __future__ import annotations

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest
import trio
from attrs import define, field

from guts_core.errors import NotFound, Unavailable
from guts_core.git.ls_refs import LsRefs
from guts_core.names import RepoId
from guts_http.git.flights import Flight, Flights, Question
from guts_http.git.listings import OWN_BYTES, Listing, Listings
from guts_http.git.spool import MEMORY_BYTES_MAX, Spool
from guts_http.problems import TooManyAtOnce
from guts_http.turns import Turn, Turns

QUESTION = Question("/projected/1", b"the request")
PIECE = 64 * 1024


@define
class Pieces:
    """An answer in pieces, and whether its end was heard of."""

    data: bytes
    at: int = 0
    ended: list[bool] = field(factory=list)

    async def read(self) -> bytes:
        """The next piece."""
        await trio.lowlevel.checkpoint()
        piece = self.data[self.at : self.at + PIECE]
        self.at += len(piece)
        return piece

    async def last_words(self) -> bytes:
        """What a child would say."""
        return b"a complaint"

    async def start(self, held: AsyncExitStack) -> Pieces:
        """As a flight starts a child."""
        held.callback(self.ended.append, True)
        return self


def noise(size: int) -> bytes:
    """The same bytes each time."""
    return Random(size).randbytes(size)  # noqa: S311 -- not a secret


def a_turn() -> Turn:
    """One that there is enough of."""
    return Turns(1, 60, "answers").of(None)


async def whole(flight: Flight) -> bytes:
    """All of it, as one client reads."""
    got = bytearray()
    while piece := await flight.read(len(got)):
        got += piece
    return bytes(got)


@pytest.mark.parametrize("size", [0, 1, PIECE, MEMORY_BYTES_MAX, MEMORY_BYTES_MAX + 1, 3 * MEMORY_BYTES_MAX + 7])
async def test_readers_of_every_pace_get_the_same_bytes(size: int) -> None:
    """One runs ahead to the end before the other begins; a third keeps step with nobody."""
    data, got = noise(size), dict[str, bytes]()
    source, flights = Pieces(data), Flights()

    async def read(name: str, flight: Flight, before: trio.Event, after: trio.Event) -> None:
        await before.wait()
        await flight.begin(a_turn())
        got[name] = await whole(flight)
        after.set()

    now, fast_done = trio.Event(), trio.Event()
    now.set()
    with trio.fail_after(120):
        async with AsyncExitStack() as joined, trio.open_nursery() as nursery:
            for name, before, after in (("fast", now, fast_done), ("slow", fast_done, now), ("other", now, now)):
                flight = await joined.enter_async_context(flights.join(QUESTION, source.start))
                nursery.start_soon(read, name, flight, before, after)

    assert got == {"fast": data, "slow": data, "other": data}
    assert source.ended == [True]


async def test_one_reader_alone_holds_no_more_than_a_beginning() -> None:
    """And who comes when the beginning is gone has a child of its own."""
    data = noise(2 * MEMORY_BYTES_MAX)
    first, second, flights = Pieces(data), Pieces(data), Flights()

    async with flights.join(QUESTION, first.start) as flight:
        await flight.begin(a_turn())
        at = 0
        while at <= MEMORY_BYTES_MAX:
            at += len(await flight.read(at))
        assert not flight.can_be_joined
        assert not flight._spool._memory
        async with flights.join(QUESTION, second.start) as other:
            await other.begin(a_turn())
            assert other is not flight
            assert await whole(other) == data
        assert (first.ended, second.ended) == ([], [True])
    assert first.ended == [True]
    assert not flights._open


async def test_a_reader_that_goes_takes_nothing_with_it() -> None:
    """The first client of a shared answer leaves in the middle: the others read on, the last one ends the child."""
    data = noise(PIECE * 20)
    source, flights = Pieces(data), Flights()
    async with flights.join(QUESTION, source.start) as mine:
        async with flights.join(QUESTION, source.start) as first:
            assert first is mine
            await first.begin(a_turn())
            await first.read(0)
        await mine.begin(a_turn())
        assert source.ended == []
        assert await whole(mine) == data
    assert source.ended == [True]


async def test_what_was_refused_is_refused_to_all_who_asked_it_together() -> None:
    """And not to who asks later."""
    asked = 0

    async def start(held: AsyncExitStack) -> Pieces:
        nonlocal asked
        asked += 1
        raise NotFound("there is no such thing")

    flights = Flights()
    async with flights.join(QUESTION, start) as one, flights.join(QUESTION, start) as other:
        for flight in (one, other):
            with pytest.raises(NotFound, match="no such thing"):
                await flight.begin(a_turn())
        assert asked == 1
        async with flights.join(QUESTION, Pieces(b"x").start) as later:
            await later.begin(a_turn())
            assert await whole(later) == b"x"


async def test_who_leaves_while_waiting_for_a_turn_leaves_no_turn_taken() -> None:
    """The next one of the same question tries, and the turn is given back once."""
    turns = trio.CapacityLimiter(1)
    source, flights, waits = Pieces(b"answer"), Flights(), trio.Event()

    async def start(held: AsyncExitStack) -> Pieces:
        token = object()
        await turns.acquire_on_behalf_of(token)
        held.callback(turns.release_on_behalf_of, token)
        waits.set()
        await trio.sleep(0 if gone.is_set() else 3600)
        return await source.start(held)

    gone = trio.Event()
    with trio.fail_after(120):
        async with flights.join(QUESTION, start) as stays:
            async with flights.join(QUESTION, start) as leaves, trio.open_nursery() as nursery:
                nursery.start_soon(leaves.begin, a_turn())
                await waits.wait()
                nursery.cancel_scope.cancel()
            gone.set()
            assert turns.borrowed_tokens == 0
            await stays.begin(a_turn())
            assert await whole(stays) == b"answer"
    assert turns.borrowed_tokens == 0


async def test_what_is_too_far_behind_is_said_to_be() -> None:
    """Never other bytes: the file goes around, and what was overwritten is gone."""
    kept = Spool(file_bytes_max=100)
    data = noise(MEMORY_BYTES_MAX + 250)
    await kept.append(data[:MEMORY_BYTES_MAX], shared=True)
    for at in range(MEMORY_BYTES_MAX, len(data), 50):
        await kept.append(data[at : at + 50], shared=True)

    for at in range(len(data) - 100, len(data), 7):
        piece = await kept.read(at)
        assert piece
        assert piece == data[at : at + len(piece)]
    with pytest.raises(Unavailable, match="faster clients"):
        await kept.read(len(data) - 101)
    kept.close()


async def test_fault_F13_without_room_for_a_file_only_who_is_behind_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who keep step read on."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "is not there"))
    data = noise(MEMORY_BYTES_MAX + PIECE * 4)
    source, flights = Pieces(data), Flights()
    async with flights.join(QUESTION, source.start) as ahead, flights.join(QUESTION, source.start) as behind:
        await ahead.begin(a_turn())
        assert await whole(ahead) == data
        await behind.begin(a_turn())
        with pytest.raises(Unavailable, match="faster clients"):
            await whole(behind)


async def test_who_is_not_to_wait_still_takes_a_turn_that_is_free() -> None:
    """``queue_seconds = 0`` is allowed: at once or not at all."""
    turns = Turns(1, 0, "things")
    async with turns.one(None):
        with pytest.raises(TooManyAtOnce, match="serves 1 things at once"):
            async with turns.one(None):
                raise AssertionError
    async with turns.one(None):
        pass


def test_listings_are_kept_as_far_as_there_is_room() -> None:
    """Those asked for last; a question counts like its answer."""

    def listing(number: int, *prefixes: bytes) -> Listing:
        return Listing(RepoId(bytes(32)), number, "refs/heads/main", LsRefs(prefixes))

    kept = Listings(2 * (OWN_BYTES + 100))
    for number in (1, 2):
        kept.put(listing(number), bytes(100))
    assert kept.get(listing(1)) == bytes(100)
    kept.put(listing(3), bytes(100))
    kept.put(listing(4, b"x" * 2_000), b"")

    assert [kept.get(listing(number)) is None for number in (1, 2, 3)] == [False, True, False]
    assert kept.get(listing(4, b"x" * 2_000)) is None
    assert kept.get(listing(1, b"refs/")) is None
