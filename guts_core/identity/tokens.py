"""
Personal access tokens: the seed of a credential's key, in a form made to be pasted.

``guts_pat_`` + 43 base62 characters (the 32-byte Ed25519 seed, big-endian) + 6 base62 characters
of CRC-32 over what stands before them, so that a mistyped or truncated token is told apart from
a revoked one and secret scanners can find ours.
"""

from __future__ import annotations

from zlib import crc32

from guts_core.errors import Invalid

from .keys import SEED_BYTES, KeyPair

PREFIX = "guts_pat_"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SEED_CHARS, _CHECK_CHARS = 43, 6
TOKEN_CHARS = len(PREFIX) + _SEED_CHARS + _CHECK_CHARS


def token_of(seed: bytes) -> str:
    """The token that stands for a credential's 32-byte seed."""
    if len(seed) != SEED_BYTES:
        raise Invalid(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    body = PREFIX + _base62(int.from_bytes(seed, "big"), _SEED_CHARS)
    return body + _base62(crc32(body.encode()), _CHECK_CHARS)


def key_of(token: str) -> KeyPair:
    """The key whose seed a token holds; raises Invalid, without repeating the token."""
    if not token.startswith(PREFIX) or len(token) != TOKEN_CHARS:
        raise Invalid(f"a token starts with {PREFIX} and has {TOKEN_CHARS} characters")
    body, check = token[:-_CHECK_CHARS], token[-_CHECK_CHARS:]
    try:
        number, expected = _number(body[len(PREFIX) :]), _number(check)
    except ValueError:
        raise Invalid("the token has a character that no token has") from None
    if crc32(body.encode()) != expected or number >= 1 << (8 * SEED_BYTES):
        raise Invalid("the token's check does not match: it was mistyped or cut off")
    return KeyPair(number.to_bytes(SEED_BYTES, "big"))


def _base62(number: int, width: int) -> str:
    chars = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        chars.append(_ALPHABET[digit])
    assert number == 0
    return "".join(reversed(chars))


def _number(text: str) -> int:
    number = 0
    for char in text:
        number = number * 62 + _ALPHABET.index(char)
    return number
