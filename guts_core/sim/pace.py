"""How fast blocks come and become final, in delays of the network: two and three are the protocol's bounds."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from attrs import evolve, frozen

from guts_core.names import BlockHash
from guts_core.simplex.messages import Propose

from .faults import Plan
from .forge_world import ForgeWorld
from .ports import Say, Store
from .report import Report, report_of
from .scenario import Scenario
from .world import World

INTERVAL_BOUND, FINALITY_BOUND = 2, 3
# A link of some distance, and a disk that is no part of the question.
_DELAY_US, _SYNC_US = (10_000, 30_000), (100, 200)
# Enough for a few dozen views; a hundred nodes say 44,000 things in each.
_VIEWS, _VIEW_US = 24, 60_000


@frozen
class Pace:
    """Medians over the blocks that were proposed after the network healed, in us."""

    blocks: int
    delay_us: int  # one way, on average
    interval_us: int | None = None  # from one proposal to the next
    finality_us: int | None = None  # from its proposal until a node has a block final


class _Timed(World):
    """Notes when a block was first proposed, and when each honest node had it final."""

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]  # whatever the world takes
        self.proposed: dict[BlockHash, int] = {}
        self.waits: dict[BlockHash, list[int]] = {}

    def _say(self, index: int, say: Say) -> None:
        message = self.cast.read(say.data)
        if isinstance(message, Propose) and message.vote.proposal is not None:
            self.proposed.setdefault(message.vote.proposal.block_hash, self.time)
        super()._say(index, say)

    def _stores(self, index: int, store: Store) -> None:
        since = self.proposed.get(store.block_hash)
        if since is not None and index not in self.cast.villains and since >= self.plan.chaos_us:
            self.waits.setdefault(store.block_hash, []).append(self.time - since)
        super()._stores(index, store)


class _TimedWorld(_Timed, World):
    pass


class _TimedForge(_Timed, ForgeWorld):
    pass


def paced(scenario: Scenario) -> tuple[Report, Pace]:
    """Run it with a watch."""
    world = scenario.world((_TimedWorld, _TimedForge))
    assert isinstance(world, _Timed)
    report = report_of(scenario.seed, world, world.cast, demanding=False)
    delay = sum(scenario.plan.delay_us) // 2
    starts = sorted(world.proposed[block] for block in world.waits)
    if len(starts) < 2:
        return report, Pace(len(starts), delay)
    interval = median(later - earlier for earlier, later in pairwise(starts))
    finality = median(wait for waits in world.waits.values() for wait in waits)
    return report, Pace(len(starts), delay, int(interval), int(finality))


def calmed(scenario: Scenario) -> Scenario:
    """The same network with nobody lying and nothing going wrong, for as long as a few dozen views take."""
    plan = evolve(
        Plan.calm(scenario.nodes), delay_us=_DELAY_US, sync_us=_SYNC_US, chaos_us=0, heal_us=_VIEWS * _VIEW_US
    )
    return evolve(scenario, plan=plan, villains={})
