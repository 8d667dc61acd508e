"""The page of faults names tests that exist, and every test with the id of a fault stands on it."""

from __future__ import annotations

import re
from pathlib import Path

TREE = Path(__file__).parents[2]
PAGE = TREE / "docs" / "explanation" / "faults.md"
IDS = [*range(1, 30), *range(32, 39), 40, 41, 42, 43, 44, 51, 52, 53, 55]
_DEFINED = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)


def test_every_fault_stands_on_the_page_with_tests_that_exist() -> None:
    """A test that was renamed takes its row along."""
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| F")]
    named = [re.findall(r"`(test_\w+)`", row) for row in rows]
    texts = (path.read_text() for path in (TREE / "tests").rglob("test_*.py"))
    defined = {name for text in texts for name in _DEFINED.findall(text)}

    assert all(named)
    assert {name for row in named for name in row} - defined == set()
    covered: set[int] = set()
    for row in rows:
        first = row.split("|")[1]
        numbers = [int(number) for number in re.findall(r"F(\d\d)", first)]
        covered |= set(range(numbers[0], numbers[1] + 1)) if " to " in first else set(numbers)
    assert covered == set(IDS)
