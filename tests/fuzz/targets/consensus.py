"""Everything that validators say to each other over control links, decoded: a message has one encoding."""

from __future__ import annotations

from guts_core.codec import to_bytes
from guts_core.errors import Malformed, PeerFault
from guts_core.node.messages import PEER_MESSAGES
from guts_core.simplex.messages import Certificate, Propose, Vote
from tests.core.simplex.simplex_world import World

_WORLD = World()


def fuzz(data: bytes) -> None:
    """Malformed, or the same bytes again; and an engine that hears it refuses it as the peer's fault or takes it."""
    try:
        message = PEER_MESSAGES.from_bytes(data)
    except Malformed:
        return
    assert to_bytes(message) == data
    if isinstance(message, Vote | Certificate | Propose):
        before = dict(_WORLD.engine.held)
        try:
            _WORLD.hear(3, message)
        except PeerFault:
            assert _WORLD.engine.held == before
