"""
CheckPack performed: get a push's pack from whoever holds it, judge it, hold it durably, report.

The pack is checked exactly as the gateway checked it, in this node's own repository; a manifest that
says anything else than what this node finds is not attested, and the log says why.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import trio

from guts_core.errors import GutsError, Refused
from guts_core.forge.actions import Blob, Manifest
from guts_core.git.chunks import chunk_count, verify_chunk
from guts_core.names import RefName
from guts_core.node.effects import CheckPack
from guts_core.node.events import PackChecked

from .logs import Log
from .packs import PackStore
from .peers.links import PeerNetwork

# Checks run git children that take a core each; more at once only slow each other down.
CHECKS_AT_ONCE = 4


class MissingEverywhere(Refused):
    """No connected validator gave a chunk of this blob."""

    code = "blob-missing"


class Checker:
    """Performs CheckPack effects, a few at a time."""

    def __init__(
        self, packs: PackStore, network: PeerNetwork, log: Log, report: Callable[[PackChecked], Awaitable[None]]
    ) -> None:
        self._packs, self._network, self._log, self._report = packs, network, log, report
        self._limit = trio.CapacityLimiter(CHECKS_AT_ONCE)

    async def check(self, effect: CheckPack) -> None:
        """Never raises for what a peer sent: a problem is reported in words."""
        async with self._limit:
            problem = await self._problem(effect)
        await self._report(PackChecked(effect.tx_id, effect.objects_epoch, effect.removals, problem))

    async def _problem(self, effect: CheckPack) -> str | None:
        try:
            await self._judge(effect)
        except GutsError as error:
            return f"{error.code}: {error}"
        return None

    async def _judge(self, effect: CheckPack) -> None:
        manifest = effect.manifest
        blob = manifest.blob
        if blob is None or self._packs.has(blob.digest):
            await self._compare(manifest, effect, None if blob is None else blob.digest)
            return
        self._log.info("pack_wanted", digest=blob.digest.hex(), bytes=blob.size, peer=effect.source)
        async with self._packs.incoming() as incoming:
            async for piece in self._pieces(blob, effect):
                await incoming.write(piece)
            await incoming.finish()
            checked = await incoming.check(manifest.repo)
            if checked is None or checked.blob != blob:
                raise Refused("the pack is not what its manifest says")
            await self._packs.keep(checked)
        self._log.info("pack_held", digest=blob.digest.hex())
        await self._compare(manifest, effect, blob.digest)

    async def _compare(self, manifest: Manifest, effect: CheckPack, held: bytes | None) -> None:
        refs = {RefName(ref.name): ref.oid for ref in effect.refs}
        found = await self._packs.facts(manifest.repo, refs, manifest.updates, held)
        if found.answers != manifest.updates:
            why = "; ".join(str(refused) for refused in found.refused.values())
            raise Refused(why or "the updates are not what their manifest says")

    async def _pieces(self, blob: Blob, effect: CheckPack) -> AsyncIterator[bytes]:
        if effect.pack is not None:
            yield effect.pack
            return
        async for piece in pull(self._network, blob, effect.source):
            yield piece


async def pull(network: PeerNetwork, blob: Blob, first: int | None) -> AsyncIterator[bytes]:
    """A blob's chunks in order, each verified, from ``first`` if it gives them and from any other peer if not."""
    for index in range(chunk_count(blob.size)):
        yield await _pull_chunk(network, blob, index, first)


async def _pull_chunk(network: PeerNetwork, blob: Blob, index: int, first: int | None) -> bytes:
    others = sorted(network.connected - {first})
    order = ([first] if first in network.connected else []) + others
    for peer in order:
        answer = await network.fetch_chunk(peer, blob.digest, index)
        if answer is not None and verify_chunk(blob.chunk_root, blob.size, index, answer.data, answer.path):
            return answer.data
    raise MissingEverywhere(f"no connected validator gave chunk {index} of blob {blob.digest.hex()[:12]}")
