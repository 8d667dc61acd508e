"""Answering who joins: from what this node itself holds and has proven, within the bounds of one answer."""

from __future__ import annotations

from typing import Protocol, assert_never

from guts_core.chain.block import header_of
from guts_core.chain.trail import EpochStep
from guts_core.codec import to_bytes
from guts_core.names import BlockHash

from .messages import (
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
from .records import RUN_MAX, STEPS_MAX, Offer, PastBlock, PastRun, StateManifest

# An answer may exceed it by one block or step; a frame carries twice as much.
ANSWER_BYTES = 900 * 1024


class Source(Protocol):
    """What a node holds of what others may ask it for."""

    def standing(self) -> tuple[int, int, int]:
        """Height, how many epochs have ended, and the lowest block that is here."""

    def offers(self) -> tuple[Offer, ...]:
        """Whole snapshots, newest first."""

    def step(self, epoch: int) -> EpochStep | None:
        """How an epoch ended."""

    def manifest(self, digest: bytes) -> StateManifest | None:
        """Of a snapshot that is held whole."""

    def piece(self, digest: bytes, index: int) -> bytes | None:
        """Of a snapshot that is held whole."""

    def past(self, block_hash: BlockHash) -> PastBlock | None:
        """A final block with its receipts."""


def answer(question: Question, source: Source) -> Answer:
    """What to say to a question."""
    absent = SyncAbsent(question.number)
    match question:
        case StateOffersWanted():
            return StateOffers(question.number, *source.standing(), source.offers())
        case StepsWanted():
            return Steps(question.number, tuple(_steps(question.first, source)))
        case ManifestWanted():
            manifest = source.manifest(question.digest)
            return absent if manifest is None else ManifestSupplied(question.number, manifest)
        case StatePieceWanted():
            piece = source.piece(question.digest, question.index)
            return absent if piece is None else StatePiece(question.number, piece)
        case PastWanted():
            blocks = tuple(_past(question.top, source))
            return PastSupplied(question.number, PastRun(blocks)) if blocks else absent
        case _:
            assert_never(question)


def _steps(first: int, source: Source) -> list[EpochStep]:
    found: list[EpochStep] = []
    size = 0
    while len(found) < STEPS_MAX and size < ANSWER_BYTES:
        step = source.step(first + len(found))
        if step is None:
            break
        found.append(step)
        size += len(to_bytes(step))
    return found


def _past(top: bytes, source: Source) -> list[PastBlock]:
    found: list[PastBlock] = []
    size, wanted = 0, BlockHash(top)
    while len(found) < RUN_MAX:
        block = source.past(wanted)
        if block is None:
            break
        size += len(to_bytes(block))
        if found and size > ANSWER_BYTES:
            break
        found.append(block)
        header = header_of(block.body)
        if header.height == 1:
            break
        wanted = BlockHash(header.parent_hash)
    return found
