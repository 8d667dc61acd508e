"""Tests of somebody else's project, with a state machine of its own, under the pytest plugin."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

from guts_core.errors import Invalid
from guts_core.sim.simulated import FailedSeed, simulated

pytest_plugins = ["pytester"]

# A project of one file; what it imports of ours is the public door.
PROJECT = '''
import hashlib
import pytest
from guts_core import Refused, simulated


class Till:
    """An amount that never falls below zero."""

    def initial(self):
        return 0

    def apply(self, state, command):
        after = state + int(command)
        if after < 0:
            raise Refused(f"there are only {state}")
        return after

    def root(self, state):
        return state.to_bytes(32, "big")


class Favourite:
    """Remembers whichever word of a set comes first."""

    def initial(self):
        return {"favourite": "", "words": frozenset()}

    def apply(self, state, command):
        words = state["words"] | {command.decode()}
        return {"favourite": next(iter(words)), "words": words}

    def root(self, state):
        return hashlib.sha256(repr((state["favourite"], sorted(state["words"]))).encode()).digest()


def sums(dice):
    return [b"%d" % dice.randrange(1, 9) for _ in range(5)]
'''


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    return pytester


def run(project: pytest.Pytester, tests: str, *options: str) -> tuple[pytest.RunResult, str]:
    project.makepyfile(test_own=PROJECT + tests)
    result = project.runpytest("-p", "no:cacheprovider", *options)
    return result, result.stdout.str()


def test_the_plugin_is_known_to_pytest() -> None:
    """Whoever installs the distribution has the plugin, without a line of configuration."""
    found = importlib.metadata.entry_points(group="pytest11")

    assert "guts_cli.pytest_plugin" in {entry.value for entry in found if entry.name == "guts"}


def test_a_run_without_simulations_loads_no_simulator() -> None:
    """Everybody who has this distribution and pytest gets the plugin: it must cost them nothing."""
    program = (
        "import guts_cli.pytest_plugin, sys; print([name for name in sys.modules if name.startswith('guts_core')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_one_item_runs_all_its_seeds_and_takes_fixtures(project: pytest.Pytester) -> None:
    result, _ = run(
        project,
        """
seen = []

@simulated(Till, sums, seeds=3)
def test_sum(simulation, seed, tmp_path):
    assert simulation.state == sum(map(int, simulation.order)) > 4
    assert tmp_path.is_dir()
    seen.append(seed)

class TestMore:
    @pytest.mark.parametrize("least", [1, 5])
    @simulated(seeds=1)
    def test_blocks(self, least, report):
        assert min(report.heights) >= least

def test_every_seed_was_run():
    assert seen == [0, 1, 2]
""",
    )

    result.assert_outcomes(passed=4)


FAILING = """
@simulated(Till, sums, seeds=range(5, 9))
def test_no_seven(seed):
    assert seed != 7
"""


def test_a_failure_prints_the_line_that_replays_it(project: pytest.Pytester) -> None:
    result, output = run(project, FAILING)

    result.assert_outcomes(failed=1)
    assert "replay it: pytest test_own.py::test_no_seven --guts-seed 7" in output
    assert "guts_cli" not in output  # no frame of ours between the reader and the test


@pytest.mark.parametrize(
    ("options", "outcome"),
    [(["--guts-seed", "7"], "failed"), (["--guts-seed", "8"], "passed"), (["--guts-seeds", "2"], "passed")],
)
def test_the_command_line_chooses_the_seeds(project: pytest.Pytester, options: list[str], outcome: str) -> None:
    result, _ = run(project, FAILING, *options)

    result.assert_outcomes(**{outcome: 1})


def test_a_machine_that_is_not_deterministic_fails_whatever_its_test_says(project: pytest.Pytester) -> None:
    result, output = run(
        project,
        """
class Counting(Till):
    calls = 0

    def apply(self, state, command):
        Counting.calls += 1
        return super().apply(state, command) + Counting.calls

@simulated(Counting, sums, seeds=2)
def test_nothing():
    pass
""",
    )

    result.assert_outcomes(failed=1)
    assert "twice on one state, gave two at its value" in output
    assert "--guts-seed 0" in output


def test_a_machine_that_depends_on_the_order_of_a_set_is_told_by_key(project: pytest.Pytester) -> None:
    """In one process it is deterministic; between processes with other hash seeds it is not."""
    result, output = run(
        project,
        """
@simulated(Favourite, [b"a", b"b", b"c", b"d"], seeds=1)
def test_words():
    pass
""",
    )

    result.assert_outcomes(failed=1)
    assert "gives one state with PYTHONHASHSEED=1, another with 2 at 'favourite': " in output


def test_a_machine_that_no_other_process_finds_is_tested_and_that_is_said(project: pytest.Pytester) -> None:
    result, output = run(
        project,
        """
def local():
    class Hidden(Till):
        pass
    return Hidden

@simulated(local(), sums, seeds=1)
def test_hidden():
    pass
""",
        "-rP",
    )

    result.assert_outcomes(passed=1)
    assert "not compared under another PYTHONHASHSEED" in output


def test_two_processes_share_the_items(project: pytest.Pytester) -> None:
    """Seeds of one item stay together; items go to whoever is free."""
    result, output = run(project, FAILING + FAILING.replace("seven", "other_seven"), "-n", "2")

    result.assert_outcomes(failed=2)
    assert "test_no_other_seven --guts-seed 7" in output


def test_without_pytest_the_function_runs_its_seeds() -> None:
    seen = []

    @simulated(seeds=2)
    def check(seed: int) -> None:
        seen.append(seed)

    check()

    assert seen == [0, 1]


def test_a_broken_promise_is_an_assertion_of_any_runner() -> None:
    class Loose:
        """Its root is another each time."""

        def __init__(self) -> None:
            self.calls = 0

        def initial(self) -> int:
            """Nothing."""
            return 0

        def apply(self, state: int, command: bytes) -> int:
            """The sum."""
            return state + int(command)

        def root(self, _state: int) -> bytes:
            """A count of the calls."""
            self.calls += 1
            return self.calls.to_bytes(32, "big")

    @simulated(Loose, [b"1"], seeds=1)
    def check() -> None:
        raise AssertionError("never reached")

    with pytest.raises(FailedSeed, match="seed 0: "):
        check()


def test_what_could_never_test_anything_is_refused() -> None:
    with pytest.raises(Invalid, match="at least one seed"):
        simulated(seeds=0)

    with pytest.raises(Invalid, match="is async"):

        @simulated(seeds=1)
        async def check() -> None: ...
