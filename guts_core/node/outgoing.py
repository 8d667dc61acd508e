"""What is said to peers, and in which queue it waits."""

from __future__ import annotations

from guts_core.codec import to_bytes
from guts_core.simplex.messages import Certificate, Fetch, Propose, Supply, Vote

from .effects import SendPeer, Urgency
from .messages import Hello, PeerMessage


def say(peer: int | None, message: PeerMessage) -> SendPeer:
    """Say this to one validator, or to all others when ``peer`` is None."""
    return SendPeer(peer, to_bytes(message), urgency_of(message))


def urgency_of(message: PeerMessage) -> Urgency:
    """Votes and certificates before proposals before catch-up before clients' work."""
    if isinstance(message, Vote | Certificate):
        return Urgency.VOTE
    if isinstance(message, Propose):
        return Urgency.PROPOSAL
    if isinstance(message, Fetch | Supply | Hello):
        return Urgency.CATCH_UP
    return Urgency.TRANSACTION
