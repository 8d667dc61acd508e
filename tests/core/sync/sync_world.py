"""A chain of several epochs with a state, and nodes that serve it: real hashes, real signatures, hostile on request."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import shake_128

from attrs import define, evolve, field, frozen

from guts_core.chain.block import Block, tx_root
from guts_core.chain.genesis import Genesis, chain_id, genesis_hash
from guts_core.chain.header import Header, block_hash, validators_hash
from guts_core.chain.history import EMPTY, History
from guts_core.chain.receipt import receipts_root
from guts_core.chain.trail import EpochStep, proposal_of
from guts_core.codec import Tag, to_bytes
from guts_core.identity import Ed25519Verifier
from guts_core.names import BlockHash, Root
from guts_core.simplex import certificates
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Certificate, Kind
from guts_core.state.keys import Kind as RecordKind
from guts_core.state.keys import Scope, key, tree_key
from guts_core.state.nodes import root_of, value_hash
from guts_core.state.view import Pair
from guts_core.sync.messages import Answer, Question
from guts_core.sync.pieces import cut
from guts_core.sync.records import Offer, PastBlock, StateManifest, manifest_digest, piece_hash
from guts_core.sync.serving import answer
from tests.core.chain.chain_world import TIME, a_genesis
from tests.core.chain.chain_world import key as key_of

MINUTE = 60_000
VALIDATORS = 4
EPOCHS = 3
BLOCKS = 40  # an epoch, one every two minutes: more than the hour before its end


def certificate(genesis: Genesis, header: Header, epoch: int | None = None) -> Certificate:
    """A finalization of this header by a quorum of the validators of genesis."""
    epoch = header.epoch if epoch is None else epoch
    committee = Committee(chain_id(genesis), epoch, genesis.vote_keys, genesis.fault_model, Ed25519Verifier())
    proposal = evolve(proposal_of(header), epoch=epoch)
    content = committee.content(Kind.FINALIZE, header.view, proposal)
    signed = [
        (index, key_of(f"vote {index}").sign(Tag.SIGN_VOTE, committee.chain_id, content))
        for index in range(committee.quorum)
    ]
    return certificates.assemble(committee, Kind.FINALIZE, header.view, proposal, signed)


def records(count: int, size: int = 200) -> list[Pair]:
    """So many records of a state, in order."""
    found = {}
    for index in range(count):
        words = shake_128(f"record {index}".encode())
        found[key(Scope.ACCOUNT, words.digest(32), RecordKind.QUOTA, b"%d" % index)] = words.digest(size)
    return sorted(found.items())


@frozen
class Chain:
    """What honest nodes agree on."""

    genesis: Genesis
    headers: tuple[Header, ...]  # height 1 first
    steps: tuple[EpochStep, ...]
    state: tuple[Pair, ...]
    peaks: dict[int, History]  # before each boundary

    def manifest(self, epoch: int, pieces: Sequence[bytes]) -> StateManifest:
        """The snapshot of the end of an epoch, made of these pieces."""
        header = self.steps[epoch].header
        return StateManifest(
            header.chain_id,
            epoch,
            header.height,
            block_hash(header),
            Root(header.state_root),
            tuple(piece_hash(piece) for piece in pieces),
            len(self.state),
            self.peaks[header.height].peaks,
            self.past_of(header),
        )

    def past_of(self, header: Header) -> int:
        """The lowest block whose transactions may still be repeated after this one."""
        return min(one.height for one in self.headers if one.time + 60 * MINUTE >= header.time)


@cache
def a_chain(epochs: int = EPOCHS, blocks: int = BLOCKS, count: int = 500) -> Chain:
    """Epochs of empty blocks, over a state that is the same all the time."""
    genesis = a_genesis(VALIDATORS)
    state = tuple(records(count))
    root = root_of(sorted((tree_key(name), value_hash(value)) for name, value in state))
    history = EMPTY.append(genesis_hash(chain_id(genesis)))
    headers: list[Header] = []
    steps: list[EpochStep] = []
    peaks: dict[int, History] = {}
    parent, parent_view = genesis_hash(chain_id(genesis)), 0
    for height in range(1, epochs * blocks + 1):
        epoch, is_last = (height - 1) // blocks, height % blocks == 0
        header = Header(
            0,
            chain_id(genesis),
            epoch,
            height,
            height,
            parent_view,
            parent,
            TIME + 2 * MINUTE * height,
            tx_root(()),
            root,
            receipts_root(()),
            history.root,
            validators_hash(genesis.validators, epoch + is_last),
        )
        if is_last:
            peaks[height] = history
            steps.append(EpochStep(header, (), certificate(genesis, header), genesis.validators))
        headers.append(header)
        parent, parent_view = block_hash(header), header.view
        history = history.append(parent)
    return Chain(genesis, tuple(headers), tuple(steps), state, peaks)


@define
class Honest:
    """A node that holds a chain and the snapshots of its last epochs."""

    chain: Chain
    ended: int
    kept: int = 2
    pieces: list[bytes] = field(init=False)
    manifests: dict[bytes, StateManifest] = field(init=False)
    asked: list[Question] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.pieces = self.make_pieces()
        made = [self.chain.manifest(epoch, self.pieces) for epoch in range(self.ended)][-self.kept :]
        self.manifests = {manifest_digest(one): one for one in made}

    def make_pieces(self) -> list[bytes]:
        """The state cut into small pieces: many, so that a test sees them come from several peers."""
        state = self.chain.state
        return [piece for at in range(0, len(state), 50) for piece, _ in cut(state[at : at + 50])]

    def reply(self, question: Question) -> Answer | None:
        """What it answers; None: nothing at all."""
        self.asked.append(question)
        return answer(question, self)

    def standing(self) -> tuple[int, int, int]:
        """A node that pruned all but its last epochs."""
        height = self.chain.steps[self.ended - 1].header.height if self.ended else 0
        return height, self.ended, max(1, height - 60)

    def offers(self) -> tuple[Offer, ...]:
        """Those of the newest epochs."""
        return tuple(Offer(one.height, digest) for digest, one in reversed(self.manifests.items()))

    def step(self, epoch: int) -> EpochStep | None:
        """Of epochs that ended here."""
        return self.chain.steps[epoch] if epoch < self.ended else None

    def manifest(self, digest: bytes) -> StateManifest | None:
        """Of a snapshot that is held."""
        return self.manifests.get(digest)

    def piece(self, digest: bytes, index: int) -> bytes | None:
        """Of a snapshot that is held."""
        return self.pieces[index] if digest in self.manifests and index < len(self.pieces) else None

    def past(self, wanted: BlockHash) -> PastBlock | None:
        """Any block of the chain."""
        for header in self.chain.headers:
            if block_hash(header) == wanted:
                return PastBlock(to_bytes(Block(header, ())), ())
        return None
