"""
What is asked and answered on the bulk connection by who joins (kinds 186-199); an answer carries the
question's number. A node may always say that it has not got what was asked for.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from attrs import frozen

from guts_core.chain.trail import EpochStep
from guts_core.codec import Limit, kinds, record
from guts_core.codec.fields import ABlockHash, AHash

from .records import OFFERS_MAX, PIECE_BYTES_MAX, STEPS_MAX, Offer, PastRun, StateManifest


@record(kinds.STATE_OFFERS_WANTED)
@frozen
class StateOffersWanted:
    """Where do you stand, and which snapshots do you hold?"""

    number: int


@record(kinds.STATE_OFFERS)
@frozen
class StateOffers:
    """Where the speaker says it stands: claims, of which each is proven before anything follows from it."""

    number: int
    height: int
    epoch: int
    first: int  # the lowest block that it holds: what is below, it pruned
    offers: Annotated[tuple[Offer, ...], Limit(most=OFFERS_MAX)]


@record(kinds.STEPS_WANTED)
@frozen
class StepsWanted:
    """How did this epoch end, and those after it?"""

    number: int
    first: int


@record(kinds.STEPS)
@frozen
class Steps:
    """As many ends of epochs as go in one answer, the asked one first; none: it has not ended here."""

    number: int
    steps: Annotated[tuple[EpochStep, ...], Limit(most=STEPS_MAX)]


@record(kinds.MANIFEST_WANTED)
@frozen
class ManifestWanted:
    """The manifest of a snapshot that was offered."""

    number: int
    digest: AHash


@record(kinds.MANIFEST_SUPPLIED)
@frozen
class ManifestSupplied:
    """It."""

    number: int
    manifest: StateManifest


@record(kinds.STATE_CHUNK_WANTED)
@frozen
class StatePieceWanted:
    """One piece of a snapshot."""

    number: int
    digest: AHash
    index: int


@record(kinds.STATE_CHUNK)
@frozen
class StatePiece:
    """Its bytes."""

    number: int
    data: Annotated[bytes, Limit(most=PIECE_BYTES_MAX)]


@record(kinds.PAST_WANTED)
@frozen
class PastWanted:
    """This block and as many below it as go in one answer."""

    number: int
    top: ABlockHash


@record(kinds.PAST)
@frozen
class PastSupplied:
    """They, the asked one first."""

    number: int
    run: PastRun


@record(kinds.SYNC_ABSENT)
@frozen
class SyncAbsent:
    """We do not hold that, or not any more."""

    number: int


Question: TypeAlias = StateOffersWanted | StepsWanted | ManifestWanted | StatePieceWanted | PastWanted
Answer: TypeAlias = StateOffers | Steps | ManifestSupplied | StatePiece | PastSupplied | SyncAbsent
QUESTIONS: tuple[type[Question], ...] = (StateOffersWanted, StepsWanted, ManifestWanted, StatePieceWanted, PastWanted)
ANSWERS: dict[type[Question], tuple[type[Answer], ...]] = {
    StateOffersWanted: (StateOffers, SyncAbsent),
    StepsWanted: (Steps, SyncAbsent),
    ManifestWanted: (ManifestSupplied, SyncAbsent),
    StatePieceWanted: (StatePiece, SyncAbsent),
    PastWanted: (PastSupplied, SyncAbsent),
}
