"""Examples run as they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_network_is_simulated_from_one_number() -> None:
    """The same number tells the same story twice."""
    command = [sys.executable, str(EXAMPLES / "simulate_a_network.py"), "7"]
    stories = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)]

    assert stories[0] == stories[1]
    assert stories[0].endswith("every invariant held\n")


def test_every_example_has_a_test() -> None:
    """One that nobody runs goes stale."""
    tested = Path(__file__).read_text()

    assert [path.name for path in sorted(EXAMPLES.glob("*.py")) if path.name not in tested] == []
