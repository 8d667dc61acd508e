"""Who may see a transaction: what it names, and what execution said about that."""

from __future__ import annotations

from guts_core.chain.block import Block
from guts_core.codec import from_bytes
from guts_core.forge import queries
from guts_core.forge.actions import CreateCredential
from guts_core.forge.mentions import mentioned
from guts_core.forge.permissions import Permission, hidden, may
from guts_core.forge.records import Repository
from guts_core.names import TxId
from guts_http.reader import Snapshot
from guts_http.routing import Asked


def named_in(asked: Asked, snapshot: Snapshot, tx_id: TxId) -> list[Repository]:
    """The repositories that a transaction names; raises NotFound where the caller may not know of one of them."""
    stored = snapshot.receipt(tx_id)
    block = None if stored is None else snapshot.block(stored.height)
    if stored is None or block is None:
        return []  # there is nothing to be read: the node says so
    body = from_bytes(Block, block.body).items[stored.index].signed.body
    principal = asked.caller.principal
    is_own = principal.account == body.author and (principal.credential is None or principal.credential.repos is None)
    if any(isinstance(action, CreateCredential) for action in body.actions) and not is_own:
        raise hidden()  # its note and its repositories are its owner's business
    found = [queries.repository(snapshot, repo) for repo in mentioned(body.actions, body.author, body.chain_id)]
    repositories = [repository for repository in found if repository is not None]
    if len(repositories) < len(found) and not is_own:
        raise hidden()
    if not all(may(principal, Permission.READ_REPOSITORY, repository, snapshot) for repository in repositories):
        raise hidden()
    return repositories
