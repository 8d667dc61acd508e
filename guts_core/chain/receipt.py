"""Receipts: the ordered, definite answer to a transaction (``architecture.md`` 3, Authenticated)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from attrs import frozen

from guts_core.codec import HASH_BYTES, Limit, Tag, digest, encode, kinds, record, to_bytes
from guts_core.codec.fields import ATxId
from guts_core.errors import Refused
from guts_core.forge.activities import Activity
from guts_core.names import TxId

from . import merkle

# A sentence; what it repeats of names and refs is cut, so that no one fills the chain with words.
MESSAGE_BYTES_MAX = 500
CODE_BYTES_MAX = 40


@record(kinds.RECEIPT)
@frozen
class Receipt:
    """What became of a transaction: ``error`` None, and what happened; or why nothing did."""

    tx_id: ATxId
    error: Annotated[str, Limit(most=CODE_BYTES_MAX)] | None
    message: Annotated[str, Limit(most=MESSAGE_BYTES_MAX)] | None
    activities: tuple[Activity, ...]


def succeeded(tx_id: TxId, activities: Sequence[Activity]) -> Receipt:
    """The receipt of a transaction whose actions all took effect."""
    return Receipt(tx_id, None, None, tuple(activities))


def failed(tx_id: TxId, refusal: Refused) -> Receipt:
    """The receipt of a transaction that was refused in its place; it changed nothing but the quota."""
    words = str(refusal).encode("utf-8", "replace")[:MESSAGE_BYTES_MAX].decode("utf-8", "ignore")
    return Receipt(tx_id, refusal.code, words, ())


def receipts_root(receipts: Sequence[Receipt]) -> bytes:
    """What a header says of the receipts of its transactions, in their order."""
    return merkle.root([digest(Tag.RECEIPT, to_bytes(receipt)) for receipt in receipts])


def is_success(receipt: bytes) -> bool:
    """Whether these canonical bytes are the receipt of a transaction that took effect; without decoding them."""
    return receipt[_ERROR_AT] == _NULL


_NULL = encode(None)[0]
# Kind, version and id take as many bytes in every receipt; then the error, the message and the activities follow.
_ERROR_AT = len(to_bytes(succeeded(TxId(bytes(HASH_BYTES)), ()))) - len((None, None, ()))
