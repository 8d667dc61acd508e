"""What people push: new branches and tags, advances, rewrites, deletions, several refs at once."""

from __future__ import annotations

from random import Random

from attrs import frozen

from guts_core.errors import Malformed
from guts_core.forge.actions import Manifest
from guts_core.forge.records import Ref
from guts_core.names import Oid, RefName, RepoId

from .objects import Move, Parents, SimCommit, manifest_of, pack_of, updates_of

MAIN = "refs/heads/main"
_COMMITS_MAX = 3


@frozen
class Change:
    """What one push does to refs, and the pack it sends."""

    label: str
    moves: tuple[Move, ...]
    pack: bytes | None


class Pusher:
    """Draws pushes, and remembers every commit that anybody made."""

    def __init__(self, roll: Random) -> None:
        self._roll = roll
        self._parents: dict[Oid, Oid | None] = {}
        self._names = 0

    def change(self, refs: tuple[Ref, ...]) -> Change | None:
        """Some push that makes sense on these refs."""
        others = [ref for ref in refs if ref.name != MAIN]
        kinds = ["advance", "create"]
        if refs:
            kinds += ["advance", "branch", "rewrite", "reset", "several"]
        if others:
            kinds += ["delete", "delete and create"]
        kind = self._roll.choice(kinds)
        one = self._roll.choice(refs) if refs else None
        if kind == "create" or one is None:
            return self._create()
        if kind == "advance":
            return self.advance(refs, RefName(one.name))
        if kind == "branch":
            return Change("branch", (Move(self._name(), None, one.oid),), None)
        if kind == "several":
            return self._several(one)
        if kind in {"rewrite", "reset"}:
            return self._back(kind, one)
        gone = self._roll.choice(others)
        delete = Move(RefName(gone.name), gone.oid, None)
        if kind == "delete":
            return Change("delete", (delete,), None)
        made, pack = self._commits(None)
        return Change("delete and create", (delete, Move(self._name(), None, made)), pack)

    def advance(self, refs: tuple[Ref, ...], name: RefName) -> Change:
        """New commits on top of what a branch is, or its first ones."""
        old = next((ref.oid for ref in refs if ref.name == name), None)
        new, pack = self._commits(old)
        return Change("advance" if old else "create", (Move(name, old, new),), pack)

    def manifest(self, repo: RepoId, change: Change, held: Parents, refs: tuple[Ref, ...]) -> Manifest | None:
        """What a gateway that holds these objects and shows these refs would sign; None when it would refuse."""
        try:
            updates = updates_of(change.moves, change.pack, held, refs)
        except Malformed:
            return None
        return manifest_of(repo, updates, change.pack)

    def _create(self) -> Change:
        new, pack = self._commits(None)
        return Change("create", (Move(self._name(), None, new),), pack)

    def _several(self, one: Ref) -> Change:
        new, pack = self._commits(one.oid)
        moves = (Move(RefName(one.name), one.oid, new), Move(self._name(), None, new))
        return Change("several", moves, pack)

    def _back(self, kind: str, one: Ref) -> Change:
        """Away from what the branch is: to its parent, or to another child of that."""
        parent = self._parents.get(one.oid)
        if kind == "reset" and parent is not None:
            return Change("reset", (Move(RefName(one.name), one.oid, parent),), None)
        new, pack = self._commits(parent)
        return Change("rewrite", (Move(RefName(one.name), one.oid, new),), pack)

    def _commits(self, base: Oid | None) -> tuple[Oid, bytes]:
        made: list[SimCommit] = []
        tip = base
        for _ in range(self._roll.randint(1, _COMMITS_MAX)):
            made.append(SimCommit(tip, self._roll.randbytes(8)))
            tip = made[-1].oid
            self._parents[tip] = made[-1].parent
        assert tip is not None, "at least one commit was made"
        return tip, pack_of(made)

    def _name(self) -> RefName:
        """A new name mostly; sometimes one that others draw too."""
        self._names += 1
        number = self._roll.randrange(4) if self._roll.random() < 0.3 else self._names
        return RefName(self._roll.choice(("refs/heads/topic-", "refs/tags/v")) + str(number))
