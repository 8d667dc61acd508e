"""
Moving refs by compare-and-swap, all or none (``architecture.md`` 5).

What a ref already is needs no update: the same push sent again through another node succeeds and
changes nothing. Everything else must find the old value it names.
"""

from __future__ import annotations

from attrs import evolve, frozen

from guts_core.codec import to_bytes
from guts_core.errors import Conflict, LimitExceeded, NotAllowed
from guts_core.git.refs import BRANCHES
from guts_core.names import Oid, RefName
from guts_core.state.view import Overlay, View

from . import paths, queries
from .actions import Manifest, RefUpdate, Relation, SourceKind, Update
from .activities import Activity, DefaultBranchSet, RefUpdated
from .context import Context
from .manifests import check_manifest, needs_availability
from .packs import admit_pack
from .permissions import Permission
from .records import Ref, Repository
from .ref_paths import check_beside
from .repositories import Unsupported, repository_for
from .rules import HEAD_FOLLOWS_NEW_BRANCHES
from .storing import put_repository

# What an empty repository's HEAD turns to when the branch it names was not pushed.
USUAL_DEFAULT_BRANCHES = (RefName("refs/heads/main"), RefName("refs/heads/master"))


class Stale(Conflict):
    """A ref is not what the pusher had seen: nobody overwrites what they do not know."""

    code = "stale"

    def __init__(self, ref: str, expected: Oid | None, actual: Oid | None) -> None:
        super().__init__(f"stale: {ref} {_is_at(actual)}, not {_short(expected)}; fetch first")
        self.ref = ref
        self.expected = expected
        self.actual = actual


class RemovalsMoved(Conflict):
    """Refs were forced or deleted since the attesters looked: what they found reachable may be so no more."""

    code = "removals-moved"


class ObjectsMoved(Conflict):
    """The repository was repacked since the attesters looked; they can look again."""

    code = "objects-moved"


class NotAttested(Conflict):
    """No quorum said that it holds the objects."""

    code = "not-attested"


class Protected(NotAllowed):
    """A rule of the repository keeps this ref as it is."""

    code = "protected"


@frozen
class Move:
    """An update that changes something: its ref is what the update expects, and not yet what it brings."""

    ref: RefName
    old: Oid | None
    new: Oid | None
    relation: Relation
    source: SourceKind


def update_refs(action: RefUpdate, state: Overlay, context: Context) -> tuple[Activity, ...]:
    """Move the refs of a manifest and admit its pack."""
    manifest = action.manifest
    check_manifest(manifest, context.params.updates_max)
    repository = repository_for(Permission.WRITE_REPOSITORY, manifest.repo, state, context)
    if repository.object_format is not manifest.object_format:
        raise Unsupported("the repository has another object format")
    moves = _moves(manifest.updates, repository, state)
    _check_availability(manifest, moves, repository, context)
    if not moves:
        return ()
    _check_result(moves, repository, state, context.params.refs_per_repository_max)
    return _perform(manifest, moves, repository, state, context)


def _moves(updates: tuple[Update, ...], repository: Repository, state: View) -> tuple[Move, ...]:
    moves = []
    for update in updates:
        found = queries.ref(state, repository.id, update.ref)
        actual = None if found is None else found.oid
        if actual == update.new:
            continue
        if actual != update.old:
            raise Stale(update.ref, update.old, actual)
        moves.append(Move(RefName(update.ref), actual, update.new, update.relation, update.source))
    return tuple(moves)


def _check_availability(manifest: Manifest, moves: tuple[Move, ...], repository: Repository, context: Context) -> None:
    if not needs_availability(manifest):
        return
    seen = context.availability
    if seen is None:
        raise NotAttested("no quorum of validators attested that it holds the objects")
    if seen.objects_epoch != repository.objects_epoch:
        raise ObjectsMoved("the repository was repacked while this push was checked; push again")
    relies_on_refs = any(move.source is SourceKind.EXISTING for move in moves)
    if relies_on_refs and seen.removals != repository.removals:
        raise RemovalsMoved("refs were forced or deleted while this push was checked; push again")


def _check_result(moves: tuple[Move, ...], repository: Repository, state: View, refs_max: int) -> None:
    """Raise unless the refs that would be there could be."""
    for move in moves:
        if move.new is None and move.ref == repository.default_branch:
            raise Protected(f"refusing to delete the current branch: {move.ref}")
    refs = _refs_after(moves, repository)
    if refs > refs_max and refs > repository.refs:
        raise LimitExceeded(f"{refs} refs: a repository may have {refs_max} on this network")
    arriving = tuple(move.ref for move in moves if move.old is None)
    gone = frozenset(move.ref for move in moves if move.new is None)
    check_beside(arriving, gone, repository, state)


def _perform(
    manifest: Manifest, moves: tuple[Move, ...], repository: Repository, state: Overlay, context: Context
) -> tuple[Activity, ...]:
    head = _head_after(moves, repository, state, context.rules)
    admitted: tuple[Activity, ...] = ()
    # A pack that no move draws from (its refs are there already) would be stored for nothing.
    if manifest.blob is not None and any(move.source is SourceKind.PACK for move in moves):
        repository, admitted = admit_pack(manifest.blob, repository, state, context)
    for move in moves:
        _write(move, repository, state)
    put_repository(state, _counted(moves, head, repository, context.time))
    moved = tuple(RefUpdated(repository.id, move.ref, move.old, move.new, move.relation) for move in moves)
    turned = () if head == repository.default_branch else (DefaultBranchSet(repository.id, head),)
    return admitted + moved + turned


def _write(move: Move, repository: Repository, state: Overlay) -> None:
    if move.new is None:
        state.delete(paths.ref(repository.id, move.ref))
    else:
        state.put(paths.ref(repository.id, move.ref), to_bytes(Ref(move.ref, move.new)))


def _counted(moves: tuple[Move, ...], head: RefName, repository: Repository, time: int) -> Repository:
    removals = sum(move.relation in (Relation.FORCED, Relation.DELETED) for move in moves)
    return evolve(
        repository,
        refs=_refs_after(moves, repository),
        generation=repository.generation + len(moves),
        removals=repository.removals + removals,
        default_branch=head,
        pushed=time,
        updated=time,
    )


def _refs_after(moves: tuple[Move, ...], repository: Repository) -> int:
    created = sum(move.old is None for move in moves)
    deleted = sum(move.new is None for move in moves)
    return repository.refs + created - deleted


def _head_after(moves: tuple[Move, ...], repository: Repository, state: View, rules: int) -> RefName:
    """
    Where HEAD points: new branches decide, if its default branch is not there nor among them.

    Under rules 0 the first branches of a repository alone do that; since rules 1 all do, so that no HEAD
    stays without a commit when its branch was set before it was pushed.
    """
    head = RefName(repository.default_branch)
    pushed = [move.ref for move in moves if move.old is None and move.ref.startswith(BRANCHES)]
    if not pushed or head in pushed or _is_settled(head, repository, state, rules):
        return head
    return next((name for name in USUAL_DEFAULT_BRANCHES if name in pushed), pushed[0])


def _is_settled(head: RefName, repository: Repository, state: View, rules: int) -> bool:
    if rules < HEAD_FOLLOWS_NEW_BRANCHES:
        return queries.has_branches(state, repository.id)
    return queries.ref(state, repository.id, head) is not None


def _is_at(oid: Oid | None) -> str:
    return "does not exist" if oid is None else f"is at {_short(oid)}"


def _short(oid: Oid | None) -> str:
    """As git abbreviates by default."""
    return "absent" if oid is None else oid.hex()[:7]
