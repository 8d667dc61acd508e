"""
Proofs about the state, and their verifier, which needs a root and nothing else (``architecture.md`` 3).

* Inclusion: one key holds one value.
* Absence: no record has this key.
* Complete set: these are all the records under a prefix, be they many, one or none.

A proof is a walk down from the root: each step is a branching node whose prefix begins what we look
for, so the step needs only its number of bits and the hash of the side not taken. A walk that ends in
nothing shows the node at which it ends: its prefix, which its hash covers, diverges from what we look
for, and no key with that beginning can be below it or anywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeAlias

from attrs import frozen

from guts_core.codec import Limit, kinds, record
from guts_core.codec.fields import AHash
from guts_core.errors import PeerFault
from guts_core.names import Root
from guts_core.state.nodes import (
    EMPTY_ROOT,
    TREE_KEY_BITS,
    TREE_KEY_BYTES,
    bit,
    common_bits,
    inner_hash,
    leaf_hash,
    prefix_of,
    root_of,
    value_hash,
)


class BadProof(PeerFault):
    """A state proof that does not prove what it came with."""

    code = "bad-proof"


@record(kinds.PROOF_STEP)
@frozen
class Step:
    """A branching node on the walk: the bits of its prefix, and the child on the side not taken."""

    bits: Annotated[int, Limit(most=TREE_KEY_BITS - 1)]
    other: AHash


@record(kinds.PROOF_LEAF)
@frozen
class Leaf:
    """A leaf at which a walk ends."""

    key: Annotated[bytes, Limit.exactly(TREE_KEY_BYTES)]
    value_hash: AHash


@record(kinds.PROOF_INNER)
@frozen
class Inner:
    """A branching node at which a walk ends; the prefix stands in whole bytes, zero padded."""

    bits: Annotated[int, Limit(most=TREE_KEY_BITS - 1)]
    prefix: Annotated[bytes, Limit(most=TREE_KEY_BYTES)]
    left: AHash
    right: AHash


End: TypeAlias = Leaf | Inner
Steps: TypeAlias = Annotated[tuple[Step, ...], Limit(most=TREE_KEY_BITS)]
Pairs: TypeAlias = Sequence[tuple[bytes, bytes]]


@record(kinds.INCLUSION_PROOF)
@frozen
class InclusionProof:
    """The walk from the root (first) to the leaf (last)."""

    steps: Steps


@record(kinds.ABSENCE_PROOF)
@frozen
class AbsenceProof:
    """The walk and the diverging node at its end; no end at all only in the empty tree."""

    steps: Steps
    end: End | None


@record(kinds.COMPLETE_PROOF)
@frozen
class CompleteProof:
    """The walk to the subtree that the listed records make up; an ``end`` only when none are listed."""

    steps: Steps
    end: End | None


def verify_inclusion(root: Root, key: bytes, value: bytes, proof: InclusionProof) -> None:
    """Raises BadProof unless the state with this root holds this value at this tree key."""
    _check_length(key)
    _climb(root, key, TREE_KEY_BITS, proof.steps, leaf_hash(key, value_hash(value)))


def verify_absence(root: Root, key: bytes, proof: AbsenceProof) -> None:
    """Raises BadProof unless the state with this root holds nothing at this tree key."""
    _check_length(key)
    _verify_nothing(root, key, proof.steps, proof.end)


def verify_complete(root: Root, prefix: bytes, records: Pairs, proof: CompleteProof) -> None:
    """
    Raises BadProof unless these (tree key, value) pairs, ascending, are all records under a prefix.

    The prefix is whole bytes; empty, it means the whole state.
    """
    if len(prefix) > TREE_KEY_BYTES:
        raise BadProof(f"a prefix of {len(prefix)} bytes is longer than a key")
    if not records:
        _verify_nothing(root, prefix, proof.steps, proof.end)
        return
    if proof.end is not None:
        raise BadProof("the proof ends in nothing, yet records are listed")
    _check_records(prefix, records)
    subtree = root_of([(key, value_hash(value)) for key, value in records])
    _climb(root, prefix, len(prefix) * 8, proof.steps, subtree)


def _check_length(key: bytes) -> None:
    if len(key) != TREE_KEY_BYTES:
        raise BadProof(f"a tree key has {TREE_KEY_BYTES} bytes, not {len(key)}")


def _check_records(prefix: bytes, records: Pairs) -> None:
    last = b""
    for key, _ in records:
        _check_length(key)
        if not key.startswith(prefix):
            raise BadProof("a listed record is not under the prefix")
        if key <= last:
            raise BadProof("listed records do not ascend")
        last = key


def _verify_nothing(root: Root, prefix: bytes, steps: Sequence[Step], end: End | None) -> None:
    if end is None:
        if root != EMPTY_ROOT or steps:
            raise BadProof("only the empty state is proven empty by nothing")
        return
    shown, bits, hashed = _look_at(end)
    looked_for = len(prefix) * 8
    shared = common_bits(shown, prefix.ljust(TREE_KEY_BYTES, b"\0"))
    if shared >= min(bits, looked_for):
        raise BadProof("the node at the end of the walk does not diverge from what is looked for")
    if steps and shared <= steps[-1].bits:
        raise BadProof("the node at the end of the walk is not on the side of the last step")
    _climb(root, prefix, looked_for, steps, hashed)


def _look_at(end: End) -> tuple[bytes, int, bytes]:
    """The prefix of a node padded to a key's length, its bits, and its hash."""
    if isinstance(end, Leaf):
        return end.key, TREE_KEY_BITS, leaf_hash(end.key, end.value_hash)
    if len(end.prefix) != (end.bits + 7) // 8 or end.prefix != prefix_of(end.prefix, end.bits):
        raise BadProof(f"a prefix of {end.bits} bits stands in {len(end.prefix)} bytes or is not zero padded")
    padded = end.prefix.ljust(TREE_KEY_BYTES, b"\0")
    return padded, end.bits, inner_hash(end.bits, padded, end.left, end.right)


def _climb(root: Root, prefix: bytes, limit: int, steps: Sequence[Step], hashed: bytes) -> None:
    """Raises BadProof unless this hash, at the end of the walk along a prefix, leads up to the root."""
    below = limit
    for step in reversed(steps):
        if step.bits >= below:
            raise BadProof(f"a node with {step.bits} bits stands above one with {below}")
        left, right = (step.other, hashed) if bit(prefix, step.bits) else (hashed, step.other)
        hashed = inner_hash(step.bits, prefix, left, right)
        below = step.bits
    if hashed != root:
        raise BadProof("the walk does not lead to this root")
