"""
Finalized blocks to disk, in order: link the packs they admit, keep their texts, then one durable SQLite
transaction, then take away the texts that it erases.

A pack or text that is not held is no reason to stop: it becomes a row of the same transaction and is
fetched later (``architecture.md`` 3, and 5, step 6).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import trio

from guts_core.chain.commit import Commit

from .offload import Offload
from .packs import PackStore
from .space import Space
from .store import ChainDatabase
from .tally import Tally
from .texts import TextStore

# Blocks that are final and not yet on disk; agreement goes on meanwhile, but not without bound.
COMMITS_WAITING_MAX = 256


class Committer:
    """Performs CommitBlock effects one after another and reports each."""

    def __init__(
        self,
        database: ChainDatabase,
        packs: PackStore,
        texts: TextStore,
        space: Space,
        done: Callable[[Commit], Awaitable[None]],
        tally: Tally,
    ) -> None:
        self._database, self._packs, self._texts = database, packs, texts
        self._space, self._done, self._tally = space, done, tally
        self._commits = Offload()
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
            # What a full disk stopped is done again as a whole: links that stand are no error (F13).
            with self._tally.timed("commits"):
                await self._space.persist(partial(self._write, commit))
            await self._done(commit)
            if self._database.log_is_long:
                await self._space.persist(partial(trio.to_thread.run_sync, self._database.copy_log))

    async def _write(self, commit: Commit) -> None:
        missing = set()
        for pack in commit.packs:
            if not await self._packs.link(pack.repo, pack.digest):
                missing.add(pack.digest)
        if not (commit.texts or commit.erased):
            work = partial(self._database.commit, commit, frozenset(missing))
            await self._commits.run(work, waits=self._database.is_writing)
            return
        async with self._texts.changing:
            await trio.to_thread.run_sync(self._write_with_texts, commit, frozenset(missing))

    def _write_with_texts(self, commit: Commit, missing: frozenset[bytes]) -> None:
        lacking = self._texts.keep(commit.texts)
        self._database.commit(commit, missing, lacking)
        self._texts.forget(commit.erased)
