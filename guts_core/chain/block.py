"""
Blocks, and what ties their bytes to their header (``architecture.md`` 3, "A block binds everything").

Leaf i of ``tx_root`` is ``H(tx_id || H(signatures) || H(witness))``: nobody can swap a signature or
a witness of a block under its hash. Texts are bound by the commitments in the actions, and ride along
while a block is proposed and voted for (``texts``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, assert_never

from attrs import frozen

from guts_core.codec import Limit, Tag, array_of, digest, encode, from_bytes, kinds, peek, record, to_bytes
from guts_core.forge.actions import (
    Action,
    AddKey,
    AdmitFollower,
    CreateCredential,
    CreateRepository,
    DeleteRepository,
    DescribeRepository,
    Erase,
    ProposeDecision,
    RefUpdate,
    Register,
    RemoveCollaborator,
    RemoveFollower,
    RemoveKey,
    RenameRepository,
    ReportEvidence,
    RestoreRepository,
    RevokeCredential,
    RotateSeat,
    SetCollaborator,
    SetDefaultBranch,
    SetVisibility,
    VoteDecision,
)
from guts_core.names import TxId

from . import merkle
from .header import Header
from .transaction import Item, Signature, Transaction, Witness, transaction_id

# Signed transactions take 200 bytes at least, so the byte cap of a block binds first.
ITEMS_MAX = 8192
# A header is under 400 bytes and an array head nine: what a leader sets aside of the byte cap.
BLOCK_OVERHEAD_BYTES = 512


@record(kinds.BLOCK)
@frozen
class Block:
    """A header with its transactions, in order, and such of their texts as are here."""

    header: Header
    items: Annotated[tuple[Item, ...], Limit(most=ITEMS_MAX)]


# What a block's bytes begin with: an array of four, its kind and its version.
_BEGINNING = array_of((encode(kinds.BLOCK), encode(0), b"", b""))


def header_of(body: bytes) -> Header:
    """The header of a block that was judged before: its transactions, some 30 us each, are not taken apart."""
    found = peek(Header, body, len(_BEGINNING)) if body.startswith(_BEGINNING) else None
    return found or from_bytes(Block, body).header


def leaf(tx_id: TxId, signatures: tuple[Signature, ...], witness: Witness | None) -> bytes:
    """One transaction's leaf of ``tx_root``."""
    return leaf_over(tx_id, signatures, witness_hash(witness))


def leaf_over(tx_id: TxId, signatures: tuple[Signature, ...], seen: bytes) -> bytes:
    """The same for who has only the hash of the witness, which may be large."""
    signed = digest(Tag.TX_PART, array_of([to_bytes(signature) for signature in signatures]))
    return digest(Tag.TX_LEAF, tx_id, signed, seen)


def witness_hash(witness: Witness | None) -> bytes:
    """What a leaf says of the witness."""
    return _NO_WITNESS if witness is None else digest(Tag.TX_PART, to_bytes(witness))


_NO_WITNESS = digest(Tag.TX_PART, encode(None))


def item_leaf(item: Item) -> bytes:
    """One item's leaf of ``tx_root``."""
    return leaf(transaction_id(item.signed.body), item.signed.signatures, item.witness)


def tx_root(items: Iterable[Item]) -> bytes:
    """What a header says of its transactions."""
    return merkle.root([item_leaf(item) for item in items])


def commitments(body: Transaction) -> frozenset[bytes]:
    """The texts that a transaction commits to."""
    return frozenset(found for found in map(_commitment, body.actions) if found is not None)


def _commitment(action: Action) -> bytes | None:
    match action:
        case CreateRepository() | DescribeRepository():
            return action.description
        case (
            Register()
            | CreateCredential()
            | RevokeCredential()
            | SetDefaultBranch()
            | SetVisibility()
            | SetCollaborator()
            | RemoveCollaborator()
            | AddKey()
            | RemoveKey()
            | RenameRepository()
            | DeleteRepository()
            | RestoreRepository()
            | RefUpdate()
            | ProposeDecision()
            | VoteDecision()
            | RotateSeat()
            | AdmitFollower()
            | RemoveFollower()
            | ReportEvidence()
            | Erase()
        ):
            return None
        case _:
            assert_never(action)
