"""What a node hears from its links; peers are validator indexes, proven by the handshake."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from guts_core.names import NodeId


@frozen
class PeerAddress:
    """Where a node is thought to be; only ``node_id`` is believed."""

    node_id: NodeId
    name: str
    address: str  # as the transport understands it


@frozen
class PeerConnected:
    """The control connection to this peer stands; what was sent before may be lost."""

    index: int


@frozen
class PeerDisconnected:
    """The control connection to this peer is gone."""

    index: int


@frozen
class PeerSaid:
    """One message of this peer, in the order it sent them within one urgency."""

    index: int
    data: bytes


InboxEvent: TypeAlias = PeerConnected | PeerDisconnected | PeerSaid
