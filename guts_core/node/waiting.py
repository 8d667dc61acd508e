"""What waits for a block at this node, as far as anybody may know."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from guts_core.chain.admission import Candidate
from guts_core.chain.mempool import Mempool
from guts_core.errors import Unavailable
from guts_core.forge.mentions import is_about_public
from guts_core.state.view import View

from .port import WAITING_MAX, Waiting, WaitingList


class Lagging(Unavailable):
    """Writes wait and nothing becomes final: one more would only wait too."""

    code = "lagging"


def believed_height(told: Iterable[int], liars: int) -> int:
    """How high the chain is by what validators say of themselves, so many of whom may lie."""
    highest = sorted(told, reverse=True)
    return highest[liars] if len(highest) > liars else 0


def waiting_list(mempool: Mempool, view: View, now: int) -> WaitingList:
    """The oldest transactions and how many there are; ``now`` in monotonic microseconds."""
    oldest = islice(mempool.oldest(), WAITING_MAX)
    shown = tuple(_shown(candidate, (now - since) // 1000, view) for candidate, since in oldest)
    return WaitingList(len(mempool), mempool.bytes, shown)


def _shown(candidate: Candidate, age_ms: int, view: View) -> Waiting:
    body = candidate.body
    if not is_about_public(view, body.actions, body.author, body.chain_id):
        return Waiting(candidate.tx_id, None, None, None)
    return Waiting(candidate.tx_id, body.author, candidate.size, max(0, age_ms))
