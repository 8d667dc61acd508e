"""
Typed reads of the forge's state: the one place that knows how records are found.

Execution reads an overlay through these and HTTP a committed snapshot. None of them asks who is
reading: that is ``permissions.may``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import Corrupt, Malformed
from guts_core.git.refs import OID_BYTES
from guts_core.names import AccountId, CredentialId, NodeId, Oid, RefName, RepoId
from guts_core.state.view import Pair, View

from . import paths
from .decisions import Conviction, Decision, Queue
from .ids import credential_id
from .records import (
    Account,
    AccountCredential,
    AccountKeyHolder,
    AccountNameHolder,
    Affiliation,
    Collaborator,
    Counter,
    Credential,
    Epoch,
    NodeKeyHolder,
    NodeNameHolder,
    NodeNumber,
    NodeRecord,
    Pack,
    PackSeat,
    PastEpoch,
    Quota,
    Ref,
    Repository,
    RepositoryNameHolder,
    Role,
    TextRecord,
)

T = TypeVar("T")

# A page is decoded while the store holds its read lock: 1,000 refs are about 5 ms.
PAGE_RECORDS = 1000
# A block asks for the same few accounts, credentials and repositories for each transaction. What these bytes stand
# for is the same everywhere and never changes, so one table serves all views; it begins anew when it is full.
READ_MAX, READ_BYTES_MAX = 1024, 1024
_read: dict[bytes, object] = {}


def account(view: View, account_id: AccountId) -> Account | None:
    """An account by id."""
    return _get(Account, view, paths.account(account_id))


def account_by_name(view: View, name: str) -> Account | None:
    """An account by name, in any case; names outside the grammar are simply not there."""
    if not name.isascii() or len(name) > paths.NAME_REST_BYTES_MAX:
        return None
    holder = _get(AccountNameHolder, view, paths.account_name(name))
    return None if holder is None else account(view, holder.account)


def account_of_key(view: View, public_key: bytes) -> Account | None:
    """The account that this is a key of, or was one of: a removed key stays taken."""
    holder = _get(AccountKeyHolder, view, paths.account_key(public_key))
    return None if holder is None else account(view, holder.account)


def credential(view: View, wanted: CredentialId) -> Credential | None:
    """A credential by id, revoked and expired ones included."""
    return _get(Credential, view, paths.credential(wanted))


def credential_of_key(view: View, public_key: bytes) -> Credential | None:
    """A credential by its public key, revoked and expired ones included."""
    return credential(view, credential_id(public_key))


def credentials_of(view: View, account_id: AccountId) -> Iterator[Credential]:
    """Every credential an account ever made, the newest first."""
    for held in _records(AccountCredential, view, paths.account_credentials(account_id)):
        yield _present(credential(view, held.credential), "an account's list of credentials")


def node(view: View, node_id: NodeId) -> NodeRecord | None:
    """A node by its id, retired ones included."""
    return _get(NodeRecord, view, paths.node(node_id))


def nodes(view: View) -> Iterator[NodeRecord]:
    """Every node that has or had a part in the network, in order of id."""
    return _records(NodeRecord, view, paths.nodes())


def node_of_key(view: View, key: bytes) -> NodeRecord | None:
    """The node that this is a network or vote key of, or was one of: a rotated key stays taken."""
    holder = _get(NodeKeyHolder, view, paths.node_key(key))
    return None if holder is None else _present(node(view, holder.node), "a node's key")


def node_key_holder(view: View, key: bytes) -> NodeKeyHolder | None:
    """What is on record of a network or vote key."""
    return _get(NodeKeyHolder, view, paths.node_key(key))


def node_by_name(view: View, name: str) -> NodeRecord | None:
    """The node that has this name now, in any case."""
    if not name.isascii() or len(name) > paths.NAME_REST_BYTES_MAX:
        return None
    holder = _get(NodeNameHolder, view, paths.node_name(name))
    return None if holder is None else _present(node(view, holder.node), "a node's name")


def gateway_of_key(view: View, key: NodeId) -> NodeId:
    """The id by which credentials list the node with this network key; it stays when the key is rotated."""
    found = node_of_key(view, key)
    return key if found is None else NodeId(found.id)


def node_of_number(view: View, number: int) -> NodeRecord | None:
    """A node by its number, retired ones included."""
    found = _get(NodeNumber, view, paths.node_number(number)) if number >> 64 == 0 else None
    return None if found is None else _present(node(view, found.node), "a node's number")


def nodes_by_number(view: View) -> Iterator[NodeRecord]:
    """Every node that has or had a part in the network, in order of number."""
    for found in _records(NodeNumber, view, paths.node_numbers()):
        yield _present(node(view, found.node), "a node's number")


def repository(view: View, repo: RepoId) -> Repository | None:
    """A repository by id; a deleted one is missing."""
    found = repository_even_deleted(view, repo)
    return None if found is None or found.deleted is not None else found


def repository_even_deleted(view: View, repo: RepoId) -> Repository | None:
    """A repository by id, also one that was deleted: for who restores it, and for who must not make it again."""
    return _get(Repository, view, paths.repository(repo))


def repository_name_holder(view: View, owner: AccountId, name: str) -> RepositoryNameHolder | None:
    """What an owner's name, in any case, stands for or leads on to."""
    if not name.isascii() or len(name) > paths.NAME_REST_BYTES_MAX:
        return None
    return _get(RepositoryNameHolder, view, paths.repository_name(owner, name))


def repository_of(view: View, owner: AccountId, name: str) -> Repository | None:
    """An owner's repository by its name or one it had before, in any case."""
    holder = repository_name_holder(view, owner, name)
    return None if holder is None else repository(view, holder.repository)


def repository_by_name(view: View, owner_name: str, name: str) -> Repository | None:
    """A repository by its owner's name and its own, or one it had before, in any case."""
    owner = account_by_name(view, owner_name)
    return None if owner is None else repository_of(view, owner.id, name)


def repositories_of(view: View, account_id: AccountId) -> Iterator[Repository]:
    """The repositories an account owns, in order of name, then those it collaborates in, in order of id."""
    for name in _records(RepositoryNameHolder, view, paths.repository_names(account_id)):
        if not name.is_redirect:
            yield _present(repository(view, name.repository), "a repository name")
    for held in _records(Affiliation, view, paths.affiliations(account_id)):
        found = _present(repository_even_deleted(view, held.repository), "an affiliation")
        if found.deleted is None:
            yield found


def ref(view: View, repo: RepoId, name: str) -> Ref | None:
    """A ref by its full name."""
    return _get(Ref, view, paths.ref(repo, name))


def refs(view: View, repo: RepoId, under: str = "") -> Iterator[Ref]:
    """The refs whose names start with ``under``, in bytewise order of name."""
    return _records(Ref, view, paths.refs(repo, under))


def has_branches(view: View, repo: RepoId) -> bool:
    """Whether any ref stands in refs/heads/."""
    return bool(view.scan(paths.refs(repo, "refs/heads/"), limit=1))


def ref_names(view: View, repo: RepoId, under: str = "") -> Iterator[RefName]:
    """The names alone, from the keys: reading them costs a fifth of reading the refs."""
    start = len(paths.refs(repo))
    for key, _ in _pairs(view, paths.refs(repo, under)):
        yield RefName(key[start:].decode())


def ref_values(view: View, repo: RepoId, under: bytes = b"") -> Iterator[tuple[bytes, Oid]]:
    """Names and ids without decoding records, a tenth of the work: an id is the last field, so its bytes end one."""
    start = len(paths.refs(repo))
    for key, data in _pairs(view, paths.refs(repo) + under):
        yield key[start:], Oid(data[-OID_BYTES:])


def pack(view: View, repo: RepoId, seq: int) -> Pack | None:
    """An admitted pack by sequence number."""
    return _get(Pack, view, paths.pack(repo, seq))


def pack_of_digest(view: View, repo: RepoId, digest: bytes) -> Pack | None:
    """An admitted pack of this repository by its digest."""
    seat = _get(PackSeat, view, paths.pack_seat(repo, digest))
    return None if seat is None else pack(view, repo, seat.seq)


def packs(view: View, repo: RepoId) -> Iterator[Pack]:
    """The admitted packs of a repository, in order of admission."""
    return _records(Pack, view, paths.packs(repo))


def text(view: View, repo: RepoId, commitment: bytes) -> TextRecord | None:
    """What a repository says of a text that was committed to in it."""
    return _get(TextRecord, view, paths.text(repo, commitment))


def texts(view: View, repo: RepoId, after: bytes = b"") -> Iterator[TextRecord]:
    """The texts of a repository, erased ones included, in order of commitment."""
    return _records(TextRecord, view, paths.texts(repo), paths.text(repo, after) if after else b"")


def collaborator(view: View, repo: RepoId, account_id: AccountId) -> Collaborator | None:
    """An account's collaboration in a repository it does not own."""
    return _get(Collaborator, view, paths.collaborator(repo, account_id))


def collaborators(view: View, repo: RepoId) -> Iterator[Collaborator]:
    """Everyone with a role in a repository, its owner left out, in order of id."""
    return _records(Collaborator, view, paths.collaborators(repo))


def role_of(view: View, repository: Repository, account_id: AccountId) -> Role | None:
    """What an account may do in a repository; its owner administers it."""
    if repository.owner == account_id:
        return Role.ADMIN
    found = collaborator(view, repository.id, account_id)
    return None if found is None else found.role


def quota(view: View, account_id: AccountId) -> Quota | None:
    """What an account used in the last window in which it used anything."""
    return _get(Quota, view, paths.quota(account_id))


def operators_count(view: View) -> int:
    """How many accounts are operators."""
    return count(view, paths.counter(paths.Count.OPERATORS))


def epoch(view: View) -> Epoch:
    """The current epoch; see ``epochs``."""
    return _present(_get(Epoch, view, paths.epoch()), "the state of a network")


def past_epoch(view: View, number: int) -> PastEpoch | None:
    """An epoch that ended not long ago."""
    return _get(PastEpoch, view, paths.past_epoch(number)) if number >> 64 == 0 else None


def decision(view: View, number: int) -> Decision | None:
    """What the operators were asked to decide, by number."""
    return _get(Decision, view, paths.decision(number)) if number >> 64 == 0 else None


def decisions(view: View, after: int = 0) -> Iterator[Decision]:
    """Every decision that was ever proposed with a number above ``after``, in order."""
    return _records(Decision, view, paths.decisions(), paths.decision(after) if after else b"")


def queue(view: View) -> Queue:
    """What waits for the current epoch to end."""
    return _get(Queue, view, paths.queue()) or Queue()


def conviction(view: View, epoch: int, seat: int) -> Conviction | None:
    """The evidence against a seat of an epoch."""
    return _get(Conviction, view, paths.conviction(epoch, seat)) if (epoch | seat) >> 64 == 0 else None


def convictions(view: View) -> Iterator[Conviction]:
    """All evidence, that of the oldest epoch first."""
    return _records(Conviction, view, paths.convictions())


def count(view: View, key: bytes) -> int:
    """A counter's value by its key (``paths.counter``, ``paths.account_counter``); 0 before its first use."""
    found = _get(Counter, view, key)
    return 0 if found is None else found.value


def _get(cls: type[T], view: View, key: bytes) -> T | None:
    data = view.get(key)
    if data is None:
        return None
    found = _read.get(data)
    if found.__class__ is cls:
        return found
    made = _decoded(cls, data)
    _remember(data, made)
    return made


def written(record: object) -> bytes:
    """The canonical bytes of a record that the next transaction is likely to ask for."""
    data = to_bytes(record)
    _remember(data, record)
    return data


def _remember(data: bytes, record: object) -> None:
    if len(data) <= READ_BYTES_MAX:
        if len(_read) >= READ_MAX:
            _read.clear()
        _read[data] = record


def _records(cls: type[T], view: View, prefix: bytes, after: bytes = b"") -> Iterator[T]:
    return (_decoded(cls, data) for _, data in _pairs(view, prefix, after))


def _pairs(view: View, prefix: bytes, after: bytes = b"") -> Iterator[Pair]:
    while True:
        page = view.scan(prefix, after, PAGE_RECORDS)
        yield from page
        if len(page) < PAGE_RECORDS:
            return
        after = page[-1][0]


def _decoded(cls: type[T], data: bytes) -> T:
    """What we wrote ourselves and cannot read is the disk's fault, not a peer's."""
    try:
        return from_bytes(cls, data)
    except Malformed as error:
        raise Corrupt(f"a stored {cls.__name__} cannot be read: {error}") from error


def _present(found: T | None, by: str) -> T:
    if found is None:
        raise Corrupt(f"{by} leads to a record that is not stored")
    return found
