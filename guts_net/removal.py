"""
What was deleted goes from this disk when nothing can bring it back, and never before.

A repository can be restored for a day of block time. What decides is the time of the newest *applied*
block: whatever executes later is later still, so a restoration that comes after the removal is refused
everywhere. A pack that another repository lists, or that this node vouched for, stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

import trio

from guts_core.chain.commit import Commit, TextName
from guts_core.forge import queries
from guts_core.forge.params import RESTORE_MS
from guts_core.names import RepoId

from .logs import Log
from .packs import PackStore
from .store import ChainDatabase
from .texts import TextStore


class Remover:
    """Removes repositories that were deleted for good: all of them at start, then each when its day is over."""

    def __init__(
        self,
        database: ChainDatabase,
        packs: PackStore,
        texts: TextStore,
        promised: Callable[[int], AbstractSet[bytes]],
        log: Log,
    ) -> None:
        self._database, self._packs, self._texts, self._promised, self._log = database, packs, texts, promised, log
        self._done = -1  # what was deleted at this block time or before is removed
        self._due: int | None = None  # the block time at which there is something to remove
        self._applied = -1
        self._wake = trio.Event()
        self._left: set[bytes] = set()  # packs of what is removed, to go when nobody uses them

    def note(self, commit: Commit) -> None:
        """A block is applied."""
        self._applied = commit.time
        for deletion in commit.deletions:
            if deletion.time is not None and self._due is None:
                self._due = deletion.time + RESTORE_MS
        if self._due is not None and self._applied >= self._due:
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            await self.remove(self._applied, self._promised(self._applied))

    async def remove(self, applied: int, promised: AbstractSet[bytes]) -> None:
        """Everything that cannot be restored in a block later than this time."""
        for repo, time in self._database.deleted_for_good(self._done, applied):
            self._left |= {pack.digest for pack in queries.packs(self._database, repo)}
            texts = [TextName(repo, text.commitment) for text in queries.texts(self._database, repo)]
            if self._is_left(repo, texts):
                await self._remove(repo, texts)
            self._done = time
        await self._remove_packs(applied, promised)
        first = self._database.first_deleted(self._done)
        self._due = None if first is None else first + RESTORE_MS

    def _is_left(self, repo: RepoId, texts: Iterable[TextName]) -> bool:
        """Every start looks at all that was ever deleted: what is gone already costs a few look-ups."""
        return (
            self._packs.has_repository(repo)
            or self._database.has_filed(repo)
            or any(self._texts.path(name).exists() for name in texts)
        )

    async def _remove(self, repo: RepoId, texts: Iterable[TextName]) -> None:
        async with self._texts.changing:
            await trio.to_thread.run_sync(self._database.forget_repository, repo)
            await trio.to_thread.run_sync(self._texts.forget, texts)
        await self._packs.drop_repository(repo)

    async def _remove_packs(self, applied: int, promised: AbstractSet[bytes]) -> None:
        """State says who else lists a pack: in a directory that was copied, links are files of their own."""
        self._left = {digest for digest in self._left if self._packs.has(digest)}
        if not self._left:
            return
        self._left -= await trio.to_thread.run_sync(self._listed, applied)
        dropped = await self._packs.drop_packs(self._left - promised)
        self._left.difference_update(dropped)
        self._log.info("deleted_packs_removed", packs=len(dropped), left=len(self._left))

    def _listed(self, applied: int) -> set[bytes]:
        return {pack.digest for pack in self._database.listed_packs(applied)}
