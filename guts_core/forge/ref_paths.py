"""
No ref is a path prefix of another: git keeps refs as paths, and a client could not store both.

Decided on what would be there afterwards, so one push may turn `a` into `a/b`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

from guts_core.errors import Conflict
from guts_core.names import RefName
from guts_core.state.view import View

from . import queries
from .records import Repository

# refs/<space>/<name>: nothing shorter can be a ref.
_REF_COMPONENTS_MIN = 3


class RefConflict(Conflict):
    """A ref cannot be a directory of another."""

    code = "ref-conflict"


def ancestors(name: str) -> list[RefName]:
    """Every shorter ref name that is a path prefix of this one."""
    parts = name.split("/")
    paths = list(accumulate(parts, lambda path, part: f"{path}/{part}"))
    return [RefName(path) for path in paths[_REF_COMPONENTS_MIN - 1 : -1]]


def check_together(names: Iterable[str]) -> None:
    """Raise if two of these cannot both exist."""
    kept = frozenset(names)
    for name in names:
        above = next((above for above in ancestors(name) if above in kept), None)
        if above is not None:
            raise RefConflict(f"{name} and {above} cannot both exist")


def check_beside(created: tuple[RefName, ...], gone: frozenset[RefName], repository: Repository, state: View) -> None:
    """
    Raise if one of the created refs cannot exist beside those that stand and stay.

    A scan of a view may cost as much as there are unfinalized writes, so a push of many refs reads
    all names in pages when that takes fewer scans than looking around each.
    """
    if not created or not repository.refs:
        return
    if len(created) > 1 + repository.refs // queries.PAGE_RECORDS:
        _check_against_all(created, gone, repository, state)
        return
    for name in created:
        _check_around(name, gone, repository, state)


def _check_around(name: RefName, gone: frozenset[RefName], repository: Repository, state: View) -> None:
    for above in ancestors(name):
        if above not in gone and queries.ref(state, repository.id, above) is not None:
            raise _conflict(above, name)
    below = next((found for found in queries.ref_names(state, repository.id, name + "/") if found not in gone), None)
    if below is not None:
        raise _conflict(below, name)


def _check_against_all(
    created: tuple[RefName, ...], gone: frozenset[RefName], repository: Repository, state: View
) -> None:
    names = frozenset(created)
    below = {above: name for name in created for above in ancestors(name)}
    for standing in queries.ref_names(state, repository.id):
        if standing in gone:
            continue
        if standing in below:
            raise _conflict(standing, below[standing])
        for above in ancestors(standing):
            if above in names:
                raise _conflict(standing, above)


def _conflict(standing: RefName, name: RefName) -> RefConflict:
    return RefConflict(f"{standing} exists: {name} cannot exist beside it, one would be a directory of the other")
