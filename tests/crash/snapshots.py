"""
Snapshots: made at the end of an epoch, and a database made of one that takes the place of the node's own.

What is held is whole; the newest that was said to be held still is. The database is the one before or the new
one, wholly.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import trio
from attrs import frozen

from guts_core.chain.block import Block
from guts_core.chain.continuity import STATE_ROOT
from guts_core.chain.genesis import chain_id
from guts_core.codec import to_bytes
from guts_core.sync.pieces import cut
from guts_core.sync.records import PastBlock
from guts_net import importing
from guts_net.disk import LocalDisk
from guts_net.logs import Log
from guts_net.protocols import Disk
from guts_net.snapshots import Held, Snapshots
from guts_net.store import ChainDatabase
from tests.core.sync.sync_world import Chain, a_chain
from tests.crash.blocks import leave_log_beside
from tests.crash.exploring import Workload
from tests.crash.fault_disk import FaultDisk

EPOCHS = 4
LOG = Log("crash")


def _chain() -> Chain:
    return a_chain(EPOCHS, 2, 60)


def _height(ended: int) -> int:
    return _chain().steps[ended - 1].header.height


def _import(directory: Path, disk: Disk, ended: int) -> None:
    """A database at the end of an epoch, from a snapshot of it."""
    chain = _chain()
    pieces = [piece for piece, _ in cut(chain.state)]
    manifest = chain.manifest(ended - 1, pieces)
    past = [
        PastBlock(to_bytes(Block(one, ())), ()) for one in chain.headers[max(0, manifest.past - 2) : manifest.height]
    ]
    importing.build(directory, disk, manifest, pieces, reversed(past), chain.steps[:ended])
    importing.install(directory, disk)


def _snapshots(directory: Path, disk: Disk) -> Snapshots:
    return Snapshots(directory, disk, chain_id(_chain().genesis), LOG)


def _make_all(directory: Path, disk: FaultDisk) -> None:
    """One at the end of each epoch, so that the oldest go."""
    snapshots = _snapshots(directory, disk)
    for ended in range(1, EPOCHS + 1):
        _import(directory, disk, ended)
        trio.run(snapshots.make, snapshots.freeze())
        disk.promise(snapshots.held[0].manifest.height)


@frozen
class Found:
    """What a start holds, and which pieces of it can be read."""

    held: tuple[Held, ...]
    pieces: Sequence[bool]


def _look(directory: Path, disk: Disk) -> Found:
    snapshots = _snapshots(directory, disk)
    held = snapshots.held
    return Found(
        held,
        [
            snapshots.read_piece(one.digest, index) is not None
            for one in held
            for index in range(len(one.manifest.pieces))
        ],
    )


def _check(_: Path, found: Found, promises: list[int]) -> None:
    assert all(found.pieces), "a snapshot that is not whole is held"
    if promises:
        assert found.held, "a snapshot that was whole is gone"
        assert found.held[0].manifest.height >= promises[-1]


def _first(directory: Path) -> None:
    """A node that has seen the end of one epoch."""
    _import(directory, LocalDisk(), 1)


def _cut_off(directory: Path) -> None:
    """The same, after a commit and a power cut: the newest stands in the log beside the database alone."""
    _first(directory)
    leave_log_beside(
        directory / "chain.db",
        lambda database: database.write(lambda writer: writer.execute("UPDATE records SET value = x'00'")),
    )


def _replace(directory: Path, disk: FaultDisk) -> None:
    """It finds itself far behind, and takes a snapshot."""
    _import(directory, disk, EPOCHS)
    disk.promise(EPOCHS)


@frozen
class Opened:
    """A database that opened."""

    height: int
    spoiled: int
    state_root: bytes | None
    integrity: str


def _open(directory: Path, disk: Disk) -> Opened:
    importing.discard(directory, disk)
    with closing(ChainDatabase(directory / "chain.db", disk)) as database:
        height, root = database.height(), database.meta(STATE_ROOT)
    with closing(sqlite3.connect(directory / "chain.db")) as reader:
        spoiled = reader.execute("SELECT count(*) FROM records WHERE value = x'00'").fetchone()[0]
        return Opened(height, spoiled, root, reader.execute("PRAGMA integrity_check").fetchone()[0])


def _check_replaced(_: Path, found: Opened, promises: list[int]) -> None:
    assert found.integrity == "ok"
    assert found.state_root == _chain().steps[0].header.state_root
    old, new = (_height(1), len(_chain().state)), (_height(EPOCHS), 0)
    assert (found.height, found.spoiled) in ((new,) if promises else (old, new)), "records of two databases are mixed"


MAKING = Workload("snapshot", _first, _make_all, _look, _check)
IMPORT = Workload("import", _cut_off, _replace, _open, _check_replaced)
