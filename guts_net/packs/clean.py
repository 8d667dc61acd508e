"""
Which repositories are *clean*: their listed packs hold what their refs reach and nothing else, so they may
be handed out as they are (``architecture.md`` 5).

State does not say so yet; each node judges by its own packs and remembers the verdict for as long as the
generation stands. One task judges one repository after another, after each push and when somebody asks, so
that a reader never waits for a long count: until it is known a list is as good as unclean.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping

import trio
from attrs import frozen

from guts_core.chain.commit import Commit
from guts_core.errors import GutsError, NotFound
from guts_core.forge.records import Pack
from guts_core.names import Oid, RefName, RepoId
from guts_core.node.pack_list import LISTED_PACKS_MAX
from guts_net.logs import Log

from .reach import Exact, holds_only_reachable
from .store import PackStore

# A client asks twice for each pack, and a reader opens each index: more want to be merged first.
CLEAN_PACKS_MAX = LISTED_PACKS_MAX
# A verdict is a few hundred bytes.
VERDICTS_MAX = 10_000
# What was exact is remembered by its tips, 20 bytes and their price each: some 20 MB in all.
TIPS_MAX = 200_000
# Pushed to or asked for, and not judged yet; who is beyond this is judged when asked for again.
WAITING_MAX = 1_000
# Between repositories that were pushed to and that nobody asked for: two git children a second at most, some 1 % of
# a core, whatever is pushed.
PAUSE_SECONDS = 1.0
# What could not be judged now, for a pack that is being fetched or a child that was killed, is tried again then.
RETRY_SECONDS = 5.0
UNKNOWN = "this node has not judged its packs yet"


@frozen
class Listed:
    """What state says of a repository at one generation."""

    height: int
    generation: int
    refs: Mapping[RefName, Oid]
    head: RefName
    packs: tuple[Pack, ...]


@frozen
class Verdict:
    """Why the packs of one generation cannot be handed out as they are; None: they can."""

    generation: int
    reason: str | None
    until: float = math.inf  # by trio's clock: what may be otherwise later


class CleanLists:
    """Judges repositories in the background, and says what was found."""

    def __init__(
        self,
        packs: PackStore,
        generation_of: Callable[[RepoId], int | None],
        look: Callable[[RepoId], Listed | None],
        log: Log,
    ) -> None:
        self._packs, self._generation_of, self._look, self._log = packs, generation_of, look, log
        self._verdicts: OrderedDict[RepoId, Verdict] = OrderedDict()
        self._exact: OrderedDict[RepoId, Exact] = OrderedDict()
        self._tips = 0
        self._asked: dict[RepoId, None] = {}
        self._pushed: dict[RepoId, None] = {}
        self._wake_asked, self._wake_pushed, self._judged = trio.Event(), trio.Event(), trio.Event()

    async def verdict(self, repo: RepoId, seconds: float = 0.0) -> Verdict:
        """
        What is known of the present generation; waits so long for it where nothing is. Raises NotFound.

        Who is told that nobody knows has asked by that, and the next one is told more.
        """
        with trio.move_on_after(seconds):
            while (known := self._known(repo)) is None:
                self._ask(repo)
                await self._judged.wait()
            return known
        return self._known(repo) or Verdict(-1, UNKNOWN)

    def note(self, commit: Commit) -> None:
        """A block is on disk: what was pushed to is judged when nothing else is to do."""
        for repo in {pack.repo for pack in commit.packs} | {move.repo for move in commit.ref_moves}:
            if len(self._pushed) < WAITING_MAX:
                self._pushed[RepoId(repo)] = None
                self._wake_pushed.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            repo = await self._next()
            await self._judge(repo)
            self._judged.set()
            self._judged = trio.Event()

    def _ask(self, repo: RepoId) -> None:
        if len(self._asked) < WAITING_MAX:
            self._asked[repo] = None
            self._wake_asked.set()
            self._wake_pushed.set()

    async def _next(self) -> RepoId:
        """Who was asked for, at once; who was pushed to, after a pause."""
        while not self._asked:
            if self._pushed:
                with trio.move_on_after(PAUSE_SECONDS):
                    await self._wake_asked.wait()
                break
            await self._wake_pushed.wait()
            self._wake_pushed = trio.Event()
        self._wake_asked = trio.Event()
        waiting = self._asked or self._pushed
        repo = next(iter(waiting))
        self._asked.pop(repo, None)
        self._pushed.pop(repo, None)
        return repo

    def _known(self, repo: RepoId) -> Verdict | None:
        generation, verdict = self._generation_of(repo), self._verdicts.get(repo)
        if generation is None:
            raise NotFound("there is no such repository")
        if verdict is None or verdict.generation != generation or verdict.until < trio.current_time():
            return None
        return verdict

    async def _judge(self, repo: RepoId) -> None:
        listed = self._look(repo)
        if listed is None or self._known(repo) is not None:
            return
        verdict = await self._judgement(repo, listed)
        self._verdicts[repo] = verdict
        self._verdicts.move_to_end(repo)
        while len(self._verdicts) > VERDICTS_MAX:
            self._verdicts.popitem(last=False)

    async def _judgement(self, repo: RepoId, listed: Listed) -> Verdict:
        later = trio.current_time() + RETRY_SECONDS
        if not all(self._packs.is_linked(repo, pack.digest) for pack in listed.packs):
            return Verdict(listed.generation, "this node is still fetching packs of this repository", later)
        try:
            return Verdict(listed.generation, await self._reason(repo, listed))
        except (GutsError, OSError) as error:  # a child that was killed, a file that went: nobody knows, and it is said
            self._log.warning("packs_not_judged", repo=repo.hex(), reason=str(error))
            return Verdict(listed.generation, UNKNOWN, later)

    async def _reason(self, repo: RepoId, listed: Listed) -> str | None:
        if len(listed.packs) > CLEAN_PACKS_MAX:
            return f"{len(listed.packs)} packs are listed; at most {CLEAN_PACKS_MAX} are handed out as they are"
        indexes = tuple(self._packs.layout.idx(pack.digest) for pack in listed.packs)
        tips = frozenset(listed.refs.values())
        async with self._packs.projected(repo, listed.generation, listed.refs, listed.head) as git_dir:
            before = self._exact.get(repo)
            if not await holds_only_reachable(self._packs.git, git_dir, tips, indexes, before):
                return "its packs hold objects that no ref reaches"
        self._remember(repo, Exact(tips, frozenset(indexes)))
        return None

    def _remember(self, repo: RepoId, exact: Exact) -> None:
        old = self._exact.pop(repo, None)
        self._exact[repo] = exact
        self._tips += len(exact.tips) - (len(old.tips) if old else 0)
        while self._tips > TIPS_MAX:
            _, oldest = self._exact.popitem(last=False)
            self._tips -= len(oldest.tips)
