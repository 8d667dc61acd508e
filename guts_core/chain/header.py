"""
Headers: what a block hash covers, and with it every vote (``architecture.md`` 3, Versions).

The hash covers view, parent and parent view, so that a leader cannot offer one body under two
ancestries (``consensus.md`` 0, bug b).
"""

from __future__ import annotations

from attrs import frozen

from guts_core.codec import Tag, digest, encode, kinds, record, to_bytes, to_value
from guts_core.codec.fields import ABlockHash, AChainId, AHash, ARoot
from guts_core.forge.records import ValidatorEntry
from guts_core.names import BlockHash

# What a genesis founds unless it says otherwise.
RULES = 0
# The first one; the others are counted from it.
EPOCH = 0


@record(kinds.HEADER)
@frozen
class Header:
    """A block's place and what it commits to; ``state_root`` is the root after this block."""

    rules: int
    chain_id: AChainId
    epoch: int
    height: int
    view: int
    parent_view: int
    parent_hash: ABlockHash
    time: int  # ms since 1970
    tx_root: AHash
    state_root: ARoot
    receipts_root: AHash
    history_root: AHash  # Merkle mountain range of the header hashes 0..height-1
    next_validators: AHash  # the set that signs the next block


def block_hash(header: Header) -> BlockHash:
    """The hash that names a block."""
    return BlockHash(digest(Tag.HEADER, to_bytes(header)))


def validators_hash(validators: tuple[ValidatorEntry, ...], epoch: int = EPOCH) -> bytes:
    """
    What a header says of the set that signs the next block, and of the epoch in which it does.

    Without the number, a header from the middle of an epoch would look like its end whenever the set stays
    the same: who walks epochs would count votes of the next one by the seats of the one before.
    """
    return digest(Tag.VALIDATORS, encode((epoch, *(to_value(validator) for validator in validators))))
