"""
What nodes say to each other on the control connection, beside simplex's own messages.

A push travels as ``Announce`` (the signed transaction, small packs inline); each validator that
holds and has checked its pack answers everybody with ``AvailSaid``; whoever has a quorum of equal
ones has the witness (``architecture.md`` 5, steps 3 to 5).
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from attrs import frozen

from guts_core.chain.transaction import Avail, Item, Witness
from guts_core.codec import Family, Limit, kinds, record
from guts_core.codec.fields import ASignature, ATxId
from guts_core.simplex.messages import Certificate, Fetch, Propose, Recall, Recalled, Supply, Vote

# A typical small push is a few KiB: it rides with its announcement and saves a round trip.
INLINE_PACK_BYTES_MAX = 64 * 1024
ITEMS_PER_SUBMIT_MAX = 64


@record(kinds.SUBMIT)
@frozen
class Submit:
    """Transactions for your mempool."""

    items: Annotated[tuple[Item, ...], Limit(most=ITEMS_PER_SUBMIT_MAX, least=1)]


@record(kinds.ANNOUNCE)
@frozen
class Announce:
    """A push at this gateway: check it, hold its pack, and say so to everybody."""

    item: Item
    pack: Annotated[bytes, Limit(most=INLINE_PACK_BYTES_MAX)] | None


@record(kinds.AVAIL_SAID)
@frozen
class AvailSaid:
    """One validator's signed Avail; the link says who speaks, the signature proves it to others."""

    avail: Avail
    signer: int
    signature: ASignature


@record(kinds.WITNESSED)
@frozen
class Witnessed:
    """The quorum of Avails for a transaction you were announced."""

    tx_id: ATxId
    witness: Witness


@record(kinds.HELLO)
@frozen
class Hello:
    """Where the speaker stands, said when a link opens."""

    height: int
    view: int
    epoch: int = 0


PeerMessage: TypeAlias = (
    Submit
    | Announce
    | AvailSaid
    | Witnessed
    | Hello
    | Propose
    | Vote
    | Certificate
    | Fetch
    | Supply
    | Recall
    | Recalled
)
PEER_MESSAGES = Family(
    (Submit, Announce, AvailSaid, Witnessed, Hello, Propose, Vote, Certificate, Fetch, Supply, Recall, Recalled)
)
