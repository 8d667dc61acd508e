"""
pkt-lines (gitprotocol-common) and the side-band that carries them with progress (gitprotocol-pack).

Strict where lenient decoders loop or crash (``reliability.md`` D01): exactly four hexadecimal digits,
``0000`` to ``0002`` are special, ``0003`` is nothing, and no packet is longer than 65,520 bytes.
"""

from __future__ import annotations

import re
from enum import Enum, IntEnum

from guts_core.errors import Invalid

# git's LARGE_PACKET_MAX, its four length digits included.
PACKET_BYTES_MAX = 65520
_LENGTH_DIGITS = 4
DATA_BYTES_MAX = PACKET_BYTES_MAX - _LENGTH_DIGITS
BAND_DATA_BYTES_MAX = DATA_BYTES_MAX - 1
_LENGTH = re.compile(rb"[0-9a-fA-F]{4}")


class BadPacket(Invalid):
    """The client's bytes are not the protocol."""

    code = "bad-packet"


class Mark(Enum):
    """Packets without data."""

    FLUSH = 0
    DELIMITER = 1
    RESPONSE_END = 2


class Band(IntEnum):
    """Who a side-band packet is for."""

    DATA = 1
    PROGRESS = 2  # for the person
    FATAL = 3  # for the person, and it is over


FLUSH = b"0000"
DELIMITER = b"0001"
RESPONSE_END = b"0002"


def packet(data: bytes) -> bytes:
    """One packet."""
    assert len(data) <= DATA_BYTES_MAX
    return b"%04x" % (len(data) + _LENGTH_DIGITS) + data


def side_band(band: Band, data: bytes) -> bytes:
    """Data of any length as packets of one band."""
    pieces = (data[at : at + BAND_DATA_BYTES_MAX] for at in range(0, len(data), BAND_DATA_BYTES_MAX))
    return b"".join(packet(bytes((band,)) + piece) for piece in pieces)


class PacketReader:
    """Takes bytes as they come and gives packets; ``rest`` is what follows the packets taken so far."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def receive(self, data: bytes) -> None:
        """Append bytes."""
        self._buffer += data

    def next_packet(self) -> bytes | Mark | None:
        """The next packet, or None until more bytes come; raises BadPacket."""
        if len(self._buffer) < _LENGTH_DIGITS:
            return None
        length = self._length()
        if length <= Mark.RESPONSE_END.value:
            del self._buffer[:_LENGTH_DIGITS]
            return Mark(length)
        if len(self._buffer) < length:
            return None
        data = bytes(self._buffer[_LENGTH_DIGITS:length])
        del self._buffer[:length]
        return data

    def rest(self) -> bytes:
        """Take every byte that is no packet yet."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def is_between_packets(self) -> bool:
        """Whether nothing was begun and not ended."""
        return not self._buffer

    def _length(self) -> int:
        digits = bytes(self._buffer[:_LENGTH_DIGITS])
        if not _LENGTH.fullmatch(digits):
            raise BadPacket(f"a packet starts with {digits.decode('latin-1')!a} where its length is expected")
        length = int(digits, 16)
        if length == 3 or length > PACKET_BYTES_MAX:
            raise BadPacket(f"a packet cannot be {length} bytes long")
        return length
