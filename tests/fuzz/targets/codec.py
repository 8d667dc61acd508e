"""The codec: what it accepts is the one encoding of a value, and cbor2 reads the same value from it."""

from __future__ import annotations

import cbor2

from guts_core.codec import decode, encode
from guts_core.errors import Malformed


def fuzz(data: bytes) -> None:
    """Any bytes: refused with Malformed, or decoded and encoded to themselves."""
    try:
        value = decode(data)
    except Malformed:
        return
    assert encode(value) == data
    assert encode(cbor2.loads(data)) == data
