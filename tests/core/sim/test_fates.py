"""What chance says is asked of one protocol: written down, it is the same run without dice."""

from __future__ import annotations

import json

import pytest
from attrs import evolve

from guts_core.sim.disk import SimDisk
from guts_core.sim.fates import Drawn, Recording, Replayed
from guts_core.sim.faults import Plan
from guts_core.sim.report import report_of
from guts_core.sim.swarm import swarm

CALM = Plan.calm(4)


@pytest.mark.parametrize("seed", [0, 3, 8])
def test_a_tape_gives_the_same_run_without_dice(seed: int) -> None:
    """It went through a file, as a replay does."""
    report, recorded = swarm(seed, 4).recorded()
    tape = json.loads(json.dumps(recorded.tape))

    again = evolve(recorded, tape=tape).play()

    assert report.trace == again.trace
    assert report.events == again.events > 1_000


def test_a_tape_that_ends_is_followed_by_calm() -> None:
    plan = evolve(CALM, loss_per_mille=1000)
    fates = Replayed({"carry 0>1": [[], [7, 14]], "tear 0": [[5, 9]]}, plan)

    assert [fates.carry(0, 0, 1, 100) for _ in range(3)] == [(), (7, 14), (1_000,)]
    assert [fates.tear(0, (10, 4)) for _ in range(2)] == [(1, 3), (0, 0)]
    assert fates.carry(0, 1, 0, 100) == (1_000,)
    assert fates.sync(2) == 100


def test_dice_beyond_a_tape_still_fall_differently() -> None:
    """``sample`` asks until it has different numbers."""
    dice = Replayed({"dice people": []}, CALM).dice("people")

    assert sorted(dice.sample(range(4), 4)) == [0, 1, 2, 3]


def test_recorded_dice_fall_as_those_they_record() -> None:
    recording = Recording(Drawn(5, CALM))
    thrown = recording.dice("people")
    first = [thrown.random(), thrown.randrange(100), thrown.choice("abc")]
    replayed = Replayed(recording.tape, CALM).dice("people")

    assert first == [replayed.random(), replayed.randrange(100), replayed.choice("abc")]
    plain = Drawn(5, CALM).dice("people")
    assert first == [plain.random(), plain.randrange(100), plain.choice("abc")]


def test_a_lognormal_tail_is_mostly_short_and_sometimes_very_long() -> None:
    plan = evolve(CALM, delay_us=(1_000, 11_000), has_tail=True)
    fates = Drawn(1, plan)
    delays = sorted(fates.carry(0, 0, 1, 100)[0] for _ in range(2_000))

    assert 9_500 < delays[1_000] < 12_500
    assert delays[-1] > 80_000
    assert delays[0] >= 1_000


def test_after_the_heal_links_keep_what_nodes_were_promised() -> None:
    """Else no deadline could be asked of anybody."""
    plan = evolve(CALM, delay_us=(80_000, 300_000), loss_per_mille=900, has_tail=True)
    fates = Drawn(1, plan)
    said = [fates.carry(plan.chaos_us, 0, 1, 100) for _ in range(1_000)]

    assert all(delay <= 50_000 for delays in said for delay in delays)
    assert 20 < sum(not delays for delays in said) < 90


class _Torn(Replayed):
    def __init__(self, kept: int, piece: int) -> None:
        super().__init__({"tear 0": [[kept, piece]]}, CALM)


@pytest.mark.parametrize("piece", range(6))
def test_a_torn_record_is_cut_off_at_any_byte(piece: int) -> None:
    disk = SimDisk()
    disk.write(b"durable")
    disk.sync()
    disk.write(b"whole")
    disk.write(b"ending")
    disk.crash(_Torn(1, piece), 0)

    assert disk.records() == [b"durable", b"whole"]
    disk.write(b"later")
    disk.sync()
    assert disk.records() == [b"durable", b"whole", b"later"]
    assert (1, piece > 0) == (disk.lost, disk.torn > 0)


def test_what_became_of_a_run_is_in_its_report() -> None:
    scenario = swarm(3, 4)
    world = scenario.world()
    report = report_of(3, world, world.cast, demanding=False)

    assert report.problem is None
    assert report.trace == scenario.play().trace
