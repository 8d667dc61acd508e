"""
CheckPack performed: get a push's pack from whoever holds it, judge it, hold it durably, report.

The pack is checked exactly as the gateway checked it, in this node's own repository; a manifest that
says anything else than what this node finds is not attested, and the log says why.
"""

from __future__ import annotations

import errno
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

import trio

from guts_core.errors import GutsError, Refused, Unavailable
from guts_core.forge.actions import Blob, Manifest
from guts_core.git.chunks import chunk_count, verify_chunk
from guts_core.names import RefName, RepoId
from guts_core.node.effects import CheckPack
from guts_core.node.events import PackChecked

from .disk import NO_ROOM, UNWRITABLE
from .logs import Log
from .packs import Incoming, PackStore
from .peers.links import PeerNetwork
from .space import Space
from .tally import Tally

# Checks run git children that take a core each; more at once only slow each other down.
CHECKS_AT_ONCE = 4
# Packs pulled at once for one announcer: one that gives its chunks slowly keeps only its own pushes waiting.
PULLS_PER_SOURCE = 4
# A transaction lives for an hour at most: what takes longer is for nobody any more.
CHECK_SECONDS_MAX = 3600.0
# A push of very many refs is checked in parts, all over one pack; what is forgotten is looked at again.
SOUND_MAX = 4_096
# The machine ran out of something, and others need this node: the check failed, the node goes on (F13 to F15).
SHORTAGES = NO_ROOM | UNWRITABLE | {errno.ENOMEM}


class MissingEverywhere(Refused):
    """No connected validator gave a chunk of this blob."""

    code = "blob-missing"


class Checker:
    """Performs CheckPack effects, a few at a time."""

    def __init__(
        self,
        packs: PackStore,
        network: PeerNetwork,
        space: Space,
        log: Log,
        report: Callable[[PackChecked], Awaitable[None]],
        tally: Tally,
        lacks_packs: Callable[[RepoId], bool],
    ) -> None:
        self._lacks_packs = lacks_packs
        self._tally = tally
        self._packs, self._network, self._space, self._log, self._report = packs, network, space, log, report
        self._sound: dict[tuple[RepoId, Blob], None] = {}  # what this process found so
        self._judging = trio.CapacityLimiter(CHECKS_AT_ONCE)
        self._pulling: defaultdict[int, trio.CapacityLimiter] = defaultdict(
            lambda: trio.CapacityLimiter(PULLS_PER_SOURCE)
        )

    async def check(self, effect: CheckPack) -> None:
        """Never raises for what a peer sent: a problem is reported in words."""
        problem, may_pass = await self._problem(effect)
        self._tally.add("checks.done" if problem is None else "checks.refused")
        await self._report(PackChecked(effect.tx_id, effect.objects_epoch, effect.removals, problem, may_pass))

    async def _problem(self, effect: CheckPack) -> tuple[str | None, bool]:
        try:
            with trio.fail_after(CHECK_SECONDS_MAX):
                await self._judge(effect)
        except GutsError as error:
            return f"{error.code}: {error}", isinstance(error, Unavailable | MissingEverywhere)
        except trio.TooSlowError:
            return "unavailable: the pack did not come in time", False
        except OSError as error:
            if error.errno not in SHORTAGES:
                raise
            return f"unavailable: {error.strerror}", True
        return None, False

    async def _judge(self, effect: CheckPack) -> None:
        manifest = effect.manifest
        if self._lacks_packs(manifest.repo):
            raise Unavailable("this node is still fetching packs of the repository")
        blob = manifest.blob
        if blob is not None and not self._is_sound(manifest.repo, blob):
            await self._take(manifest, blob, effect)
        async with self._judging:
            await self._compare(manifest, effect, None if blob is None else blob.digest)

    def _is_sound(self, repo: RepoId, blob: Blob) -> bool:
        """
        Whether this pack is held, is what the manifest says, and was found to lead into itself and this repository.

        That it is held alone says nothing: it may have come for another repository, or with another word about it.
        """
        return (repo, blob) in self._sound and self._packs.has(blob.digest)

    async def _take(self, manifest: Manifest, blob: Blob, effect: CheckPack) -> None:
        self._space.check()
        self._log.info("pack_wanted", digest=blob.digest.hex(), bytes=blob.size, peer=effect.source)
        async with self._packs.incoming() as incoming:
            if self._packs.has(blob.digest):
                for index in range(chunk_count(blob.size)):
                    await incoming.write(await self._packs.read_chunk(blob.digest, index) or b"")
            elif effect.pack is not None:
                await incoming.write(effect.pack)
            else:
                await self._pull(incoming, blob, effect.source)
            await incoming.finish()
            async with self._judging:
                checked = await incoming.check(manifest.repo)
            if checked is None or checked.blob != blob:
                raise Refused("the pack is not what its manifest says")
            await self._packs.keep(checked)
        self._sound[manifest.repo, blob] = None
        while len(self._sound) > SOUND_MAX:
            del self._sound[next(iter(self._sound))]
        self._log.info("pack_held", digest=blob.digest.hex())

    async def _pull(self, incoming: Incoming, blob: Blob, source: int) -> None:
        async with self._pulling[source], aclosing(pull(self._network, blob, source)) as pieces:
            async for piece in pieces:
                await incoming.write(piece)

    async def _compare(self, manifest: Manifest, effect: CheckPack, held: bytes | None) -> None:
        refs = {RefName(ref.name): ref.oid for ref in effect.refs}
        found = await self._packs.facts(manifest.repo, refs, manifest.updates, held)
        if found.answers != manifest.updates:
            why = "; ".join(str(refused) for refused in found.refused.values())
            raise Refused(why or "the updates are not what their manifest says")


async def pull(network: PeerNetwork, blob: Blob, first: int) -> AsyncGenerator[bytes, None]:
    """A blob's chunks in order, each verified, from ``first`` if it gives them and from any other peer if not."""
    failed: list[int] = []  # asked last from then on: one that withholds a chunk costs its time once
    for index in range(chunk_count(blob.size)):
        order = sorted(network.connected, key=lambda peer: (failed.count(peer), peer != first, peer))
        for peer in order:
            answer = await network.fetch_chunk(peer, blob.digest, index)
            if answer is not None and verify_chunk(blob.chunk_root, blob.size, index, answer.data, answer.path):
                yield answer.data
                break
            failed.append(peer)
        else:
            raise MissingEverywhere(f"no connected validator gave chunk {index} of blob {blob.digest.hex()[:12]}")
