"""The checkers clear a thousand good histories and convict a thousand bad ones; who checks must be checked."""

from __future__ import annotations

import pytest

from guts_core.sim.histories import (
    Violation,
    linearizable,
    monotonic_reads,
    read_your_writes,
    total_order,
)
from tests.core.sim.histories.generated import GOOD, PLANTED, Told, good, planted

HISTORIES = 1000


def convicts(told: Told, *, by: str) -> bool:
    try:
        if by == "search":
            linearizable(told.model, told.operations)
        elif by == "order":
            total_order(told.model, told.operations)
        else:
            total_order(told.model, told.operations, told.log)
    except Violation:
        return True
    return False


@pytest.mark.parametrize("by", ["search", "order", "log"])
def test_a_thousand_good_histories_pass(by: str) -> None:
    passed = 0
    for seed in range(HISTORIES):
        for number, (model, asks) in enumerate(GOOD.values()):
            if seed % len(GOOD) == number:
                told = good(seed, model, asks, lagging=by != "search")
                passed += not convicts(told, by=by)

    assert passed == HISTORIES


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize("by", ["search", "order", "log"])
def test_a_thousand_planted_anomalies_are_found(name: str, by: str) -> None:
    """A thousand for each checker, of five kinds; each is visible in its answers alone."""
    share = HISTORIES // len(PLANTED)

    found = sum(convicts(told, by=by) for told in planted(name, share, lagging=by != "search"))

    assert share == found


def test_good_histories_are_good_sessions() -> None:
    for seed in range(200):
        model, asks = GOOD["refs"]
        told = good(seed, model, asks, lagging=True)
        monotonic_reads(told.operations)
        read_your_writes(told.operations)
