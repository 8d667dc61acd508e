"""
The server's certificate: TLS 1.2 and newer, HTTP/1.1 only, read again when its files change.

The files are looked at with each new connection, so that a renewal needs nobody to say so. What does
not load (half of a renewal, a wrong key) is logged once, and the old certificate goes on.
"""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import NoReturn, TypeAlias

from guts_core.errors import Invalid

log = logging.getLogger("guts.http.tls")

Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]


class Certificate:
    """A chain and its key in two PEM files."""

    def __init__(self, chain: Path, key: Path) -> None:
        """Load them; raises Invalid in words."""
        self._chain, self._key = chain, key
        self._seen = self._stamp()
        self._context = self._load()

    def context(self) -> ssl.SSLContext:
        """What a new connection is served with: the newest files that load."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            try:
                self._context = self._load()
                log.info("the certificate was read again")
            except Invalid as error:
                log.error("%s; the certificate that was read before is still served", error)  # noqa: TRY400 -- its words are enough
        return self._context

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._chain, self._key, password=_refuse_to_ask)
        except (OSError, ValueError) as error:  # SSLError is an OSError
            raise Invalid(f"the certificate {self._chain} with the key {self._key} does not load: {error}") from error
        return context

    def _stamp(self) -> Stamp:
        return tuple(_stamp_of(path) for path in (self._chain, self._key))


def _stamp_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _refuse_to_ask() -> NoReturn:
    """Without this OpenSSL asks the terminal, and a node without one hangs."""
    raise ValueError("the key has a password, and nobody is there to type it")
