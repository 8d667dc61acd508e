"""The port between the HTTP doors and the node, both ways."""

from __future__ import annotations

from guts_core.codec import to_bytes
from guts_core.errors import Malformed
from guts_core.node.port import REPLIES, REQUESTS


def fuzz(data: bytes) -> None:
    """Malformed, or the same bytes again."""
    for family in (REQUESTS, REPLIES):
        try:
            message = family.from_bytes(data)
        except Malformed:
            continue
        assert to_bytes(message) == data
