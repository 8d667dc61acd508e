"""
Arguments of protocol version 2, a line each: how they are refused, counted and read (gitprotocol-v2).

What no command knows is refused with words, not passed over: whoever sent it expects something of it.
"""

from __future__ import annotations

import re

from guts_core.errors import Invalid, LimitExceeded
from guts_core.names import Oid

from .pkt_line import packet

# What a client reads of its own line in a refusal: enough to find it again.
_SHOWN_CHARS = 80
# Either case, as stock git takes it.
_OID = re.compile(rb"[0-9a-fA-F]{40}")


class ArgumentRefused(Invalid):
    """A whole request that asks for what is not served: the client is told so in an ``ERR`` packet."""

    code = "argument-refused"


def refusal(words: str) -> bytes:
    """The answer that stock git shows as ``remote error: ...`` and ends with."""
    return packet(f"ERR {words}\n".encode())


def shown(line: bytes) -> str:
    """A client's own bytes, short, as no terminal obeys them."""
    text = ascii(line.decode("utf-8", "backslashreplace"))
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def oid_of(digits: bytes) -> Oid:
    """An object id from 40 digits; raises ArgumentRefused."""
    if not _OID.fullmatch(digits):
        raise ArgumentRefused(f"expected an object id of 40 digits, not {shown(digits)}")
    return Oid(bytes.fromhex(digits.decode("ascii")))


def text_of(data: bytes, most: int) -> str:
    """At most so many bytes of printable text without spaces; raises ArgumentRefused."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ArgumentRefused(f"{shown(data)} is not UTF-8") from None
    if not text or len(data) > most or not text.isprintable() or " " in text:
        raise ArgumentRefused(f"{shown(data)}: 1 to {most} bytes of printable text without spaces are needed")
    return text


class Counted:
    """How often each kind of line came, so that a request ends at a number (D02)."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def add(self, word: str, most: int) -> None:
        """One more; raises LimitExceeded beyond ``most``."""
        self._seen[word] = self._seen.get(word, 0) + 1
        if self._seen[word] > most:
            raise LimitExceeded(f"the request has more than {most} {word} lines")

    def once(self, word: str) -> None:
        """The only one; raises ArgumentRefused for a second, of which git would take the last."""
        if word in self._seen:
            raise ArgumentRefused(f"{word} is said twice")
        self._seen[word] = 1
