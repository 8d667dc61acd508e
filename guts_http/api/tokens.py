"""The account's own credentials and keys: what they are, and how a token ends itself. Nothing secret is known here."""

from __future__ import annotations

from typing import Any

from guts_core.errors import NotAllowed, NotFound
from guts_core.forge import queries
from guts_core.forge.actions import RevokeCredential
from guts_core.forge.permissions import Permission, credential_is_active
from guts_core.forge.records import KEYS_PER_ACCOUNT_MAX, Credential
from guts_core.names import CredentialId, NodeId, RepoId
from guts_http.reader import Snapshot
from guts_http.routing import HEIGHT, Access, Asked, Reply, Routes

from .paging import asked_page, links
from .shapes import exact_time_text

routes = Routes()
_TOKENS = "/api/guts/v1/tokens"


@routes.reads(_TOKENS, Permission.LIST_CREDENTIALS)
def list_tokens(asked: Asked, snapshot: Snapshot) -> Reply:
    """Every credential the account ever made, the newest first."""
    page = asked_page()
    account = asked.caller.account
    assert account is not None
    found, more = page.of(queries.credentials_of(snapshot, account.id))
    return Reply([_token(asked, snapshot, one) for one in found], headers=links(asked, _TOKENS, page, more=more))


@routes.writes("DELETE", f"{_TOKENS}/<credential>", Access.SIGNED_IN)
async def end_token(asked: Asked, credential: str) -> Reply:
    """End the token that asks; others are ended with an account key, which no node is ever handed."""
    with asked.site.reader.snapshot() as snapshot:
        found = _found(snapshot, credential)
    own = asked.caller.principal.credential
    assert own is not None
    if found is None or found.account != own.account:
        raise NotFound(f"this account has no token {credential[:64]!a}")
    if found.id != own.id:
        raise NotAllowed(f"a token can end itself only; end this one with: guts token revoke {found.id.hex()}")
    outcome = await asked.site.act(asked.caller, (RevokeCredential(found.id),))
    return Reply(None, 204, {HEIGHT: str(outcome.height)})


@routes.reads("/api/guts/v1/keys", Permission.LIST_CREDENTIALS)
def list_keys(asked: Asked, snapshot: Snapshot) -> Reply:
    """The keys that sign for the account, in the order in which they were added."""
    assert asked.caller.account is not None
    account = queries.account(snapshot, asked.caller.account.id)
    assert account is not None
    keys = [{"number": number, "key": key.hex()} for number, key in enumerate(account.keys, 1)]
    return Reply({"account": account.name, "count": len(keys), "most": KEYS_PER_ACCOUNT_MAX, "keys": keys})


def _found(snapshot: Snapshot, text: str) -> Credential | None:
    try:
        wanted = bytes.fromhex(text)
    except ValueError:
        return None
    return queries.credential(snapshot, CredentialId(wanted)) if len(wanted) == 32 else None


def _token(asked: Asked, snapshot: Snapshot, one: Credential) -> dict[str, Any]:
    own = asked.caller.principal.credential
    repositories = None if one.repos is None else [_repository(snapshot, RepoId(repo)) for repo in one.repos]
    return {
        "id": one.id.hex(),
        "note": one.note,
        "scopes": [scope.name.lower() for scope in one.scopes],
        "repositories": repositories,
        "gateways": [_node_name(snapshot, NodeId(gateway)) for gateway in one.gateways],
        "created": exact_time_text(one.created),
        "expires": exact_time_text(one.expires),
        "revoked": one.revoked,
        "active": credential_is_active(one, snapshot.time),
        "current": own is not None and own.id == one.id,
    }


def _node_name(snapshot: Snapshot, node_id: NodeId) -> str:
    node = queries.node(snapshot, node_id)
    return node_id.hex() if node is None else node.name


def _repository(snapshot: Snapshot, repo: RepoId) -> dict[str, Any]:
    found = queries.repository(snapshot, repo)
    owner = None if found is None else queries.account(snapshot, found.owner)
    full_name = None if found is None or owner is None else f"{owner.name}/{found.name}"
    return {"id": repo.hex(), "full_name": full_name}
