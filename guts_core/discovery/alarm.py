"""
When a node has to think that somebody cuts it off (``consensus.md`` 6, Eclipse).

Lies are impossible for whoever checks certificates, silence is not: it shows in links that are too few
to hold an honest validator, and in finalizations that do not come although heartbeats would bring them.
"""

from __future__ import annotations

from enum import IntEnum

# One may be lost with a leader that is down, the next with the view after it.
HEARTBEATS = 3


class Outlook(IntEnum):
    """How much of the network a node sees."""

    CLEAR = 0
    FEW = 1  # fewer validators are connected than may all be faulty, and one more
    STALE = 2  # no newer finalization for three heartbeats


def outlook(*, validators: int, quorum: int, votes: bool, linked: int, final_age_ms: int, heartbeat_ms: int) -> Outlook:
    """``linked`` counts other validators whose connection stands; ``votes``: whether this node is one."""
    others = validators - votes
    if linked < min(validators - quorum + 1, others):
        return Outlook.FEW
    # A validator that is alone sends no heartbeats: it has nobody to tell.
    if validators > 1 and final_age_ms > HEARTBEATS * heartbeat_ms:
        return Outlook.STALE
    return Outlook.CLEAR
