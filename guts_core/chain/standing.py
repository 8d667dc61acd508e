"""How far the chain is, and what became of a transaction, as far as one node knows."""

from __future__ import annotations

from enum import Enum, auto

from attrs import frozen

from guts_core.names import BlockHash, Root

from .receipt import Receipt


@frozen
class Head:
    """The last finalized and executed block."""

    height: int
    block_hash: BlockHash
    view: int
    time: int
    state_root: Root


class Where(Enum):
    """How far a transaction came, as far as this node knows."""

    FINAL = auto()  # executed in a finalized block: the receipt tells how
    PENDING = auto()  # waits in the mempool
    EXPIRED = auto()  # no block can hold it any more
    REFUSED = auto()  # the finalized state rules it out
    UNKNOWN = auto()  # never seen here, or long ago


@frozen
class Standing:
    """A transaction's place; ``error`` and ``message`` when it failed, expired or was refused."""

    where: Where
    height: int | None = None
    index: int | None = None
    receipt: Receipt | None = None
    error: str | None = None
    message: str | None = None


def final_standing(height: int, index: int, receipt: Receipt) -> Standing:
    """The place of a transaction that a finalized block holds."""
    return Standing(Where.FINAL, height, index, receipt, receipt.error, receipt.message)
