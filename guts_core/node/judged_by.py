"""What of a state an attester judges a push, or a repack, by: no more than what can change its answer."""

from __future__ import annotations

from guts_core.forge import queries
from guts_core.forge.actions import Repack, SourceKind
from guts_core.forge.records import Pack, Ref
from guts_core.state.view import View

from .attestation import Attestable


def refs_to_judge_by(action: Attestable, view: View) -> tuple[Ref, ...]:
    """
    Those it moves; all, where it says what a ref reaches, or what none does.

    Where the pack is said to bring everything, what refs reach changes no answer: it brings it, or the manifest
    is wrong. One of 50 transactions of one push would otherwise read the 50,000 refs of all of them.
    """
    if isinstance(action, Repack):
        return tuple(queries.refs(view, action.repo)) if action.drops else ()
    if any(update.source is SourceKind.EXISTING for update in action.updates):
        return tuple(queries.refs(view, action.repo))
    found = (queries.ref(view, action.repo, update.ref) for update in action.updates)
    return tuple(ref for ref in found if ref is not None)


def packs_to_judge_by(action: Attestable, view: View) -> tuple[Pack, ...]:
    """The list, where packs are replaced; a push may lead into any of them."""
    return tuple(queries.packs(view, action.repo)) if isinstance(action, Repack) else ()
