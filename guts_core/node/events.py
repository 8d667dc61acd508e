"""Everything that can happen to a node. Events are inputs of the core; users follow activity."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from guts_core.chain.transaction import Item
from guts_core.names import TxId


@frozen
class Started:
    """The node runs again: these are the records of its log, oldest first."""

    records: tuple[bytes, ...]


@frozen
class PeerConnected:
    """The control link to a validator opened."""

    peer: int


@frozen
class PeerDisconnected:
    """The control link to a validator closed."""

    peer: int


@frozen
class PeerSaid:
    """A validator, authenticated by its link, said this."""

    peer: int
    data: bytes


@frozen
class TransactionSubmitted:
    """
    A client of this node wants this ordered.

    ``judged`` is set when this node holds, checked and fsynced the pack of a push: the repository's
    (objects_epoch, removals) when its facts were judged. A push that nobody judged is checked first.
    """

    item: Item
    pack: bytes | None  # the pack's bytes if small enough to ride along
    judged: tuple[int, int] | None = None


@frozen
class PackChecked:
    """
    A CheckPack ended; problem None means held, fsynced, and every fact as the manifest says.

    A problem that ``may_pass`` lay with this node or with the way to the bytes: it is looked at again.
    """

    tx_id: TxId
    objects_epoch: int
    removals: int
    problem: str | None
    may_pass: bool = False


@frozen
class Committed:
    """The block of this height is on disk."""

    height: int


@frozen
class Ticked:
    """The deadline passed."""


Event: TypeAlias = (
    Started | PeerConnected | PeerDisconnected | PeerSaid | TransactionSubmitted | PackChecked | Committed | Ticked
)
