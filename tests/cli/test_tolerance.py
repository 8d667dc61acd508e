"""What a network bears, as its operators read it."""

from __future__ import annotations

import pytest

from guts_cli.tolerance import tolerates
from guts_core.simplex.quorum import FaultModel

BYZANTINE, CRASH = FaultModel.BYZANTINE, FaultModel.CRASH


@pytest.mark.parametrize(
    ("validators", "model", "sentence"),
    [
        (1, BYZANTINE, "1 validator: none may fail"),
        (3, BYZANTINE, "3 validators: none may fail"),
        (4, BYZANTINE, "4 validators: 1 may fail or lie"),
        (7, BYZANTINE, "7 validators: 2 may fail or lie"),
        (1, CRASH, "1 validator: none may fail; agreed by one operator's majority, not BFT"),
        (3, CRASH, "3 validators: 1 may fail, none may lie; agreed by one operator's majority, not BFT"),
    ],
)
def test_it_says_how_many_may_fail_and_whether_they_may_lie(validators: int, model: FaultModel, sentence: str) -> None:
    """A crash network bears more silence and no lie: neither reads like the other."""
    assert tolerates(validators, model) == sentence
