"""
A small synchronous client of a node's HTTP API, for the command line.

Nothing here decides: transactions are composed and signed by the caller, and the node's refusals
come back as the ``guts_core.errors`` class they had there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import httpx
from attrs import frozen

from guts_core.chain.transaction import SignedTransaction
from guts_core.codec import to_bytes
from guts_core.errors import (
    Conflict,
    GutsError,
    LimitExceeded,
    NotAllowed,
    NotFound,
    Refused,
    Unauthenticated,
    Unavailable,
)

from .outcomes import Unreachable

# A write waits up to 30 s for finality before the node answers 504.
TIMEOUT_SECONDS = 40.0
CONNECT_SECONDS = 3.0
_BY_STATUS: dict[int, type[GutsError]] = {
    400: Refused,
    401: Unauthenticated,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    422: Refused,
    429: LimitExceeded,
    503: Unavailable,
    504: Unavailable,
}


@frozen
class Client:
    """One node's API; ``token`` is sent when given."""

    base: str
    _http: httpx.Client

    def status(self) -> dict[str, Any]:
        """What the node knows."""
        return cast("dict[str, Any]", self._get("/api/guts/v1/status"))

    def account(self, name: str) -> dict[str, Any]:
        """The public record of an account; NotFound."""
        return cast("dict[str, Any]", self._get(f"/api/guts/v1/accounts/{name}"))

    def validators(self) -> list[dict[str, Any]]:
        """The validators, in voting order."""
        return cast("list[dict[str, Any]]", self._get("/api/guts/v1/validators"))

    def my_repositories(self) -> list[dict[str, Any]]:
        """Repositories of the token's account, and those it works in, page after page."""
        found: list[dict[str, Any]] = []
        path: str | None = "/api/v3/user/repos?per_page=100"
        while path is not None:
            reply = self._ask("GET", path)
            found += reply.json()
            path = reply.links.get("next", {}).get("url")
        return found

    def submit(self, signed: SignedTransaction) -> dict[str, Any]:
        """Hand over a signed transaction and wait until it is final; a refusal raises."""
        reply = self._ask("POST", "/api/guts/v1/transactions", content=to_bytes(signed))
        return cast("dict[str, Any]", reply.json())

    def is_ready(self) -> bool:
        """Whether the node says it can serve."""
        try:
            return self._http.get("/readyz", timeout=CONNECT_SECONDS).is_success
        except httpx.TransportError:
            return False

    def _get(self, path: str) -> Any:
        return self._ask("GET", path).json()

    def _ask(self, method: str, path: str, content: bytes | None = None) -> httpx.Response:
        headers = {"Content-Type": "application/cbor"} if content is not None else {}
        try:
            reply = self._http.request(method, path, content=content, headers=headers)
        except httpx.TransportError as error:
            raise Unreachable(
                f"no answer from {self.base}: {error}", "guts devnet status, or another --node"
            ) from error
        if reply.is_success:
            return reply
        raise _refusal(reply)


def _refusal(reply: httpx.Response) -> GutsError:
    try:
        message = str(reply.json()["message"])
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        message = f"{reply.request.url.path}: status {reply.status_code}"
    return _BY_STATUS.get(reply.status_code, Refused)(message)


@contextmanager
def open_client(base: str, token: str | None = None, timeout: float = TIMEOUT_SECONDS) -> Iterator[Client]:
    """A client of the node at this URL."""
    headers = {"User-Agent": "guts", "Accept": "application/json"}
    if token is not None:
        headers["Authorization"] = f"token {token}"
    # Proxies of the environment are for the outside; nodes are named by whoever runs the command.
    limits = httpx.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS))
    with httpx.Client(base_url=base, headers=headers, timeout=limits, trust_env=False) as http:
        yield Client(base, http)
