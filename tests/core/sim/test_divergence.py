"""A machine that is not deterministic is found out, and told at which key."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from hashlib import sha256

import pytest
from attrs import evolve, field, frozen

from guts_core.errors import Refused
from guts_core.sim.divergence import Doubled, NotDeterministic, first_difference, flat
from guts_core.sim.simulate import simulate

Balances = Mapping[str, int]


def hashed(state: object) -> bytes:
    return sha256(repr(list(flat(state))).encode()).digest()


class Coins:
    """``alice 3`` gives alice three; nobody goes below zero."""

    def initial(self) -> Balances:
        """One coin."""
        return {"alice": 1}

    def apply(self, state: Balances, command: bytes) -> Balances:
        """The balances after."""
        name, amount = command.decode().split()
        after = state.get(name, 0) + int(amount)
        if after < 0:
            raise Refused(f"{name} has only {state.get(name, 0)}")
        return {**state, name: after}

    def root(self, state: Balances) -> bytes:
        """Of every leaf."""
        return hashed(state)


@frozen
class Moody(Coins):
    """Counts its calls, and lets one account know."""

    calls: Iterator[int] = field(factory=itertools.count)

    def apply(self, state: Balances, command: bytes) -> Balances:
        """The balances after."""
        after = super().apply(state, command)
        return {**after, "bob": next(self.calls)} if command.startswith(b"bob") else after


@frozen
class Wavering(Coins):
    """Refuses every third time."""

    calls: Iterator[int] = field(factory=itertools.count)

    def apply(self, state: Balances, command: bytes) -> Balances:
        """The balances after."""
        if next(self.calls) % 3 == 2:
            raise Refused("not today")
        return super().apply(state, command)


class Careless(Coins):
    """Changes the state in place."""

    def apply(self, state: Balances, command: bytes) -> Balances:
        """The balances after."""
        assert isinstance(state, dict)
        state.update(super().apply(state, command))
        return state


def test_a_deterministic_machine_is_left_alone() -> None:
    doubled = Doubled(Coins())

    state = doubled.apply(doubled.apply(doubled.initial(), b"bob 2"), b"alice 4")
    with pytest.raises(Refused, match="bob has only 2"):
        doubled.apply(state, b"bob -3")

    assert state == {"alice": 5, "bob": 2}


def test_the_key_at_which_two_executions_differ_is_named() -> None:
    doubled = Doubled(Moody())

    state = doubled.apply(doubled.initial(), b"alice 1")

    with pytest.raises(NotDeterministic, match=r"command bob 1, twice on one state, gave two at 'bob': 0 and 1"):
        doubled.apply(state, b"bob 1")


def test_what_one_node_computed_binds_the_next() -> None:
    """Nodes of one run share the machine: a later execution on an equal state is compared with the first."""

    @frozen
    class Ageing(Coins):
        age: list[int] = field(factory=lambda: [0])

        def apply(self, state: Balances, command: bytes) -> Balances:
            """The balances after."""
            return {**super().apply(state, command), "age": self.age[0]}

    machine = Ageing()
    doubled = Doubled(machine)
    doubled.apply(doubled.initial(), b"bob 1")
    machine.age[0] = 9

    with pytest.raises(NotDeterministic, match=r"at 'age': 9 and 0"):
        doubled.apply(doubled.initial(), b"bob 1")


def test_a_command_that_is_refused_only_at_times_is_told() -> None:
    doubled = Doubled(Wavering())
    state = doubled.apply(doubled.initial(), b"bob 1")

    with pytest.raises(NotDeterministic, match="was refused once: not today"):
        doubled.apply(state, b"bob 1")


def test_a_state_changed_in_place_is_told_with_its_key() -> None:
    with pytest.raises(NotDeterministic, match=r"changed the state it was given at 'bob': nothing and 7"):
        Doubled(Careless()).apply({"alice": 1}, b"bob 7")


@pytest.mark.parametrize("machine", [Moody(), Wavering(), Careless()])
def test_a_simulation_says_it(machine: Coins) -> None:
    problem = simulate(machine, [b"bob 1", b"alice 2"] * 5, seed=1).report.problem

    assert problem is not None
    assert "command " in problem


@frozen
class Repo:
    """Something with parts."""

    name: str
    refs: Mapping[bytes, tuple[int, ...]]
    readers: frozenset[str] = frozenset()


def test_states_are_walked_through_mappings_values_and_sequences() -> None:
    one = {"r": Repo("r", {b"main": (1, 2)})}
    other = {"r": evolve(one["r"], refs={b"main": (1, 3)})}

    assert first_difference(dict(flat(one)), dict(flat(other))) == (("'r'", "refs", "b'main'", "1"), "2", "3")
    assert first_difference(dict(flat(one)), dict(flat(one))) is None


def test_the_order_of_a_set_is_no_difference_and_a_member_is_one() -> None:
    one = dict(flat(Repo("r", {}, frozenset({"ann", "bob"}))))

    assert one == dict(flat(Repo("r", {}, frozenset({"bob", "ann"}))))
    assert first_difference(one, dict(flat(Repo("r", {}, frozenset({"ann", "cat"}))))) == (
        ("readers", "holds 'bob'"),
        "True",
        "nothing",
    )
