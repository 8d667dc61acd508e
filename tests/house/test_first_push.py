"""What ``make bench`` types for the first push is what the README says."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.first_push import FIRST_PUSH_BAR_SECONDS, Stages, up_to_the_push

README = Path(__file__).parents[2] / "README.md"


def test_the_first_push_is_the_readmes() -> None:
    """From the settings of the shell to the push, and nothing behind it."""
    lines = up_to_the_push(README.read_text()).commands.splitlines()

    assert lines[0].startswith("export GUTS_HOME=")
    assert [line.split()[:2] for line in lines[1:]] == [["guts", "push"]]


def test_every_stage_counts() -> None:
    """Against one bar for all of them."""
    assert Stages(1.0, 30.0, 4.0, 2.5).total == pytest.approx(37.5)
    assert FIRST_PUSH_BAR_SECONDS == 60
