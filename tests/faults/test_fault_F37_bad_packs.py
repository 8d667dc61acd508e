"""F37: peers that give other bytes than the state names to a node that catches up: refused unread, others are asked."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from guts_core.git.chunks import CHUNK_BYTES
from guts_net.handle import RunningNode
from guts_net.packs.ingest import Incoming
from guts_net.peers.bulk import Serve
from guts_net.runtime import open_node
from tests.net.packs.pack_world import entry_head, pack_of_entries
from tests.net.world import a_commit, found, push, wait_until

REPOSITORIES = ("one", "two", "three")
BLOB = 3  # git's number of that type
MIB = 1 << 20


def bomb(size: int) -> bytes:
    """A pack of this size that would not end within 300 times of it."""
    deflate = zlib.compressobj(9)
    data = b"".join(deflate.compress(bytes(MIB)) for _ in range(size * 300 // MIB)) + deflate.flush()
    return pack_of_entries([entry_head(BLOB, size * 300) + data])[:size].ljust(size, b"\0")


Lie = Callable[[bytes, bytes], bytes]


def lying(honest: Serve, lie: Lie, told: list[bytes]) -> Serve:
    """What a liar gives for a pack; ``told`` is how often it was asked."""

    async def serve(digest: bytes, index: int) -> tuple[bytes, tuple[bytes, ...]] | None:
        found = await honest(digest, index)
        told.append(digest)
        return None if found is None else (lie(digest, found[0]), found[1])

    return serve


def corrupted(node: RunningNode, lie: Lie) -> list[bytes]:
    """From now on this node lies to whoever links to it; what it was asked for."""
    told: list[bytes] = []
    node._network._serve = lying(node._network._serve, lie, told)
    return told


async def test_fault_F37_bad_packs_are_refused_unread_and_the_honest_peer_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One gives objects of another repository, one a bomb; git sees the honest one's packs alone."""
    world = found(tmp_path, 4)
    packed = {name: a_commit(tmp_path / name, 100_000) for name in REPOSITORIES}
    indexed: list[bytes] = []
    real = Incoming.index

    async def counted(self: Incoming) -> object:
        indexed.append((await self.complete()).digest)
        return await real(self)

    async with open_node(world.settings(0)) as one, open_node(world.settings(1)) as two:
        async with open_node(world.settings(2)) as three:
            assert (await world.give_credential(one)).error is None
            for name in REPOSITORIES:
                report = await push(one, world, name, packed[name])
                assert [ref.error for ref in report.refs] == [None]
            for node in (one, two, three):
                await wait_until(lambda node=node: len(_kept(node)) == len(REPOSITORIES))  # type: ignore[misc]  # binds now
            await wait_until(lambda: three.height == two.height == one.height)
        kept = _kept(one)
        told = (
            corrupted(one, lambda _, honest: next(of.pack for of in packed.values() if of.pack != honest)),
            corrupted(two, lambda _, honest: bomb(len(honest))),
        )
        monkeypatch.setattr(Incoming, "index", counted)
        async with open_node(world.settings(3)) as late:
            # Both liars are asked for what no honest peer is here to give, and nothing of it is taken.
            await wait_until(lambda: all(set(asked) == set(kept) for asked in told))
            assert sorted(row.digest for row in late._database.list_missing()) == sorted(kept)
            assert indexed == _kept(late) == []
            async with open_node(world.settings(2)) as three:
                await wait_until(lambda: not late._database.list_missing())
                assert sorted(indexed) == sorted(_kept(late)) == sorted(kept)
                assert list(late._server._packs.layout.quarantine.iterdir()) == []
                await wait_until(lambda: late._node.ledger.head == three._node.ledger.head)


def _kept(node: RunningNode) -> list[bytes]:
    return [bytes.fromhex(path.stem) for path in node._server._packs.layout.packs.glob("*.pack")]


def test_the_packs_of_this_story_are_single_chunks() -> None:
    """So a liar's answer is a whole pack."""
    assert CHUNK_BYTES > 200_000
