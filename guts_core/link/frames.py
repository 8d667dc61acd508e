"""
Encrypted frames on an established session (``consensus.md`` 6, Framing).

A frame is ``length u24 || ChaCha20-Poly1305-IETF(pieces)``; the length is authenticated, the nonce
is a 96-bit counter that neither side sends, and each direction has its own key, new in every
session. So a frame that was changed, repeated, left out, reordered or reflected does not open, and
after the first one that does not the session is over: there is no resynchronising.

Inside, a frame carries any number of pieces ``lane u8 || length u24 || bytes``: a system call and
an authentication cost the same for one vote as for all that were ready in that turn of the loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_ABYTES as TAG_BYTES,
)
from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_decrypt as decrypt,
)
from nacl.bindings import (
    crypto_aead_chacha20poly1305_ietf_encrypt as encrypt,
)
from nacl.exceptions import CryptoError

from guts_core.errors import Malformed, PeerFault

# A block of 1 MiB with its texts, justification and votes fits; a lying length costs no more memory.
FRAME_BYTES_MAX = 2 << 20
PIECE_HEAD_BYTES = 4
MESSAGE_BYTES_MAX = FRAME_BYTES_MAX - PIECE_HEAD_BYTES
# The last nonce is never used, so that the counter cannot wrap around to a used one.
COUNTER_MAX = (1 << 96) - 1
_LENGTH_BYTES = 3
_NONCE_BYTES = 12


class Lane(IntEnum):
    """What a piece is for."""

    SAID = 0
    PING = 1
    PONG = 2


class Piece(NamedTuple):
    """One message, or one half of measuring the round trip."""

    lane: Lane
    data: bytes


class SessionSpent(PeerFault):
    """The session cannot carry another frame: its counter ended, or a frame did not open."""

    code = "session-spent"


def join_pieces(pieces: Iterable[Piece]) -> bytes:
    """The plain bytes of a frame."""
    out = bytearray()
    for lane, data in pieces:
        assert len(data) <= MESSAGE_BYTES_MAX, "a message has a size that a frame can carry"
        out.append(lane)
        out += len(data).to_bytes(3, "big")
        out += data
    return bytes(out)


def split_pieces(plain: bytes) -> list[Piece]:
    """The pieces of a frame; raises Malformed unless they fill it exactly."""
    pieces = []
    at, end = 0, len(plain)
    while at < end:
        start = at + PIECE_HEAD_BYTES
        stop = start + int.from_bytes(plain[at + 1 : start], "big")
        if start > end or stop > end:
            raise Malformed("a piece ends beyond its frame")
        if plain[at] > Lane.PONG:
            raise Malformed(f"a frame has no lane {plain[at]}")
        pieces.append(Piece(Lane(plain[at]), plain[start:stop]))
        at = stop
    return pieces


class Sealer:
    """Encrypts one direction of one session."""

    def __init__(self, key: bytes, counter: int = 0) -> None:
        self._key, self._counter = key, counter

    def seal(self, plain: bytes) -> bytes:
        """The frame to send next; raises SessionSpent when the counter ends."""
        assert 0 < len(plain) <= FRAME_BYTES_MAX, "a frame carries something, and not too much"
        if self._counter >= COUNTER_MAX:
            raise SessionSpent("the session's frame counter has come to its end")
        head = (len(plain) + TAG_BYTES).to_bytes(_LENGTH_BYTES, "big")
        nonce = self._counter.to_bytes(_NONCE_BYTES, "little")
        self._counter += 1
        return head + encrypt(plain, head, nonce, self._key)


class Opener:
    """Decrypts one direction of one session, from bytes as they come."""

    def __init__(self, key: bytes, counter: int = 0) -> None:
        self._key, self._counter = key, counter
        self._buffer = bytearray()
        self._broken = False

    @property
    def buffered(self) -> int:
        """Bytes of a frame that is not complete: never more than one frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The plain bytes of each frame completed by these; raises PeerFault once, and then always."""
        if self._broken:
            raise SessionSpent("a frame of this session did not open")
        self._buffer += data
        try:
            return self._complete()
        except PeerFault:
            self._broken = True
            self._buffer.clear()
            raise

    def _complete(self) -> list[bytes]:
        frames = []
        at = 0
        while (end := self._end(at)) is not None:
            frames.append(self._open(at, end))
            at = end
        del self._buffer[:at]
        return frames

    def _end(self, at: int) -> int | None:
        """Where the frame at this place ends, if all of it is here; refuses a bad length before waiting for it."""
        if len(self._buffer) < at + _LENGTH_BYTES:
            return None
        size = int.from_bytes(self._buffer[at : at + _LENGTH_BYTES], "big")
        if not TAG_BYTES < size <= FRAME_BYTES_MAX + TAG_BYTES:
            raise Malformed(f"a frame of {size} bytes")
        end = at + _LENGTH_BYTES + size
        return end if len(self._buffer) >= end else None

    def _open(self, at: int, end: int) -> bytes:
        if self._counter >= COUNTER_MAX:
            raise SessionSpent("the session's frame counter has come to its end")
        nonce = self._counter.to_bytes(_NONCE_BYTES, "little")
        self._counter += 1
        body = at + _LENGTH_BYTES
        try:
            return decrypt(bytes(self._buffer[body:end]), bytes(self._buffer[at:body]), nonce, self._key)
        except CryptoError:
            raise Malformed("a frame does not open: it was changed, repeated, or is not from this session") from None
