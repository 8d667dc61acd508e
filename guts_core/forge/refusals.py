"""
Every "no" of execution by its code: a receipt and the port carry the code alone, and the edges need the class.

A class says who is to blame and so which status and exit code to answer with (``errors``).
"""

from __future__ import annotations

from guts_core import errors

from .accounts import BadKey, KeyTaken, NameReserved, NameTaken, NotSponsored
from .collaborators import IsOwner
from .credentials import Expired, Revoked, UnprovenKey
from .evidence import BadEvidence, EvidenceKnown, EvidenceTooOld
from .governance import AlreadyVoted, Closed
from .keys import LastKey
from .lifecycle import NotDeleted, RestoreTooLate, WrongName
from .operators import NotSeated, TooFewOperators
from .quota import QuotaExhausted
from .ref_paths import RefConflict
from .refs import NotAttested, ObjectsMoved, Protected, RemovalsMoved, Stale
from .repositories import PrivateImpossible, Unsupported
from .seats import KeyConvicted, LastValidator
from .texts import TextTaken

REFUSALS: dict[str, type[errors.Refused]] = {
    refusal.code: refusal
    for refusal in (
        errors.Refused,
        errors.Invalid,
        errors.NotFound,
        errors.Unauthenticated,
        errors.NotAllowed,
        errors.Conflict,
        errors.LimitExceeded,
        AlreadyVoted,
        BadEvidence,
        BadKey,
        Closed,
        EvidenceKnown,
        EvidenceTooOld,
        UnprovenKey,
        Expired,
        IsOwner,
        KeyConvicted,
        KeyTaken,
        LastKey,
        LastValidator,
        NameReserved,
        NameTaken,
        NotAttested,
        NotDeleted,
        NotSeated,
        NotSponsored,
        ObjectsMoved,
        PrivateImpossible,
        Protected,
        QuotaExhausted,
        RefConflict,
        RemovalsMoved,
        RestoreTooLate,
        Revoked,
        Stale,
        TextTaken,
        TooFewOperators,
        Unsupported,
        WrongName,
    )
}


def refusal_of(code: str) -> type[errors.Refused]:
    """The class of a refusal's code; a code of newer rules is a refusal of an unknown kind."""
    return REFUSALS.get(code, errors.Refused)
