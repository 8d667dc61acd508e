"""What waits for a block at this node, as far as anybody may know."""

from __future__ import annotations

from itertools import islice

from guts_core.chain.admission import Candidate
from guts_core.chain.mempool import Mempool
from guts_core.forge import queries
from guts_core.forge.actions import Action, CreateRepository, RefUpdate
from guts_core.names import RepoId
from guts_core.state.view import View

from .port import WAITING_MAX, Waiting, WaitingList


def waiting_list(mempool: Mempool, view: View, now: int) -> WaitingList:
    """The oldest transactions and how many there are; ``now`` in monotonic microseconds."""
    oldest = islice(mempool.oldest(), WAITING_MAX)
    shown = tuple(_shown(candidate, (now - since) // 1000, view) for candidate, since in oldest)
    return WaitingList(len(mempool), mempool.bytes, shown)


def _shown(candidate: Candidate, age_ms: int, view: View) -> Waiting:
    if any(_is_hidden(action, view) for action in candidate.body.actions):
        return Waiting(candidate.tx_id, None, None, None)
    return Waiting(candidate.tx_id, candidate.body.author, candidate.size, max(0, age_ms))


def _is_hidden(action: Action, view: View) -> bool:
    """Whether an action concerns a repository that not everybody may know of: private, deleted, or not there."""
    if isinstance(action, CreateRepository):
        return action.private
    repo: RepoId | None = action.manifest.repo if isinstance(action, RefUpdate) else getattr(action, "repo", None)
    if repo is None:
        return False
    found = queries.repository(view, repo)
    return found is None or found.private or found.deleted is not None
