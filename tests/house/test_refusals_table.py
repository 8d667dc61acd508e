"""The table of refusals is complete, and each of its tests exists."""

from __future__ import annotations

import re
from functools import cache

import pytest

from tests.house.test_house import TREE

PAGE = TREE / "docs" / "explanation" / "refusals.md"
# Tables A to D and J of the design: as many rows as they have there.
LAST_OF = {"A": 11, "B": 9, "C": 16, "D": 11, "J": 15}
IDS = [f"{letter}{number:02}" for letter, last in LAST_OF.items() for number in range(1, last + 1)]
_ROW = re.compile(r"^\| ([A-Z][0-9]{2}) \| (.+) \| (.+) \|$", re.MULTILINE)
_DEFINED = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)


def rows() -> dict[str, str]:
    """What holds each row."""
    found = _ROW.findall(PAGE.read_text())
    assert len(found) == len({row[0] for row in found}), "an id stands twice"
    return {row[0]: row[2] for row in found}


@cache
def defined() -> frozenset[str]:
    """Every test of the tree."""
    texts = (path.read_text() for path in (TREE / "tests").rglob("test_*.py"))
    return frozenset(name for text in texts for name in _DEFINED.findall(text))


def test_every_row_stands_in_the_table() -> None:
    """None is forgotten, none is made up."""
    assert sorted(IDS) == sorted(rows())


@pytest.mark.parametrize("row", IDS)
def test_a_row_names_its_tests_or_says_why_there_are_none(row: str) -> None:
    """A test that was renamed or removed takes its row along."""
    held_by = rows()[row]
    named = re.findall(r"`(test_\w+)`", held_by)

    assert set(named) <= defined()
    assert named or re.fullmatch(r"Not yet: .{10,}", held_by)
