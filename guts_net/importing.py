"""
A database made of a snapshot: built beside the one that there is, and put in its place whole or not at all.

Everything in it follows from what was proven: the records from the root, the past blocks and their receipts
from the hashes of headers, the rest from those. It looks like that of a node which pruned what is older.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from pathlib import Path

from attrs import astuple

from guts_core.chain import schema
from guts_core.chain.block import Block
from guts_core.chain.commit import ReceiptRow
from guts_core.chain.continuity import CHAIN_ID, HISTORY, STATE_ROOT
from guts_core.chain.header import block_hash
from guts_core.chain.indexed import ref_moves
from guts_core.chain.pruned import BASE
from guts_core.chain.trail import EpochStep, proposal_of
from guts_core.chain.transaction import transaction_id
from guts_core.codec import from_bytes, to_bytes
from guts_core.forge.records import Repository
from guts_core.names import Root
from guts_core.state.keys import KEY_PREFIX_BYTES, Kind, Scope
from guts_core.state.view import Pair
from guts_core.sync.rebuilding import Rebuilding, Written
from guts_core.sync.records import PastBlock, StateManifest

from . import store
from .chain_file import connect_to_read
from .protocols import Disk
from .store import ChainDatabase

BESIDE = "chain.db.sync"


def build(
    directory: Path,
    disk: Disk,
    manifest: StateManifest,
    pieces: Iterable[bytes],
    past: Iterable[PastBlock],
    steps: Iterable[EpochStep],
) -> Root:
    """
    Make the database of a snapshot beside the node's own; the root that its state has. Blocks.

    Raises Malformed for pieces that make no state. What an attempt before left is removed.
    """
    path = directory / BESIDE
    discard(directory, disk)
    with closing(ChainDatabase(path, disk)) as database, closing(connect_to_read(path)) as reader:
        rebuilding = Rebuilding(partial(_page, reader))
        for piece in pieces:
            database.write(partial(_write_piece, written=rebuilding.take(piece)))
        known = tuple(steps)
        database.write(lambda writer: _write_chain(writer, manifest, past, known))
        boundary = known[manifest.epoch].header
        database.write(lambda writer: _write_lacking(writer, database, boundary.time))
    # Closing folded the log into the file: the file alone is renamed, and has to be all of it.
    assert not _logs_of(path)[0].exists()
    disk.sync_file(path)
    disk.sync_directory(directory)
    return rebuilding.root


def install(directory: Path, disk: Disk) -> None:
    """Put what was built in the place of the node's database, of which no connection is open. Blocks."""
    path = directory / "chain.db"
    if path.exists():
        # Closing the last connection folds the log into the file: a log left over would spoil the new one.
        ChainDatabase(path, disk).close()
    for log in _logs_of(path):
        disk.unlink(log)
    # Durably, before the file has another's name: a power cut that took back the end of the log would have it replayed.
    disk.sync_directory(directory)
    disk.rename(directory / BESIDE, path)
    disk.sync_directory(directory)


def discard(directory: Path, disk: Disk) -> None:
    """Remove what was built and not installed; absent is no error."""
    path = directory / BESIDE
    for one in (path, *_logs_of(path)):
        disk.unlink(one)


def _logs_of(path: Path) -> tuple[Path, Path]:
    return path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")


def _page(reader: sqlite3.Connection, path: bytes) -> bytes | None:
    row = reader.execute(schema.GET_PAGE, (path,)).fetchone()
    return None if row is None else row[0]


def _write_piece(writer: sqlite3.Connection, written: Written) -> None:
    writer.executemany(store.PUT_RECORD, written.records)
    pages = sorted(written.pages.items())
    writer.executemany("DELETE FROM pages WHERE path = ?", [(path,) for path, page in pages if page is None])
    writer.executemany(store.PUT_PAGE, [one for one in pages if one[1] is not None])
    writer.executemany(store.PUT_DELETED, [row for row in map(_deletion, written.records) if row is not None])


def _deletion(pair: Pair) -> tuple[bytes, bytes, int] | None:
    """The row of a repository that is deleted."""
    key, value = pair
    if key[0] != Scope.REPOSITORY or key[KEY_PREFIX_BYTES - 1] != Kind.REPOSITORY:
        return None
    repository = from_bytes(Repository, value)
    return None if repository.deleted is None else (repository.id, repository.owner, repository.deleted)


def _write_chain(
    writer: sqlite3.Connection, manifest: StateManifest, past: Iterable[PastBlock], steps: tuple[EpochStep, ...]
) -> None:
    last = steps[manifest.epoch]
    for block in past:
        body = from_bytes(Block, block.body)
        is_certified = body.header == last.header and not last.children
        certificate = to_bytes(last.certificate) if is_certified else None
        _write_block(writer, body, block, certificate, last.header.time)
    writer.executemany(store.PUT_STEP, [(epoch, to_bytes(step)) for epoch, step in enumerate(steps)])
    history = manifest.history
    meta = {
        STATE_ROOT: manifest.state_root,
        HISTORY: history.append(block_hash(last.header)).to_bytes(),
        CHAIN_ID: manifest.chain_id,
        BASE: history.to_bytes(),
    }
    writer.executemany(store.PUT_META, sorted(meta.items()))


def _write_block(
    writer: sqlite3.Connection, body: Block, block: PastBlock, certificate: bytes | None, boundary_time: int
) -> None:
    header = body.header
    proposal = proposal_of(header)
    writer.execute(
        store.PUT_BLOCK,
        (header.height, proposal.block_hash, header.view, to_bytes(proposal), block.body, certificate),
    )
    named = [(transaction_id(item.signed.body), item.signed.body) for item in body.items]
    rows = [
        ReceiptRow(tx_id, at, to_bytes(receipt), signed.expires)
        for at, ((tx_id, signed), receipt) in enumerate(zip(named, block.receipts, strict=True))
    ]
    receipts = [(row.tx_id, header.height, row.index, row.receipt) for row in rows]
    writer.executemany(store.PUT_RECEIPT, receipts)
    live = [(row.tx_id, row.expires) for row in rows if row.expires >= boundary_time]
    writer.executemany(store.PUT_REPLAY, live)
    moves = ref_moves(header.height, header.time, named, block.receipts)
    writer.executemany(store.PUT_MOVE, [astuple(move, recurse=False) for move in moves])


def _write_lacking(writer: sqlite3.Connection, database: ChainDatabase, time: int) -> None:
    """Every pack and text that the state lists is to be fetched, as after a loss of the disk."""
    packs = [(pack.repo, pack.digest, pack.idx_digest, pack.size) for pack in database.listed_packs(time)]
    writer.executemany(store.PUT_MISSING, packs)
    texts = [(name.repo, name.commitment) for name in database.listed_texts(time)]
    writer.executemany(store.PUT_MISSING_TEXT, texts)
