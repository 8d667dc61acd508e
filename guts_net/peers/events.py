"""What a node hears from its links; peers are node numbers, their keys proven by the handshake."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Protocol, TypeAlias

from attrs import frozen

from guts_core.names import NodeId


@frozen
class PeerAddress:
    """Where a node is thought to be; only ``node_id`` is believed. One without addresses is not dialled."""

    node_id: NodeId
    name: str
    addresses: tuple[str, ...]  # as the transport understands them, to be tried in this order
    is_validator: bool = True


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


class Ear(Protocol):
    """Who decides where peers are: hears what is said about that, in place of the inbox, and how dials end."""

    @property
    def kinds(self) -> AbstractSet[int]:
        """The messages that are for it."""

    def linked(self, index: int) -> None:
        """The control connection to this peer stands."""

    def unlinked(self, index: int) -> None:
        """It is gone."""

    def heard(self, index: int, message: bytes) -> None:
        """One of ``kinds``."""

    def dialled(self, index: int, address: str, *, found: bool) -> None:
        """Whether this peer was at this address."""
