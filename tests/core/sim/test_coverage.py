"""What goes wrong is looked up from one turn of the plan to the next, and must be what is so at each moment."""

from __future__ import annotations

from attrs import evolve

from guts_core.sim import coverage
from guts_core.sim.coverage import CALM
from guts_core.sim.faults import SECOND, Clog, Crash, Cut, Partition, Plan, SlowDisk
from guts_core.sim.report import report_of
from guts_core.sim.scenario import Scenario

HALVES = frozenset({(0, 2), (0, 3), (1, 2), (1, 3)})
# Everything that begins and ends, each at times of its own; a period that no half of it divides.
PLAN = evolve(
    Plan.calm(4),
    chaos_us=2 * SECOND,
    heal_us=SECOND,
    partitions=(Partition(900_000, 1_000_001, frozenset({0}), one_way=True),),
    cuts=(Cut(100_000, 500_000, HALVES, 33_333), Cut(1_200_000, 1_300_000, frozenset({(3, 1)}))),
    clogs=(Clog(600_000, 640_000, 2, 1),),
    slow_disks=(SlowDisk(2, 700_000, 800_000, 5_000),),
    crashes=(Crash(1, 300_000, 1, 50_000, jump_ms=-3_600_000), Crash(3, 1_500_000, 0, 700_000)),
    loss_per_mille=20,
)


class _Compared(coverage._CoveredWorld):
    """Looks anew each time, too."""

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)
        self.found: list[tuple[str, ...]] = []

    def _going_wrong(self, index: int) -> tuple[str, ...]:
        told = super()._going_wrong(index)
        assert told == self._look(index), (self.time, index)
        self.found.append(told)
        return told


def test_what_goes_wrong_at_a_node_is_what_is_so_at_that_moment() -> None:
    world = Scenario(1, 4, PLAN).world((_Compared, coverage._CoveredForge))
    assert isinstance(world, _Compared)

    report = report_of(1, world, world.cast, demanding=False)

    assert report.problem is None
    met = {fault for told in world.found for fault in told}
    assert met == set(coverage.FAULTS) - {"trick", "liar"}
    calm = Scenario(1, 4, evolve(Plan.calm(4), chaos_us=SECOND, heal_us=SECOND))
    assert {fault for _, _, fault in coverage.covered(calm)[1].met} == {CALM, coverage.HEALED}
