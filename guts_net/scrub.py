"""
The scrubber: reads again, slowly, what this disk was given, and holds it against what a quorum signed (F07, F09).

A first look at start is taken before anything is served, for as long as ``START_SECONDS``; small states are
looked at whole, and so is a database that was never served from here: a backup that was put back, a snapshot.
What is left, and everything again each round, is read in the background in small steps.

A damaged pack is taken out of its repositories and fetched again from another validator. A damaged
database cannot be mended in place: the node leaves rotation (``readyz``) and says what to do. Not covered:
tables that only speed reads up (the log of refs, deletions), which follow from the blocks.
"""

from __future__ import annotations

import errno
import math
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import trio
from attrs import frozen

from guts_core.chain import schema
from guts_core.chain.audit import audit_block, audit_page, audit_records, audit_root, leaves_in, parent_of
from guts_core.chain.block import Block, header_of
from guts_core.chain.commit import StoredBlock
from guts_core.chain.continuity import STATE_ROOT
from guts_core.chain.pruned import BASE
from guts_core.chain.transaction import transaction_id
from guts_core.codec import from_bytes
from guts_core.errors import Corrupt, GutsError, Malformed, Unavailable
from guts_core.git.chunks import BlobDigest
from guts_core.names import BlockHash, RepoId, Root
from guts_core.simplex.messages import Certificate, Proposal
from guts_core.state.tree import GetPage

from .chain_file import check_tables
from .logs import Log
from .packs import PackStore
from .store import ChainDatabase, MissingPack
from .tally import Tally

# A start may take this much longer; 2 s look at some 20,000 records.
START_SECONDS = 2.0
# Beside a step of the scrubber, nine times as long nothing: a tenth of one core at most, in steps of milliseconds.
REST_FACTOR = 9
REST_SECONDS_LEAST = 0.02
ROUND_SECONDS = 24 * 3600.0
# A machine that had no file to open may have one by then.
POSTPONED_SECONDS = 60.0
PAGES_A_STEP, RECORDS_A_STEP, BLOCKS_A_STEP = 32, 200, 16
# 16 MiB/s of packs at most: a disk of 100 MB/s keeps most of itself for others.
PACK_PIECE_BYTES = 1 << 20
PACK_REST_SECONDS = 1 / 16

# Where the walk over the blocks begins, wherever they do.
_BEFORE_ALL = -1
_PAGES_AFTER = "SELECT path, data FROM pages WHERE path > ? ORDER BY path LIMIT ?"
_RECORDS_AFTER = "SELECT key, value FROM records WHERE key > ? ORDER BY key LIMIT ?"
_BLOCKS_AFTER = "SELECT height, hash, proposal, body, certificate FROM blocks WHERE height > ? ORDER BY height LIMIT ?"
_ALL_PAGES = "SELECT path, data FROM pages"
_EXPIRES = "SELECT expires FROM replay WHERE tx_id = ?"
_COUNT_RECORDS = "SELECT count(*) FROM records"

CheckCertificate = Callable[[Certificate], None]
REBUILD_WORDS = "stop this node, move chain.db away and start it again: it fetches the chain from the other validators"
ALONE_WORDS = "no other validator has a copy: restore it from a backup"


# Errors of a machine that is short of something, not of what lies on its disk.
_LATER = frozenset({
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_FULL,
})  # fmt: skip
_SHORT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class Postponed(Unavailable):
    """The machine cannot look now; nothing is said about what it would see."""

    code = "scrub-postponed"


@frozen
class Pace:
    """How fast the scrubber works; tests hurry it."""

    start_seconds: float = START_SECONDS
    rest_seconds_least: float = REST_SECONDS_LEAST
    rest_factor: float = REST_FACTOR
    pack_rest_seconds: float = PACK_REST_SECONDS
    round_seconds: float = ROUND_SECONDS


class DatabaseAudit:
    """One pass over ``chain.db``, in steps; each is one short read transaction. Blocks."""

    def __init__(self, path: Path, check_certificate: CheckCertificate) -> None:
        self._path, self._check_certificate = path, check_certificate
        self._below: BlockHash | None = None

    def steps(self) -> Iterator[None]:
        """Look at the next part with each turn; raises Corrupt with words."""
        yield from self._walk(lambda reader, _: check_tables(reader), _BEFORE_ALL)
        yield from self._walk(self._pages, b"")
        yield from self._walk(self._records, b"")
        yield from self._walk(self._blocks, _BEFORE_ALL)
        yield from self._walk(self._count, 0)

    def _walk(self, look: Callable[[sqlite3.Connection, object], object], cursor: object) -> Iterator[None]:
        following: object = cursor
        while following is not None:
            try:
                with closing(self._open()) as reader:
                    reader.execute("BEGIN")
                    following = look(reader, following)
            except (sqlite3.DatabaseError, Malformed, TypeError, ValueError) as error:
                # A blob that became a text and is none is reported without a code.
                code = getattr(error, "sqlite_errorcode", 0)
                if isinstance(error, sqlite3.OperationalError) and code & 0xFF in _LATER:
                    raise Postponed(str(error)) from error
                # The last two: a flipped bit made a blob a text or a number.
                raise Corrupt(f"{self._path.name} cannot be read whole: {error}") from error
            yield

    def _open(self) -> sqlite3.Connection:
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)

    def _pages(self, reader: sqlite3.Connection, after: object) -> object:
        get = _pages_of(reader)
        if after == b"":
            top = _top(reader)
            root = reader.execute(schema.GET_META, (STATE_ROOT,)).fetchone()
            if top is None:
                return None
            header = header_of(top.body)
            if root is None or root[0] != header.state_root:
                raise Corrupt(f"the state root that is stored is not the one of block {top.height}")
            audit_root(Root(header.state_root), get)
            if (raw := get(b"")) is not None:
                audit_page(b"", raw, get)
        rows = reader.execute(_PAGES_AFTER, (after, PAGES_A_STEP)).fetchall()
        for path, raw in rows:
            audit_page(path, raw, get)
        return rows[-1][0] if rows else None

    def _records(self, reader: sqlite3.Connection, after: object) -> object:
        rows = reader.execute(_RECORDS_AFTER, (after, RECORDS_A_STEP)).fetchall()
        audit_records(rows, _pages_of(reader))
        return rows[-1][0] if rows else None

    def _blocks(self, reader: sqlite3.Connection, after: object) -> object:
        first = reader.execute(schema.FIRST).fetchone()[0]
        if after == _BEFORE_ALL or (first is not None and isinstance(after, int) and after < first - 1):
            # What is below was pruned, or never came; and pruning goes on while this walks.
            if first is not None and first > 1 and reader.execute(schema.GET_META, (BASE,)).fetchone() is None:
                raise Corrupt("block 1 is missing")
            after, self._below = (first or 1) - 1, None
        rows = reader.execute(_BLOCKS_AFTER, (after, BLOCKS_A_STEP)).fetchall()
        newest = _top(reader)
        for row in rows:
            assert newest is not None
            assert isinstance(after, int)
            after += 1
            stored = StoredBlock(*row)
            if stored.height != after:
                raise Corrupt(f"block {after} is missing")
            self._block(reader, stored, header_of(newest.body).time)
        return after if rows else None

    def _block(self, reader: sqlite3.Connection, stored: StoredBlock, now: int) -> None:
        receipts = []
        for position, item in enumerate(from_bytes(Block, stored.body).items):
            tx_id = transaction_id(item.signed.body)
            row = reader.execute(schema.GET_RECEIPT, (tx_id,)).fetchone()
            if row is None or row[:2] != (stored.height, position):
                raise Corrupt(f"receipt {position} of block {stored.height} is missing")
            receipts.append(row[2])
            expires = item.signed.body.expires
            if expires >= now and reader.execute(_EXPIRES, (tx_id,)).fetchone() != (expires,):
                raise Corrupt(f"a transaction of block {stored.height} is not in the table against replays")
        audit_block(stored, receipts)
        by_hash = reader.execute(schema.GET_BLOCK_BY_HASH, (stored.block_hash,)).fetchone()
        if by_hash is None or by_hash[0] != stored.height:
            raise Corrupt(f"block {stored.height} is not found by its hash")
        if self._below is not None and parent_of(stored) != self._below:
            raise Corrupt(f"block {stored.height} does not stand on the block below it")
        self._below = stored.block_hash
        self._agreed(stored)

    def _agreed(self, stored: StoredBlock) -> None:
        proposal = from_bytes(Proposal, stored.proposal)
        if proposal.block_hash != stored.block_hash:
            raise Corrupt(f"block {stored.height} is stored with the proposal of another")
        if stored.certificate is None:
            return
        certificate = from_bytes(Certificate, stored.certificate)
        try:
            self._check_certificate(certificate)
        except GutsError as error:
            raise Corrupt(f"the certificate of block {stored.height} is damaged: {error}") from error
        if certificate.proposal != proposal:
            raise Corrupt(f"block {stored.height} is stored with the certificate of another")

    def _count(self, reader: sqlite3.Connection, _: object) -> None:
        """No record lost its row: as many records as leaves. One transaction, for both change with every block."""
        records = reader.execute(_COUNT_RECORDS).fetchone()[0]
        leaves = sum(leaves_in(path, raw) for path, raw in reader.execute(_ALL_PAGES))
        if records != leaves:
            raise Corrupt(f"there are {records} records, the state root commits to {leaves}")


class Scrubber:
    """Looks at start, then round after round; ``damage`` says what was found and could not be mended."""

    def __init__(
        self,
        path: Path,
        database: ChainDatabase,
        packs: PackStore,
        *,
        check_certificate: CheckCertificate,
        listed: Callable[[], list[MissingPack]],
        wake_repair: Callable[[], None],
        is_alone: Callable[[], bool],
        pace: Pace | None = None,
        tally: Tally | None = None,
    ) -> None:
        self._tally = tally or Tally()
        self._path, self._database, self._packs, self._listed = path, database, packs, listed
        self._check_certificate, self._wake_repair, self._is_alone = check_certificate, wake_repair, is_alone
        self._pace, self._log = pace or Pace(), Log("scrub")
        self._suspects: dict[bytes, None] = {}
        self._wake = trio.Event()
        self._left: Iterator[None] | None = None  # what the look at start did not come to
        self.damage: str | None = None
        self.rounds = 0

    def suspect(self, digest: bytes) -> None:
        """Somebody had trouble with this pack: look at it soon."""
        self._suspects[digest] = None
        self._wake.set()

    async def look_at_start(self, *, whole: bool) -> None:
        """
        Raises Corrupt, with what to do, if the database is not what a quorum signed as far as was looked.

        ``whole``: at all of it, however long that takes, because it was never served from here.
        """
        steps = self._audit()
        ends = math.inf if whole else time.monotonic() + self._pace.start_seconds

        def look() -> bool:
            until = min(ends, time.monotonic() + START_SECONDS)
            while time.monotonic() < until:
                if not _step(steps):
                    return True
            return False

        try:
            done = False
            while not done and time.monotonic() < ends:
                done = await trio.to_thread.run_sync(look)
        except Postponed:
            return
        except Corrupt as damage:
            raise Corrupt(self._words(damage)) from damage
        self._left = None if done else steps

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._scrub_database()
                await self._scrub_packs()
                self.rounds += 1
                self._log.info("scrubbed", round=self.rounds, damage=self.damage)
                with trio.move_on_after(self._pace.round_seconds):
                    await self._look_at_suspects()
            except Postponed as error:
                self._log.warning("scrub_postponed", reason=str(error))
                await trio.sleep(min(POSTPONED_SECONDS, self._pace.round_seconds))

    async def _look_at_suspects(self) -> None:
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            suspects, self._suspects = set(self._suspects), {}
            for pack in await trio.to_thread.run_sync(self._listed_now):
                if pack.digest in suspects:
                    await self._scrub_pack(pack)

    def _listed_now(self) -> list[MissingPack]:
        try:
            return self._listed()
        except sqlite3.OperationalError as error:
            raise Postponed(str(error)) from error

    def _audit(self) -> Iterator[None]:
        return DatabaseAudit(self._path, self._check_certificate).steps()

    async def _scrub_database(self) -> None:
        steps, self._left = self._left or self._audit(), None
        try:
            while await self._paced(steps):
                pass
        except Corrupt as damage:
            self.damage = self._words(damage)
            self._log.error("database_damaged", reason=str(damage))

    async def _paced(self, steps: Iterator[None]) -> bool:
        begun = time.monotonic()
        more = await trio.to_thread.run_sync(_step, steps)
        self._tally.add("scrub_steps")
        took = time.monotonic() - begun
        await trio.sleep(max(self._pace.rest_seconds_least, took * self._pace.rest_factor))
        return more

    async def _scrub_packs(self) -> None:
        for pack in await trio.to_thread.run_sync(self._listed_now):
            await self._scrub_pack(pack)

    async def _scrub_pack(self, pack: MissingPack) -> None:
        if not self._packs.has(pack.digest):
            return
        self._tally.add("scrub_packs")
        paths = (
            (self._packs.layout.pack(pack.digest), pack.digest),
            (self._packs.layout.idx(pack.digest), pack.idx_digest),
        )
        for path, digest in paths:
            try:
                found = await self._digest(path)
            except FileNotFoundError:
                return  # removed meanwhile
            except OSError as error:  # the disk gives nothing back for it: as bad as other bytes
                if error.errno in _SHORT:
                    raise Postponed(str(error)) from error
                self._log.error("pack_unreadable", digest=pack.digest.hex(), reason=str(error))
                found = b""
            if found != digest:
                await self._condemn(pack, path)
                return

    async def _digest(self, path: Path) -> bytes:
        digest = BlobDigest()
        with await trio.to_thread.run_sync(path.open, "rb") as raw:
            while piece := await trio.to_thread.run_sync(raw.read, PACK_PIECE_BYTES):
                await trio.to_thread.run_sync(digest.update, piece)
                await trio.sleep(self._pace.pack_rest_seconds)
        return digest.finish().digest

    async def _condemn(self, pack: MissingPack, path: Path) -> None:
        self._tally.add("scrub_damaged_packs")
        self._log.error("pack_damaged", digest=pack.digest.hex(), file=path.name, alone=self._is_alone())
        if self._is_alone():
            self.damage = f"{path.name} is damaged; {ALONE_WORDS}"
            return
        done: set[RepoId] = set()
        # Links are one file, so it rotted in each repository that lists it; also in one that came meanwhile.
        while rows := await trio.to_thread.run_sync(self._listing, pack.digest, done):
            for row in rows:
                # The row first: a crash in between leaves a pack that is looked at again, never one that nobody misses.
                await trio.to_thread.run_sync(self._database.add_missing, row)
            await self._packs.set_aside(pack.digest, [row.repo for row in rows])
            done |= {row.repo for row in rows}
        self._wake_repair()

    def _listing(self, digest: bytes, done: set[RepoId]) -> list[MissingPack]:
        return [row for row in self._listed_now() if row.digest == digest and row.repo not in done]

    def _words(self, damage: Corrupt) -> str:
        return f"{self._path.name} is damaged ({damage}); {ALONE_WORDS if self._is_alone() else REBUILD_WORDS}"


def _step(steps: Iterator[None]) -> bool:
    return next(steps, _DONE) is not _DONE


_DONE = object()


def _pages_of(reader: sqlite3.Connection) -> GetPage:
    def get(path: bytes) -> bytes | None:
        row = reader.execute(schema.GET_PAGE, (path,)).fetchone()
        return None if row is None else row[0]

    return get


def _top(reader: sqlite3.Connection) -> StoredBlock | None:
    height = reader.execute(schema.TOP).fetchone()[0]
    return None if height is None else StoredBlock(*reader.execute(schema.GET_BLOCK, (height,)).fetchone())
