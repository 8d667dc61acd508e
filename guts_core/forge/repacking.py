"""
Replacing packs of a repository's list (``architecture.md`` 5, "Admitted packs are state").

Many small packs become one, and what no ref reaches any more goes. A quorum looked at the new pack first: what it
vouched for is only true of the list, and where something is dropped of the refs, that it had looked at.
"""

from __future__ import annotations

from attrs import evolve

from guts_core.errors import Conflict, Invalid
from guts_core.state.view import Overlay, View

from . import paths, queries
from .actions import Repack
from .activities import PackAdmitted, PacksReplaced
from .context import Context
from .operators import NotSeated, seated
from .packs import admit_pack
from .permissions import hidden
from .records import Pack, Repository
from .refs import NotAttested, ObjectsMoved
from .repositories import Unsupported
from .storing import put_repository


class ListMoved(Conflict):
    """The list of packs, or a ref, is not what the proposer had seen: the same pack may be proposed again."""

    code = "list-moved"


def check_repack(action: Repack) -> None:
    """Raise what is wrong with it in any state."""
    if list(action.replaces) != sorted(set(action.replaces)):
        raise Invalid("the packs to be replaced stand in order, each once")
    if action.drops:
        return
    if action.blob is None:
        raise Invalid("a repack that drops nothing has a pack that holds what it replaces")
    if action.generation:
        raise Invalid("a repack that drops nothing depends on no generation: it says 0")


def repack(action: Repack, state: Overlay, context: Context) -> tuple[PackAdmitted | PacksReplaced, ...]:
    """Take packs off a repository's list, and put one in their place. Admission checked that a seat's node signed."""
    if context.author not in seated(queries.epoch(state)):
        raise NotSeated("packs are replaced by validators: this account has none in the current epoch")
    check_repack(action)
    repository = queries.repository(state, action.repo)
    if repository is None:
        raise hidden()
    if repository.object_format is not action.object_format:
        raise Unsupported("the repository has another object format")
    _check_moment(action, repository, context)
    replaced = _replaced(action, repository, state)
    return _perform(action, repository, replaced, state, context)


def has_moved(action: Repack, view: View) -> bool:
    """Whether a block came that makes it impossible for good: nothing brings an older list or generation back."""
    repository = queries.repository(view, action.repo)
    if repository is None:
        return False
    if action.drops and action.generation < repository.generation:
        return True
    return any(queries.pack(view, repository.id, seq) is None for seq in action.replaces)


def _check_moment(action: Repack, repository: Repository, context: Context) -> None:
    if context.availability is None:
        raise NotAttested("no quorum of validators attested what the packs hold")
    if context.availability.objects_epoch != repository.objects_epoch:
        raise ObjectsMoved("the repository was repacked while this repack was checked")
    if action.drops and action.generation != repository.generation:
        raise ListMoved(f"the repository is at generation {repository.generation}, not {action.generation}")


def _replaced(action: Repack, repository: Repository, state: View) -> tuple[Pack, ...]:
    found = [queries.pack(state, repository.id, seq) for seq in action.replaces]
    if None in found:
        raise ListMoved(f"pack {action.replaces[found.index(None)]} is not on the list any more")
    if action.blob is not None and queries.pack_of_digest(state, repository.id, action.blob.digest) is not None:
        raise ListMoved("the new pack is on the list already")
    return tuple(pack for pack in found if pack is not None)


def _perform(
    action: Repack, repository: Repository, replaced: tuple[Pack, ...], state: Overlay, context: Context
) -> tuple[PackAdmitted | PacksReplaced, ...]:
    for pack in replaced:
        state.delete(paths.pack(repository.id, pack.seq))
        state.delete(paths.pack_seat(repository.id, pack.digest))
    smaller = evolve(
        repository,
        bytes_stored=repository.bytes_stored - sum(pack.size for pack in replaced),
        objects_epoch=repository.objects_epoch + action.drops,
        generation=repository.generation + (action.blob is None),  # an admitted pack counts by itself
    )
    admitted: tuple[()] | tuple[PackAdmitted] = ()
    if action.blob is not None:
        smaller, admitted = admit_pack(action.blob, smaller, state, context)
    put_repository(state, smaller)
    return *admitted, PacksReplaced(repository.id, tuple(pack.digest for pack in replaced), action.drops)
