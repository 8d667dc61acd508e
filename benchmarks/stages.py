"""What the time of a push went to, as the nodes' logs tell it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from statistics import mean
from typing import Any

from attrs import frozen

from tests.compat.devnet import Devnet

from .run import VALIDATORS, Run

# What the first node logs of a push that has a pack, in this order.
_PUSH = ("push_opened", "pack_kept", "push_submitted", "push_done")
_WORDS = ("upload and check", "its facts", "agreement with the others' checks")
# What another node logs of it.
_OTHER = ("pack_wanted", "pack_held")


@frozen
class Stages:
    """The logs of a network from a moment on."""

    network: Devnet
    marks: tuple[int, ...]

    @classmethod
    def begin(cls, run: Run) -> Stages:
        """From now on."""
        return cls(run.network, tuple(run.network.mark(index) for index in range(VALIDATORS)))

    def told(self, seconds: Sequence[float]) -> str:
        """The stages of these pushes, mean milliseconds each, beside what the clients waited in all."""
        parts = self._between(0, _PUSH)
        client = max(0.0, 1000 * mean(seconds) - sum(parts))
        said = [f"client before and after {client:.0f}"]
        said += [f"{words} {part:.0f}" for words, part in zip(_WORDS, parts, strict=True)]
        others = mean(self._between(index, _OTHER)[0] for index in range(1, VALIDATORS))
        return f"ms of it: {', '.join(said)} (each of them takes and checks the pack in {others:.0f})"

    def _between(self, index: int, events: Sequence[str]) -> list[float]:
        """Mean milliseconds from each event to the next."""
        times = [list(map(_moment, self.network.lines(index, self.marks[index], event, {}))) for event in events]
        return [
            1000 * mean(end - start for start, end in zip(starts, ends, strict=False))
            for starts, ends in pairwise(times)
        ]


def _moment(line: dict[str, Any]) -> float:
    return datetime.fromisoformat(line["time"]).timestamp()
