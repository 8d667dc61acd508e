"""A network whose validators rotate their vote keys from epoch to epoch, and the proofs that lead over all of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from attrs import define

from guts_core.chain import compose
from guts_core.chain.block import header_of
from guts_core.chain.genesis import Genesis, chain_id
from guts_core.chain.header import Header
from guts_core.chain.trail import EpochStep
from guts_core.codec import Tag, from_bytes
from guts_core.forge import epochs
from guts_core.forge.params import Params
from guts_core.forge.records import ValidatorEntry
from guts_core.identity import Ed25519Verifier, KeyPair
from guts_core.names import BlockHash
from guts_core.simplex.certificates import assemble
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Certificate, Kind, Proposal, SuppliedBlock
from guts_core.simplex.ports import End, Verdict
from tests.core.chain.chain_world import a_genesis, flush, key
from tests.core.proof.proof_world import ProofNetwork, Scene, a_scene

EPOCH_MS = 60_000


def short_epochs(validators: int = 4) -> Genesis:
    """A genesis whose epochs take a minute of block time."""
    return a_genesis(validators, params=Params(epoch_ms=EPOCH_MS))


# More epochs than these no test rotates keys in, and more seats no network of theirs has.
EPOCHS, SEATS = 8, 5


@cache
def vote_keys() -> dict[bytes, KeyPair]:
    """Every vote key that these tests know, by its public half."""
    names = [f"vote {seat}" for seat in range(SEATS)]
    names += [f"vote {seat} from {epoch}" for seat in range(SEATS) for epoch in range(EPOCHS)]
    return {one.public_key: one for one in map(key, names)}


def certificate_by(
    genesis: Genesis,
    epoch: int,
    seats: Sequence[ValidatorEntry],
    proposal: Proposal,
    signers: Sequence[int] = (0, 1, 2),
    kind: Kind = Kind.FINALIZE,
    keys_of: Sequence[ValidatorEntry] = (),
) -> Certificate:
    """Signed by these seats of an epoch, with the keys that they have there or with those of other seats."""
    committee = Committee(
        chain_id(genesis), epoch, tuple(seat.vote_key for seat in seats), genesis.fault_model, Ed25519Verifier()
    )
    body = committee.content(kind, proposal.view, proposal)
    keys = [vote_keys()[seat.vote_key] for seat in keys_of or seats]
    votes = [(at, keys[at].sign(Tag.SIGN_VOTE, committee.chain_id, body)) for at in signers]
    return assemble(committee, kind, proposal.view, proposal, votes)


@define
class EpochNetwork(ProofNetwork):
    """One ledger; in every epoch one seat asks for another vote key, which it has in the next."""

    def seats(self) -> tuple[ValidatorEntry, ...]:
        """Who votes now."""
        return epochs.current(self.ledgers[0].view()).seats

    def finalize(self, proposal: Proposal, body: bytes, *, commit: bool = True) -> None:
        """As agreement does it, by the votes of its epoch."""
        self._finish(proposal, body, (), commit=commit)

    def _finish(
        self, proposal: Proposal, body: bytes, children: Sequence[tuple[Proposal, bytes]], *, commit: bool
    ) -> None:
        ledger, top = self.ledgers[0], children[-1][0] if children else proposal
        certificate = certificate_by(self.genesis, top.epoch, self.seats(), top, self.signers)
        own = certificate if self.is_certifying and not children else None
        if ledger.is_last(BlockHash(proposal.block_hash)):
            above = tuple(SuppliedBlock(*child) for child in reversed(children))
            ledger.finish(proposal, body, own, End(above, certificate))
        else:
            ledger.finalize(proposal, body, own)
        if commit and self.is_committing:
            flush(ledger, self.stores[0])

    def turn(self, children: int = 0, *, rotate: bool = True) -> Header:
        """The rest of this epoch: a seat asks for its next key, and the boundary becomes final."""
        epoch = epochs.current(self.ledgers[0].view()).number
        if rotate:
            self._rotate((epoch + 1) % len(self.seats()), epoch + 1)
        self.pass_time(EPOCH_MS)
        parent, boundary, body = self.propose()
        assert self.verify(parent, boundary, body) == [Verdict.VALID], self.ledgers[0].why_invalid
        above: list[tuple[Proposal, bytes]] = []
        for _ in range(children):
            parent, child, child_body = self.propose(parent=above[-1][0] if above else boundary)
            assert self.verify(parent, child, child_body) == [Verdict.VALID]
            above.append((child, child_body))
        self._finish(boundary, body, above, commit=True)
        assert epochs.current(self.ledgers[0].view()).number == epoch + 1
        return header_of(body)

    def _rotate(self, seat: int, epoch: int) -> None:
        new = key(f"vote {seat} from {epoch}")
        action = compose.rotate_seat(chain_id(self.genesis), self.seats()[seat].number, new, None)
        signed = self.by_key(self.operator(seat), action)
        self.submit(signed)
        self.step()
        assert self.status(signed).error is None, self.status(signed)

    def end(self, epoch: int) -> EpochStep:
        """How an epoch ended."""
        return from_bytes(EpochStep, self.stores[0].epoch_end(epoch) or b"")


def a_long_scene(ended: int = 3, *, is_quiet: bool = False) -> Scene:
    """The scene of all proofs in epoch 0, and so many ends of epochs above it: the second by an empty block."""
    network = EpochNetwork(short_epochs())
    scene = a_scene(network)
    for epoch in range(ended):
        network.turn(1 if epoch == 1 or is_quiet else 0)
    if not is_quiet:
        network.step()
    return scene
