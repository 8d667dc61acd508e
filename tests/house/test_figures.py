"""The page of figures: written by the run, from what tests told."""

from __future__ import annotations

import json

from tests.figures.__main__ import FOUND, chaos, page
from tests.figures.told import added_up


def test_lines_of_many_tests_add_up_to_a_page() -> None:
    lines = [
        json.dumps({"outcomes": {"passed": 1}}),
        json.dumps({"outcomes": {"passed": 1}}),
        json.dumps(
            {"seeds": {"agreement: seeds": 112, "agreement: events": 900, "agreement: simulated us": 7_200_000_000}}
        ),
        json.dumps({"twins": {"cases": 500, "convicted in cases": 200}}),
        json.dumps({"mutants": {"planted": 2, "killed": 2, "seeds needed": 9}}),
        json.dumps({"faults": {"crashed": 3}}),
    ]

    written = page(added_up(lines), "abc1234")

    for words in (
        "abc1234",
        "2 passed",
        "| agreement | 112 | 900 | 2.00 |",
        "500 scripts",
        "2 of 2",
        "| crashed | 3 |",
    ):
        assert words in written
    assert FOUND.read_text().strip() in written


def test_each_run_of_chaos_has_a_row() -> None:
    rows = chaos(['{"seed": 4, "kills": 100, "lost": 0}', '{"seed": 5, "kills": 90, "lost": 0}']).splitlines()

    assert rows == ["| seed | kills | lost |", "|---|---|---|", "| 4 | 100 | 0 |", "| 5 | 90 | 0 |"]
    assert "None" in chaos([])
