"""
Snapshots of the state on this node's disk: made at the end of each epoch, kept until two newer ones are whole.

The state is read in one transaction that began right after the block, on a connection of its own, while
later blocks are written; a snapshot that is not whole when the node stops is made by the others.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import trio
from attrs import frozen

from guts_core.chain import schema
from guts_core.chain.block import Block, header_of
from guts_core.chain.commit import StoredBlock
from guts_core.chain.header import Header, block_hash
from guts_core.chain.history import EMPTY, History
from guts_core.chain.pruned import BASE
from guts_core.chain.receipt import Receipt
from guts_core.chain.trail import EpochStep
from guts_core.chain.transaction import transaction_id
from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import Corrupt, Malformed
from guts_core.names import BlockHash, ChainId
from guts_core.state.view import Pair
from guts_core.sync.messages import Answer, Question
from guts_core.sync.past import reaches_back
from guts_core.sync.pieces import cut
from guts_core.sync.records import PIECES_MAX, Offer, PastBlock, StateManifest, manifest_digest, piece_hash
from guts_core.sync.serving import answer

from .chain_file import connect_to_read
from .disk import NO_ROOM, make_lasting_directory
from .logs import Log
from .protocols import Disk

DIRECTORY = "snapshots"
MANIFEST = "manifest"
UNDER_WAY = "new"
# Who joins while an epoch ends goes on with the one before.
KEPT = 2
_ALL_RECORDS = "SELECT key, value FROM records ORDER BY key"
_HASHES_BETWEEN = "SELECT hash FROM blocks WHERE height >= ? AND height < ? ORDER BY height"
_NAME = re.compile(r"(\d{12})-([0-9a-f]{64})")
_NAME_FORMAT = "{height:012}-{digest}"


class Frozen:
    """The committed chain as it was at one moment; close it soon, for the log cannot be folded meanwhile."""

    def __init__(self, database: Path, chain_id: ChainId) -> None:
        self._chain_id = chain_id
        self._reader = connect_to_read(database)
        self._reader.execute("BEGIN")
        self.height: int = self._reader.execute(schema.TOP).fetchone()[0] or 0

    def close(self) -> None:
        """Let the moment go."""
        self._reader.close()

    def records(self) -> Iterator[Pair]:
        """All of the state, in order."""
        yield from self._reader.execute(_ALL_RECORDS)

    def header(self, height: int) -> Header:
        """The header of a block that is stored."""
        row = self._reader.execute(schema.GET_BLOCK, (height,)).fetchone()
        if row is None:
            raise Corrupt(f"block {height} is not stored")
        return header_of(StoredBlock(*row).body)

    def history_below(self, height: int) -> History:
        """The history of all headers below a block."""
        row = self._reader.execute(schema.GET_META, (BASE,)).fetchone()
        history = EMPTY.append(BlockHash(self._chain_id)) if row is None else History.from_bytes(row[0])
        for (found,) in self._reader.execute(_HASHES_BETWEEN, (history.count, height)):
            history = history.append(BlockHash(found))
        if history.count != height:
            raise Corrupt(f"the headers below block {height} are not all here")
        return history

    def past(self, header: Header) -> int:
        """The lowest block whose transactions may still be repeated after this one."""
        height = header.height
        while height > 1 and reaches_back(self.header(height - 1).time, header.time):
            height -= 1
        return height


@frozen
class Held:
    """A whole snapshot on disk."""

    path: Path
    manifest: StateManifest
    digest: bytes


class Snapshots:
    """Those of one node. What they hold is what peers are given."""

    def __init__(self, directory: Path, disk: Disk, chain_id: ChainId, log: Log) -> None:
        self._path, self._disk, self._chain_id, self._log = directory / DIRECTORY, disk, chain_id, log
        self._database = directory / "chain.db"
        self._held = {one.digest: one for one in self._found()}
        self._writing = trio.Lock()

    @property
    def held(self) -> tuple[Held, ...]:
        """Whole snapshots, newest first."""
        return tuple(sorted(self._held.values(), key=lambda one: -one.manifest.height))

    def freeze(self) -> Frozen:
        """The chain as it is committed now. Call it before the next commit, and give it to ``make``."""
        return Frozen(self._database, self._chain_id)

    async def make(self, frozen: Frozen) -> None:
        """Write the snapshot of that moment, which is the end of an epoch; a full disk leaves none, and is no harm."""
        async with self._writing:
            try:
                with closing(frozen):
                    held = await trio.to_thread.run_sync(self._make, frozen)
            except OSError as error:
                self._disk.remove_tree(self._path / UNDER_WAY)
                if error.errno not in NO_ROOM:
                    raise
                self._log.warning("snapshot_not_made", height=frozen.height, reason=str(error))
                return
            self._held[held.digest] = held
            self._log.info("snapshot_made", height=held.manifest.height, pieces=len(held.manifest.pieces))
            await trio.to_thread.run_sync(self._forget_old)

    def read_piece(self, digest: bytes, index: int) -> bytes | None:
        """A piece of a whole snapshot; None if it is not here or the disk spoiled it."""
        held = self._held.get(digest)
        if held is None or index >= len(held.manifest.pieces):
            return None
        try:
            piece = (held.path / _piece_name(index)).read_bytes()
        except OSError:
            piece = b""
        if piece_hash(piece) != held.manifest.pieces[index]:
            self._log.error("snapshot_damaged", height=held.manifest.height, piece=index)
            self._held.pop(digest, None)  # made again at the end of this epoch; others hold it meanwhile
            return None
        return piece

    def _make(self, frozen: Frozen) -> Held:
        under_way = self._path / UNDER_WAY
        self._disk.remove_tree(under_way)
        make_lasting_directory(self._disk, self._path)
        self._disk.make_directory(under_way)
        manifest = self._write_pieces(frozen, under_way)
        digest = manifest_digest(manifest)
        self._write(under_way / MANIFEST, to_bytes(manifest))
        self._disk.sync_directory(under_way)
        path = self._path / _NAME_FORMAT.format(height=manifest.height, digest=digest.hex())
        if path.exists():
            self._disk.remove_tree(under_way)
        else:
            self._disk.rename(under_way, path)
            self._disk.sync_directory(self._path)
        return Held(path, manifest, digest)

    def _write_pieces(self, frozen: Frozen, under_way: Path) -> StateManifest:
        hashes: list[bytes] = []
        records = 0
        for piece, count in cut(frozen.records()):
            self._write(under_way / _piece_name(len(hashes)), piece)
            hashes.append(piece_hash(piece))
            records += count
        if len(hashes) > PIECES_MAX:
            raise Corrupt(f"a state of {len(hashes)} pieces: a snapshot has at most {PIECES_MAX}")
        header = frozen.header(frozen.height)
        return StateManifest(
            chain_id=self._chain_id,
            epoch=header.epoch,
            height=header.height,
            block_hash=block_hash(header),
            state_root=header.state_root,
            pieces=tuple(hashes),
            records=records,
            peaks=frozen.history_below(header.height).peaks,
            past=frozen.past(header),
        )

    def _write(self, path: Path, data: bytes) -> None:
        with closing(self._disk.create(path)) as file:
            file.write(data)
            file.sync()

    def _forget_old(self) -> None:
        """Only after a newer one is whole, and its name durable."""
        for old in self.held[KEPT:]:
            del self._held[old.digest]
            # The manifest first, durably: what a power cut leaves of the rest is not taken for a whole one.
            self._disk.unlink(old.path / MANIFEST)
            self._disk.sync_directory(old.path)
            self._disk.remove_tree(old.path)

    def _found(self) -> Iterator[Held]:
        """What an earlier life left whole; the rest is removed."""
        for path in sorted(self._path.iterdir()) if self._path.is_dir() else ():
            held = _read(path)
            if held is None:
                self._disk.remove_tree(path)
            else:
                yield held


def _read(path: Path) -> Held | None:
    named = _NAME.fullmatch(path.name)
    try:
        manifest = from_bytes(StateManifest, (path / MANIFEST).read_bytes())
    except (OSError, Malformed):
        return None
    digest = manifest_digest(manifest)
    is_named = named is not None and named.groups() == (f"{manifest.height:012}", digest.hex())
    return Held(path, manifest, digest) if is_named else None


def _piece_name(index: int) -> str:
    return f"piece-{index:08}"


class LocalState:
    """What this node tells those who join: a ``sync.serving.Source`` over its database and its snapshots."""

    def __init__(self, database: Path, snapshots: Snapshots) -> None:
        self._database, self._snapshots = database, snapshots

    async def serve(self, question: Question) -> Answer:
        """The answer, read beside the loop."""
        return await trio.to_thread.run_sync(self._answer, question)

    def _answer(self, question: Question) -> Answer:
        with closing(connect_to_read(self._database)) as reader:
            reader.execute("BEGIN")
            return answer(question, _Reading(reader, self._snapshots))


class _Reading:
    """One answer's view of both."""

    def __init__(self, reader: sqlite3.Connection, snapshots: Snapshots) -> None:
        self._reader, self._snapshots = reader, snapshots

    def standing(self) -> tuple[int, int, int]:
        height, ended = self._one(schema.TOP) or 0, self._one(schema.COUNT_STEPS) or 0
        return height, ended, self._one(schema.FIRST) or 1

    def offers(self) -> tuple[Offer, ...]:
        """Those whose end of epoch can be shown."""
        ended = self._one(schema.COUNT_STEPS) or 0
        held = [one for one in self._snapshots.held if one.manifest.epoch < ended]
        return tuple(Offer(one.manifest.height, one.digest) for one in held[:KEPT])

    def step(self, epoch: int) -> EpochStep | None:
        row = self._reader.execute(schema.GET_STEP, (epoch,)).fetchone()
        return None if row is None else from_bytes(EpochStep, row[0])

    def manifest(self, digest: bytes) -> StateManifest | None:
        return next((one.manifest for one in self._snapshots.held if one.digest == digest), None)

    def piece(self, digest: bytes, index: int) -> bytes | None:
        return self._snapshots.read_piece(digest, index)

    def past(self, block_hash: BlockHash) -> PastBlock | None:
        row = self._reader.execute(schema.GET_BLOCK_BY_HASH, (block_hash,)).fetchone()
        if row is None:
            return None
        body = StoredBlock(*row).body
        return PastBlock(body, tuple(self._receipts(body)))

    def _receipts(self, body: bytes) -> Iterator[Receipt]:
        for item in from_bytes(Block, body).items:
            row = self._reader.execute(schema.GET_RECEIPT, (transaction_id(item.signed.body),)).fetchone()
            yield from_bytes(Receipt, row[2])

    def _one(self, sql: str) -> int | None:
        found: int | None = self._reader.execute(sql).fetchone()[0]
        return found
