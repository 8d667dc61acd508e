"""
Maintenance: what no ref reaches goes from a repository's packs, and many small packs become one (``Repack``).

Every validator looks at repositories that changed, and one after another has a turn to propose what is to be done:
the first in an order of its own for each state of a list at once, the others only if nothing happened. A quorum looks
at the new pack before anything is replaced, so who proposes is not trusted.
"""

from __future__ import annotations

import os
from pathlib import Path

import trio
from attrs import frozen

from guts_core.chain.commit import Commit
from guts_core.chain.compose import PUSH_LIFETIME_MS
from guts_core.chain.compose import repack as signed_repack
from guts_core.codec import Tag, digest, encode
from guts_core.errors import GutsError
from guts_core.forge import queries
from guts_core.forge.actions import Blob, Repack
from guts_core.forge.records import Pack, Repository, ValidatorEntry
from guts_core.forge.rules import PACKS_ARE_REPLACED
from guts_core.identity import KeyPair
from guts_core.names import AccountId, Oid, RefName, RepoId
from guts_core.node.messages import INLINE_PACK_BYTES_MAX
from guts_core.node.node import Node
from guts_core.node.port import Outcome, Phase

from .logs import Log
from .packs import PackStore
from .packs.rewriting import Plan, plan, written
from .submission import Submissions

# The next in order proposes after that, should the first be away: a pack is written, pulled and checked meanwhile.
TURN_SECONDS = 60.0
WAIT_MS = 10 * 60 * 1000
# More are looked at when they change again, or by another node.
WAITING_MAX = 10_000
_READ_BYTES = 1 << 20


@frozen
class _Scene:
    """A repository as of the newest final block."""

    repository: Repository
    refs: dict[RefName, Oid]
    packs: tuple[Pack, ...]


class Repacker:
    """Looks at repositories that changed, one after another, and proposes what is to be done."""

    def __init__(
        self,
        node: Node,
        node_key: KeyPair,
        packs: PackStore,
        submissions: Submissions,
        log: Log,
        rest_seconds: float,
    ) -> None:
        self._node, self._key, self._packs = node, node_key, packs
        self._submissions, self._log = submissions, log
        self._rest = rest_seconds
        self._due: dict[RepoId, float] = {}
        self._standing: dict[RepoId, tuple[bytes, float]] = {}  # a state, and since when somebody should do something
        self._wake = trio.Event()

    def note(self, commit: Commit) -> None:
        """A block is on disk: what it changed is looked at after a rest, which begins anew with each change."""
        for repo in {pack.repo for pack in commit.packs} | {move.repo for move in commit.ref_moves}:
            self._look_again(RepoId(repo), self._rest)

    def _look_again(self, repo: RepoId, seconds: float) -> None:
        if repo in self._due or len(self._due) < WAITING_MAX:
            self._due[repo] = trio.current_time() + seconds
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            repo = await self._next()
            try:
                await self._look(repo)
            except (GutsError, OSError) as error:  # a pack that is not here yet, a child that was killed, a full disk
                self._log.warning("repack_failed", repo=repo.hex(), reason=str(error))
                self._look_again(repo, TURN_SECONDS)

    async def _next(self) -> RepoId:
        while True:
            first = min(self._due, key=self._due.__getitem__, default=None)
            if first is not None and self._due[first] <= trio.current_time():
                del self._due[first]
                return first
            with trio.move_on_at(self._due[first] if first is not None else float("inf")):
                await self._wake.wait()
            self._wake = trio.Event()

    async def _look(self, repo: RepoId) -> None:
        scene, seat = self._scene(repo), self._seat()
        if scene is None or seat is None or self._node.ledger.network.rules < PACKS_ARE_REPLACED:
            return
        async with self._packs.projected(
            repo, scene.repository.generation, scene.refs, RefName(scene.repository.default_branch)
        ) as git_dir:
            wanted = await plan(self._packs.git, git_dir, self._packs.layout, scene.packs)
            if wanted is not None and self._is_our_turn(repo, scene.repository, seat):
                await self._replace(scene, wanted, seat, git_dir)

    def _is_our_turn(self, repo: RepoId, repository: Repository, seat: ValidatorEntry) -> bool:
        """Else it is looked at again when it would be; by then most often somebody did it."""
        seats = queries.epoch(self._node.ledger.view()).seats
        state = encode((repo, repository.generation, repository.objects_epoch))
        order = sorted(seats, key=lambda one: digest(Tag.TRACE, state, one.node_key))
        if self._standing.get(repo, (b"", 0.0))[0] != state:
            self._standing[repo] = state, trio.current_time()
        begins = self._standing[repo][1] + order.index(seat) * TURN_SECONDS
        if begins > trio.current_time():
            self._look_again(repo, begins - trio.current_time())
            return False
        del self._standing[repo]
        return True

    async def _replace(self, scene: _Scene, wanted: Plan, seat: ValidatorEntry, git_dir: Path) -> None:
        blob = None
        if wanted.objects:
            blob = await self._written(scene.repository, wanted, git_dir)
        repository = scene.repository
        action = Repack(
            repository.id,
            repository.object_format,
            blob,
            tuple(pack.seq for pack in wanted.replaced),
            wanted.drops,
            repository.generation if wanted.drops else 0,
        )
        outcome = await self._propose(action, seat, (repository.objects_epoch, repository.removals))
        done = outcome.phase is Phase.FINAL and outcome.error is None
        say = self._log.info if done else self._log.warning
        say(
            "repacked" if done else "repack_refused",
            repo=repository.id.hex(),
            replaced=len(wanted.replaced),
            drops=wanted.drops,
            bytes=0 if blob is None else blob.size,
            reason=outcome.message,
        )
        if not done:
            self._look_again(RepoId(repository.id), TURN_SECONDS)

    async def _written(self, repository: Repository, wanted: Plan, git_dir: Path) -> Blob:
        packs = self._packs
        async with written(packs, git_dir, wanted.objects) as pack, packs.incoming() as incoming:
            async with await trio.open_file(pack, "rb") as raw:
                while piece := await raw.read(_READ_BYTES):
                    await incoming.write(piece)
            await incoming.finish()
            checked = await incoming.check(RepoId(repository.id))
            assert checked is not None, "the plan has objects"
            await packs.keep(checked)
            return checked.blob

    async def _propose(self, action: Repack, seat: ValidatorEntry, judged: tuple[int, int]) -> Outcome:
        expires = self._submissions.expiry(PUSH_LIFETIME_MS)
        signed = signed_repack(
            self._node.chain_id, AccountId(seat.operator), self._key, action, expires, os.urandom(32)
        )
        blob = action.blob
        inline = None
        if blob is not None and blob.size <= INLINE_PACK_BYTES_MAX:
            inline = await self._packs.read_chunk(blob.digest, 0)
        return await self._submissions.submit(signed, (), WAIT_MS, inline, judged)

    def _scene(self, repo: RepoId) -> _Scene | None:
        view = self._node.ledger.view()
        repository = queries.repository(view, repo)
        if repository is None:
            return None
        refs = {RefName(ref.name): Oid(ref.oid) for ref in queries.refs(view, repo)}
        return _Scene(repository, refs, tuple(queries.packs(view, repo)))

    def _seat(self) -> ValidatorEntry | None:
        seats = queries.epoch(self._node.ledger.view()).seats
        return next((seat for seat in seats if seat.node_key == self._key.public_key), None)
