"""
Evidence: two votes of one seat that no honest validator casts together (``consensus.md`` 1.12).

It speaks for itself, so whoever finds it may report it. It is put on record once for a seat and an
epoch, and takes nothing from anybody: whether a validator goes is for the operators to decide.
"""

from __future__ import annotations

from attrs import evolve

from guts_core.codec import to_bytes
from guts_core.errors import BadSignature, Conflict, Invalid, Malformed
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Kind, Vote
from guts_core.simplex.quorum import FaultModel
from guts_core.state.view import Overlay, View

from . import paths, queries
from .actions import ReportEvidence
from .activities import EvidenceRecorded
from .context import Context
from .decisions import Conviction
from .operators import NotSeated, seated
from .params import EVIDENCE_EPOCHS
from .records import ValidatorEntry

# A leader notarizes one block and nullifies its view: that is no contradiction. These are.
_CONTRADICTING = frozenset(
    {
        frozenset({Kind.NOTARIZE}),
        frozenset({Kind.FINALIZE}),
        frozenset({Kind.NULLIFY, Kind.FINALIZE}),
    }
)


class BadEvidence(Invalid):
    """The votes are not of that seat, or do not contradict each other."""

    code = "bad-evidence"


class EvidenceTooOld(Invalid):
    """The epoch is over for too long."""

    code = "evidence-too-old"


class EvidenceKnown(Conflict):
    """One conviction for a seat and epoch is enough."""

    code = "evidence-known"


def report_evidence(action: ReportEvidence, state: Overlay, context: Context) -> tuple[EvidenceRecorded]:
    """Put it on record that a seat contradicted itself. Admission has checked that a seat's node signed."""
    if context.author not in seated(queries.epoch(state)):
        raise NotSeated("evidence is reported by validators: this account has none in the current epoch")
    first, second = action.first, action.second
    if not contradict(first, second):
        raise BadEvidence("the two votes do not contradict each other: an honest validator may have cast both")
    seats = _seats(first.epoch, state)
    seat = _seat(first, seats)
    if queries.conviction(state, first.epoch, first.signer) is not None:
        raise EvidenceKnown(f"evidence against {seat.name} in epoch {first.epoch} is on record already")
    _check_votes((first, second), seats, context)
    _record(action, seat, state, context)
    return (EvidenceRecorded(first.epoch, first.signer, seat.number),)


def contradict(first: Vote, second: Vote) -> bool:
    """Whether no honest validator casts these two votes, if one signer cast both."""
    same_place = (first.epoch, first.view, first.signer) == (second.epoch, second.view, second.signer)
    if not same_place or frozenset({first.kind, second.kind}) not in _CONTRADICTING:
        return False
    return first.kind is not second.kind or first.proposal != second.proposal


def _seats(number: int, state: View) -> tuple[ValidatorEntry, ...]:
    epoch = queries.epoch(state)
    if number == epoch.number:
        return epoch.seats
    if number > epoch.number:
        raise BadEvidence(f"votes of epoch {number}; this is epoch {epoch.number}")
    past = queries.past_epoch(state, number)
    if past is None:
        raise EvidenceTooOld(f"votes of epoch {number}: evidence counts for {EVIDENCE_EPOCHS} epochs after its own")
    return past.seats


def _seat(vote: Vote, seats: tuple[ValidatorEntry, ...]) -> ValidatorEntry:
    if vote.signer >= len(seats):
        raise BadEvidence(f"epoch {vote.epoch} has {len(seats)} seats, none of them is {vote.signer}")
    return seats[vote.signer]


def _check_votes(votes: tuple[Vote, Vote], seats: tuple[ValidatorEntry, ...], context: Context) -> None:
    keys = tuple(seat.vote_key for seat in seats)
    # How many are a quorum does not matter to single votes.
    committee = Committee(context.chain_id, votes[0].epoch, keys, FaultModel.BYZANTINE, context.verifier)
    for vote in votes:
        try:
            committee.check_shape(vote)
            committee.check_signature(vote)
        except (Malformed, BadSignature) as error:
            raise BadEvidence(f"not a vote of that seat on this network: {error}") from error


def _record(action: ReportEvidence, seat: ValidatorEntry, state: Overlay, context: Context) -> None:
    vote = action.first
    conviction = Conviction(
        epoch=vote.epoch,
        seat=vote.signer,
        number=seat.number,
        vote_key=seat.vote_key,
        first=action.first,
        second=action.second,
        reporter=context.author,
        height=context.height,
        time=context.time,
    )
    state.put(paths.conviction(vote.epoch, vote.signer), to_bytes(conviction))
    holder = queries.node_key_holder(state, seat.vote_key)
    assert holder is not None, "the key of a seat is taken"
    state.put(paths.node_key(seat.vote_key), to_bytes(evolve(holder, convicted=vote.epoch)))
