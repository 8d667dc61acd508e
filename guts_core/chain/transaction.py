"""
Transactions: signed, valid once, before they expire; their actions are atomic together
(``architecture.md`` 3 and 4).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from attrs import frozen

from guts_core.codec import Limit, Tag, digest, kinds, record, to_bytes
from guts_core.codec.fields import AChainId, ACredentialId, AnAccountId, ANodeId, APublicKey, ASalt, ASignature, ATxId
from guts_core.forge import actions as forge_actions
from guts_core.names import TxId

ACTIONS_MAX = 16
SIGNATURES_MAX = 130
TEXT_BYTES_MAX = 256 * 1024
TEXTS_MAX = 16


class Hand(IntEnum):
    """How the gateway came by the transaction."""

    HANDED = 1  # the gateway was given the token and signed with it
    RELAYED = 2  # the credential's holder signed; the gateway passed it on


@record(kinds.VIA)
@frozen
class Via:
    """The credential that acts and the gateway that vouches for having been asked."""

    credential: ACredentialId
    gateway: ANodeId | None  # None: the credential has no gateways and signs locally
    hand: Hand


@record(kinds.TRANSACTION)
@frozen
class Transaction:
    """The signed body."""

    chain_id: AChainId
    author: AnAccountId
    via: Via | None  # None: signed by an account key
    actions: Annotated[tuple[forge_actions.Action, ...], Limit(most=ACTIONS_MAX, least=1)]
    expires: int  # block time, ms; t <= expires <= t + 1 h at its place
    salt: ASalt


@record(kinds.SIGNATURE)
@frozen
class Signature:
    """Who signed, and the 64 bytes."""

    public_key: APublicKey
    signature: ASignature


@record(kinds.SIGNED_TRANSACTION)
@frozen
class SignedTransaction:
    """
    A body with exactly the signatures it requires, in this order.

    Without ``via``: one of the author's account keys. With ``via``: the credential's key over the
    body (Tag.SIGN_TX), then, when a gateway is named, the gateway node's key (Tag.SIGN_GATEWAY).
    ``Register``: the new key, then one of the sponsor's account keys. ``Erase`` where it lists
    operators: one key of each in the order of ``operators``.
    ``ReportEvidence``: the network key of a validator that the author answers for (Tag.SIGN_EVIDENCE).
    All sign ``to_bytes(body)``.
    """

    body: Transaction
    signatures: Annotated[tuple[Signature, ...], Limit(most=SIGNATURES_MAX, least=1)]


@record(kinds.TEXT)
@frozen
class Text:
    """One text beside a transaction: committed to by H(text tag, salt || text)."""

    salt: ASalt
    text: Annotated[str, Limit(most=TEXT_BYTES_MAX)]

    @property
    def commitment(self) -> bytes:
        """What the state holds of it."""
        return digest(Tag.TEXT, self.salt, self.text.encode())


@record(kinds.AVAIL)
@frozen
class Avail:
    """What a validator asserts about a transaction's manifest after checking and fsyncing its pack."""

    chain_id: AChainId
    epoch: int
    group: str  # "all" in rules 0
    tx_id: ATxId
    objects_epoch: int
    removals: int


@record(kinds.WITNESS)
@frozen
class Witness:
    """A quorum of equal Avails: bit i of ``signers`` (least bit of the first byte first) is validator i."""

    avail: Avail
    signers: Annotated[bytes, Limit(most=32)]
    signatures: Annotated[tuple[ASignature, ...], Limit(most=256)]


@record(kinds.ITEM)
@frozen
class Item:
    """A transaction as it stands in a block or travels between nodes."""

    signed: SignedTransaction
    witness: Witness | None
    texts: Annotated[tuple[Text, ...], Limit(most=TEXTS_MAX)]


def transaction_id(body: Transaction, encoded: bytes | None = None) -> TxId:
    """The id, which no signature can change: the hash of the unsigned body (``encoded``, where that is at hand)."""
    return TxId(digest(Tag.TX_ID, encoded or to_bytes(body)))
