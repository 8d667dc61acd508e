"""Proofs lead from genesis over the ends of epochs to validators that genesis never named."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from attrs import evolve

from guts_core.chain.genesis import Genesis, chain_id
from guts_core.chain.header import Header, block_hash, validators_hash
from guts_core.chain.history import EMPTY
from guts_core.chain.receipt import receipts_root
from guts_core.chain.trail import CHILDREN_MAX, EpochStep, proposal_of
from guts_core.chain.transaction import transaction_id
from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import LimitExceeded, Unavailable
from guts_core.forge.records import ValidatorEntry
from guts_core.names import BlockHash
from guts_core.proof import (
    BadCertificate,
    BadEpoch,
    HeaderQuestion,
    NotAProof,
    ProvenHeaders,
    ProvenRef,
    TransactionQuestion,
    UnknownVersion,
    verify,
)
from guts_core.proof.format import EPOCHS_MAX, Finality, HeadersAnswer, ProofFile
from guts_core.proof.prove import prove
from guts_core.proof.source import HistoryNodes, Source
from guts_core.state.nodes import EMPTY_ROOT
from guts_core.state.proof import BadProof
from tests.core.chain.chain_world import TIME, oid
from tests.core.proof.epoch_world import EpochNetwork, a_long_scene, certificate_by, short_epochs
from tests.core.proof.proof_cases import ALL, GONE, MAIN
from tests.core.proof.proof_world import Scene, Snapshot, a_scene

ENDED = 3
YEAR = 365
# Of four validators: a header, two hashes of a vote, three signatures, and the next four seats. A year is 0.37 MB.
STEP_BYTES_MAX = 1200


@cache
def scene() -> Scene:
    return a_long_scene(ENDED)


def network() -> EpochNetwork:
    found = scene().network
    assert isinstance(found, EpochNetwork)
    return found


def genesis() -> Genesis:
    return network().genesis


@cache
def proof() -> ProofFile:
    return from_bytes(ProofFile, network().prove(MAIN))


def seats(epoch: int) -> tuple[ValidatorEntry, ...]:
    """Who votes in an epoch of the scene."""
    return genesis().validators if epoch == 0 else network().end(epoch - 1).validators


# ---- what is true ----


def test_a_ref_is_shown_by_validators_whose_keys_are_not_those_of_genesis() -> None:
    """Each epoch another seat took a new key; who holds the genesis alone follows them all."""
    shown = verify(network().prove(MAIN), genesis(), MAIN)

    assert isinstance(shown.answer, ProvenRef)
    assert shown.answer.oid == oid("refs/heads/main")
    assert (shown.final.epoch, shown.final.rules) == (ENDED, 0)
    assert shown.final.signers == ("node-0", "node-1", "node-2")
    changed = [one.vote_key != first.vote_key for one, first in zip(seats(ENDED), seats(0), strict=True)]
    assert changed == [False, True, True, True]


def test_absence_and_transactions_of_earlier_epochs_are_shown_with_fewer_steps() -> None:
    """A proof walks as far as its own certificate, and no further."""
    question = TransactionQuestion(transaction_id(scene().pushed.body))
    first = network().prove(question)
    gone = verify(network().prove(GONE), genesis(), GONE)

    assert from_bytes(ProofFile, first).finality.epochs == ()
    assert verify(first, genesis(), question).final.epoch == 0
    assert isinstance(gone.answer, ProvenRef)
    assert gone.answer.oid is None
    assert verify(network().prove(ALL), genesis(), ALL).final.epoch == ENDED


def test_every_header_is_shown_by_the_newest_epoch() -> None:
    """Also the boundaries, and block 1 of an epoch; the way through the history crosses all of them."""
    top = network().ledgers[0].head.height

    for height in range(1, top + 1):
        shown = verify(network().prove(HeaderQuestion(height)), genesis(), HeaderQuestion(height))
        assert isinstance(shown.answer, ProvenHeaders)
        assert shown.answer.headers[0].height == height
        assert (shown.final.epoch, shown.final.certified_height) == (ENDED, top)


@pytest.mark.parametrize("children", [0, 1, 3])
def test_the_last_block_of_an_epoch_is_shown_before_the_next_has_any(children: int) -> None:
    """Nothing may happen for a long while: what made it final, be it empty blocks above it, is what is shown."""
    quiet = EpochNetwork(short_epochs())
    a_scene(quiet)
    boundary = quiet.turn(children)

    data = quiet.prove(MAIN)
    shown = verify(data, quiet.genesis, MAIN)

    assert (shown.height, shown.final.epoch) == (boundary.height, 0)
    assert shown.final.certified_height == boundary.height + children
    assert from_bytes(ProofFile, data).finality.epochs == ()


def test_the_end_of_an_epoch_counts_before_it_is_on_disk() -> None:
    """It is final, and its successor's certificate may be the newest there is."""
    waiting = EpochNetwork(short_epochs())
    a_scene(waiting)
    waiting.is_certifying = False
    waiting.step()
    waiting.is_committing = False
    waiting.turn(children=1, rotate=False)
    waiting.is_certifying = True

    with pytest.raises(Unavailable):
        verify(prove(Source(chain_id(waiting.genesis), waiting.stores[0]), MAIN), waiting.genesis)  # type: ignore[arg-type]  # a Snapshot
    waiting.step()
    shown = verify(waiting.prove(MAIN), waiting.genesis, MAIN)

    assert shown.final.epoch == 1


def test_a_node_that_lacks_the_end_of_an_epoch_says_so() -> None:
    """It never shows half a way."""
    store = network().stores[0]
    assert isinstance(store, Snapshot)

    class Forgetful(Snapshot):
        """Lost how epoch 1 ended."""

        def __init__(self) -> None:
            self.__dict__ = dict(store.__dict__)

        def epoch_end(self, epoch: int) -> bytes | None:
            return None if epoch == 1 else super().epoch_end(epoch)

    with pytest.raises(Unavailable, match="how epoch 1 ended is not known"):
        prove(Source(chain_id(genesis()), Forgetful()), MAIN)


# ---- what is false ----


def with_steps(steps: tuple[EpochStep, ...]) -> bytes:
    return to_bytes(evolve(proof(), finality=evolve(proof().finality, epochs=steps)))


def certified(step: EpochStep, epoch: int, **how: Any) -> EpochStep:
    """The step with a certificate of its own epoch's votes for what it now says."""
    top = step.children[-1] if step.children else step.header
    return evolve(step, certificate=certificate_by(genesis(), epoch, seats(epoch), proposal_of(top), **how))


def replaced(epoch: int, step: EpochStep) -> tuple[EpochStep, ...]:
    steps = proof().finality.epochs
    return (*steps[:epoch], step, *steps[epoch + 1 :])


def of_another_chain() -> EpochStep:
    other = EpochNetwork(short_epochs(5), signers=(0, 1, 2, 3))
    other.turn(rotate=False)
    return other.end(0)


def with_child(**fields: Any) -> EpochStep:
    """The end of epoch 1 whose child says something else, and is signed by a quorum all the same."""
    step = network().end(1)
    return certified(evolve(step, children=(evolve(step.children[0], **fields),)), 1)


def with_boundary(number: int, **fields: Any) -> EpochStep:
    step = evolve(network().end(number), children=())
    return certified(evolve(step, header=evolve(step.header, **fields)), number)


def middle_of_epoch_1() -> EpochStep:
    height = network().end(0).header.height + 1
    header = from_bytes(ProofFile, network().prove(HeaderQuestion(height))).finality.header
    assert header.epoch == 1
    return certified(EpochStep(header, (), network().end(1).certificate, seats(1)), 1)


FORGED: dict[str, tuple[Callable[[tuple[EpochStep, ...]], tuple[EpochStep, ...]], type[BadProof], str]] = {
    "none": (lambda _: (), BadEpoch, "is of epoch 3, the ends of epochs in the proof lead to epoch 0"),
    "first missing": (lambda steps: steps[1:], BadEpoch, "is of epoch 1, and epoch 0 comes next"),
    "middle missing": (lambda steps: (steps[0], steps[2]), BadEpoch, "is of epoch 2, and epoch 1 comes next"),
    "last missing": (lambda steps: steps[:-1], BadEpoch, "lead to epoch 2"),
    "swapped": (lambda steps: (steps[1], steps[0], steps[2]), BadEpoch, "epoch 0 comes next"),
    "repeated": (lambda steps: (*steps, steps[2]), BadEpoch, "is of epoch 2, and epoch 3 comes next"),
    "another chain": (lambda _: replaced(0, of_another_chain()), BadEpoch, "is of network"),
    "number jumps": (lambda _: replaced(0, with_boundary(0, epoch=5)), BadEpoch, "of epoch 5, and epoch 0 comes next"),
    "no boundary": (lambda _: replaced(1, middle_of_epoch_1()), BadEpoch, "does not hand over"),
    "another set": (
        lambda steps: replaced(1, evolve(steps[1], validators=steps[0].validators)),
        BadEpoch,
        "does not hand over to these validators of epoch 2",
    ),
    "seats swapped": (
        lambda steps: replaced(2, evolve(steps[2], validators=steps[2].validators[::-1])),
        BadEpoch,
        "does not hand over",
    ),
    "set handed to another epoch": (
        lambda _: replaced(0, with_boundary(0, next_validators=validators_hash(seats(1), 2))),
        BadEpoch,
        "does not hand over",
    ),
    "signed by the set before": (
        lambda steps: replaced(1, certified(steps[1], 1, keys_of=seats(0))),
        BadCertificate,
        "end of epoch 1 does not hold: validator 1 did not sign",
    ),
    "certificate of the epoch before": (
        lambda steps: replaced(1, evolve(steps[1], certificate=steps[0].certificate)),
        BadEpoch,
        "does not make header",
    ),
    "too few signers": (
        lambda steps: replaced(1, certified(steps[1], 1, signers=(1, 2))),
        BadCertificate,
        "end of epoch 1 does not hold: 2 signers are no quorum of 4",
    ),
    "child with transactions": (
        lambda _: replaced(1, with_child(tx_root=bytes(32))),
        BadEpoch,
        "not of an empty block",
    ),
    "child with receipts": (lambda _: replaced(1, with_child(receipts_root=bytes(32))), BadEpoch, "not of an empty"),
    "child with another state": (lambda _: replaced(1, with_child(state_root=bytes(32))), BadEpoch, "not of an empty"),
    "child of another": (lambda _: replaced(1, with_child(parent_hash=bytes(32))), BadEpoch, "as its parent"),
    "child of the next epoch": (lambda _: replaced(1, with_child(epoch=2)), BadEpoch, "is of epoch 2, and epoch 1"),
    "ends below its beginning": (
        lambda _: replaced(1, with_boundary(1, height=1)),
        BadEpoch,
        "epoch 1 ends at height 1, and began above that",
    ),
    "rules of a later build": (lambda _: replaced(1, with_boundary(1, rules=99)), UnknownVersion, "rules 99"),
    "too many": (lambda steps: steps[:1] * (EPOCHS_MAX + 1), NotAProof, "no proof"),
    "too many children": (
        lambda steps: replaced(1, evolve(steps[1], children=steps[1].children * (CHILDREN_MAX + 1))),
        NotAProof,
        "no proof",
    ),
    "no validators": (lambda steps: replaced(1, evolve(steps[1], validators=())), NotAProof, "no proof"),
}


@pytest.mark.parametrize("name", sorted(FORGED))
def test_ends_of_epochs_that_do_not_follow_are_refused(name: str) -> None:
    """Each with the sentence that says which, and why."""
    forge, error, words = FORGED[name]

    with pytest.raises(error, match=words):
        verify(with_steps(forge(proof().finality.epochs)), genesis(), MAIN)


def test_retired_keys_sign_nothing_any_more() -> None:
    """Those who held seats in epoch 0 cannot make another epoch 3: their votes count in epoch 0 alone."""
    finality = proof().finality
    retired = certificate_by(genesis(), ENDED, seats(ENDED), proposal_of(finality.header), keys_of=seats(0))

    with pytest.raises(BadCertificate, match="validator 1 did not sign"):
        verify(to_bytes(evolve(proof(), finality=evolve(finality, certificate=retired))), genesis(), MAIN)


def test_another_history_signed_with_retired_keys_is_not_believed_by_who_saw_the_first() -> None:
    """From genesis alone both are true; whoever remembers an epoch takes no other way to it, or beyond."""
    forked = EpochNetwork(short_epochs())
    forked.pass_time(1)
    a_scene(forked)
    for _ in range(ENDED + 1):
        forked.turn()
    forked.step()
    first = verify(network().prove(MAIN), genesis(), MAIN).final.checkpoint
    second = verify(forked.prove(MAIN), genesis(), MAIN).final.checkpoint
    early = EpochNetwork(short_epochs())
    a_scene(early)

    assert first is not None
    assert second is not None
    assert (first.epoch, second.epoch) == (ENDED, ENDED + 1)
    assert verify(network().prove(MAIN), genesis(), MAIN, first).final.checkpoint == first
    with pytest.raises(BadEpoch, match=r"and a proof that was true before says .*: two histories"):
        verify(forked.prove(MAIN), genesis(), MAIN, first)
    assert verify(network().prove(MAIN), genesis(), MAIN, second).height  # of before: nothing to compare
    assert verify(early.prove(MAIN), genesis(), MAIN, first).final.checkpoint is None


def test_no_byte_of_a_walk_over_epochs_can_be_changed() -> None:
    """Every byte of the steps, one after the other; the rest is the same as in a proof without."""
    question = HeaderQuestion(1)
    data = network().prove(question)
    steps = b"".join(to_bytes(step) for step in from_bytes(ProofFile, data).finality.epochs)
    start = data.index(steps)

    for at in range(start - 1, start + len(steps)):
        with pytest.raises(BadProof):
            verify(data[:at] + bytes((data[at] ^ (1 << at % 8),)) + data[at + 1 :], genesis(), question)


# ---- a year of days ----


class Year(Snapshot):
    """Epochs of one block each: what a network that nobody uses is made of."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        genesis = short_epochs()
        self._ends: list[EpochStep] = []
        parent, parent_view, history = BlockHash(chain_id(genesis)), 0, EMPTY.append(BlockHash(chain_id(genesis)))
        for height in range(1, epochs + 2):
            header = Header(
                rules=0, chain_id=chain_id(genesis), epoch=height - 1, height=height, view=height,
                parent_view=parent_view, parent_hash=parent, time=TIME + height, tx_root=receipts_root(()),
                state_root=EMPTY_ROOT, receipts_root=receipts_root(()), history_root=history.root,
                next_validators=validators_hash(genesis.validators, height),
            )  # fmt: skip
            signed = certificate_by(genesis, height - 1, genesis.validators, proposal_of(header))
            self._ends.append(EpochStep(header, (), signed, genesis.validators))
            parent, parent_view, history = block_hash(header), height, history.append(block_hash(header))

    def height(self) -> int:
        """That of the block after the last end."""
        return len(self._ends)

    def epoch_end(self, epoch: int) -> bytes | None:
        """In bytes, as a database has it."""
        return to_bytes(self._ends[epoch])

    def newest(self, epochs: int) -> bytes:
        """The proof of the block that is final in the epoch after so many."""
        source = Source(chain_id(short_epochs()), self, (), HistoryNodes())
        steps = tuple(source.epoch_end(epoch) for epoch in range(epochs))
        last = self._ends[epochs]
        finality = Finality(tuple(step for step in steps if step), last.header, (), None, last.certificate)
        file = ProofFile(chain_id(short_epochs()), HeaderQuestion(last.header.height), finality, HeadersAnswer(()))
        return to_bytes(file)


def test_a_proof_over_a_year_of_days_is_small_and_true() -> None:
    """What a client downloads that was away for a year; the docs say how much an epoch adds."""
    year = Year(YEAR)

    data = year.newest(YEAR)
    shown = verify(data, short_epochs())

    assert shown.final.epoch == YEAR
    assert len(data) - len(year.newest(0)) <= YEAR * STEP_BYTES_MAX


def test_more_epochs_than_a_proof_holds_are_refused_by_the_prover() -> None:
    """With words, before anything is read."""
    from guts_core.proof.prove import _epochs

    with pytest.raises(LimitExceeded, match="walks over at most"):
        _epochs(Source(chain_id(genesis()), Snapshot()), EPOCHS_MAX + 1)
