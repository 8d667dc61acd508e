"""Examples run as they stand, and stay short enough to be read whole."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from guts_net.conformance import check_transport

EXAMPLES = Path(__file__).parents[2] / "examples"
LINES_MAX = 60


def run(name: str, *arguments: str) -> str:
    """What an example prints; it must end with exit code 0."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_an_own_state_machine_is_agreed_on() -> None:
    """Four payments, one of which fails, in one order on every node."""
    story = run("own_state_machine.py", "7")

    assert "every promise held" in story
    assert story == run("own_state_machine.py", "7")


def test_a_forge_is_simulated_with_a_push_and_a_partition() -> None:
    """The node that was cut off has every block in the end."""
    story = run("simulate_a_forge.py", "7")

    assert story.endswith("every invariant held\n")
    assert "push: advance" in story
    blocks = next(line for line in story.splitlines() if line.startswith("blocks of each")).split(": ")[1].split(", ")
    assert {blocks[0]} == set(blocks)


def test_a_test_is_run_in_many_networks() -> None:
    """With the plugin that the distribution brings, and nothing configured."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--guts-seeds", "3", "simulated_test.py"]
    done = subprocess.run(command, cwd=EXAMPLES, capture_output=True, text=True, check=True)

    assert "1 passed" in done.stdout


def test_a_seed_is_replayed() -> None:
    """The same number tells the same story twice."""
    assert run("replay_a_seed.py", "67").endswith("the same story twice\n")


def test_a_node_is_embedded(tmp_path: Path) -> None:
    """Founded, written to, cloned from by stock git; what was created is there the next time."""
    assert run("embedded_node.py", str(tmp_path)).endswith("cloned\n")
    (tmp_path / "hello").rename(tmp_path / "first")
    again = run("embedded_node.py", str(tmp_path))

    assert "created" not in again
    assert again.endswith("cloned\n")


def test_a_transport_of_ones_own_carries_a_network() -> None:
    """Four nodes without a single TCP connection."""
    assert run("custom_transport.py").endswith("connected to 3 others over Unix sockets\n")


def test_a_proof_is_verified_and_false_ones_are_refused() -> None:
    """Whatever byte of it was changed."""
    story = run("verify_a_proof.py")

    assert "signed by 1 of 1 validators" in story
    assert story.endswith("tampered copies were refused\n")


async def test_the_transport_of_the_example_conforms(tmp_path: Path) -> None:
    """What the example shows off keeps its word."""
    module = runpy.run_path(str(EXAMPLES / "custom_transport.py"))

    await check_transport(module["UnixTransport"](), str(tmp_path / "here"), str(tmp_path / "nobody"))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_every_example_is_short_and_tested(path: Path) -> None:
    """One that nobody runs goes stale, and one that takes a chapter teaches nothing."""
    assert path.name in Path(__file__).read_text()
    assert len(path.read_text().splitlines()) < LINES_MAX
