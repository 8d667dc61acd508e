"""A network in a test: real genesis, real signatures, real rules, and as many ledgers as a test wants."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import shake_128

from attrs import define, field, frozen

from guts_core.chain import compose
from guts_core.chain.admission import GROUP_ALL
from guts_core.chain.block import header_of
from guts_core.chain.commit import Commit
from guts_core.chain.genesis import Draft, Entry, EntryFile, Genesis, InitialAccount, chain_id, seal, sign_entry
from guts_core.chain.ledger import Ledger
from guts_core.chain.memory import MemoryStore
from guts_core.chain.standing import Standing
from guts_core.chain.trail import proposal_of
from guts_core.chain.transaction import Avail, Hand, Item, SignedTransaction, Text, Transaction, Witness, transaction_id
from guts_core.codec import Tag, to_bytes
from guts_core.forge.actions import (
    Action,
    Blob,
    CreateRepository,
    Manifest,
    ManifestKind,
    RefUpdate,
    Relation,
    SourceKind,
    Update,
)
from guts_core.forge.ids import repository_id
from guts_core.forge.params import Params
from guts_core.forge.records import ObjectFormat, Scope
from guts_core.forge.rules import KNOWN_RULES
from guts_core.identity import Ed25519Verifier, KeyPair
from guts_core.names import AccountId, BlockHash, NodeId, Oid, RepoId, TxId
from guts_core.simplex.messages import Certificate, Kind, Proposal, SuppliedBlock
from guts_core.simplex.ports import End, Instant, Verdict
from guts_core.simplex.quorum import FaultModel

TIME = 1_800_000_000_000
MINUTE, HOUR = 60_000, 3_600_000
MAIN = "refs/heads/main"


def key(name: str) -> KeyPair:
    """A key that is the same in every run."""
    return KeyPair(shake_128(name.encode()).digest(32))


def salt(name: str) -> bytes:
    """32 bytes that are the same in every run."""
    return shake_128(b"salt " + name.encode()).digest(32)


def oid(name: str) -> Oid:
    """An object id."""
    return Oid(shake_128(b"oid " + name.encode()).digest(20))


def entry(index: int) -> EntryFile:
    """An operator's signed entry."""
    vote, node, operator = key(f"vote {index}"), key(f"node {index}"), key(f"operator {index}")
    account = InitialAccount(f"operator-{index}", operator.public_key, salt(f"operator {index}"), is_operator=True)
    body = Entry(f"node-{index}", vote.public_key, NodeId(node.public_key), account, f"127.0.0.1:{9000 + index}")
    return sign_entry(body, vote, node, operator)


def a_genesis(
    validators: int = 4, params: Params | None = None, fault_model: FaultModel = FaultModel.BYZANTINE
) -> Genesis:
    """A network of so many operators."""
    draft = Draft("testnet", TIME, fault_model, params or Params())
    return seal(draft, [entry(index) for index in range(validators)], Ed25519Verifier())


@frozen
class Person:
    """An account, its key, and a credential handed to node 0."""

    name: str
    id: AccountId
    key: KeyPair
    credential: KeyPair


def finalize(ledger: Ledger, proposal: Proposal, body: bytes, *children: tuple[Proposal, bytes]) -> None:
    """What agreement says when a block is final, or, at the end of an epoch, the newest of these children."""
    if not ledger.is_last(BlockHash(proposal.block_hash)):
        ledger.finalize(proposal, body, None)
        return
    top = children[-1][0] if children else proposal
    certificate = Certificate(Kind.FINALIZE, top.epoch, top.view, top, b"", ())
    above = tuple(SuppliedBlock(*child) for child in reversed(children))
    ledger.finish(proposal, body, None if children else certificate, End(above, certificate))


@define
class Network:
    """Ledgers that agree by fiat: one proposes, the others verify, all finalize."""

    genesis: Genesis = field(factory=a_genesis)
    size: int = 2
    rules_known: tuple[int, ...] = KNOWN_RULES
    now: int = TIME
    view: int = 0
    _salts: int = 0
    ledgers: list[Ledger] = field(init=False)
    stores: list[MemoryStore] = field(init=False)
    bodies: list[tuple[Proposal, bytes]] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.stores = [MemoryStore() for _ in range(self.size)]
        self.ledgers = [
            Ledger(self.genesis, store, Ed25519Verifier(), rules_known=self.rules_known) for store in self.stores
        ]

    # ---- time and blocks ----

    @property
    def instant(self) -> Instant:
        """Now, for both clocks."""
        return Instant(self.now * 1000, self.now)

    def pass_time(self, milliseconds: int) -> None:
        """Let the clocks of all go on."""
        self.now += milliseconds

    def propose(self, leader: int = 0, parent: Proposal | None = None) -> tuple[Proposal, Proposal, bytes]:
        """(parent, proposal, body) of a new block."""
        self.view += 1
        parent = parent or self.ledgers[leader].final_point()
        built = self.ledgers[leader].propose(parent, self.view, self.instant)
        assert built is not None
        return parent, proposal_of(header_of(built[1])), built[1]

    def verify(self, parent: Proposal, proposal: Proposal, body: bytes) -> list[Verdict]:
        """What each ledger says, after checking that the body belongs to the proposal."""
        assert all(ledger.is_bound(proposal, body) for ledger in self.ledgers)
        return [ledger.verify(parent, proposal, body, self.instant) for ledger in self.ledgers]

    def finalize(self, proposal: Proposal, body: bytes, *, commit: bool = True) -> None:
        """All ledgers learn that the block is final, and their disks write it at once."""
        self.bodies.append((proposal, body))
        for ledger, store in zip(self.ledgers, self.stores, strict=True):
            finalize(ledger, proposal, body)
            if commit:
                flush(ledger, store)
        assert len({ledger.head for ledger in self.ledgers}) == 1

    def step(self, leader: int = 0) -> None:
        """One block from proposal to disk, a second later."""
        self.pass_time(1000)
        parent, proposal, body = self.propose(leader)
        verdicts = self.verify(parent, proposal, body)
        assert verdicts == [Verdict.VALID] * self.size, [ledger.why_invalid for ledger in self.ledgers]
        self.finalize(proposal, body)

    # ---- people ----

    def operator(self, index: int) -> Person:
        """An account of genesis; its credential does not exist."""
        account = self.genesis.accounts[index]
        return Person(account.name, account.id, key(f"operator {index}"), key(f"no credential {index}"))

    def a_person(self, name: str, gateways: Sequence[int] = (0,)) -> Person:
        """Registered by operator 0, with a credential for these gateways, both final."""
        sponsor = self.operator(0)
        account_key, credential = key(name), key(f"credential of {name}")
        signed = self.registration(name, sponsor)
        author = signed.body.author
        create = compose.create_credential(
            chain_id(self.genesis),
            author,
            credential,
            [Scope.REPO],
            TIME + 1000 * HOUR,
            [gateway(index) for index in gateways],
        )
        signed = self.registration(name, sponsor, (create,))
        self.submit(signed)
        self.step()
        assert self.status(signed).error is None, self.status(signed)
        return Person(name, author, account_key, credential)

    def registration(self, name: str, sponsor: Person, then: Sequence[Action] = ()) -> SignedTransaction:
        """A new account's first transaction."""
        return compose.register(
            chain_id(self.genesis), name, key(name), sponsor.id, sponsor.key, self.now + 10 * MINUTE, salt(name), then
        )

    # ---- transactions ----

    def _salt(self) -> bytes:
        self._salts += 1
        return salt(f"transaction {self._salts}")

    def body(self, person: Person, *actions: Action, expires: int | None = None) -> Transaction:
        """Unsigned, by the person's credential through node 0."""
        return compose.by_credential(
            chain_id(self.genesis),
            person.id,
            person.credential.public_key,
            gateway(0),
            Hand.HANDED,
            actions,
            self.now + 10 * MINUTE if expires is None else expires,
            self._salt(),
        )

    def by_token(self, person: Person, *actions: Action, expires: int | None = None) -> SignedTransaction:
        """Signed by the person's credential and node 0."""
        return compose.sign_with_credential(
            self.body(person, *actions, expires=expires), person.credential, key("node 0")
        )

    def by_key(self, person: Person, *actions: Action, expires: int | None = None) -> SignedTransaction:
        """Signed by the person's account key."""
        ends = self.now + 10 * MINUTE if expires is None else expires
        body = compose.by_account(chain_id(self.genesis), person.id, actions, ends, self._salt())
        return compose.sign_with_account_key(body, person.key)

    def item(self, signed: SignedTransaction, *texts: Text) -> Item:
        """As it travels, without witness."""
        return Item(signed, None, texts)

    def submit(self, signed: SignedTransaction, *texts: Text, to: int | None = None) -> TxId:
        """Let it wait at one ledger, or at all."""
        for ledger in self.ledgers if to is None else [self.ledgers[to]]:
            ledger.admit(self.item(signed, *texts), self.instant)
        return transaction_id(signed.body)

    def witness(
        self,
        tx_id: TxId,
        signers: Sequence[int] = (0, 1, 2),
        objects_epoch: int = 0,
        removals: int = 0,
        epoch: int = 0,
        group: str = GROUP_ALL,
    ) -> Witness:
        """Equal Avails of these validators."""
        avail = Avail(chain_id(self.genesis), epoch, group, tx_id, objects_epoch, removals)
        return a_witness(avail, signers, len(self.genesis.validators))

    def status(self, signed: SignedTransaction, ledger: int = 0) -> Standing:
        """What a ledger knows of a transaction."""
        return self.ledgers[ledger].transaction_status(transaction_id(signed.body))


def a_witness(avail: Avail, signers: Sequence[int], validators: int) -> Witness:
    """An Avail signed by these validators."""
    bits = sum(1 << signer for signer in set(signers))
    signatures = tuple(
        key(f"vote {signer}").sign(Tag.SIGN_AVAIL, avail.chain_id, to_bytes(avail)) for signer in sorted(signers)
    )
    return Witness(avail, bits.to_bytes((validators + 7) // 8, "little"), signatures)


def gateway(index: int) -> NodeId:
    """A node that may be a gateway."""
    return NodeId(key(f"node {index}").public_key)


def flush(ledger: Ledger, store: MemoryStore) -> list[Commit]:
    """Write all that is final, in order."""
    commits = ledger.take_commits()
    for commit in commits:
        store.commit(commit)
        ledger.committed(commit.height)
    return commits


def creation(name: str, description: Text | None = None, private: bool = False) -> CreateRepository:
    """An action that makes a repository."""
    commitment = None if description is None else description.commitment
    return CreateRepository(name, salt(name), private, MAIN, ObjectFormat.SHA1, "all", commitment)


def repo_id(genesis: Genesis, owner: Person, name: str) -> RepoId:
    """The id of a repository made by ``creation``."""
    return repository_id(chain_id(genesis), owner.id, salt(name))


def a_push(repo: RepoId, ref: str, old: Oid | None, new: Oid | None, size: int = 1000) -> RefUpdate:
    """A push of one ref with one pack; nothing is carried where nothing is new."""
    relation = Relation.CREATED if old is None else Relation.DELETED if new is None else Relation.FAST_FORWARD
    blob = None
    if new is not None:
        blob = Blob(salt(f"pack {new.hex()}"), size, salt("chunks"), 3, salt(f"idx {new.hex()}"))
    source = SourceKind.PACK if blob else SourceKind.NONE
    update = Update(ref, old, new, relation, source)
    return RefUpdate(Manifest(ManifestKind.PACK, repo, ObjectFormat.SHA1, blob, (update,)))
