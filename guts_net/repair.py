"""
Packs that state lists and this disk lacks, fetched until there are none: a node that was away, or whose
disk lost a file, becomes whole by itself.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

import trio

from guts_core.errors import GutsError
from guts_core.forge.actions import Blob
from guts_core.git.chunks import chunk_count

from .checks import SHORTAGES, MissingEverywhere
from .logs import Log
from .packs import PackStore
from .peers.links import PeerNetwork
from .space import is_full
from .store import ChainDatabase, MissingPack

Row = TypeVar("Row")

# State names the whole by its digest; what its chunks hash to is not kept.
_UNKNOWN_ROOT = bytes(32)
# Peers that hold the pack may be restarting too; asking costs little, a pack that nobody has costs less and less.
RETRY_SECONDS = 0.5
RETRY_SECONDS_MAX = 5.0


class Rounds(Generic[Row]):
    """Goes through rows again and again, with longer and longer pauses while none can be repaired."""

    def __init__(self, rows: Callable[[], Sequence[Row]], repair: Callable[[Row], Awaitable[bool]]) -> None:
        self._rows, self._repair = rows, repair
        self._wake = trio.Event()

    def wake(self) -> None:
        """Rows may have come."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        pause = RETRY_SECONDS
        while True:
            rows = self._rows()
            repaired = [await self._repaired(row) for row in rows]
            if any(repaired):
                pause = RETRY_SECONDS
            elif not rows:
                await self._wake.wait()
            else:
                with trio.move_on_after(pause):
                    await self._wake.wait()
                pause = RETRY_SECONDS if self._wake.is_set() else min(2 * pause, RETRY_SECONDS_MAX)
            self._wake = trio.Event()

    async def _repaired(self, row: Row) -> bool:
        """What the machine is short of now it may have when the next round comes (F13 to F15)."""
        try:
            return await self._repair(row)
        except (OSError, sqlite3.OperationalError) as error:
            if not (is_full(error) or (isinstance(error, OSError) and error.errno in SHORTAGES)):
                raise
            return False


class AskingOrder:
    """Whom to ask first: one that gives nothing costs its time again and again only when nobody else gives it (F37)."""

    def __init__(self) -> None:
        self._failed: Counter[int] = Counter()

    def of(self, peers: Iterable[int]) -> list[int]:
        """These peers, those first that failed least."""
        return sorted(peers, key=lambda peer: (self._failed[peer], peer))

    def failed(self, peer: int) -> None:
        """It did not give what it was asked for."""
        self._failed[peer] += 1


class Repairer:
    """Works off the ``missing`` rows whenever a peer that may hold the packs is connected."""

    def __init__(self, database: ChainDatabase, packs: PackStore, network: PeerNetwork, log: Log) -> None:
        self._database, self._packs, self._network, self._log = database, packs, network, log
        self._rounds = Rounds(database.list_missing, self._repair)
        self._order = AskingOrder()
        self._said: dict[bytes, str] = {}  # why a pack is still missing, as the log has it

    def wake(self) -> None:
        """Rows may have come."""
        self._rounds.wake()

    async def run(self) -> None:
        """Until cancelled."""
        await self._rounds.run()

    async def _repair(self, row: MissingPack) -> bool:
        if not self._packs.has(row.digest) and not await self._fetch(row):
            return False
        if not await self._packs.link(row.repo, row.digest):
            return False
        await trio.to_thread.run_sync(self._database.remove_missing, row.repo, row.digest)
        self._log.info("pack_repaired", digest=row.digest.hex())
        self._said.pop(row.digest, None)
        return True

    async def _fetch(self, row: MissingPack) -> bool:
        """
        The whole from one peer, or from the next: only the whole can be checked against what state names.

        Were chunks of several peers mixed, one that lies would spoil them all, time and again (F37).
        """
        blob = Blob(row.digest, row.size, _UNKNOWN_ROOT, 0, row.idx_digest)
        why = "no validator is connected"
        for peer in self._order.of(self._network.connected):
            try:
                await self._packs.adopt(blob, self._chunks(row, peer))
            except GutsError as error:
                why = str(error)
                self._order.failed(peer)
            except OSError as error:
                if error.errno not in SHORTAGES:
                    raise
                why = error.strerror or "the machine ran out of something"
            else:
                return True
        if self._said.get(row.digest) != why:
            self._said[row.digest] = why
            self._log.warning("pack_still_missing", digest=row.digest.hex(), reason=why)
        return False

    async def _chunks(self, row: MissingPack, peer: int) -> AsyncGenerator[bytes, None]:
        for index in range(chunk_count(row.size)):
            answer = await self._network.fetch_chunk(peer, row.digest, index)
            if answer is None:
                raise MissingEverywhere(f"validator {peer} did not give chunk {index}")
            yield answer.data
