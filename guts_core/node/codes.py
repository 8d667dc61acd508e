"""From a code and a sentence, as receipts and the port carry them, back to the error they stand for."""

from __future__ import annotations

from guts_core import errors
from guts_core.chain.inadmissible import (
    REFUSALS as INADMISSIBLE,
)
from guts_core.chain.mempool import Busy
from guts_core.errors import GutsError, remade
from guts_core.forge.refusals import REFUSALS

from .waiting import Lagging

_OTHERS: dict[str, type[GutsError]] = {
    cls.code: cls for cls in (errors.Unavailable, errors.Malformed, errors.BadSignature, errors.Corrupt, Busy, Lagging)
}


def error_with(code: str, message: str, otherwise: type[GutsError] = errors.Refused) -> GutsError:
    """The error of this code; one of newer rules is ``otherwise``, with the words it came with."""
    return remade(class_of(code) or otherwise, message)


def class_of(code: str) -> type[GutsError] | None:
    """The class of this code, if this build knows it."""
    return REFUSALS.get(code) or INADMISSIBLE.get(code) or _OTHERS.get(code)
