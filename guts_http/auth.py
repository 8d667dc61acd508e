"""
Who asks: one principal, however the token was shown (``reliability.md`` E02, E03).

Basic (the account's name or ``x-access-token``, the token as password), ``Authorization: token T`` and
``Authorization: Bearer T``. A token is the seed of a credential's key (``architecture.md`` 4); it is
held here for the length of a request and stands in no message, log or answer.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable
from urllib.parse import parse_qsl

from attrs import field, frozen

from guts_core.errors import Invalid, NotAllowed, Unauthenticated
from guts_core.forge import queries
from guts_core.forge.permissions import ANONYMOUS, Principal, credential_is_active
from guts_core.forge.records import Account
from guts_core.identity import key_of
from guts_core.names import NodeId
from guts_core.state.view import View

from .problems import BadRequest

ANY_USER = "x-access-token"
# Names under which tokens have been put into URLs, where logs and proxies keep them.
QUERY_SECRETS = frozenset({"access_token", "token", "private_token", "oauth_token", "api_key", "auth"})
_UNKNOWN = "the token is unknown, expired or revoked"


@frozen
class Caller:
    """Who asks, and with what they can act here."""

    principal: Principal
    account: Account | None
    seed: bytes | None = field(default=None, repr=False)

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody was named."""
        return self.account is None


NOBODY = Caller(ANONYMOUS, None)


@frozen
class Shown:
    """What a request shows: a token, and the user name beside it where there is one."""

    user: str | None
    token: str = field(repr=False)


def shown_in(headers: Iterable[tuple[bytes, bytes]], query: bytes) -> Shown | None:
    """The token of a request; BadRequest for one in the query, Unauthenticated for what is none."""
    refuse_query_secrets(query)
    for name, value in headers:
        if name.lower() == b"authorization":
            return _shown(value)
    return None


def refuse_query_secrets(query: bytes) -> None:
    """E02: a secret in a URL is in every log on its way; refused even when it would be right."""
    names = {name.lower() for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)}
    if names & QUERY_SECRETS:
        raise BadRequest("a token never stands in a URL: send it in the Authorization header, and replace this one")


def identify(shown: Shown | None, view: View, now_ms: int, node: NodeId) -> Caller:
    """
    The caller whom a token stands for in this state.

    ``now_ms`` is the later of block time and this node's clock: expired by either is expired.
    """
    if shown is None:
        return NOBODY
    try:
        key = key_of(shown.token)
    except Invalid as error:
        raise Unauthenticated(str(error)) from None
    credential = queries.credential_of_key(view, key.public_key)
    if credential is None or not credential_is_active(credential, now_ms):
        raise Unauthenticated(_UNKNOWN)
    account = queries.account(view, credential.account)
    if account is None or (shown.user is not None and shown.user.lower() not in (ANY_USER, account.name)):
        raise Unauthenticated(f"the token is not one of this user; use its account's name or {ANY_USER}")
    if not credential.gateways:
        raise NotAllowed("this token signs on its owner's machine only; it is never to be handed to a node")
    if queries.gateway_of_key(view, node) not in credential.gateways:
        raise NotAllowed("this token is not for this node: its gateways are others; make one that lists this node")
    return Caller(Principal(account.id, credential), account, key.seed)


def _shown(value: bytes) -> Shown:
    scheme, _, rest = value.decode("latin-1").strip().partition(" ")
    rest = rest.strip()
    match scheme.lower():
        case "basic":
            return _basic(rest)
        case "token" | "bearer":
            return Shown(None, rest)
        case _:
            raise Unauthenticated("use Basic, token or Bearer in the Authorization header")


def _basic(encoded: str) -> Shown:
    try:
        user, _, password = b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (Base64Error, ValueError):
        raise Unauthenticated("the Basic credentials cannot be read") from None
    return Shown(user, password)
