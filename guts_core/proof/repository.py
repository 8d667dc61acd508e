"""
A repository by its names, and its refs below it: the state half of a proof.

Records of one repository share the beginning of their keys (``state.keys``). So the walk to the
repository's own record passes the node where its refs part from it, if it has any, and the side not
taken there is the tree of exactly its refs. That hash serves as the root for a proof of one ref, of its
absence, or of all of them, at the cost of the refs alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import Malformed
from guts_core.forge import paths
from guts_core.forge.records import AccountNameHolder, Pack, Ref, Repository, RepositoryNameHolder
from guts_core.names import Oid, Root
from guts_core.state.keys import Kind, tree_key, tree_prefix
from guts_core.state.proof import (
    AbsenceProof,
    BadProof,
    CompleteProof,
    InclusionProof,
    Step,
    Steps,
    verify_absence,
    verify_complete,
    verify_inclusion,
)

from .faults import BadPath, Incomplete
from .format import Lookup, RefAnswer, RefsAnswer

T = TypeVar("T")
# The kind ends the first 33 bytes of a tree key, and these two differ in their last bit alone: the side
# not taken there holds refs and nothing else.
assert Kind.REPOSITORY ^ Kind.REF == 1
PARTING_BITS = 33 * 8 - 1


def check_repository(root: Root, owner: str, name: str, answer: RefAnswer | RefsAnswer) -> Repository:
    """The repository that these names led to in the state with this root; raises BadPath."""
    account = _looked_up(AccountNameHolder, root, paths.account_name(owner), answer.account, f"account {owner}")
    named = f"{owner}/{name}"
    holder = _looked_up(
        RepositoryNameHolder, root, paths.repository_name(account.account, name), answer.name, f"the name {named}"
    )
    place = paths.repository(holder.repository)
    repository = _looked_up(Repository, root, place, answer.repository, f"repository {named}")
    if repository.deleted is not None:
        raise BadPath(f"{named} leads to a repository that was deleted")
    return repository


def check_ref(repository: Repository, steps: Steps, name: str, shown: Lookup | AbsenceProof | None) -> Oid | None:
    """The ref's value in this repository, None where it is shown to be absent; raises BadPath."""
    refs = refs_root(steps)
    if shown is None or refs is None:
        if shown is not None or refs is not None:
            has = "has no" if refs is None else "has"
            raise BadPath(f"the state {has} refs of this repository, and the proof says otherwise")
        return None
    key = paths.ref(repository.id, name)
    if isinstance(shown, Lookup):
        found = _looked_up(Ref, refs, key, shown, f"ref {name}")
        if found.name != name:
            raise BadPath(f"ref {found.name} stands where {name} should")
        return found.oid
    try:
        verify_absence(refs, tree_key(key), shown)
    except BadProof as error:
        raise BadPath(f"ref {name} is not shown to be absent: {error}") from error
    return None


def check_refs(repository: Repository, steps: Steps, listed: tuple[Ref, ...]) -> None:
    """Raises Incomplete unless these are all refs of the repository, in order of name."""
    names = [ref.name.encode() for ref in listed]
    if any(one >= other for one, other in pairwise(names)):
        raise Incomplete("the refs do not ascend by name")
    refs = refs_root(steps)
    if refs is None or not listed:
        if refs is not None or listed:
            raise Incomplete(f"{len(listed)} refs are listed, and the state {'has some' if refs else 'has none'}")
        return
    pairs = sorted((tree_key(paths.ref(repository.id, ref.name)), to_bytes(ref)) for ref in listed)
    try:
        verify_complete(refs, tree_prefix(paths.refs(repository.id)), pairs, CompleteProof((), None))
    except BadProof as error:
        raise Incomplete(f"the {len(listed)} refs listed are not exactly those of the repository") from error


def check_packs(root: Root, repository: Repository, listed: tuple[Pack, ...], walk: CompleteProof) -> None:
    """Raises Incomplete unless these are all packs of the repository in this state, in order of admission."""
    if any(one.seq >= other.seq for one, other in pairwise(listed)):
        raise Incomplete("the packs do not ascend by number")
    pairs = sorted((tree_key(paths.pack(repository.id, pack.seq)), to_bytes(pack)) for pack in listed)
    try:
        verify_complete(root, tree_prefix(paths.packs(repository.id)), pairs, walk)
    except BadProof as error:
        raise Incomplete(f"the {len(listed)} packs listed are not exactly those of the repository") from error


def refs_root(steps: Sequence[Step]) -> Root | None:
    """The root of the tree of a repository's refs, which the walk to its record passes; None when it has none."""
    return next((Root(step.other) for step in steps if step.bits == PARTING_BITS), None)


def _looked_up(cls: type[T], root: Root, key: bytes, lookup: Lookup, what: str) -> T:
    try:
        verify_inclusion(root, tree_key(key), lookup.value, InclusionProof(lookup.steps))
        return from_bytes(cls, lookup.value)
    except (BadProof, Malformed) as error:
        raise BadPath(f"{what} is not shown: {error}") from error
