"""Proof files, which come from whoever wants to be believed."""

from __future__ import annotations

from guts_core.errors import GutsError
from guts_core.proof import verify
from tests.core.chain.chain_world import a_genesis

_GENESIS = a_genesis()


def fuzz(data: bytes) -> None:
    """Refused as one of ours, never by another exception; nothing that this target makes up is true."""
    try:
        verify(data, _GENESIS)
    except GutsError as refusal:
        words = str(refusal)
        assert words
    else:
        raise AssertionError("a proof without a quorum's signature was taken for true")
