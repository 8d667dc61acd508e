"""Texts over the bulk connection: asked for by repository and commitment, beside chunks of packs."""

from __future__ import annotations

import trio

from guts_core.codec import from_bytes, to_bytes
from guts_core.link.chunks import ChunkMissing, TextAbsent, TextSupplied, TextWanted
from guts_core.link.handshake import Channel
from guts_core.names import RepoId
from tests.net.peers.peers_world import Node, a_town, key, serving, wait_hung_up

REPO, COMMITMENT = RepoId(b"\x0c" * 32), b"\x0d" * 32


async def serve_text(repo: RepoId, commitment: bytes) -> bytes | None:
    """One text, in one repository."""
    await trio.lowlevel.checkpoint()
    return b"a text" if (repo, commitment) == (REPO, COMMITMENT) else None


async def test_a_text_is_given_or_said_to_be_absent_beside_chunks() -> None:
    async with a_town(2) as town:
        zero = await town.start(0)
        await town.start(1, serve=serving(lambda _, index: b"chunk %d" % index), serve_text=serve_text)
        await zero.wait_peers({1})

        assert await zero.network.fetch_text(1, REPO, COMMITMENT) == b"a text"
        assert await zero.network.fetch_text(1, REPO, bytes(32)) is None
        assert await zero.network.fetch_text(1, RepoId(bytes(32)), COMMITMENT) is None
        chunk = await zero.network.fetch_chunk(1, COMMITMENT, 3)
        assert chunk is not None
        assert chunk.data == b"chunk 3"


async def test_a_node_that_serves_no_texts_says_so() -> None:
    async with a_town(2) as town:
        zero, _ = await town.start_all()

        assert await zero.network.fetch_text(1, REPO, COMMITMENT) is None


async def test_an_answer_of_another_sort_than_was_asked_for_ends_the_link() -> None:
    """No honest node confuses the two, and who awaits a text must not be handed something else."""
    async with a_town(2) as town:
        zero = await town.start(0)
        villain = await town.impersonate(key(1), 0, Channel.BULK)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_nothing, zero)
            wanted = from_bytes(TextWanted, await villain.hear())
            assert wanted == TextWanted(1, REPO, COMMITMENT)
            await villain.say(to_bytes(ChunkMissing(wanted.number)))
            await wait_hung_up(villain.stream)


async def expect_nothing(node: Node) -> None:
    assert await node.network.fetch_text(1, REPO, COMMITMENT, seconds=0.2) is None


async def test_texts_asked_for_from_outside_are_answered_by_number() -> None:
    async with a_town(2) as town:
        await town.start(0, serve_text=serve_text)
        villain = await town.impersonate(key(1), 0, Channel.BULK)
        await villain.say(to_bytes(TextWanted(7, REPO, COMMITMENT)), to_bytes(TextWanted(8, REPO, bytes(32))))

        assert from_bytes(TextSupplied, await villain.hear()) == TextSupplied(7, b"a text")
        assert from_bytes(TextAbsent, await villain.hear()) == TextAbsent(8)
