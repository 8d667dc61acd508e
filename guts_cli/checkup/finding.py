"""One thing that was looked at: well in a calm line, or wrong in a sentence with the command that mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import frozen

from guts_cli.outcomes import failure_of
from guts_core.errors import GutsError


@frozen
class Finding:
    """What came out; ``next`` mends what is not ok."""

    check: str
    ok: bool
    message: str
    next: str | None = None


def well(check: str, message: str) -> Finding:
    """Nothing to do."""
    return Finding(check, ok=True, message=message)


def wrong(check: str, message: str, following: str) -> Finding:
    """Something to do, and the command for it."""
    return Finding(check, ok=False, message=message, next=following)


Look = Callable[[], Iterator[Finding]]


def looked(check: str, look: Look, otherwise: str) -> Iterator[Finding]:
    """What a look finds; what it raises is a finding too, mended by what the error says itself, or ``otherwise``."""
    try:
        yield from look()
    except (GutsError, OSError) as error:
        failure = failure_of(error)
        own = getattr(error, "next_step", None)
        yield wrong(check, failure.message, own or otherwise)
