"""What both clients tell httpx, and what its failures mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .address import ANSWER_BYTES_MAX, CONNECT_SECONDS, Address
from .errors import UnexpectedAnswer, Unreachable
from .exchange import Answer

if TYPE_CHECKING:
    import httpx


# The system's number of an error, before its words.
_ERRNO = re.compile(r"^\[Errno -?[0-9]+\] ")


def opened(where: Address) -> dict[str, Any]:
    """The arguments of a client for this address."""
    return {
        "base_url": where.base,
        "headers": where.headers,
        "timeout": timeouts(where.seconds),
        "verify": where.trust(),
        "trust_env": False,
    }


def timeouts(seconds: float) -> httpx.Timeout:
    """So long for an answer, and less for a connection."""
    import httpx  # noqa: PLC0415 -- see ``open_client``

    return httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))


@contextmanager
def failed(base: str) -> Iterator[None]:
    """Raises what httpx raises as Unreachable."""
    import httpx  # noqa: PLC0415 -- see ``open_client``

    try:
        yield
    except httpx.InvalidURL:
        raise UnexpectedAnswer(f"{base}: a link that leads nowhere") from None
    except httpx.TransportError as error:
        never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
        words = _ERRNO.sub("", str(error)) or type(error).__name__
        raise Unreachable(f"no answer from {base}: {words}", was_sent=not never_sent) from error


class Collected:
    """The pieces of one answer, as long as they are not too many."""

    def __init__(self) -> None:
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body = bytearray()

    def begin(self, reply: httpx.Response) -> None:
        """Its head."""
        self._status = reply.status_code
        self._headers = {name.lower(): value for name, value in reply.headers.items()}

    @property
    def is_too_much(self) -> bool:
        """Whether no more of it is wanted."""
        return len(self._body) > ANSWER_BYTES_MAX

    def add(self, piece: bytes) -> None:
        """The next piece."""
        self._body += piece

    def answer(self) -> Answer:
        """All of it; raises UnexpectedAnswer."""
        if self.is_too_much:
            raise UnexpectedAnswer(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
        return Answer(self._status, self._headers, bytes(self._body))
