"""Commits for tests of stores: small, and distinct where it matters."""

from __future__ import annotations

from typing import Any

import attrs

from guts_core.chain.commit import Commit
from guts_core.codec import to_bytes
from guts_core.names import BlockHash
from guts_core.simplex.messages import Proposal


def block_hash(height: int) -> BlockHash:
    return BlockHash(height.to_bytes(32, "big"))


def commit_of(height: int, **fields: Any) -> Commit:
    """A commit at a height, its view three times that; everything else empty unless given."""
    proposal = Proposal(0, 3 * height, 3 * height - 1, block_hash(height - 1), block_hash(height))
    plain = Commit(height, block_hash(height), to_bytes(proposal), b"body", None, height, {}, {}, (), (), {})
    return attrs.evolve(plain, **fields)
