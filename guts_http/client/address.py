"""Where a node is, whom its certificate has to convince, and what goes along with every request."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from attrs import field, frozen

from guts_core.errors import Invalid

if TYPE_CHECKING:
    import ssl

# A write waits up to 30 s for finality before the node answers 504.
TIMEOUT_SECONDS = 40.0
CONNECT_SECONDS = 3.0
# A node that is starting or full says for how long; nobody wants to wait longer than this, all in all.
RETRY_SECONDS_MAX = 10.0
# The largest answers are pages of a hundred things; a node that says more is not listened to.
ANSWER_BYTES_MAX = 16 << 20
_TOKEN = re.compile(r"[\x21-\x7e]{1,512}", re.ASCII)


@frozen
class Address:
    """A node's base URL, the token shown there, and the CA file (or context) that its certificate is checked with."""

    base: str
    token: str | None = field(default=None, repr=False)
    verify: Path | ssl.SSLContext | None = None
    seconds: float = TIMEOUT_SECONDS  # for one answer

    @property
    def headers(self) -> dict[str, str]:
        """What goes along with every request; answers stay as they are, so that a bomb is its own size."""
        said = {"User-Agent": "guts", "Accept": "application/json", "Accept-Encoding": "identity"}
        return said if self.token is None else {**said, "Authorization": f"token {self.token}"}

    @property
    def patience(self) -> float:
        """How long a node that is busy is waited for: never longer than for an answer."""
        return min(self.seconds, RETRY_SECONDS_MAX)

    def trust(self) -> ssl.SSLContext | bool:
        """Whom to believe: the CA file given, else that of SSL_CERT_FILE and SSL_CERT_DIR, else the usual ones."""
        import ssl  # noqa: PLC0415 -- costs milliseconds that a plain import of this module need not

        if self.base.startswith("http:"):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # believes nobody, and loads in no time
        if isinstance(self.verify, ssl.SSLContext):
            return self.verify
        given = self.verify or os.environ.get("SSL_CERT_FILE")
        directory = None if self.verify else os.environ.get("SSL_CERT_DIR")
        if not given and not directory:
            return True
        try:
            return ssl.create_default_context(cafile=given or None, capath=directory or None)
        except OSError as error:
            raise Invalid(f"certificates cannot be read from {given or directory}: {error.strerror}") from None


def address(base: str, token: str | None, verify: str | Path | ssl.SSLContext | None, seconds: float) -> Address:
    """The address, if it is one; raises Invalid with words that repeat no secret."""
    try:
        parts = urlsplit(base)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise Invalid("a node's URL is http://HOST:PORT or https://HOST, with nothing behind it and no token in it")
    if token is not None and not _TOKEN.fullmatch(token):
        raise Invalid("a token is one word of printable ASCII")
    return Address(base.rstrip("/"), token, Path(verify) if isinstance(verify, str) else verify, seconds)
