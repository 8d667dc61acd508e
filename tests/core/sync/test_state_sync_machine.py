"""Joining from a snapshot among liars: the state is the proven one or there is none (J13, F37, F38)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import define, evolve

from guts_core.chain.genesis import chain_id
from guts_core.chain.header import block_hash, validators_hash
from guts_core.chain.trail import BadStep, EpochStep, Trail, walk
from guts_core.codec import to_bytes
from guts_core.errors import PeerFault
from guts_core.identity import Ed25519Verifier
from guts_core.names import ChainId
from guts_core.state.nodes import EMPTY_ROOT
from guts_core.state.view import Pair
from guts_core.sync.messages import (
    Answer,
    ManifestSupplied,
    ManifestWanted,
    PastSupplied,
    PastWanted,
    Question,
    StateOffers,
    StateOffersWanted,
    StatePiece,
    StatePieceWanted,
    Steps,
    StepsWanted,
    SyncAbsent,
)
from guts_core.sync.pieces import cut
from guts_core.sync.records import PIECES_MAX, Offer, Piece, StateManifest, manifest_digest
from tests.core.sync.simulated_sync import Crashed, Joining
from tests.core.sync.sync_world import EPOCHS, Chain, Honest, a_chain, certificate

VERIFIER = Ed25519Verifier()
NEWEST = 120  # height of the last boundary


def honest(ended: int = EPOCHS) -> Honest:
    return Honest(a_chain(), ended)


def is_whole(joining: Joining) -> bool:
    return joining.installed == list(a_chain().state)


# ---- villains: each an honest node but for one lie ----


@define
class Liar(Honest):
    """Changes some of its answers; counts how often, so that no test passes because nobody was asked."""

    lies: int = 0

    def reply(self, question: Question) -> Answer | None:
        """What it answers."""
        said = Honest.reply(self, question)
        changed = said if said is None else self.change(question, said)
        self.lies += changed != said
        return changed

    def change(self, question: Question, said: Answer) -> Answer | None:
        """Its lie."""
        raise NotImplementedError


class ClaimsHeights(Liar):
    """Says that it is in an epoch far above all others, and shows no more than they (F38)."""

    def change(self, _question: Question, said: Answer) -> Answer:
        """Its lie."""
        return evolve(said, height=1 << 40, epoch=1 << 30) if isinstance(said, StateOffers) else said


class ClaimsThenLess(Liar):
    """Claims an epoch, and then says that it has nothing (F38)."""

    def change(self, question: Question, said: Answer) -> Answer:
        """Its lie."""
        if isinstance(said, StateOffers):
            return evolve(said, epoch=EPOCHS + 1)
        return SyncAbsent(question.number) if isinstance(question, StepsWanted) else said


class SpoilsPieces(Liar):
    """Sends pieces with one byte changed."""

    def change(self, _question: Question, said: Answer) -> Answer:
        """Its lie."""
        if not isinstance(said, StatePiece):
            return said
        return evolve(said, data=said.data[:-1] + bytes((said.data[-1] ^ 1,)))


class SwapsPieces(Liar):
    """Sends another piece than the one asked for."""

    def change(self, question: Question, said: Answer) -> Answer:
        """Its lie."""
        if not isinstance(question, StatePieceWanted):
            return said
        return StatePiece(question.number, self.pieces[(question.index + 1) % len(self.pieces)])


class SpoilsPast(Liar):
    """Sends past blocks of a fork: transactions that could be repeated would be forgotten."""

    def change(self, _question: Question, said: Answer) -> Answer:
        """Its lie."""
        if not isinstance(said, PastSupplied):
            return said
        return evolve(said, run=evolve(said.run, blocks=said.run.blocks[1:] or said.run.blocks * 2))


class ForgesSteps(Liar):
    """Shows an epoch that ended in its own favour, certified with signatures of another one."""

    def change(self, _question: Question, said: Answer) -> Answer:
        """Its lie."""
        if not isinstance(said, Steps) or not said.steps:
            return said
        step = said.steps[-1]
        mine = step.validators[:1]
        header = evolve(step.header, next_validators=validators_hash(mine, step.header.epoch + 1))
        return evolve(said, steps=(*said.steps[:-1], EpochStep(header, (), step.certificate, mine)))


class SaysAbsent(Liar):
    """Offers everything and has nothing."""

    def change(self, question: Question, said: Answer) -> Answer:
        """Its lie."""
        return said if isinstance(question, StateOffersWanted | StepsWanted) else SyncAbsent(question.number)


class Silent(Liar):
    """Offers and never gives."""

    def change(self, question: Question, said: Answer) -> Answer | None:
        """Its lie."""
        return said if isinstance(question, StateOffersWanted) else None


class AnswersOtherwise(Liar):
    """Answers each question with the answer to another one."""

    def change(self, question: Question, said: Answer) -> Answer:
        """Its lie."""
        return said if isinstance(question, StateOffersWanted) else Steps(question.number, ())


class HidesNewest(Liar):
    """Knows the newest epoch and offers none but an old snapshot: not a lie, and no reason to fall for it."""

    def change(self, _question: Question, said: Answer) -> Answer:
        """Its lie."""
        return evolve(said, offers=said.offers[1:]) if isinstance(said, StateOffers) else said


class OtherState(Honest):
    """Offers a whole snapshot, consistent in itself, of a state that nobody agreed on."""

    def make_pieces(self) -> list[bytes]:
        """Of another state."""
        state = list(self.chain.state)
        state[7] = (state[7][0], b"a record that nobody wrote")
        return [piece for at in range(0, len(state), 50) for piece, _ in cut(state[at : at + 50])]


class NoState(Honest):
    """Offers pieces that fit their hashes and are no records in order."""

    def make_pieces(self) -> list[bytes]:
        """Of another state."""
        return [to_bytes(Piece((b"\xff" * 40, b"", b"\x00" * 40, b""))), to_bytes(Piece((b"\x01",)))]


class OtherManifest(Honest):
    """Offers for a proven height a manifest with another root, history, block or network."""

    def __init__(self, chain: Chain, ended: int, change: Callable[[StateManifest], StateManifest]) -> None:
        super().__init__(chain, ended)
        self.manifests = {manifest_digest(changed): changed for changed in map(change, self.manifests.values())}


LIARS = [
    ClaimsHeights,
    ClaimsThenLess,
    SpoilsPieces,
    SwapsPieces,
    SpoilsPast,
    ForgesSteps,
    SaysAbsent,
    Silent,
    AnswersOtherwise,
    HidesNewest,
]


def test_a_node_joins_from_honest_peers_which_share_the_work() -> None:
    servers = {number: honest() for number in range(4)}
    joining = Joining(a_chain(), servers)

    sync = joining.run()

    assert is_whole(joining)
    assert sync.download is not None
    assert sync.download.boundary.height == NEWEST
    assert not joining.dropped
    assert all(any(isinstance(one, StatePieceWanted) for one in server.asked) for server in servers.values())


@pytest.mark.parametrize("kind", LIARS, ids=lambda kind: kind.__name__)
def test_bad_J13_a_liar_among_honest_peers_delays_and_changes_nothing(kind: type[Liar]) -> None:
    """Ten orders of answers each: what is lied about is reached in most of them, and the count says so."""
    lies = 0
    for seed in range(10):
        liar = kind(a_chain(), EPOCHS)
        joining = Joining(a_chain(), {0: liar, 1: honest(), 2: honest()}, seed)

        sync = joining.run()

        assert is_whole(joining)
        assert sync.download is not None
        assert sync.download.boundary.height == NEWEST
        assert set(joining.dropped) <= {0}
        lies += liar.lies
    assert lies


@pytest.mark.parametrize("kind", [SpoilsPieces, SwapsPieces, SpoilsPast, ForgesSteps, AnswersOtherwise, ClaimsHeights])
def test_who_lies_is_named_and_asked_no_more(kind: type[Liar]) -> None:
    liar = kind(a_chain(), EPOCHS)
    joining = Joining(a_chain(), {0: liar})

    joining.run(seconds=60)
    asked = len(liar.asked)
    joining.run(seconds=60)

    assert joining.installed is None
    assert joining.dropped[0]
    assert len(liar.asked) - asked <= asked  # a new start may try again; within one it is over


@pytest.mark.parametrize("kind", [OtherState, NoState])
def test_bad_J13_two_who_offer_a_false_state_together_are_found_out_by_its_root(kind: type[Honest]) -> None:
    """They are the majority, so theirs is tried first; the root is the only check that matters."""
    servers = {0: kind(a_chain(), EPOCHS), 1: kind(a_chain(), EPOCHS), 2: honest()}
    joining = Joining(a_chain(), servers)

    joining.run()

    assert is_whole(joining)
    assert set(joining.dropped) == {0, 1}
    assert "another state" in joining.dropped[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda one: evolve(one, state_root=bytes(32)),
        lambda one: evolve(one, block_hash=bytes(32)),
        lambda one: evolve(one, chain_id=bytes(32)),
        lambda one: evolve(one, peaks=one.peaks[1:]),
        lambda one: evolve(one, peaks=tuple(bytes(32) for _ in one.peaks)),
        lambda one: evolve(one, epoch=one.epoch - 1),
        lambda one: evolve(one, pieces=()),
        lambda one: evolve(one, past=0),
        lambda one: evolve(one, past=one.height + 1),
    ],
)
def test_bad_J13_a_manifest_that_does_not_fit_its_header_is_refused_before_a_piece_is_asked_for(
    change: Callable[[StateManifest], StateManifest],
) -> None:
    liars = [OtherManifest(a_chain(), EPOCHS, change), OtherManifest(a_chain(), EPOCHS, change)]
    joining = Joining(a_chain(), {0: liars[0], 1: liars[1], 2: honest()})

    joining.run()

    assert is_whole(joining)
    assert {0, 1} == set(joining.dropped)
    assert not any(isinstance(one, StatePieceWanted) for liar in liars for one in liar.asked)


def test_bad_J13_a_manifest_of_more_than_the_disk_takes_is_refused_before_a_piece_is_asked_for() -> None:
    """How large a state is nobody proves: two who agree on a lie could fill the disk with pieces that fit it."""

    def endless(one: StateManifest) -> StateManifest:
        return evolve(one, pieces=one.pieces * (PIECES_MAX // len(one.pieces)))

    liars = [OtherManifest(a_chain(), EPOCHS, endless) for _ in range(2)]
    joining = Joining(a_chain(), {0: liars[0], 1: liars[1], 2: honest()}, room_bytes=1 << 30)

    joining.run()

    assert is_whole(joining)
    assert {0, 1} == set(joining.dropped)
    assert "room for" in joining.dropped[0]
    assert not any(isinstance(one, StatePieceWanted) for liar in liars for one in liar.asked)


def test_bad_J13_a_snapshot_at_a_height_that_nobody_proved_is_not_asked_for() -> None:
    class Elsewhere(Honest):
        def offers(self) -> tuple[Offer, ...]:
            """What it answers."""
            return (Offer(NEWEST + 1, bytes(32)),)

    elsewhere = Elsewhere(a_chain(), EPOCHS)
    joining = Joining(a_chain(), {0: elsewhere, 1: Elsewhere(a_chain(), EPOCHS)})

    joining.run(seconds=60)

    assert joining.installed is None
    assert not any(isinstance(one, ManifestWanted) for one in elsewhere.asked)


def test_what_is_old_here_and_newer_there_is_decided_by_what_is_proven() -> None:
    """Two are behind; the one that is ahead shows it, and alone is enough after a while."""
    joining = Joining(a_chain(), {0: honest(2), 1: honest(2), 2: honest(3)})

    sync = joining.run()

    assert is_whole(joining)
    assert sync.route.epoch == EPOCHS
    assert sync.download is not None
    assert sync.download.boundary.height == 80  # two hold it: one alone could make us fetch for nothing


def test_one_peer_alone_is_enough() -> None:
    joining = Joining(a_chain(), {0: honest()})

    joining.run()

    assert is_whole(joining)


def test_a_snapshot_that_all_gave_up_meanwhile_makes_room_for_the_newer_one() -> None:
    class Moves(Honest):
        def reply(self, question: Question) -> Answer | None:
            """What it answers."""
            if sum(isinstance(one, StatePieceWanted) for one in self.asked) == 2 and self.ended < EPOCHS:
                self.ended, self.kept = EPOCHS, 1
                self.__attrs_post_init__()
            return Honest.reply(self, question)

    servers = {number: Moves(a_chain(), 2, 1) for number in range(2)}
    joining = Joining(a_chain(), servers)

    sync = joining.run()

    assert is_whole(joining)
    assert sync.download is not None
    assert sync.download.boundary.height == NEWEST
    assert not joining.dropped


def test_a_node_that_crashes_after_any_order_goes_on_where_it_was() -> None:
    """Pieces that were kept are not fetched again, and what was kept is believed no more than before."""
    whole = Joining(a_chain(), {0: honest(), 1: honest()})
    whole.run()
    for crash_at in range(1, whole.orders + 1):
        servers = {0: honest(), 1: honest()}
        joining = Joining(a_chain(), servers, crash_at=crash_at)
        with pytest.raises(Crashed):
            joining.run()
        had = {name for name in joining.kept if name.startswith("3-")}
        for server in servers.values():
            server.asked.clear()

        joining.run()

        assert is_whole(joining)
        asked = {one.index for s in servers.values() for one in s.asked if isinstance(one, StatePieceWanted)}
        assert not asked & {int(name.rpartition("-")[2]) for name in had}


def test_what_was_kept_and_rotted_is_fetched_again() -> None:
    joining = Joining(a_chain(), {0: honest(), 1: honest()})
    joining.run()
    joining.installed = None
    for name in list(joining.kept):
        joining.kept[name] = joining.kept[name][:-1]

    joining.run()

    assert is_whole(joining)


def test_the_past_reaches_back_to_the_last_block_whose_transactions_may_come_again() -> None:
    """One hour to the millisecond: one block less, and a transaction could be executed twice."""
    joining = Joining(a_chain(), {0: honest()})

    sync = joining.run()

    assert sync.download is not None
    boundary = sync.download.boundary
    lowest = a_chain().headers[boundary.height - sync.download.past.count]
    assert lowest.time + 3_600_000 < boundary.time  # this one is the first that is not needed
    above = a_chain().headers[boundary.height - sync.download.past.count + 1]
    assert above.time + 3_600_000 >= boundary.time


# ---- the walk over epochs ----


def test_the_walk_ends_at_the_validators_of_today() -> None:
    chain = a_chain()

    trail = walk(chain.genesis, chain.steps, VERIFIER)

    assert trail.epoch == EPOCHS
    assert trail.validators == chain.genesis.validators
    assert trail.boundary == chain.headers[-1]


def _middle_of_an_epoch(chain: Chain) -> EpochStep:
    """A header that is final and ends nothing: the set stays the same, and only the number tells."""
    header = chain.headers[20]
    return EpochStep(header, (), certificate(chain.genesis, header), chain.genesis.validators)


@pytest.mark.parametrize(
    "forge",
    [
        _middle_of_an_epoch,
        lambda chain: evolve(chain.steps[0], validators=chain.genesis.validators[1:]),
        lambda chain: evolve(chain.steps[0], header=evolve(chain.steps[0].header, state_root=EMPTY_ROOT)),
        lambda chain: evolve(chain.steps[0], certificate=chain.steps[1].certificate),
        lambda chain: evolve(chain.steps[0], certificate=certificate(chain.genesis, chain.steps[0].header, 1)),
        lambda chain: evolve(chain.steps[0], children=(chain.headers[40],)),
        lambda chain: chain.steps[1],
    ],
)
def test_a_step_that_does_not_follow_is_refused(forge: Callable[[Chain], EpochStep]) -> None:
    chain = a_chain()

    with pytest.raises(PeerFault):
        Trail.of(chain.genesis).after(forge(chain), VERIFIER)


def test_a_boundary_is_final_by_an_empty_block_above_it() -> None:
    chain = a_chain()
    header = chain.steps[0].header
    child = evolve(header, height=41, view=41, parent_view=40, parent_hash=block_hash(header), time=header.time + 1)
    step = EpochStep(header, (child,), certificate(chain.genesis, child), chain.genesis.validators)
    assert Trail.of(chain.genesis).after(step, VERIFIER).epoch == 1

    changed = evolve(child, state_root=EMPTY_ROOT)
    with pytest.raises(BadStep, match="empty block"):
        Trail.of(chain.genesis).after(evolve(step, children=(changed,)), VERIFIER)


def test_a_step_of_another_network_is_named_so() -> None:
    chain = a_chain()
    header = evolve(chain.steps[0].header, chain_id=ChainId(bytes(32)))

    with pytest.raises(BadStep, match="network"):
        Trail.of(chain.genesis).after(evolve(chain.steps[0], header=header), VERIFIER)
    assert chain_id(chain.genesis) != bytes(32)


def test_pieces_hold_a_mebibyte_at_most_and_all_records_in_order() -> None:
    state: list[Pair] = [(bytes(34) + n.to_bytes(4, "big"), bytes(60_000)) for n in range(60)]

    pieces = list(cut(state))

    assert sum(count for _, count in pieces) == 60
    assert all(len(piece) <= 1 << 20 for piece, _ in pieces)
    assert len(pieces) == 4


def test_answers_of_a_wrong_kind_and_unasked_ones_change_nothing_but_the_peer() -> None:
    class Talks(Honest):
        def reply(self, question: Question) -> Answer | None:
            """What it answers."""
            if isinstance(question, PastWanted):
                return ManifestSupplied(question.number, next(iter(self.manifests.values())))
            return Honest.reply(self, question)

    joining = Joining(a_chain(), {0: Talks(a_chain(), EPOCHS), 1: honest()})

    joining.run()

    assert is_whole(joining)
    assert "ManifestSupplied" in joining.dropped.get(0, "ManifestSupplied")
