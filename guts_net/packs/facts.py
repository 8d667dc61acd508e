"""
The two facts about each update of a push: how new stands to old, and where new comes from.

Every attester computes them from the objects and signs what it found (``architecture.md`` 5), so they
depend on nothing else: the refs of one state, the packs the repository lists, and the pushed pack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import trio
from attrs import frozen

from guts_core.errors import Conflict, Invalid, Refused, Unavailable
from guts_core.forge.actions import Relation, SourceKind, Update
from guts_core.git.refs import branch_of
from guts_core.names import Oid, RefName

from .git_child import GitChildren
from .glance import NOTHING, Glance, glance
from .refusals import MissingObjects

# Ancestry over a million commits takes git about ten seconds when nothing helps it.
ANCESTRY_SECONDS = 60.0


class Command(Protocol):
    """One ref command: a PushCommand of the port, or an Update whose facts are to be checked."""

    @property
    def ref(self) -> str:
        """The full ref name."""

    @property
    def old(self) -> Oid | None:
        """What the client believes is there."""

    @property
    def new(self) -> Oid | None:
        """What shall be there."""


@frozen
class Facts:
    """One answer for each command, in the order of the commands."""

    answers: tuple[Update | tuple[str, Refused], ...]

    @property
    def updates(self) -> tuple[Update, ...]:
        """The updates that can be asked for."""
        return tuple(answer for answer in self.answers if isinstance(answer, Update))

    @property
    def refused(self) -> dict[str, Refused]:
        """The refs that cannot be moved as asked, each with its reason."""
        return dict(answer for answer in self.answers if not isinstance(answer, Update))


async def compute(
    git: GitChildren,
    open_view: Callable[[], AbstractAsyncContextManager[Path]],
    idx: Path | None,
    current_refs: Mapping[RefName, Oid],
    commands: tuple[Command, ...],
    tips: Callable[[], frozenset[Oid]],
) -> Facts:
    """
    The facts; ``open_view`` gives a git directory that sees the pack (with this index) and the repository.

    ``current_refs`` holds those of the commands at least; ``tips`` are all, asked for when the pack lacks something.
    """
    news = frozenset(command.new for command in commands if command.new is not None)
    moves = frozenset((c.old, c.new) for c in commands if c.old is not None and c.new is not None and c.old != c.new)
    seen = NOTHING if idx is None else await trio.to_thread.run_sync(glance, idx, news, moves)
    if news <= seen.kinds.keys() and moves <= seen.forward:
        return await _Judge(None, current_refs, seen, frozenset(), seen.kinds).answer_all(commands)
    async with open_view() as git_dir:
        looker = _Looker(git, git_dir)
        others = news - seen.kinds.keys()
        visible = await looker.reachable(others, tips()) if others else others
        moved = frozenset(oid for move in moves - seen.forward for oid in move)
        kinds = await looker.kinds((visible | moved) - seen.kinds.keys())
        judge = _Judge(looker, current_refs, seen, visible, {**seen.kinds, **kinds})
        return await judge.answer_all(commands)


@frozen
class _Judge:
    looker: _Looker | None  # None: the pack alone answers everything
    current_refs: Mapping[RefName, Oid]
    seen: Glance
    visible: frozenset[Oid]
    kinds: Mapping[Oid, str]

    async def answer_all(self, commands: tuple[Command, ...]) -> Facts:
        return Facts(tuple([await self._answer(command) for command in commands]))

    async def _answer(self, command: Command) -> Update | tuple[str, Refused]:
        try:
            self._check_old(command)
            source = self._source(command)
            relation = await self._relation(command)
        except Refused as refused:
            return command.ref, refused
        return Update(command.ref, command.old, command.new, relation, source)

    def _check_old(self, command: Command) -> None:
        """A ref that already has `new` is fine: the same push may come twice."""
        current = self.current_refs.get(RefName(command.ref))
        if current not in (command.old, command.new):
            now = "is gone" if current is None else f"is at {current.hex()}"
            raise Conflict(f"stale: {command.ref} {now}; fetch first")

    def _source(self, command: Command) -> SourceKind:
        if command.new is None:
            if command.old is None:
                raise Invalid(f"{command.ref}: neither an old nor a new object")
            return SourceKind.NONE
        if command.new in self.seen.kinds:
            source = SourceKind.PACK
        elif command.new in self.visible:
            source = SourceKind.EXISTING
        else:
            raise MissingObjects(
                f"missing necessary objects: {command.new.hex()} is neither in the pack nor reachable from a ref"
            )
        self._check_kind(command, command.new)
        return source

    def _check_kind(self, command: Command, new: Oid) -> None:
        kind = self.kinds.get(new)
        if kind is None:
            raise Unavailable(f"object {new.hex()} is not on this node yet")
        if branch_of(RefName(command.ref)) is not None and kind != "commit":
            raise Invalid(f"{command.ref}: a branch points at commits; {new.hex()} is a {kind}")

    async def _relation(self, command: Command) -> Relation:
        if command.old is None:
            return Relation.CREATED
        if command.new is None:
            return Relation.DELETED
        if command.old == command.new or (command.old, command.new) in self.seen.forward:
            return Relation.FAST_FORWARD
        if self.kinds.get(command.old) is None:
            raise Unavailable(f"object {command.old.hex()} is not on this node yet")
        if (self.kinds[command.old], self.kinds[command.new]) != ("commit", "commit"):
            return Relation.FORCED  # what an annotated tag or a tree leaves behind has no descendants
        assert self.looker is not None
        is_ancestor = await self.looker.is_ancestor(command.old, command.new)
        return Relation.FAST_FORWARD if is_ancestor else Relation.FORCED


@frozen
class _Looker:
    """Questions to git about objects."""

    git: GitChildren
    git_dir: Path

    async def kinds(self, oids: frozenset[Oid]) -> dict[Oid, str]:
        """The kind of each object that is there."""
        if not oids:
            return {}
        answer = await self.git.run(
            "cat-file", "--batch-check=%(objectname) %(objecttype)", git_dir=self.git_dir, stdin=_lines(oids)
        )
        pairs = (line.split(" ") for line in answer.output.decode("ascii").splitlines())
        return {Oid(bytes.fromhex(oid)): kind for oid, kind in pairs if kind != "missing"}

    async def is_ancestor(self, old: Oid, new: Oid) -> bool:
        """Whether old is new or one of its ancestors."""
        answer = await self.git.run(
            "merge-base", "--is-ancestor", old.hex(), new.hex(), git_dir=self.git_dir, seconds=ANCESTRY_SECONDS
        )
        if answer.code not in (0, 1):
            raise Unavailable("the history of this repository is not complete on this node yet")
        return answer.code == 0

    async def reachable(self, wanted: frozenset[Oid], tips: frozenset[Oid]) -> frozenset[Oid]:
        """Those of the wanted objects that a visible ref reaches; most often they are tips themselves."""
        others = wanted - tips
        if not others or not tips:
            return wanted & tips
        commits = frozenset(oid for oid, kind in (await self.kinds(others)).items() if kind == "commit")
        found = commits - await self._beyond(commits, tips)
        rest = (others - commits) & await self._everything(tips) if others - commits else frozenset[Oid]()
        return (wanted & tips) | found | rest

    async def _beyond(self, commits: frozenset[Oid], tips: frozenset[Oid]) -> frozenset[Oid]:
        """The commits that no tip reaches, and what comes before them."""
        if not commits:
            return commits
        return await self._listed("rev-list", "--stdin", stdin=_lines(commits) + _lines(tips, b"^"))

    async def _everything(self, tips: frozenset[Oid]) -> frozenset[Oid]:
        """Every object that the tips reach: only for pushes of tags of tags, trees and blobs already there."""
        return await self._listed("rev-list", "--objects", "--no-object-names", "--stdin", stdin=_lines(tips))

    async def _listed(self, *arguments: str, stdin: bytes) -> frozenset[Oid]:
        answer = await self.git.run(*arguments, git_dir=self.git_dir, stdin=stdin, seconds=ANCESTRY_SECONDS)
        if answer.code != 0:
            raise Unavailable("the history of this repository is not complete on this node yet")
        return frozenset(Oid(bytes.fromhex(line)) for line in answer.output.decode("ascii").split())


def _lines(oids: frozenset[Oid], sign: bytes = b"") -> bytes:
    return b"".join(sign + oid.hex().encode() + b"\n" for oid in sorted(oids))
