"""How much of each bounded thing a simulated node may hold (I11 of ``consensus.md`` 1.13), in a run and at its end."""

from __future__ import annotations

from collections import Counter

from .ledger import Broken
from .ports import SimNode

# What a node may hold at any time, in runs of this length.
_EVER = {"rounds": 1_024, "votes": 20_000, "blocks": 1_100, "anchors": 64, "uncommitted": 1_024, "evidence": 512}
# What a node holds in situations that a campaign must have seen.
_SOMETIMES = (
    ("anchors", 1, "knew of finality before it had the blocks"),
    ("uncommitted", 8, "eight final blocks waited for the database"),
    ("rounds", 16, "sixteen views were open"),
    ("evidence", 1, "held evidence"),
)
# After the heal nothing may have piled up: a few live views, and what their votes are.
_CALM = {"rounds": 64, "votes": 2_000, "blocks": 128, "anchors": 4, "uncommitted": 64}


def look_at(index: int, node: SimNode, seen: Counter[str]) -> None:
    """Now and then; and what only sometimes is so is counted as seen."""
    held = node.held
    _within(index, held, _EVER)
    for name, least, what in _SOMETIMES:
        if held.get(name, 0) >= least:
            seen[what] += 1


def judge(index: int, node: SimNode) -> None:
    """At the end."""
    _within(index, node.held, _CALM)


def _within(index: int, held: dict[str, int], bounds: dict[str, int]) -> None:
    for name, most in bounds.items():
        if held.get(name, 0) > most:
            raise Broken(f"I11: node {index} holds {held[name]} {name}")
