"""
Texts as the state knows them: who committed to which, and which were erased (``architecture.md`` 3).

The text itself is never here and never looked at: an action commits to it, a record says whether
every node is to hold it. Erasing changes that record alone, so the chain verifies as before.
"""

from __future__ import annotations

from attrs import evolve

from guts_core.codec import to_bytes
from guts_core.errors import Conflict
from guts_core.names import RepoId
from guts_core.state.view import Overlay

from . import paths, queries
from .actions import Erase
from .activities import TextErased
from .context import Context
from .operators import check_operators
from .permissions import Permission, TextPlace, demand, hidden
from .records import TextRecord, TextState


class TextTaken(Conflict):
    """This very text, salt included, was committed to in the repository before, and perhaps erased."""

    code = "text-taken"


def list_text(repo: RepoId, commitment: bytes | None, state: Overlay, context: Context) -> None:
    """
    Note that the acting account commits to a text in a repository; None is no text.

    Every action that commits to a text calls this, and ``chain.block`` lists its commitment: without
    the record no node keeps the text. A commitment is new, or an erased text could come back by it.
    """
    if commitment is None:
        return
    if queries.text(state, repo, commitment) is not None:
        raise TextTaken(f"text {commitment.hex()[:16]} was committed to in this repository before: use a new salt")
    record = TextRecord(commitment, repo, context.author, TextState.PRESENT)
    state.put(paths.text(repo, commitment), to_bytes(record))


def erase(action: Erase, state: Overlay, context: Context) -> tuple[()] | tuple[TextErased]:
    """Have a text forgotten by every node; admission has checked that each listed operator signed."""
    record = queries.text(state, action.repo, action.commitment)
    if action.operators:
        demand(context.principal, Permission.GOVERN, None, state)
        check_operators(action.operators, state, context.author)
    else:
        place = None if record is None else TextPlace(record, queries.repository(state, action.repo))
        demand(context.principal, Permission.ERASE_TEXT, place, state)
    if record is None:
        raise hidden()
    if record.state is TextState.ERASED:
        return ()
    state.put(paths.text(action.repo, action.commitment), to_bytes(evolve(record, state=TextState.ERASED)))
    return (TextErased(action.repo, action.commitment),)
