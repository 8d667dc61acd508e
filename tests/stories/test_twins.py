"""Ten thousand scripts in which one validator runs twice: no two honest nodes part, and they get on afterwards."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from guts_core.sim.scripted_twins import SIZE, case_of, play, splits
from tests.figures.told import Figure

PART, PARTS = 500, 20
# A script that shows nobody two things tests nothing: in so many of a hundred at least, somebody was convicted.
CONVICTED_PERCENT = 20
_BELL = 52  # ways to part five in groups, of which 11 have more than three


@pytest.mark.parametrize("part", range(PARTS))
def test_twins_part_nobody(part: int, figure: Figure) -> None:
    outcomes = [play(case_of(number)) for number in range(part * PART, (part + 1) * PART)]
    convicted = sum(outcome.convictions > 0 for outcome in outcomes)
    figure(
        {
            "twins": {
                "cases": len(outcomes),
                "events": sum(outcome.events for outcome in outcomes),
                "simulated us": sum(outcome.simulated_us for outcome in outcomes),
                "convicted in cases": convicted,
            }
        }
    )

    assert [(outcome.case.number, outcome.problem) for outcome in outcomes if outcome.problem] == []
    assert all(outcome.torn for outcome in outcomes if any(len(set(sides)) > 1 for sides in outcome.case.sides))
    assert convicted * 100 >= len(outcomes) * CONVICTED_PERCENT


def test_the_scripts_differ_and_reach_every_split_leader_and_twin() -> None:
    cases = [case_of(number) for number in range(PART)]

    assert len({(case.twin, case.leaders, case.sides, case.delays) for case in cases}) == PART
    assert len(splits()) == _BELL - 11
    assert {sides for case in cases for sides in case.sides} == set(splits())
    assert {case.twin for case in cases} == {leader for case in cases for leader in case.leaders} == set(range(SIZE))
    assert {len(case.leaders) for case in cases} == {3, 4, 5}


def test_a_script_has_the_same_trace_under_any_hash_seed() -> None:
    program = (
        "from guts_core.sim.scripted_twins import case_of, play; print([play(case_of(n)).trace for n in range(10)])"
    )
    outputs = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        outputs.add(done.stdout.decode())

    assert outputs == {f"{[play(case_of(number)).trace for number in range(10)]}\n"}
