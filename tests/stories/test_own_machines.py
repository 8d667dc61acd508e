"""A program's own state machine under agreement, in simulation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from attrs import field, frozen

from guts_core.codec import Tag, digest, encode
from guts_core.errors import Refused
from guts_core.sim.simulate import simulate
from guts_core.simplex.quorum import FaultModel


class Till:
    """An amount of money: ``+n`` puts in, ``-n`` takes out, never more than there is."""

    def initial(self) -> int:
        """Nothing."""
        return 0

    def apply(self, state: int, command: bytes) -> int:
        """The amount after."""
        amount = state + int(command)
        if amount < 0:
            raise Refused(f"there are only {state}")
        return amount

    def root(self, state: int) -> bytes:
        """A hash of the amount."""
        return digest(Tag.STATE_VALUE, encode(state))


COMMANDS = [b"+5", b"-3", b"+5", b"-100", b"+1", b"-2"]


@pytest.mark.parametrize("seed", range(7))  # every kind of villain
def test_every_command_is_ordered_once_and_executed_by_all(seed: int) -> None:
    """Two equal commands are two; a refused one is in the log and changes nothing."""
    run = simulate(Till(), COMMANDS, seed=seed)

    assert run.report.problem is None
    assert sorted(COMMANDS) == sorted(run.order)
    assert balance(run.order) == run.state


def balance(order: tuple[bytes, ...]) -> int:
    state = 0
    for command in order:
        state = state + int(command) if state + int(command) >= 0 else state
    return state


def test_the_same_arguments_give_the_same_run() -> None:
    first, again = (simulate(Till(), COMMANDS, seed=3) for _ in range(2))

    assert first == again
    assert first.report.trace != simulate(Till(), COMMANDS, seed=4).report.trace


def test_other_sizes_and_the_crash_model_run_too() -> None:
    assert simulate(Till(), COMMANDS, seed=1, nodes=1).report.problem is None
    assert simulate(Till(), COMMANDS, seed=1, nodes=3, fault_model=FaultModel.CRASH).report.problem is None


def test_more_commands_than_a_short_run_has_time_for_get_a_longer_one() -> None:
    many = [b"+%d" % number for number in range(1500)]

    run = simulate(Till(), many, seed=2)

    assert run.report.problem is None
    assert sum(range(1500)) == run.state


@frozen
class Dicey(Till):
    """Counts on from call to call: the same command gives another state each time it is executed."""

    calls: Iterator[int] = field(factory=itertools.count)

    def apply(self, state: int, command: bytes) -> int:
        """More each time."""
        return super().apply(state, command) + next(self.calls)


def test_a_machine_that_is_not_deterministic_is_reported() -> None:
    assert simulate(Dicey(), [b"+1"] * 50, seed=1).report.problem is not None
