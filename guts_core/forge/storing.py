"""Writing records: each goes under the key that ``paths`` says, as its canonical bytes."""

from __future__ import annotations

from guts_core.codec import to_bytes
from guts_core.names import AccountId
from guts_core.state.view import Overlay

from . import paths, queries
from .records import (
    Account,
    AccountCredential,
    AccountKeyHolder,
    AccountNameHolder,
    Affiliation,
    Collaborator,
    Counter,
    Credential,
    NodeKeyHolder,
    NodeNameHolder,
    NodeNumber,
    NodeRecord,
    NodeRole,
    Repository,
    RepositoryNameHolder,
)


def put_account(state: Overlay, account: Account) -> None:
    """Store an account with what leads to it: its name and its keys."""
    state.put(paths.account(account.id), to_bytes(account))
    state.put(paths.account_name(account.name), to_bytes(AccountNameHolder(account.id)))
    for key in account.keys:
        state.put(paths.account_key(key), to_bytes(AccountKeyHolder(account.id)))


def put_credential(state: Overlay, credential: Credential) -> None:
    """Store a credential, and that it is its account's."""
    state.put(paths.credential(credential.id), to_bytes(credential))
    listed = paths.account_credential(credential.account, credential.created, credential.id)
    state.put(listed, to_bytes(AccountCredential(credential.id)))


def put_node(state: Overlay, node: NodeRecord) -> None:
    """Store a node with what leads to it: its number, its name and the keys it has now."""
    state.put(paths.node(node.id), to_bytes(node))
    state.put(paths.node_number(node.number), to_bytes(NodeNumber(node.id)))
    if node.role is NodeRole.RETIRED:
        state.delete(paths.node_name(node.name))
    else:
        state.put(paths.node_name(node.name), to_bytes(NodeNameHolder(node.id)))
    for key in (node.node_key, node.vote_key):
        if key is not None:
            take_node_key(state, node, key)


def take_node_key(state: Overlay, node: NodeRecord, key: bytes) -> None:
    """Note that a network or vote key is, or is to be, this node's: nobody else's for ever."""
    if state.get(paths.node_key(key)) is None:
        state.put(paths.node_key(key), to_bytes(NodeKeyHolder(node.id, None)))


def put_repository(state: Overlay, repository: Repository) -> None:
    """Store a repository under its id."""
    state.put(paths.repository(repository.id), queries.written(repository))


def put_repository_name(state: Overlay, repository: Repository) -> None:
    """Let the owner's name be the repository's, also when it led on to another one so far."""
    holder = RepositoryNameHolder(repository.id, is_redirect=False)
    state.put(paths.repository_name(repository.owner, repository.name), to_bytes(holder))


def redirect_repository_name(state: Overlay, repository: Repository) -> None:
    """Let the name lead on to the repository, which is about to have another one."""
    holder = RepositoryNameHolder(repository.id, is_redirect=True)
    state.put(paths.repository_name(repository.owner, repository.name), to_bytes(holder))


def delete_repository_name(state: Overlay, repository: Repository) -> None:
    """Free the name that the repository has."""
    state.delete(paths.repository_name(repository.owner, repository.name))


def put_collaborator(state: Overlay, repository: Repository, collaborator: Collaborator) -> None:
    """Store a role on both sides: under the repository and under the account."""
    account = collaborator.account
    state.put(paths.collaborator(repository.id, account), to_bytes(collaborator))
    state.put(paths.affiliation(account, repository.id), to_bytes(Affiliation(repository.id, collaborator.role)))


def delete_collaborator(state: Overlay, repository: Repository, account: AccountId) -> None:
    """Remove a role from both sides."""
    state.delete(paths.collaborator(repository.id, account))
    state.delete(paths.affiliation(account, repository.id))


def count_up(state: Overlay, key: bytes) -> int:
    """Raise a counter by one and return its new value; the first is 1."""
    value = queries.count(state, key) + 1
    state.put(key, to_bytes(Counter(value)))
    return value


def count_down(state: Overlay, key: bytes) -> None:
    """Lower a counter of what there is by one. Those that give out numbers never go back."""
    value = queries.count(state, key) - 1
    assert value >= 0, "more are gone than there were"
    state.put(key, to_bytes(Counter(value)))
