"""
The only encoding that is signed or hashed: a strict subset of CBOR (RFC 8949, section 4.2.1).

Unsigned integers below 2^64, byte strings, UTF-8 text, arrays, booleans and null; shortest heads,
definite lengths, nothing else. ``decode`` accepts exactly the bytes that ``encode`` produces, so a
value has one encoding and an encoding one value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from guts_core.errors import Malformed

Value: TypeAlias = "int | bytes | str | bool | Sequence[Value] | None"

# Records nest four or five deep (block > transaction > action > manifest > update); 16 leaves
# room and keeps a hostile "[[[[..." far from Python's recursion limit.
DEPTH_MAX = 16
UINT_MAX = (1 << 64) - 1

_UINT, _BYTES, _TEXT, _ARRAY = 0x00, 0x40, 0x60, 0x80
_FALSE, _TRUE, _NULL = 0xF4, 0xF5, 0xF6


def encode(value: Value) -> bytes:
    """The canonical bytes of a value; raises TypeError or ValueError for what has none."""
    out = bytearray()
    _encode(value, out, DEPTH_MAX)
    return bytes(out)


def array_of(items: Sequence[bytes]) -> bytes:
    """The canonical bytes of an array whose items are canonical bytes already."""
    out = bytearray()
    _head(_ARRAY, len(items), out)
    return bytes(out) + b"".join(items)


def _encode(value: Value, out: bytearray, depth: int) -> None:
    if value is None:
        out.append(_NULL)
    elif value is True:
        out.append(_TRUE)
    elif value is False:
        out.append(_FALSE)
    elif isinstance(value, int):
        _head(_UINT, value, out)
    elif isinstance(value, bytes):
        _head(_BYTES, len(value), out)
        out += value
    elif isinstance(value, str):
        text = value.encode("utf-8")
        _head(_TEXT, len(text), out)
        out += text
    elif isinstance(value, list | tuple):
        if depth == 0:
            raise ValueError(f"nested deeper than {DEPTH_MAX}")
        _head(_ARRAY, len(value), out)
        for item in value:
            _encode(item, out, depth - 1)
    else:
        raise TypeError(f"{type(value).__name__} has no canonical encoding")


def _head(major: int, argument: int, out: bytearray) -> None:
    if argument < 24:
        if argument < 0:
            raise ValueError(f"{argument} is negative")
        out.append(major | argument)
    elif argument < 1 << 8:
        out.append(major | 24)
        out.append(argument)
    elif argument < 1 << 16:
        out.append(major | 25)
        out += argument.to_bytes(2, "big")
    elif argument < 1 << 32:
        out.append(major | 26)
        out += argument.to_bytes(4, "big")
    elif argument <= UINT_MAX:
        out.append(major | 27)
        out += argument.to_bytes(8, "big")
    else:
        raise ValueError("integer above 2^64 - 1")


def decode(data: bytes) -> Value:
    """The value whose canonical bytes these are; raises Malformed for any other bytes."""
    value, end = _decode(data, 0, DEPTH_MAX)
    if end != len(data):
        raise Malformed(f"{len(data) - end} bytes after the value")
    return value


def _decode(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    if at >= len(data):
        raise Malformed("ends inside a value")
    first = data[at]
    if first >= 0xA0:
        if first == _NULL:
            return None, at + 1
        if first == _TRUE:
            return True, at + 1
        if first == _FALSE:
            return False, at + 1
        raise Malformed(f"byte 0x{first:02x} starts nothing we encode")
    argument = first & 0x1F
    at += 1
    if argument >= 24:
        argument, at = _long_argument(data, argument, at)
    major = first & 0xE0
    if major == _UINT:
        return argument, at
    if major == _ARRAY:
        return _decode_array(data, argument, at, depth)
    if major not in (_BYTES, _TEXT):
        raise Malformed(f"byte 0x{first:02x} starts nothing we encode")
    end = at + argument
    if end > len(data):
        raise Malformed(f"a string of {argument} bytes ends beyond the input")
    chunk = data[at:end]
    if major == _BYTES:
        return chunk, end
    try:
        return chunk.decode("utf-8"), end
    except UnicodeDecodeError as error:
        raise Malformed("text is not UTF-8") from error


def _long_argument(data: bytes, code: int, at: int) -> tuple[int, int]:
    if code > 27:
        raise Malformed("indefinite or reserved length")
    width = 1 << (code - 24)
    end = at + width
    if end > len(data):
        raise Malformed("ends inside a head")
    argument = int.from_bytes(data[at:end], "big")
    smallest = 24 if width == 1 else 1 << (width * 4)
    if argument < smallest:
        raise Malformed(f"{argument} is not in its shortest form")
    return argument, end


def _decode_array(data: bytes, count: int, at: int, depth: int) -> tuple[Value, int]:
    if depth == 0:
        raise Malformed(f"nested deeper than {DEPTH_MAX}")
    # Every item takes a byte at least, so this bounds what a lying count can make us allocate.
    if count > len(data) - at:
        raise Malformed(f"an array of {count} items ends beyond the input")
    items: list[Value] = []
    for _ in range(count):
        item, at = _decode(data, at, depth - 1)
        items.append(item)
    return tuple(items), at
