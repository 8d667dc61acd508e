"""Answers that several clients share: nobody waits for the slowest, nobody is given other bytes, nothing grows."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest
import trio
from attrs import define, field

from guts_core.errors import NotFound, Unavailable
from guts_core.git.ls_refs import LsRefs
from guts_core.names import RepoId
from guts_http.clients import Trusted
from guts_http.git.flights import Flight, Flights, Question
from guts_http.git.listings import OWN_BYTES, Listing, Listings
from guts_http.git.room import DIRECTORY, LEAST_BYTES, Rooms
from guts_http.git.room import MEMORY_BYTES_MAX as MEMORY_OF_ALL
from guts_http.git.spool import MEMORY_BYTES_MAX, Spool
from guts_http.problems import TooManyAtOnce
from guts_http.turns import Shares, Turn, Turns

QUESTION = Question("/projected/1", b"the request")
PIECE = 64 * 1024
ROOM_FOR_FILES = 64 << 20


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


@define
class Low:
    """Whether a disk is low."""

    now: bool = False

    async def __call__(self) -> bool:
        """As a node tells it."""
        await trio.lowlevel.checkpoint()
        return self.now


def rooms_in(path: Path, files: int = ROOM_FOR_FILES) -> Rooms:
    """Room on a disk that is not low."""
    return Rooms(path / DIRECTORY, files, Low())


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
async def test_readers_of_every_pace_get_the_same_bytes(tmp_path: Path, size: int) -> None:
    """One runs ahead to the end before the other begins; a third keeps step with nobody."""
    data, got = noise(size), dict[str, bytes]()
    source, flights = Pieces(data), Flights(rooms_in(tmp_path))

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


async def test_one_reader_alone_holds_no_more_than_a_beginning(tmp_path: Path) -> None:
    """And who comes when the beginning is gone has a child of its own."""
    data = noise(2 * MEMORY_BYTES_MAX)
    first, second, flights = Pieces(data), Pieces(data), Flights(rooms_in(tmp_path))

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


async def test_a_reader_that_goes_takes_nothing_with_it(tmp_path: Path) -> None:
    """The first client of a shared answer leaves in the middle: the others read on, the last one ends the child."""
    data = noise(PIECE * 20)
    source, flights = Pieces(data), Flights(rooms_in(tmp_path))
    async with flights.join(QUESTION, source.start) as mine:
        async with flights.join(QUESTION, source.start) as first:
            assert first is mine
            await first.begin(a_turn())
            await first.read(0)
        await mine.begin(a_turn())
        assert source.ended == []
        assert await whole(mine) == data
    assert source.ended == [True]


async def test_what_was_refused_is_refused_to_all_who_asked_it_together(tmp_path: Path) -> None:
    """And not to who asks later."""
    asked = 0

    async def start(held: AsyncExitStack) -> Pieces:
        nonlocal asked
        asked += 1
        raise NotFound("there is no such thing")

    flights = Flights(rooms_in(tmp_path))
    async with flights.join(QUESTION, start) as one, flights.join(QUESTION, start) as other:
        for flight in (one, other):
            with pytest.raises(NotFound, match="no such thing"):
                await flight.begin(a_turn())
        assert asked == 1
        async with flights.join(QUESTION, Pieces(b"x").start) as later:
            await later.begin(a_turn())
            assert await whole(later) == b"x"


async def test_who_leaves_while_waiting_for_a_turn_leaves_no_turn_taken(tmp_path: Path) -> None:
    """The next one of the same question tries, and the turn is given back once."""
    turns = trio.CapacityLimiter(1)
    source, flights, waits = Pieces(b"answer"), Flights(rooms_in(tmp_path)), trio.Event()

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


async def test_what_is_too_far_behind_is_said_to_be(tmp_path: Path) -> None:
    """Never other bytes: the file goes around, and what was overwritten is gone."""
    kept = Spool(rooms_in(tmp_path), file_bytes_max=100)
    data = noise(MEMORY_BYTES_MAX + 250)
    await kept.append(data[:MEMORY_BYTES_MAX], shared=True)
    for at in range(MEMORY_BYTES_MAX, len(data), 50):
        await kept.look(shared=True)
        await kept.append(data[at : at + 50], shared=True)

    for at in range(len(data) - 100, len(data), 7):
        piece = await kept.read(at)
        assert piece
        assert piece == data[at : at + len(piece)]
    with pytest.raises(Unavailable, match="faster clients"):
        await kept.read(len(data) - 101)
    kept.close()


async def test_fault_F13_without_room_for_a_file_only_who_is_behind_fails(tmp_path: Path) -> None:
    """Those who keep step read on."""
    data = noise(MEMORY_BYTES_MAX + PIECE * 4)
    source, flights = Pieces(data), Flights(rooms_in(tmp_path / "is not there"))
    async with flights.join(QUESTION, source.start) as ahead, flights.join(QUESTION, source.start) as behind:
        await ahead.begin(a_turn())
        assert await whole(ahead) == data
        await behind.begin(a_turn())
        with pytest.raises(Unavailable, match="faster clients"):
            await whole(behind)


async def test_fault_F13_on_a_disk_that_is_low_no_answer_is_kept(tmp_path: Path) -> None:
    """As with other writes: what is left is for agreement. With room again, answers are kept again."""
    data = noise(MEMORY_BYTES_MAX + PIECE * 4)
    low = Low()
    rooms = Rooms(tmp_path / DIRECTORY, 1 << 30, low)
    for is_kept in (False, True):
        low.now = not is_kept
        flights = Flights(rooms)
        source = Pieces(data)
        async with flights.join(QUESTION, source.start) as ahead, flights.join(QUESTION, source.start) as behind:
            await ahead.begin(a_turn())
            assert await whole(ahead) == data
            if is_kept:
                assert await whole(behind) == data
            else:
                with pytest.raises(Unavailable, match="faster clients"):
                    await behind.read(0)
                assert not (tmp_path / DIRECTORY).exists()


@pytest.mark.parametrize(("more", "is_shared"), [(PIECE, False), (PIECE * 3, True)])
async def test_all_answers_together_take_no_more_than_there_is_room_for(
    tmp_path: Path, more: int, *, is_shared: bool
) -> None:
    """Of the second one nothing is shared, or who is behind is told so before a byte of it; all comes back."""
    room = 2 * LEAST_BYTES + more
    rooms = rooms_in(tmp_path, files=room)
    data = noise(MEMORY_BYTES_MAX + LEAST_BYTES + PIECE * 2)
    flights = Flights(rooms)

    async def two(question: Question, held: AsyncExitStack) -> list[Flight]:
        pair = [await held.enter_async_context(flights.join(question, Pieces(data).start)) for _ in range(2)]
        for flight in pair:
            await flight.begin(a_turn())
        assert await whole(pair[0]) == data
        assert rooms.files.left >= 0
        return pair

    async with AsyncExitStack() as held:
        first = await two(QUESTION, held)
        second = await two(Question("/projected/1", b"another"), held)
        assert first[0] is first[1]
        assert (second[0] is second[1]) == is_shared
        assert await whole(first[1]) == data
        if is_shared:
            with pytest.raises(Unavailable, match="faster clients"):
                await second[1].read(0)
        else:
            assert await whole(second[1]) == data
    assert (rooms.files.left, rooms.memory.left) == (room, MEMORY_OF_ALL)
    assert not list((tmp_path / DIRECTORY).iterdir())


async def test_what_is_kept_in_memory_is_bounded_over_all_answers(tmp_path: Path) -> None:
    """Where memory is used up, files hold the rest, and nobody is asked to share."""
    rooms = Rooms(tmp_path / DIRECTORY, 1 << 30, Low(), memory_bytes_max=LEAST_BYTES + PIECE)
    flights, data = Flights(rooms), noise(PIECE * 4)
    async with AsyncExitStack() as held:
        first = [await held.enter_async_context(flights.join(QUESTION, Pieces(data).start)) for _ in range(2)]
        await first[0].begin(a_turn())
        assert await whole(first[0]) == data
        assert rooms.memory.left < LEAST_BYTES
        alone = await held.enter_async_context(flights.join(QUESTION, Pieces(data).start))
        assert alone is not first[0]
        await alone.begin(a_turn())
        assert await whole(alone) == data
        assert await whole(first[1]) == data
    assert rooms.memory.left == LEAST_BYTES + PIECE


async def test_what_memory_cannot_hold_goes_to_a_file(tmp_path: Path) -> None:
    """Two answers that began to be shared while there was room for either: every reader gets every byte."""
    rooms = Rooms(tmp_path / DIRECTORY, ROOM_FOR_FILES, Low(), memory_bytes_max=LEAST_BYTES)
    flights, data, other = Flights(rooms), noise(3 << 20), Question("/projected/1", b"2")
    async with AsyncExitStack() as held:
        asked = (QUESTION, QUESTION, other, other)
        readers = [await held.enter_async_context(flights.join(one, Pieces(data).start)) for one in asked]
        assert len(set(readers)) == 2
        for reader in readers:
            await reader.begin(a_turn())
        for reader in (readers[0], readers[2]):
            assert await whole(reader) == data
        assert rooms.files.left < ROOM_FOR_FILES
        for reader in (readers[1], readers[3]):
            assert await whole(reader) == data
    assert (rooms.files.left, rooms.memory.left) == (ROOM_FOR_FILES, LEAST_BYTES)


async def test_readers_that_vanish_leave_no_file(tmp_path: Path) -> None:
    """Neither on the disk nor in what is counted, whatever the last of them was at."""
    rooms = rooms_in(tmp_path)
    data = noise(2 * MEMORY_BYTES_MAX)

    async def read(flights: Flights, all_read: trio.Event) -> None:
        async with flights.join(QUESTION, Pieces(data).start) as flight:
            await flight.begin(a_turn())
            await whole(flight)
            all_read.set()
            await trio.sleep_forever()

    async def lag(flights: Flights) -> None:
        async with flights.join(QUESTION, Pieces(data).start):
            await trio.sleep_forever()

    flights, all_read = Flights(rooms), trio.Event()
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lag, flights)
            nursery.start_soon(read, flights, all_read)
            await all_read.wait()
            assert rooms.files.left < ROOM_FOR_FILES
            nursery.cancel_scope.cancel()
    assert (rooms.files.left, rooms.memory.left) == (ROOM_FOR_FILES, MEMORY_OF_ALL)
    assert not list((tmp_path / DIRECTORY).iterdir())


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_readers_that_vanish_while_threads_are_busy_leave_no_descriptor(tmp_path: Path) -> None:
    """Each would keep a file that has no name: the room that it gave back would not be there."""
    rooms = rooms_in(tmp_path)
    kept = Spool(rooms, file_bytes_max=100)
    await kept.append(noise(MEMORY_BYTES_MAX), shared=True)
    await kept.look(shared=True)
    await kept.append(noise(50), shared=True)
    before = descriptors()

    for _ in range(3):
        with trio.CancelScope() as gone:
            gone.cancel()
            await kept.read(MEMORY_BYTES_MAX)
        assert gone.cancelled_caught
    after = descriptors()
    kept.close()

    assert after == before


def test_what_a_crash_left_behind_goes_at_the_next_start(tmp_path: Path) -> None:
    """Where a file without a name has one for a moment."""
    left = tmp_path / DIRECTORY / "tmpabc"
    left.parent.mkdir()
    left.write_bytes(b"half of an answer")
    rooms_in(tmp_path)

    assert not left.exists()


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


async def test_one_address_leaves_room_for_answers_of_others(tmp_path: Path) -> None:
    """It reads as many answers as it can get and none to its end: its own are shared no more, those of another are."""
    low, shares = Low(), Shares(25, Trusted())
    rooms = Rooms(tmp_path / DIRECTORY, ROOM_FOR_FILES, low, memory_bytes_max=8 * LEAST_BYTES, shares=shares)
    flights, data = Flights(rooms), noise(PIECE * 40)

    async def begun(held: AsyncExitStack, question: bytes, client: str) -> Flight:
        asked = Question("/projected/1", question)
        flight = await held.enter_async_context(flights.join(asked, Pieces(data).start, client))
        await flight.begin(a_turn())
        assert await whole(flight) == data
        return flight

    async with AsyncExitStack() as held:
        lone = [await begun(held, b"%d" % number, "192.0.2.1") for number in range(20)]
        assert rooms.memory.left >= 6 * LEAST_BYTES
        assert not lone[-1].can_be_joined
        assert await begun(held, b"19", "192.0.2.1") is not lone[-1]
        mine = await begun(held, b"another", "192.0.2.2")
        assert await begun(held, b"another", "192.0.2.3") is mine
    assert (rooms.files.left, rooms.memory.left) == (ROOM_FOR_FILES, 8 * LEAST_BYTES)


async def test_files_of_one_address_leave_room_for_those_of_others(tmp_path: Path) -> None:
    """One answer may have all there is; of two that one address began, together no more than its share."""
    shares, size = Shares(25, Trusted()), MEMORY_BYTES_MAX + 2 * LEAST_BYTES
    rooms = Rooms(tmp_path / DIRECTORY, 6 * LEAST_BYTES, Low(), shares=shares)
    flights, data = Flights(rooms), noise(size)

    async with AsyncExitStack() as held:
        readers = [
            await held.enter_async_context(flights.join(Question("/projected/1", question), Pieces(data).start, client))
            for question, client in ((b"1", "192.0.2.1"), (b"2", "192.0.2.1"), (b"3", "192.0.2.2"))
            for _ in range(2)
        ]
        first, second, other = readers[1::2]
        assert readers[::2] == [first, second, other]
        for ahead in readers[::2]:
            await ahead.begin(a_turn())
            assert await whole(ahead) == data
        assert await whole(first) == await whole(other) == data
        assert rooms.files.left == 2 * LEAST_BYTES
        with pytest.raises(Unavailable, match="faster clients"):
            await whole(second)
    assert rooms.files.left == 6 * LEAST_BYTES
