"""A small network's state with people in it: real rules over a real overlay, only the chain left out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import define, field, frozen

from guts_core.codec import Tag
from guts_core.errors import Refused
from guts_core.forge import queries
from guts_core.forge.actions import (
    Action,
    Blob,
    CreateCredential,
    CreateRepository,
    Manifest,
    ManifestKind,
    RefUpdate,
    Register,
    Relation,
    SourceKind,
    Update,
)
from guts_core.forge.activities import Activity
from guts_core.forge.apply import apply
from guts_core.forge.context import Availability, Context
from guts_core.forge.founding import found
from guts_core.forge.ids import GENESIS_CHAIN_ID, account_id, credential_id, credential_proof_body, repository_id
from guts_core.forge.params import Params
from guts_core.forge.records import Credential, ObjectFormat, Repository, Scope, ValidatorEntry
from guts_core.identity import Ed25519Verifier, KeyPair
from guts_core.names import AccountId, ChainId, NodeId, Oid, RepoId, TxId
from guts_core.state.view import Overlay, Pair

CHAIN = ChainId(b"\x07" * 32)
NOW = 1_800_000_000_000
HOUR = 3_600_000
MAIN, DEV, TOPIC, TAG = "refs/heads/main", "refs/heads/dev", "refs/heads/topic", "refs/tags/v1"
FIRST, SECOND, THIRD = (Oid(bytes((n,)) * 20) for n in (1, 2, 3))


@frozen
class Records:
    """A store that is a dict, as simulations have it."""

    records: dict[bytes, bytes] = field(factory=dict)

    def get(self, key: bytes) -> bytes | None:
        """The record's bytes, or None."""
        return self.records.get(key)

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[Pair]:
        """In bytewise order."""
        keys = sorted(key for key in self.records if key.startswith(prefix) and key > after)
        return [(key, self.records[key]) for key in keys[:limit]]


def key_pair(name: str) -> KeyPair:
    return KeyPair(name.encode().ljust(32, b"."))


@frozen
class Person:
    """Somebody with a key; their id as of genesis."""

    name: str
    is_operator: bool = False
    holds: str | None = None  # the name of the key, where it is not the person's own

    @property
    def key(self) -> bytes:
        """The first account key."""
        return key_pair(self.holds or self.name).public_key

    @property
    def salt(self) -> bytes:
        """The same for everyone: keys differ."""
        return b"\x01" * 32

    @property
    def id(self) -> AccountId:
        """As genesis makes it."""
        return account_id(GENESIS_CHAIN_ID, self.key, self.salt)


def a_seat(number: int, operator: Person, name: str) -> ValidatorEntry:
    """The seat of a node whose keys are called after its name."""
    node, vote = key_pair(f"node {name}"), key_pair(f"vote {name}")
    return ValidatorEntry(number, vote.public_key, NodeId(node.public_key), operator.id, name)


ALICE, BOB, CAROL, DAVE = Person("alice", is_operator=True), Person("bob"), Person("carol"), Person("dave")
ERIN, FRANK = Person("erin", is_operator=True), Person("frank", is_operator=True)
_BY_KEY = sorted(("n1", "n2", "n3"), key=lambda name: key_pair(f"node {name}").public_key)
NODES = tuple(a_seat(number, ALICE, name) for number, name in enumerate(_BY_KEY))


@define
class World:
    """State after genesis, a clock, and a way to act."""

    params: Params = field(factory=Params)
    rules: int = 0
    state: Overlay = field(factory=lambda: Overlay(Records()))
    time: int = NOW
    height: int = 1

    def __attrs_post_init__(self) -> None:
        people = (ALICE, BOB, CAROL, DAVE, ERIN, FRANK)
        found(self.state, people, NODES, NOW, frozenset({"admin"}), rules=self.rules, params=self.params)

    def run(
        self,
        author: AccountId,
        *actions: Action,
        credential: Credential | None = None,
        availability: Availability | None = None,
    ) -> tuple[Activity, ...]:
        """One transaction: all of its actions or none, as the chain does it."""
        draft = Overlay(self.state)
        self.height += 1
        self.time += 1000
        context = self.context(author, credential, availability)
        activities = tuple(done for action in actions for done in apply(action, draft, context))
        self.state.absorb(draft)
        return activities

    def context(
        self, author: AccountId, credential: Credential | None = None, availability: Availability | None = None
    ) -> Context:
        """What execution is told of the transaction that comes next."""
        return Context(
            chain_id=CHAIN,
            height=self.height,
            time=self.time,
            epoch=0,
            rules=self.rules,
            tx_id=TxId(self.height.to_bytes(32, "big")),
            author=author,
            credential=credential,
            params=self.params,
            availability=availability,
            reserved_names=frozenset({"admin"}),
            verifier=Ed25519Verifier(),
        )

    def assert_refused(
        self,
        author: AccountId,
        *actions: Action,
        kind: type[Refused],
        words: str,
        credential: Credential | None = None,
        availability: Availability | None = None,
    ) -> None:
        """The refusal says why, and nothing was written."""
        before = dict(self.state.writes)
        with pytest.raises(kind, match=words):
            self.run(author, *actions, credential=credential, availability=availability)
        assert before == self.state.writes

    def repository(self, repo: RepoId) -> Repository:
        """A repository that is known to be there."""
        found = queries.repository(self.state, repo)
        assert found is not None
        return found

    def a_repository(self, owner: Person = BOB, name: str = "site", *, private: bool = False) -> RepoId:
        """Create an empty repository."""
        create = creation(name, private=private)
        self.run(owner.id, create)
        return repository_id(CHAIN, owner.id, create.salt)

    def a_credential(
        self,
        owner: Person = BOB,
        *scopes: Scope,
        repos: tuple[RepoId, ...] | None = None,
        name: str = "laptop",
    ) -> Credential:
        """Create a credential with these scopes, or scope repo."""
        key = key_pair(f"{owner.name} {name}")
        self.run(owner.id, credential_creation(owner.id, key, scopes or (Scope.REPO,), repos=repos))
        credential = queries.credential(self.state, credential_id(key.public_key))
        assert credential is not None
        return credential

    def push(
        self,
        repo: RepoId,
        *updates: Update,
        author: Person = BOB,
        credential: Credential | None = None,
        pack: Blob | None = None,
        availability: Availability | None = None,
    ) -> tuple[Activity, ...]:
        """A push whose attesters have just looked, unless told what they saw."""
        now = self.repository(repo)
        seen = availability or Availability(now.objects_epoch, now.removals)
        return self.run(author.id, pushing(repo, *updates, pack=pack), credential=credential, availability=seen)

    def refs(self, repo: RepoId) -> dict[str, bytes]:
        """Every ref and its value."""
        return {ref.name: ref.oid for ref in queries.refs(self.state, repo)}


def creation(name: str, *, private: bool = False, branch: str = MAIN) -> CreateRepository:
    salt = name.encode().ljust(32, b"s")
    return CreateRepository(name, salt, private, branch, ObjectFormat.SHA1, "all", None)


def registration(name: str, sponsor: AccountId, key: KeyPair | None = None) -> tuple[AccountId, Register]:
    key = key or key_pair(name)
    salt = b"\x02" * 32
    return account_id(CHAIN, key.public_key, salt), Register(name, key.public_key, salt, sponsor)


def credential_creation(
    account: AccountId,
    key: KeyPair,
    scopes: Sequence[Scope] = (Scope.REPO,),
    *,
    repos: tuple[RepoId, ...] | None = None,
    gateways: tuple[NodeId, ...] = (NODES[0].node_key,),
    expires: int = NOW + 100 * HOUR,
) -> CreateCredential:
    proof = key.sign(Tag.SIGN_CREDENTIAL, CHAIN, credential_proof_body(account))
    return CreateCredential(key.public_key, tuple(scopes), repos, expires, gateways, "a test", proof)


def blob(mark: int = 1, size: int = 100) -> Blob:
    return Blob(bytes((mark,)) * 32, size, b"\x02" * 32, 3, b"\x03" * 32)


def created(ref: str, new: Oid, source: SourceKind = SourceKind.EXISTING) -> Update:
    return Update(ref, None, new, Relation.CREATED, source)


def moved(
    ref: str,
    old: Oid,
    new: Oid,
    relation: Relation = Relation.FAST_FORWARD,
    source: SourceKind = SourceKind.EXISTING,
) -> Update:
    return Update(ref, old, new, relation, source)


def deleted(ref: str, old: Oid) -> Update:
    return Update(ref, old, None, Relation.DELETED, SourceKind.NONE)


def pushing(repo: RepoId, *updates: Update, pack: Blob | None = None) -> RefUpdate:
    return RefUpdate(Manifest(ManifestKind.PACK, repo, ObjectFormat.SHA1, pack, updates))
