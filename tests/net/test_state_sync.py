"""Joining from a snapshot with real links and disks: the whole database or none, whatever crashes on the way."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import trio
from attrs import evolve

from guts_core.chain import schema
from guts_core.chain.audit import audit_root
from guts_core.chain.commit import ChainStore
from guts_core.chain.header import block_hash
from guts_core.state.nodes import EMPTY_ROOT
from guts_core.sync.machine import Phase, Progress
from guts_core.sync.messages import Answer, Question, StatePiece
from guts_core.sync.records import manifest_digest
from guts_net import state_sync
from guts_net.chain_file import connect_to_read
from guts_net.disk import LocalDisk
from guts_net.peers.bulk import ServeState
from guts_net.snapshots import KEPT, LocalState, Snapshots
from guts_net.store import ChainDatabase
from tests.core.sync.sync_world import Chain, a_chain

from .state_world import LOG, join, local, serving, with_snapshot, write_node

# Some 4 MiB of state: several pieces.
CHAIN_RECORDS = 15_000


def chain() -> Chain:
    return a_chain(count=CHAIN_RECORDS)


def check_whole(directory: Path, found: Chain, ended: int = 3) -> None:
    """What the database says is what the chain says, to the last record."""
    boundary = found.steps[ended - 1].header
    with closing(ChainDatabase(directory / "chain.db", LocalDisk())) as database:
        store: ChainStore = database
        assert store.height() == boundary.height
        top = store.block_at(boundary.height)
        assert top is not None
        assert top.block_hash == block_hash(boundary)
        audit_root(boundary.state_root, database.page)
    with closing(connect_to_read(directory / "chain.db")) as reader:
        assert tuple(reader.execute("SELECT key, value FROM records ORDER BY key")) == found.state
        assert reader.execute(schema.COUNT_STEPS).fetchone() == (ended,)


async def test_a_node_joins_over_real_links(tmp_path: Path) -> None:
    homes = [tmp_path / f"node{index}" for index in range(3)]
    snapshots = [await with_snapshot(home, chain(), 3) for home in homes]
    seen: list[Progress] = []

    async with serving(chain(), [local(*pair) for pair in zip(homes, snapshots, strict=True)]) as served:
        synced = await join(tmp_path / "joiner", chain(), served, on_progress=seen.append)

    assert synced is not None
    assert synced.height == 120
    check_whole(tmp_path / "joiner", chain())
    assert not state_sync.is_wanted(tmp_path / "joiner")
    assert {path.name.partition("-")[0] for path in (tmp_path / "joiner").iterdir()} == {"chain.db"}
    assert seen[-1].phase is Phase.DONE
    assert seen[-1].done == seen[-1].total


async def test_a_snapshot_has_the_same_bytes_on_every_node(tmp_path: Path) -> None:
    """Were they not, a joining node could not take pieces from several."""
    first = await with_snapshot(tmp_path / "one", chain(), 3)
    second = await with_snapshot(tmp_path / "two", chain(), 3)

    assert first.held[0].digest == second.held[0].digest
    one, two = ({path.name: path.read_bytes() for path in made.held[0].path.iterdir()} for made in (first, second))
    assert one == two
    assert len(one) > 4
    assert all(len(piece) <= 1 << 20 for piece in one.values())
    assert manifest_digest(first.held[0].manifest) == first.held[0].digest


async def test_older_snapshots_go_when_two_newer_ones_are_whole(tmp_path: Path) -> None:
    disk = LocalDisk()
    found = a_chain(epochs=4)
    made: list[int] = []
    for ended in (1, 2, 3, 4):
        write_node(tmp_path, found, ended)
        snapshots = Snapshots(tmp_path, disk, found.steps[0].header.chain_id, LOG)
        await snapshots.make(snapshots.freeze())
        made.append(len(snapshots.held))

    assert made == [1, KEPT, KEPT, KEPT]
    assert [one.manifest.height for one in snapshots.held] == [160, 120]
    again = Snapshots(tmp_path, disk, found.steps[0].header.chain_id, LOG)
    assert [one.digest for one in again.held] == [one.digest for one in snapshots.held]


async def test_a_half_written_snapshot_is_removed_at_the_next_start(tmp_path: Path) -> None:
    snapshots = await with_snapshot(tmp_path, a_chain(), 3)
    (snapshots.held[0].path / "manifest").unlink()
    (tmp_path / "snapshots" / "new").mkdir()

    again = Snapshots(tmp_path, LocalDisk(), a_chain().steps[0].header.chain_id, LOG)

    assert again.held == ()
    assert list((tmp_path / "snapshots").iterdir()) == []


async def test_a_piece_that_the_disk_spoiled_is_not_handed_out(tmp_path: Path) -> None:
    """An honest node with a bad disk would be taken for a liar."""
    snapshots = await with_snapshot(tmp_path, a_chain(), 3)
    held = snapshots.held[0]
    piece = held.path / "piece-00000000"
    piece.write_bytes(piece.read_bytes()[:-1] + b"!")

    assert snapshots.read_piece(held.digest, 0) is None
    assert snapshots.held == ()


async def test_one_who_lies_about_pieces_is_left_out(tmp_path: Path) -> None:
    homes = [tmp_path / "honest", tmp_path / "liar"]
    snapshots = [await with_snapshot(home, chain(), 3) for home in homes]
    honest, also = (local(*pair) for pair in zip(homes, snapshots, strict=True))
    lies = 0

    async def lie(question: Question) -> Answer:
        nonlocal lies
        answer = await also(question)
        if not isinstance(answer, StatePiece):
            return answer
        lies += 1
        return evolve(answer, data=answer.data[:-1] + bytes((answer.data[-1] ^ 1,)))

    serves: list[ServeState] = [honest, lie]
    async with serving(chain(), serves) as served:
        assert await join(tmp_path / "joiner", chain(), served) is not None

    check_whole(tmp_path / "joiner", chain())
    assert lies >= 1


async def test_nobody_offers_a_snapshot_in_the_first_epoch(tmp_path: Path) -> None:
    """Then blocks one by one are the way, and nothing is left of the attempt."""
    found = a_chain()
    write_node(tmp_path / "node", found, 3)
    empty = Snapshots(tmp_path / "node", LocalDisk(), found.steps[0].header.chain_id, LOG)
    state_sync.want(_made(tmp_path / "joiner"), LocalDisk())

    async with serving(found, [LocalState(tmp_path / "node" / "chain.db", empty).serve]) as served:
        assert await join(tmp_path / "joiner", found, served) is None

    assert list((tmp_path / "joiner").iterdir()) == []


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


class PowerCut(Exception):  # what a test does to the disk
    """The machine stopped before this operation."""


class FailingDisk(LocalDisk):
    """Stops before one operation; counts them all."""

    def __init__(self, stop_at: int | None) -> None:
        super().__init__()
        self.operations, self._stop_at = 0, stop_at

    def _count(self) -> None:
        self.operations += 1
        if self.operations == self._stop_at:
            raise PowerCut

    def write_file(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        """Counted."""
        self._count()
        super().write_file(path, data, mode)

    def rename(self, source: Path, target: Path) -> None:
        """Counted."""
        self._count()
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        """Counted."""
        self._count()
        super().unlink(path)

    def sync_directory(self, path: Path) -> None:
        """Counted."""
        self._count()
        super().sync_directory(path)

    def sync_file(self, path: Path) -> None:
        """Counted."""
        self._count()
        super().sync_file(path)

    def remove_tree(self, path: Path) -> None:
        """Counted."""
        self._count()
        super().remove_tree(path)


async def test_a_crash_at_any_operation_leaves_the_old_state_or_the_new_one(tmp_path: Path) -> None:
    """Before the database is in place the old one is whole, after that the new one; a second start ends it."""
    found = a_chain()
    snapshots = await with_snapshot(tmp_path / "node", found, 3)
    counting = FailingDisk(None)
    async with serving(found, [local(tmp_path / "node", snapshots)]) as served:
        write_node(tmp_path / "counted", found, 1)
        assert await join(tmp_path / "counted", found, served, counting) is not None
        assert counting.operations > 15
        for stop_at in range(1, counting.operations + 1):
            home = tmp_path / f"joiner{stop_at}"
            write_node(home, found, 1)
            state_sync.want(home, LocalDisk())
            with pytest.raises((PowerCut, BaseExceptionGroup)):
                await join(home, found, served, FailingDisk(stop_at))

            height = _height(home)
            assert height in (40, 120)
            check_whole(home, found, 1 if height == 40 else 3)
            if state_sync.is_wanted(home):
                await join(home, found, served)
            check_whole(home, found)


def _height(home: Path) -> int:
    with closing(ChainDatabase(home / "chain.db", LocalDisk())) as database:
        return database.height()


async def test_a_state_of_another_root_never_takes_the_place_of_the_own_one(tmp_path: Path) -> None:
    """All peers lie together: nothing is installed, and nothing is served."""
    found = a_chain()
    snapshots = await with_snapshot(tmp_path / "node", found, 3)
    held = snapshots.held[0]
    manifest = evolve(held.manifest, state_root=EMPTY_ROOT)
    snapshots._held = {manifest_digest(manifest): evolve(held, manifest=manifest, digest=manifest_digest(manifest))}
    home = tmp_path / "joiner"
    write_node(home, found, 1)

    async with serving(found, [local(tmp_path / "node", snapshots)]) as served:
        with trio.move_on_after(4):
            await join(home, found, served)

    check_whole(home, found, 1)
