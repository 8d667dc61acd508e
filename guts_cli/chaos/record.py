"""What clients asked for and were told, written down while it happens; at the end it is held against the chain."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from attrs import define, field, frozen

from guts_core.sim.histories import History

TRIED, ACKNOWLEDGED, REFUSED, UNKNOWN = "tried", "acknowledged", "refused", "unknown"
OUTCOMES = (TRIED, ACKNOWLEDGED, REFUSED, UNKNOWN)


@frozen
class Push:
    """A commit that somebody was told is in."""

    number: int
    repo: str
    ref: str
    oid: str
    through: int  # the node that acknowledged it


@define(eq=False)
class Record:
    """Of one run. ``path`` gets every event at once, so that a run that was cut off leaves its history."""

    path: Path
    pushes: Counter[str] = field(factory=lambda: _none_of(OUTCOMES))
    writes: Counter[str] = field(factory=lambda: _none_of(OUTCOMES))  # over the API
    reads: Counter[str] = field(factory=lambda: _none_of((ACKNOWLEDGED, REFUSED)))
    acknowledged: list[Push] = field(factory=list)
    repositories: dict[str, int] = field(factory=dict)  # made over the API, and through whom
    oids: dict[str, int] = field(factory=dict)  # of every commit that was pushed: its operation
    history: History = field(factory=History)
    _written: int = 0

    def asks_push(self, client: str, node: int, repo: str, ref: str, old: str | None, new: str) -> int:
        """A push begins; returns its number."""
        number = self.history.invoke(client, "update", repo, ref, old, new, time=_now(), node=str(node))
        self.oids[new] = number
        self.pushes[TRIED] += 1
        self._flush()
        return number

    def push_done(self, push: Push) -> None:
        """It was acknowledged."""
        self.history.complete(push.number, "ok", time=_now())
        self.acknowledged.append(push)
        self.pushes[ACKNOWLEDGED] += 1
        self._flush()

    def push_refused(self, number: int) -> None:
        """The client was told that it did not happen."""
        self.history.fail(number, time=_now())
        self.pushes[REFUSED] += 1
        self._flush()

    def push_unknown(self) -> None:
        """Nobody knows: it stays open in the history."""
        self.pushes[UNKNOWN] += 1

    def _flush(self) -> None:
        lines = list(self.history.lines(self._written))
        self._written += len(lines)
        with self.path.open("a") as out:
            out.writelines(f"{line}\n" for line in lines)


def _none_of(names: Sequence[str]) -> Counter[str]:
    """What did not happen is told as 0, not left out."""
    return Counter(dict.fromkeys(names, 0))


def _now() -> int:
    return time.monotonic_ns() // 1000


def shares(counted: Counter[str], names: Sequence[str] = OUTCOMES) -> str:
    """In words."""
    return ", ".join(f"{counted[name]} {name}" for name in names)
