"""A network whose blocks carry true certificates, and the snapshots that proofs are made from."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field, frozen

from guts_core.chain.commit import StoredBlock
from guts_core.chain.genesis import chain_id
from guts_core.chain.history import History
from guts_core.chain.memory import MemoryStore
from guts_core.chain.transaction import SignedTransaction
from guts_core.codec import Tag
from guts_core.identity import Ed25519Verifier
from guts_core.names import RepoId
from guts_core.proof.prove import prove
from guts_core.proof.questions import Question
from guts_core.proof.source import HistoryNodes, Source
from guts_core.simplex.certificates import assemble
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Certificate, Kind, Proposal
from tests.core.chain.chain_world import Network, Person, a_push, creation, flush, key, oid, repo_id


class Snapshot(MemoryStore):
    """What a database answers beside."""

    def certified_from(self, height: int) -> StoredBlock | None:
        """By going up."""
        return next((block for block in self._blocks[height - 1 :] if block.certificate is not None), None)

    def first_block(self) -> int:
        """All are here."""
        return 1

    def base(self) -> History | None:
        """None went."""
        return None

    def newest_certified(self) -> StoredBlock | None:
        """By going down."""
        return next((block for block in reversed(self._blocks) if block.certificate is not None), None)

    def header_hashes(self, first: int, count: int) -> list[bytes]:
        """From the list of blocks."""
        return [block.block_hash for block in self._blocks[first - 1 : first - 1 + count]]


def certificate(
    network: Network, proposal: Proposal, signers: Sequence[int] = (0, 1, 2), kind: Kind = Kind.FINALIZE
) -> Certificate:
    """That these validators signed."""
    genesis = network.genesis
    committee = Committee(chain_id(genesis), 0, genesis.vote_keys, genesis.fault_model, Ed25519Verifier())
    body = committee.content(kind, proposal.view, proposal)
    votes = [(at, key(f"vote {at}").sign(Tag.SIGN_VOTE, committee.chain_id, body)) for at in signers]
    return assemble(committee, kind, proposal.view, proposal, votes)


@define
class ProofNetwork(Network):
    """One ledger whose final blocks are certified, all or those that a test says."""

    size: int = 1
    is_certifying: bool = True
    signers: tuple[int, ...] = (0, 1, 2)
    is_committing: bool = True
    nodes: HistoryNodes = field(factory=HistoryNodes)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self.stores = [Snapshot() for _ in range(self.size)]
        self.ledgers = [
            type(ledger)(self.genesis, store, Ed25519Verifier())
            for ledger, store in zip(self.ledgers, self.stores, strict=True)
        ]

    def finalize(self, proposal: Proposal, body: bytes, *, commit: bool = True) -> None:
        """As agreement does it, with the block's own certificate where it has one."""
        own = certificate(self, proposal, self.signers) if self.is_certifying else None
        self.ledgers[0].finalize(proposal, body, own)
        if commit and self.is_committing:
            flush(self.ledgers[0], self.stores[0])

    def source(self) -> Source:
        """What is committed, and what is final above it."""
        store = self.stores[0]
        assert isinstance(store, Snapshot)
        return Source(chain_id(self.genesis), store, self.ledgers[0].uncommitted(), self.nodes)

    def prove(self, question: Question, repo: RepoId | None = None) -> bytes:
        """The proof file."""
        return prove(self.source(), question, repo)

    def push(self, person: Person, repo: RepoId, *refs: str) -> SignedTransaction:
        """One block for each new ref."""
        for ref in refs:
            signed = self.by_token(person, a_push(repo, ref, None, oid(ref)))
            tx_id = self.submit(signed)
            self.ledgers[0].set_witness(tx_id, self.witness(tx_id, self.signers))
            self.step()
            assert self.status(signed).error is None, self.status(signed)
        return signed


@frozen
class Scene:
    """A network with alice, her repository hello, and refs in it."""

    network: ProofNetwork
    alice: Person
    repo: RepoId
    pushed: SignedTransaction


REFS = ("refs/heads/feature", "refs/heads/main", "refs/tags/v1")


def a_scene(network: ProofNetwork | None = None, refs: Sequence[str] = REFS) -> Scene:
    """Everything final, certified and committed."""
    network = network or ProofNetwork()
    alice = network.a_person("alice")
    created = network.by_token(alice, creation("hello"))
    network.submit(created)
    network.step()
    repo = repo_id(network.genesis, alice, "hello")
    pushed = network.push(alice, repo, *refs) if refs else created
    return Scene(network, alice, repo, pushed)
