"""A run written down is run again without dice, and gives the same trace."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

import pytest
from attrs import evolve

from guts_core.errors import Malformed
from guts_core.sim.fates import Tape, dice
from guts_core.sim.faults import Plan
from guts_core.sim.plan_lines import lines_of, plan_of
from guts_core.sim.replay import OtherFormat, machine_name, read_replay, replay_of
from guts_core.sim.run import run_seed, simulate_forge
from guts_core.sim.scenario import Scenario, sort_of
from guts_core.sim.swarm import scenario_of
from guts_core.sim.village import Records, Village, wishes

TREE = Path(__file__).parents[3]


def written(scenario: Scenario, machine: str | None = None) -> list[str]:
    report, recorded = scenario.recorded()
    return list(replay_of(recorded, report, machine).lines())


@pytest.fixture
def no_dice(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nothing can be drawn."""

    def refuse(*_arguments: Any) -> NoReturn:
        raise AssertionError("dice were thrown")

    for name in ("carry", "bulk", "sync", "commit", "tear", "dice"):
        monkeypatch.setattr(f"guts_core.sim.fates.Drawn.{name}", refuse)
    monkeypatch.setattr(random.Random, "seed", lambda *_: None)


@pytest.mark.parametrize(("seed", "nodes", "whole"), [(5, 4, False), (6, 7, False), (2, 1, False), (3, 4, True)])
def test_a_run_is_replayed_without_dice(seed: int, nodes: int, whole: bool, request: pytest.FixtureRequest) -> None:
    drawn = simulate_forge(seed, nodes) if whole else run_seed(seed, nodes)
    lines = written(scenario_of(seed, nodes, whole=whole))
    request.getfixturevalue("no_dice")

    again = read_replay(lines).scenario.play()

    assert drawn.trace == again.trace
    assert (drawn.faults, drawn.heights, drawn.votes) == (again.faults, again.heights, again.votes)


def test_the_file_says_what_came_of_it_and_survives_a_round_trip() -> None:
    lines = written(scenario_of(5))
    replay = read_replay(lines)

    assert lines == list(replay.lines())
    assert replay.ending.trace == run_seed(5).trace
    assert replay.ending.problem is None


def test_a_machine_of_ones_own_is_named_in_the_file() -> None:
    commands = tuple(wishes(dice(1, "people"), 20))
    lines = written(scenario_of(4, machine=Village(), commands=commands), "guts_core.sim.village:Village")

    assert machine_name(lines[0]) == "guts_core.sim.village:Village"
    replay = read_replay(lines, {"guts_core.sim.village:Village": Village()})

    assert commands == replay.scenario.commands
    assert replay.ending.trace == replay.scenario.play().trace


def test_the_same_file_and_trace_under_any_hash_seed() -> None:
    """Ten seeds, twice, in processes that walk through sets in other orders."""
    program = """
from guts_core.sim.replay import replay_of
from guts_core.sim.run import simulate_forge
from guts_core.sim.swarm import scenario_of
for seed in range(10):
    scenario = scenario_of(seed, 7 if seed % 4 == 3 else 4)
    report, recorded = scenario.recorded()
    print(report, *replay_of(recorded, report).lines())
print(simulate_forge(1))
"""
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program], cwd=TREE, env={"PYTHONHASHSEED": seed}, stdout=subprocess.PIPE
        )
        for seed in ("1", "2")
    ]
    first, second = (run.communicate()[0] for run in runs)

    assert [run.returncode for run in runs] == [0, 0]
    assert first == second
    assert run_seed(0).trace.encode() in first


def changed(**fields: object) -> list[str]:
    head, *rest = written(scenario_of(2, 1))
    return [json.dumps({**json.loads(head), **fields}), *rest]


def test_a_file_of_another_format_is_refused_with_words() -> None:
    with pytest.raises(
        OtherFormat, match=r"format 7 of build 9\.1; this build, .*, reads format 2: replay it with the"
    ):
        read_replay(changed(format=7, build="9.1"))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "is empty"),
        (["{"], "line 1 is no JSON"),
        (["[]"], "line 1 is no object"),
        (["{}"], "first line does not say so"),
        (changed()[:-1], "breaks off"),
        (changed(nodes="four"), "this is no run"),
        (changed()[:1] + changed()[2:], "a Plan of this build needs"),
        ([*changed()[:-1], '{"fault":"crashes","node":"x"}', changed()[-1]], "needs 'at'"),
        ([*changed()[:-1], '{"fault":"storms","node":1}', changed()[-1]], "has no 'storms'"),
    ],
)
def test_what_is_no_run_is_refused_with_words(lines: list[str], words: str) -> None:
    with pytest.raises(Malformed, match=words):
        read_replay(lines).scenario.play()


@pytest.mark.parametrize("seed", range(20))
def test_plans_survive_as_lines(seed: int) -> None:
    plan = scenario_of(seed).plan

    assert plan == plan_of(json.loads(json.dumps(lines_of(plan))))
    calm = Plan.calm(3)
    assert calm == plan_of(json.loads(json.dumps(lines_of(calm))))


def test_two_problems_are_of_one_sort_when_they_break_one_promise() -> None:
    assert sort_of("I5: two blocks have a notarize quorum in view 7") == sort_of("I5: something else") == "I5"
    assert sort_of("node 2 halted: the log is torn") == sort_of("node 3 halted: another reason")
    assert sort_of("node 2 halted: x") != sort_of("node 2 cannot start again: x")
    assert sort_of(None) is None


def test_a_recorded_run_with_one_thing_less_is_another_run() -> None:
    """What is in the file counts: it is data, not a comment."""
    _, recorded = scenario_of(5).recorded()
    assert recorded.tape is not None
    link = next(question for question in recorded.tape if question.startswith("carry"))
    without: Tape = {**recorded.tape, link: [None] * len(recorded.tape[link])}

    assert evolve(recorded, tape=without).play().trace != recorded.play().trace


def test_an_error_that_nobody_caught_is_a_finding_of_its_seed() -> None:
    """A soak that ends in a traceback would not say which seed; and this one can be shrunk, too."""

    class Narrow(Village):
        def apply(self, state: Records, command: bytes) -> Records:
            """Fails, as machines do."""
            return {("key",): state["nothing", command.decode()]}

    problem = scenario_of(1, machine=Narrow(), commands=(b"x",)).play().problem

    assert problem is not None
    assert problem.startswith("KeyError in ")
    assert "Narrow.apply: (" in problem
    assert (sort_of(problem) or "").endswith("Narrow.apply")
