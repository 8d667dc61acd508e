"""
Packs that state lists and this disk lacks, fetched until there are none: a node that was away, or whose
disk lost a file, becomes whole by itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import trio

from guts_core.errors import GutsError
from guts_core.forge.actions import Blob
from guts_core.git.chunks import chunk_count

from .checks import MissingEverywhere
from .logs import Log
from .packs import PackStore
from .peers.links import PeerNetwork
from .store import ChainDatabase, MissingPack

# State names the whole by its digest; what its chunks hash to is not kept.
_UNKNOWN_ROOT = bytes(32)
# Peers that hold the pack may be restarting too; asking twice a second costs nothing.
RETRY_SECONDS = 0.5


class Repairer:
    """Works off the ``missing`` rows whenever a peer that may hold the packs is connected."""

    def __init__(self, database: ChainDatabase, packs: PackStore, network: PeerNetwork, log: Log) -> None:
        self._database, self._packs, self._network, self._log = database, packs, network, log
        self._wake = trio.Event()

    def wake(self) -> None:
        """Rows may have come."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            rows = self._database.list_missing()
            for row in rows:
                await self._repair(row)
            if rows:
                await trio.sleep(RETRY_SECONDS)
            else:
                await self._wake.wait()
            self._wake = trio.Event()

    async def _repair(self, row: MissingPack) -> None:
        try:
            if not self._packs.has(row.digest):
                blob = Blob(row.digest, row.size, _UNKNOWN_ROOT, 0, row.idx_digest)
                await self._packs.adopt(blob, self._chunks(row))
        except GutsError as error:
            self._log.warning("pack_still_missing", digest=row.digest.hex(), reason=str(error))
            return
        if await self._packs.link(row.repo, row.digest):
            await trio.to_thread.run_sync(self._database.remove_missing, row.repo, row.digest)
            self._log.info("pack_repaired", digest=row.digest.hex())

    async def _chunks(self, row: MissingPack) -> AsyncIterator[bytes]:
        """Any peer's chunks: the whole is checked against the digest that state names."""
        for index in range(chunk_count(row.size)):
            for peer in sorted(self._network.connected):
                answer = await self._network.fetch_chunk(peer, row.digest, index)
                if answer is not None:
                    yield answer.data
                    break
            else:
                raise MissingEverywhere(f"no connected validator gave chunk {index}")
