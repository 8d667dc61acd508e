"""Cutting a state into pieces, and reading one: strictly, for pieces come from strangers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from guts_core.codec import encode, from_bytes, to_bytes
from guts_core.errors import Malformed
from guts_core.state.keys import KEY_PREFIX_BYTES, REST_BYTES_MAX
from guts_core.state.view import Pair

from .records import ENTRIES_MAX, PIECE_BYTES_MAX, Piece

# Array heads, kind and version of a piece.
_HEAD_BYTES = 32
KEY_BYTES_MAX = KEY_PREFIX_BYTES + REST_BYTES_MAX


def cut(records: Iterable[Pair]) -> Iterator[tuple[bytes, int]]:
    """The pieces of a state given in order of keys, each with its count of records; as many in each as go in."""
    entries: list[bytes] = []
    size = _HEAD_BYTES
    for key, value in records:
        weight = len(encode(key)) + len(encode(value))
        if entries and (size + weight > PIECE_BYTES_MAX or len(entries) + 2 > ENTRIES_MAX):
            yield to_bytes(Piece(tuple(entries))), len(entries) // 2
            entries, size = [], _HEAD_BYTES
        entries += (key, value)
        size += weight
    if entries:
        yield to_bytes(Piece(tuple(entries))), len(entries) // 2


def read_piece(piece: bytes, after: bytes = b"") -> list[Pair]:
    """The records of a piece whose keys ascend from above ``after``; raises Malformed for any other bytes."""
    entries = from_bytes(Piece, piece).entries
    if not entries or len(entries) % 2:
        raise Malformed(f"a piece of the state with {len(entries)} entries, which are no pairs")
    found = list(zip(entries[::2], entries[1::2], strict=True))
    for key, _ in found:
        if key <= after:
            raise Malformed(f"record {key.hex()[:96]} does not stand in order")
        if not KEY_PREFIX_BYTES <= len(key) <= KEY_BYTES_MAX:
            raise Malformed(f"a record under a key of {len(key)} bytes")
        after = key
    return found
