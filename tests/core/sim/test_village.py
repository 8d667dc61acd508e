"""Clients of a simulated forge: what they were told could have come from one store, whatever broke meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from attrs import evolve

from guts_core.sim.histories import Forge, Violation, linearizable, total_order
from guts_core.sim.place import dice
from guts_core.sim.simulate import Simulation, simulate
from guts_core.sim.village import Entry, Records, Village, history_of, run_clients, wishes

SEEDS = range(12)


@pytest.fixture(scope="module")
def runs() -> list[Simulation[Records]]:
    return [simulate(Village(), wishes(dice(seed, "village")), seed=seed) for seed in SEEDS]


def test_every_history_is_that_of_one_forge(runs: list[Simulation[Records]]) -> None:
    for run in runs:
        assert run.report.problem is None
        history, log = history_of(run)
        assert len(history.operations) == len(log) == 48
        total_order(Forge(), history.operations, log)
        linearizable(Forge(), history.operations)


def test_the_people_meet_every_answer_and_each_other(runs: list[Simulation[Records]]) -> None:
    """A workload in which nothing is refused, and nobody comes second, tests nothing."""
    answers = Counter(told.refused or "ok" for run in runs for told in run.told)
    together = sum(
        one.asked_us < other.final_us and other.asked_us < one.final_us
        for run in runs
        for one, other in zip(run.told, run.told[1:], strict=False)
    )

    assert {"ok", "denied", "stale", "taken", "missing"} == set(answers)
    assert min(answers.values()) > 5
    assert together > 100


class Forgetful(Village):
    """Forgets that keys were revoked."""

    def apply(self, state: Records, command: bytes) -> Records:
        """As if nobody had ever revoked one."""
        believed: Mapping[Entry, str] = {k: "active" if k[0] == "key" else v for k, v in state.items()}
        return super().apply(believed, command)


def test_a_forge_that_forgets_revocations_is_convicted() -> None:
    """Every node does the same wrong thing, so agreement sees nothing: the history does."""
    convicted = 0
    for seed in SEEDS:
        run = simulate(Forgetful(), wishes(dice(seed, "village")), seed=seed)
        history, log = history_of(run)
        try:
            total_order(Forge(), history.operations, log)
        except Violation:
            convicted += 1

    assert convicted >= len(SEEDS) // 4


def test_an_answer_that_came_too_early_is_convicted(runs: list[Simulation[Records]]) -> None:
    """What one client was told before another asked stands before it in the chain."""
    late, early = runs[0].told[-1], runs[0].told[0]
    swapped = evolve(
        runs[0],
        told=tuple(
            evolve(told, asked_us=1, final_us=2)
            if told == late
            else evolve(told, asked_us=3, final_us=4)
            if told == early
            else told
            for told in runs[0].told
        ),
    )
    history, log = history_of(swapped)

    with pytest.raises(Violation):
        total_order(Forge(), history.operations, log)


def test_a_run_with_clients_judges_what_they_were_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_clients(3).problem is None

    monkeypatch.setattr("guts_core.sim.village.Village", Forgetful)

    assert any((run_clients(seed).problem or "").startswith("history: ") for seed in SEEDS)
