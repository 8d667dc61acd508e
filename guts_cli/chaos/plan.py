"""
What is done to a network, drawn from a seed: the same number does the same things in the same order.

When exactly a thing hits is the machine's business, so a run is repeated in what it does, never to the
microsecond. Processes and links are two lanes with dice of their own, and go on side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from random import Random

from attrs import frozen

from .proxy import FAIR, Weather


class Harm(Enum):
    """Everything that is done; the value is its name in reports."""

    KILL = "kill"
    KILL_F = "kill f"
    KILL_TOO_MANY = "kill f+1"
    KILL_ALL = "kill all"
    PAUSE = "pause"
    RESTART = "restart"
    DISK_FULL = "disk full"
    SKEW = "clock skew"
    DELAY = "delay"
    LOSS = "loss"
    SLOW = "slow link"
    CUT = "one-way cut"
    PARTITION = "partition"
    RESET = "reset"
    HALF_OPEN = "half-open"
    CORRUPT = "corrupt byte"
    REPEAT = "repeated bytes"


# Of a hundred: kills first, because each is a whole power cut.
PROCESS_WEIGHTS = {
    Harm.KILL: 34,
    Harm.KILL_F: 12,
    Harm.KILL_TOO_MANY: 10,
    Harm.KILL_ALL: 8,
    Harm.PAUSE: 16,
    Harm.RESTART: 8,
    Harm.DISK_FULL: 6,
    Harm.SKEW: 6,
}
LINK_WEIGHTS = {
    Harm.DELAY: 14,
    Harm.LOSS: 12,
    Harm.SLOW: 10,
    Harm.CUT: 12,
    Harm.PARTITION: 10,
    Harm.RESET: 14,
    Harm.HALF_OPEN: 10,
    Harm.CORRUPT: 12,
    Harm.REPEAT: 6,
}
KILLS = frozenset({Harm.KILL, Harm.KILL_F, Harm.KILL_TOO_MANY, Harm.KILL_ALL})
DOWN_SECONDS = (0.0, 4.0)
PAUSE_SECONDS = (1.0, 20.0)
# Long enough for a few pushes to be refused there.
ODD_SECONDS = (3.0, 8.0)
WEATHER_SECONDS = (2.0, 12.0)
REST_SECONDS = (0.5, 4.0)
DELAY_SECONDS = (0.01, 0.3)
STALL_CHANCES = (0.01, 0.05)
SLOW_BYTES_PER_SECOND = 1_000_000 // 8
HOUR_MS = 3_600_000
SKEWS_MS = (-24 * HOUR_MS, -HOUR_MS, -5_000, 5_000, HOUR_MS, 24 * HOUR_MS)


@frozen
class Blow:
    """One thing that is done, after a rest, and undone after its time."""

    harm: Harm
    nodes: tuple[int, ...]  # hit; for a link: from the first to the second
    rest_seconds: float
    seconds: float
    offset_ms: int = 0
    weather: Weather = FAIR
    groups: tuple[tuple[int, ...], ...] = ()

    @property
    def words(self) -> str:
        """For a progress line."""
        if self.groups:
            return f"{self.harm.value} {' | '.join(','.join(map(str, group)) for group in self.groups)}"
        between = " -> " if self.harm in LINK_WEIGHTS else ","
        return f"{self.harm.value} {between.join(map(str, self.nodes))}"


def process_blows(seed: int, nodes: int, faults: int) -> Iterator[Blow]:
    """What happens to processes, without end; ``faults`` is f."""
    dice = Random(f"{seed} processes")  # noqa: S311 -- dice that repeat
    while True:
        harm = _pick(dice, PROCESS_WEIGHTS)
        counts = {Harm.KILL_F: faults, Harm.KILL_TOO_MANY: faults + 1, Harm.KILL_ALL: nodes}
        hit = tuple(sorted(dice.sample(range(nodes), counts.get(harm, 1))))
        rest, seconds = dice.uniform(*REST_SECONDS), dice.uniform(*_range_of(harm))
        yield Blow(harm, hit, rest, seconds, dice.choice(SKEWS_MS) if harm is Harm.SKEW else 0)


def link_blows(seed: int, nodes: int) -> Iterator[Blow]:
    """What happens to links, without end."""
    dice = Random(f"{seed} links")  # noqa: S311 -- dice that repeat
    while True:
        harm = _pick(dice, LINK_WEIGHTS)
        source, target = dice.sample(range(nodes), 2)
        rest, seconds = dice.uniform(*REST_SECONDS), dice.uniform(*WEATHER_SECONDS)
        groups = _split(dice, nodes) if harm is Harm.PARTITION else ()
        yield Blow(harm, (source, target), rest, seconds, weather=_weather(dice, harm), groups=groups)


def _pick(dice: Random, weights: dict[Harm, int]) -> Harm:
    return dice.choices(list(weights), list(weights.values()))[0]


def _range_of(harm: Harm) -> tuple[float, float]:
    if harm in KILLS:
        return DOWN_SECONDS
    return PAUSE_SECONDS if harm is Harm.PAUSE else ODD_SECONDS


def _weather(dice: Random, harm: Harm) -> Weather:
    if harm is Harm.DELAY:
        return Weather(delay_seconds=dice.uniform(*DELAY_SECONDS))
    if harm is Harm.LOSS:
        return Weather(stall_chance=dice.uniform(*STALL_CHANCES))
    if harm is Harm.SLOW:
        return Weather(bytes_per_second=SLOW_BYTES_PER_SECOND)
    return Weather(is_cut=True) if harm is Harm.CUT else FAIR


def _split(dice: Random, nodes: int) -> tuple[tuple[int, ...], ...]:
    """Everybody in two or more groups, none of them everybody."""
    while True:
        of = [dice.randrange(nodes) for _ in range(nodes)]
        groups: Sequence[tuple[int, ...]] = [
            tuple(node for node in range(nodes) if of[node] == one) for one in sorted(set(of))
        ]
        if len(groups) > 1:
            return tuple(groups)
