"""Each misfortune of a plan, alone: it happens, and the network bears it or a node stops with words."""

from __future__ import annotations

from collections import Counter

import pytest
from attrs import evolve

from guts_core.errors import Corrupt
from guts_core.sim.disk import SimDisk
from guts_core.sim.faults import (
    SECOND,
    Clog,
    Crash,
    Cut,
    FullDisk,
    Loss,
    Pause,
    Plan,
    Restore,
    Rot,
    Script,
    SlowDisk,
    Trick,
)
from guts_core.sim.ledger import Broken
from guts_core.sim.links import LAST_VOTE, ONE_CERTIFICATE
from guts_core.sim.scenario import Scenario
from guts_core.sim.world import World

SIZE = 4
CALM = evolve(Plan.calm(SIZE), chaos_us=2 * SECOND, heal_us=5 * SECOND, delay_us=(5_000, 10_000))


def played(plan: Plan) -> World:
    """A world of four honest nodes at its end."""
    world = Scenario(1, SIZE, plan).world()
    world.run()
    return world


def everyone(*nodes: int) -> frozenset[tuple[int, int]]:
    """All links of these nodes."""
    pairs = [(one, other) for one in range(SIZE) for other in range(SIZE) if one != other]
    return frozenset(pair for pair in pairs if set(pair) & set(nodes))


@pytest.mark.parametrize(
    ("plan", "happened"),
    [
        (evolve(CALM, cuts=(Cut(0, SECOND, everyone(0)),)), "cut off"),
        (evolve(CALM, cuts=(Cut(0, SECOND, everyone(0, 1), 100_000),)), "cut off"),
        (evolve(CALM, clogs=(Clog(0, SECOND, 0, 1),)), "clogged"),
        (evolve(CALM, scripts=(Script(3, "notarize", -1, frozenset({2})),)), "scripted away"),
        (evolve(CALM, tricks=(Trick(LAST_VOTE, 3, frozenset({0, 1}), 300_000),)), "quorum held back"),
        (evolve(CALM, tricks=(Trick(ONE_CERTIFICATE, 4, frozenset({2}), 200_000),)), "shown to one node only"),
        (evolve(CALM, bytes_per_second=40_000), "waited for other bytes"),
        (evolve(CALM, pauses=(Pause(0, SECOND, SECOND // 2),)), "stood still"),
        (evolve(CALM, slow_disks=(SlowDisk(0, 0, SECOND, 200_000),)), "slow sync"),
        (evolve(CALM, full_disks=(FullDisk(0, SECOND, SECOND * 3 // 2),)), "disk full"),
        (evolve(CALM, losses=(Loss(0, SECOND),)), "lost for good"),
        (evolve(CALM, rots=(Rot(0, SECOND, 12345),)), "refused its disk"),
        (evolve(CALM, restores=(Restore(0, SECOND, 0, "log"),)), "put back: log"),
        (evolve(CALM, restores=(Restore(0, SECOND, SECOND // 2, "database"),)), "put back: database"),
        (evolve(CALM, restores=(Restore(0, SECOND, SECOND // 2, "both"),)), "put back: both"),
        (evolve(CALM, crashes=(Crash(0, SECOND, 3, 50_000, anywhere=True, jump_ms=3_600_000),)), "clock jumped"),
        (evolve(CALM, crashes=(Crash(0, SECOND, 2, 50_000, anywhere=True),)), "crashed"),
        (evolve(CALM, delay_us=(5_000, 40_000), has_tail=True), "late"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_happens_and_is_borne(plan: Plan, happened: str) -> None:
    world = played(plan)

    assert world.faults[happened] > 0
    goes_on = [place.node.height for place in world.places if place.node is not None]
    assert len(goes_on) >= SIZE - 1
    assert min(goes_on) > 60


def test_a_calm_network_meets_nothing_of_it() -> None:
    assert set(played(CALM).faults) <= {"log compacted", "final before the last commit ended"}


def test_nobody_hears_a_script_but_its_receivers() -> None:
    """View 3 is notarized at node 2 alone: the others pass it by, and its block is final all the same or never."""
    world = played(
        evolve(CALM, scripts=(Script(3, "notarize", -1, frozenset({2})), Script(3, "notarization", -1, frozenset())))
    )

    assert world.faults["scripted away"] > 0
    assert len(world.ledger.chain) > 60


def test_a_turned_bit_in_the_closed_part_is_refused() -> None:
    for bit in range(0, 400, 7):
        disk = SimDisk()
        for record in (b"first record", b"second record", b"third"):
            disk.write(record)
        disk.sync()
        assert disk.rot(bit)

        with pytest.raises(Corrupt, match="damaged"):
            disk.records()


def test_nothing_rots_where_nothing_was_closed() -> None:
    disk = SimDisk()
    disk.write(b"the only one")
    disk.sync()

    assert not disk.rot(3)


def test_a_log_that_took_a_turned_bit_for_good_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader without checks."""
    monkeypatch.setattr(SimDisk, "records", lambda self: self._durable + self._pending)  # as it is inside

    with pytest.raises(Broken, match="I11: node 0 reads a log"):
        played(evolve(CALM, rots=(Rot(0, SECOND, 12345),)))


def test_two_dead_of_four_are_too_many_for_liveness() -> None:
    with pytest.raises(Broken, match="L1"):
        played(evolve(CALM, losses=(Loss(0, SECOND), Loss(1, SECOND))))


def test_beyond_the_bound_liveness_is_not_asked_for() -> None:
    world = played(evolve(CALM, losses=(Loss(0, SECOND), Loss(1, SECOND)), is_beyond=True))

    assert world.verdict == "held"


def test_faults_of_a_run_are_counted_alike_in_a_second_one() -> None:
    plan = evolve(CALM, pauses=(Pause(0, SECOND, SECOND // 2),), loss_per_mille=50)
    counted: list[Counter[str]] = [played(plan).faults for _ in range(2)]

    assert counted[0] == counted[1]
