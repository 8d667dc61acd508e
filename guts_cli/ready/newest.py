"""
The newest state that was seen of each repository: a node that shows last week's proof shows nothing false.

One small file a repository, under ``GUTS_HOME/networks``: the height of the newest proof, and when it came. Nodes are a
moment apart, so an answer that is older than one of a moment ago is taken with a word; than one of yesterday it is not.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from attrs import frozen

from guts_cli.home import Home
from guts_cli.outcomes import Misconfigured
from guts_cli.private_files import write_private
from guts_cli.target import Target
from guts_core.proof import Final, TooOld

# A node that is further behind than this is said to be behind by itself (``/readyz``), and is no use to a clone.
LAG_MS = 60_000
# An idle network makes a block at each heartbeat, 30 s unless its genesis says otherwise: ten of them were missed.
STALE_MS = 300_000
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))


class RolledBack(TooOld):
    """A true proof of a state before one that was seen here."""

    def __init__(self, message: str, next_step: str) -> None:
        super().__init__(message)
        self.next_step = next_step


@frozen
class Newest:
    """A height, and when it was seen here first, in ms since 1970."""

    height: int
    seen_ms: int


@frozen
class Memory:
    """What is remembered of one repository of one network."""

    path: Path

    @classmethod
    def of(cls, home: Home, chain: str, target: Target) -> Memory:
        """Names are what files may be called."""
        return cls(home.path / "networks" / f"{chain}.newest" / target.owner / target.name)

    def read(self) -> Newest | None:
        """None: never seen. Misconfigured where the file is no such record."""
        try:
            height, seen = self.path.read_text().split()
            return Newest(int(height), int(seen))
        except FileNotFoundError:
            return None
        except ValueError as error:
            words = f"{self.path} does not say which height was seen last: {error}"
            raise Misconfigured(words, f"rm {self.path}") from error

    def take(self, final: Final, now_ms: int) -> str | None:
        """
        Remember an answer that is not older than the last; what to say of one that is, though only by a moment.

        Raises RolledBack.
        """
        newest = self.read()
        if newest is not None and final.height < newest.height:
            return self._older(final, newest, now_ms)
        if newest is None or final.height > newest.height:
            # Whoever has no home that can be written verifies all the same, and has nothing to compare with later.
            with suppress(OSError):
                write_private(self.path, f"{final.height} {now_ms}\n")
        return None

    def _older(self, final: Final, newest: Newest, now_ms: int) -> str:
        words = f"its newest state is of height {final.height}, and height {newest.height} was seen here"
        if now_ms - newest.seen_ms <= LAG_MS:
            return f"{words} a moment ago: it is behind"
        words = f"{words} {told(now_ms - newest.seen_ms)} ago: it is far behind, or hides what came since"
        raise RolledBack(words, f"GUTS_NODE=URL of another node; where the network itself went back: rm {self.path}")


def stale(final: Final, now_ms: int) -> str | None:
    """The age of a state, where that is worth a word."""
    age = now_ms - final.time
    return f"this state is {told(age)} old" if age > STALE_MS else None


def told(milliseconds: int) -> str:
    """``3 days``; of the largest unit only."""
    seconds = max(0, milliseconds) // 1000
    size, unit = next(((size, unit) for size, unit in _UNITS if seconds >= size), (1, "second"))
    count = seconds // size
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def now() -> int:
    """Ms since 1970, as this computer has it."""
    return time.time_ns() // 1_000_000
