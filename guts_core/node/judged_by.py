"""By which refs of a repository the facts of a push are judged."""

from __future__ import annotations

from guts_core.forge import queries
from guts_core.forge.actions import Manifest, SourceKind
from guts_core.forge.records import Ref
from guts_core.state.view import View


def refs_to_judge_by(view: View, manifest: Manifest) -> tuple[Ref, ...]:
    """
    Those that it moves; all, where it says that something is reachable from a ref already.

    Where the pack is said to bring everything, what refs reach changes no answer: it brings it, or the manifest
    is wrong. One of 50 transactions of one push would otherwise read the 50,000 refs of all of them.
    """
    if any(update.source is SourceKind.EXISTING for update in manifest.updates):
        return tuple(queries.refs(view, manifest.repo))
    found = (queries.ref(view, manifest.repo, update.ref) for update in manifest.updates)
    return tuple(ref for ref in found if ref is not None)
