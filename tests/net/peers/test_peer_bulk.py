"""Chunks come intact, and neither a slow nor a hostile peer stands in anyone's way."""

from __future__ import annotations

from statistics import median

import pytest
import trio

from guts_core.codec import Tag, digest, from_bytes, to_bytes
from guts_core.link.chunks import CHUNK_BYTES, Chunk, ChunkMissing, ChunkWanted
from guts_core.link.handshake import Channel
from guts_net.peers import ChunkAnswer, bulk
from guts_net.peers.bulk import BULK_MESSAGES, CREDIT_CHUNKS
from tests.net.peers.peers_world import Node, a_town, key, round_trip, serving, wait_hung_up

FILE = digest(Tag.BLOB, b"a file")
CHUNKS = 50


def chunk(index: int) -> bytes:
    """A megabyte that is different for each index."""
    return digest(Tag.CHUNK, bytes([index])) * (CHUNK_BYTES // 32)


async def test_fifty_megabytes_come_intact_while_votes_stay_fast() -> None:
    """The reason for two connections: a vote does not wait behind a pack (``consensus.md`` 6)."""
    chunks = [chunk(index) for index in range(CHUNKS)]
    async with a_town(2) as town:
        one = await town.start(1, serve=serving(lambda _, index: chunks[index]))
        zero = await town.start(0)
        await zero.wait_peers({1})
        got: dict[int, ChunkAnswer | None] = {}
        trips: list[float] = []

        async def fetch(index: int) -> None:
            got[index] = await zero.network.fetch_chunk(1, FILE, index)

        async def vote() -> None:
            while len(got) < CHUNKS:
                started = trio.current_time()
                await round_trip(zero, one, str(len(trips)).encode())
                trips.append(trio.current_time() - started)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(vote)
            for index in range(CHUNKS):
                nursery.start_soon(fetch, index)

        assert got == {index: ChunkAnswer(chunks[index], (FILE,)) for index in range(CHUNKS)}
        # Both nodes and their megabytes share one thread here; alone it takes 0.2 ms.
        assert median(trips) < 0.1


async def test_a_chunk_that_is_not_there_is_said_at_once() -> None:
    async with a_town(2) as town:
        zero, _ = await town.start_all()

        assert await zero.network.fetch_chunk(1, FILE, 0) is None
        assert zero.network.counters["chunks_timed_out"] == 0


async def test_a_peer_that_is_not_connected_times_out() -> None:
    async with a_town(2) as town:
        zero = await town.start(0)

        assert await zero.network.fetch_chunk(1, FILE, 0, seconds=0.05) is None
        assert zero.network.counters["chunks_timed_out"] == 1


async def test_a_silent_peer_times_out_and_the_others_serve() -> None:
    async with a_town(3) as town:
        zero = await town.start(0)
        await town.start(2, serve=serving(lambda _, index: chunk(index)))
        villain = await town.impersonate(key(1), 0, Channel.BULK)

        assert await zero.network.fetch_chunk(1, FILE, 0, seconds=0.05) is None
        assert await zero.network.fetch_chunk(2, FILE, 7) == ChunkAnswer(chunk(7), (FILE,))
        assert from_bytes(ChunkWanted, await villain.hear()) == ChunkWanted(1, FILE, 0)


async def test_no_more_than_the_credit_is_outstanding() -> None:
    """Requests that were given up count until answered: the peer never holds more for us."""
    async with a_town(2) as town:
        zero = await town.start(0)
        villain = await town.impersonate(key(1), 0, Channel.BULK)
        for index in range(CREDIT_CHUNKS):
            assert await zero.network.fetch_chunk(1, FILE, index, seconds=0.02) is None
        asked = [from_bytes(ChunkWanted, await villain.hear()) for _ in range(CREDIT_CHUNKS)]

        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect, zero, 9, ChunkAnswer(b"nine", ()))
            await villain.say(to_bytes(Chunk(asked[0].number, b"late, for nobody", ())))
            wanted = from_bytes(ChunkWanted, await villain.hear())
            await villain.say(to_bytes(Chunk(wanted.number, b"nine", ())))

        assert [wanted.index for wanted in asked] == list(range(CREDIT_CHUNKS))
        assert wanted.index == 9


async def expect(node: Node, index: int, answer: ChunkAnswer | None) -> None:
    """This chunk of node 1, or failure."""
    assert await node.network.fetch_chunk(1, FILE, index) == answer


async def test_a_peer_that_owes_chunks_loses_the_link_and_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new connection has new credit; the question is put again on it."""
    monkeypatch.setattr(bulk, "STALL_SECONDS", 0.1)
    async with a_town(2) as town:
        zero = await town.start(0)
        villain = await town.impersonate(key(1), 0, Channel.BULK)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect, zero, 3, ChunkAnswer(chunk(3), (FILE,)))
            await wait_hung_up(villain.stream)
            await town.start(1, serve=serving(lambda _, index: chunk(index)))

        assert zero.network.counters["links_reset_stalled"] == 1


async def test_an_answer_nobody_asked_for_ends_the_link() -> None:
    async with a_town(2) as town:
        zero = await town.start(0)
        villain = await town.impersonate(key(1), 0, Channel.BULK)
        await villain.say(to_bytes(Chunk(1, b"unasked", ())))

        await wait_hung_up(villain.stream)
        assert zero.network.counters["bans"] == 1


async def test_more_requests_than_the_credit_end_the_link() -> None:
    """Nobody makes us hold more than four megabytes for them."""
    async with a_town(2) as town:
        await town.start(0, serve=serving(lambda _, index: chunk(index)))
        villain = await town.impersonate(key(1), 0, Channel.BULK)
        await villain.say(*[to_bytes(ChunkWanted(number, FILE, 0)) for number in range(20)])

        await wait_hung_up(villain.stream)


async def test_nothing_is_read_ahead_for_a_peer_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most one chunk waits to be written for it beside what the kernel holds, however much it asked for."""
    monkeypatch.setattr(bulk, "CREDIT_CHUNKS", 64)
    served: list[int] = []

    def find(_: bytes, index: int) -> bytes:
        served.append(index)
        return chunk(index)

    async with a_town(3) as town:
        zero = await town.start(0, serve=serving(find))
        two = await town.start(2)
        villain = await town.impersonate(key(1), 0, Channel.BULK)
        await villain.say(*[to_bytes(ChunkWanted(number, FILE, number)) for number in range(64)])
        for index in range(100, 130):
            assert await two.network.fetch_chunk(0, FILE, index) == ChunkAnswer(chunk(index), (FILE,))

        assert len(served) - 30 < 32
        heard = [BULK_MESSAGES.from_bytes(await villain.hear()) for _ in range(64)]
        assert [answer.number for answer in heard] == list(range(64))
        assert zero.network.counters["messages_dropped"] == 0


async def test_a_missing_chunk_is_answered_as_missing() -> None:
    async with a_town(2) as town:
        await town.start(0)
        villain = await town.impersonate(key(1), 0, Channel.BULK)
        await villain.say(to_bytes(ChunkWanted(5, FILE, 0)))

        assert from_bytes(ChunkMissing, await villain.hear()) == ChunkMissing(5)
