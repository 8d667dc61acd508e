"""F55: the same blocks give the same states, whatever the interpreter, its hash seed, locale or time zone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import replay_blocks

SURROUNDINGS = (
    {"PYTHONHASHSEED": "0", "LC_ALL": "C", "TZ": "UTC"},
    {"PYTHONHASHSEED": "4242", "LC_ALL": "tr_TR.UTF-8", "TZ": "Pacific/Kiritimati", "PYTHONUTF8": "0"},
    {"PYTHONHASHSEED": "7", "LC_ALL": "C.UTF-8", "TZ": "America/St_Johns", "PYTHONOPTIMIZE": "1"},
)
TREE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history of people, repositories, pushes and refusals, as blocks in a file."""
    path = tmp_path_factory.mktemp("blocks") / "blocks"
    path.write_bytes(replay_blocks.history())
    return path


@pytest.mark.parametrize("surroundings", SURROUNDINGS, ids=lambda s: s["LC_ALL"])
def test_fault_F55_another_interpreter_executes_the_same_blocks_to_the_same_roots(
    blocks: Path, surroundings: dict[str, str]
) -> None:
    """Hash order, locale, time zone and asserts left out are not inputs of a state machine."""
    expected = replay_blocks.replayed(blocks.read_bytes())
    assert len(expected) > 10
    program = [sys.executable, "-m", "tests.faults.replay_blocks", str(blocks)]

    done = subprocess.run(program, cwd=TREE, env={**os.environ, **surroundings}, capture_output=True, check=True)

    assert done.stdout.decode().split() == expected
