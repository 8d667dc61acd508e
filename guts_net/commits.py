"""
Finalized blocks to disk, in order: link the packs they admit, then one durable SQLite transaction.

A pack that is not held is no reason to stop: it becomes a ``missing`` row of the same transaction
and is fetched later (``architecture.md`` 5, step 6).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from guts_core.chain.commit import Commit

from .packs import PackStore
from .store import ChainDatabase

# Blocks that are final and not yet on disk; agreement goes on meanwhile, but not without bound.
COMMITS_WAITING_MAX = 256


class Committer:
    """Performs CommitBlock effects one after another and reports each."""

    def __init__(self, database: ChainDatabase, packs: PackStore, done: Callable[[Commit], Awaitable[None]]) -> None:
        self._database, self._packs, self._done = database, packs, done
        self._send, self._receive = trio.open_memory_channel[Commit](COMMITS_WAITING_MAX)

    async def put(self, commit: Commit) -> None:
        """Queue a commit; waits when the disk is that far behind."""
        try:
            self._send.send_nowait(commit)
        except trio.WouldBlock:
            await self._send.send(commit)

    async def run(self) -> None:
        """Until cancelled. A commit under way is finished first: its thread cannot be abandoned."""
        async for commit in self._receive:
            missing = set()
            for pack in commit.packs:
                if not await self._packs.link(pack.repo, pack.digest):
                    missing.add(pack.digest)
            await trio.to_thread.run_sync(self._database.commit, commit, frozenset(missing))
            await self._done(commit)
