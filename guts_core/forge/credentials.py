"""Keys that may act for an account within scopes (``architecture.md`` 4): made and ended, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from attrs import evolve

from guts_core.codec import Tag
from guts_core.errors import Conflict, Invalid, NotFound
from guts_core.names import CredentialId
from guts_core.state.view import Overlay, View

from . import queries
from .accounts import check_key_is_free
from .actions import CreateCredential, RevokeCredential
from .activities import CredentialCreated, CredentialRevoked
from .context import Context
from .ids import credential_id, credential_proof_body
from .permissions import Permission, demand, hidden, may
from .records import Credential, NodeRole
from .storing import put_credential


class UnprovenKey(Invalid):
    """Whoever asks for the credential does not hold its key."""

    code = "unproven-key"


class Expired(Invalid):
    """The time it should end has passed already."""

    code = "expired"


class Revoked(Conflict):
    """The credential ended before."""

    code = "revoked"


def create_credential(action: CreateCredential, state: Overlay, context: Context) -> tuple[CredentialCreated]:
    """Let a new key act for the author."""
    demand(context.principal, Permission.MANAGE_CREDENTIALS, None, state)
    check_key_is_free(action.public_key, state)
    _check_proof(action, context)
    _check_ascending(action.scopes, "scopes")
    _check_repositories(action, state, context)
    _check_gateways(action, state)
    if action.expires <= context.time:
        raise Expired("the credential would have expired before it exists")
    credential = Credential(
        id=credential_id(action.public_key),
        public_key=action.public_key,
        account=context.author,
        scopes=action.scopes,
        repos=action.repos,
        expires=action.expires,
        gateways=action.gateways,
        created=context.time,
        note=action.note,
        revoked=False,
    )
    put_credential(state, credential)
    return (CredentialCreated(credential.id, context.author, credential.gateways, credential.expires),)


def revoke_credential(action: RevokeCredential, state: Overlay, context: Context) -> tuple[CredentialRevoked]:
    """End a credential of the author's; one that leaked can also end itself."""
    if not _is_own(action.credential, context):
        demand(context.principal, Permission.MANAGE_CREDENTIALS, None, state)
    credential = queries.credential(state, action.credential)
    if credential is None or credential.account != context.author:
        raise NotFound("this account has no such credential")
    if credential.revoked:
        raise Revoked("the credential is revoked already")
    put_credential(state, evolve(credential, revoked=True))
    return (CredentialRevoked(credential.id, context.author),)


def _is_own(credential: CredentialId, context: Context) -> bool:
    return context.credential is not None and context.credential.id == credential


def _check_proof(action: CreateCredential, context: Context) -> None:
    body = credential_proof_body(context.author)
    verify = context.verifier.verify
    if not verify(action.public_key, Tag.SIGN_CREDENTIAL, context.chain_id, body, action.proof):
        raise UnprovenKey("the proof is not the new key's signature over this chain and account")


def _check_ascending(items: Sequence[int] | Sequence[bytes], what: str) -> None:
    """One set of values has one record, and one hash."""
    pairs = pairwise(items)
    if any(not before < after for before, after in pairs):  # type: ignore[operator]  # both of one kind
        raise Invalid(f"the credential's {what} must be in ascending order, each once")


def _check_repositories(action: CreateCredential, state: View, context: Context) -> None:
    if action.repos is None:
        return
    if not action.repos:
        raise Invalid("a credential limited to no repository could do nothing")
    _check_ascending(action.repos, "repositories")
    for repo in action.repos:
        repository = queries.repository(state, repo)
        if repository is None or not may(context.principal, Permission.READ_REPOSITORY, repository, state):
            raise hidden()


def _check_gateways(action: CreateCredential, state: View) -> None:
    _check_ascending(action.gateways, "gateways")
    for gateway in action.gateways:
        node = queries.node(state, gateway)
        if node is None or node.role is NodeRole.RETIRED:
            raise NotFound(f"gateway {gateway.hex()} is not a node of this network")
