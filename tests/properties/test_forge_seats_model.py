"""
Random governance over a tiny network, whole epochs of it (J15).

Whatever operators propose, vote and rotate: a turn changes at most as many seats as leave a quorum, no
network is without validators, and no key is ever in two roles or at two nodes.
"""

from __future__ import annotations

from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from guts_core.chain import compose
from guts_core.errors import Refused
from guts_core.forge import epochs, paths, queries
from guts_core.forge.actions import Action, ProposeDecision, RemoveFollower, VoteDecision
from guts_core.forge.decisions import EndEpoch, RemoveValidator
from guts_core.forge.records import Epoch, NodeRole
from guts_core.forge.seats import changes_max, numbers_to_come
from tests.core.forge.forge_world import BOB, CHAIN, key_pair
from tests.core.forge.governance_world import OPERATORS, Council, joining

# So few that proposals, votes, keys and names meet all the time.
NAMES = ("a", "b", "c")
LAST = paths.counter(paths.Count.DECISIONS)
Step: TypeAlias = tuple[str, int, int]

steps = st.tuples(
    st.sampled_from(["add", "add", "remove", "vote", "vote", "vote", "all", "rotate", "admit", "dismiss", "turn"]),
    st.integers(0, 6),
    st.integers(0, 7),
)


def action_of(step: Step, world: Council) -> Action:
    """What an operator tries; often it is refused."""
    what, by, number = step
    name = NAMES[number % len(NAMES)]
    match what:
        case "add":
            operator = BOB if number > 3 else OPERATORS[by]
            return ProposeDecision(joining(name, operator, vote=f"vote {number}", node=f"node {name}"), now=number == 0)
        case "remove":
            return ProposeDecision(RemoveValidator(number), now=False)
        case "rotate":
            node = key_pair(f"node {number}") if number % 2 else None
            return compose.rotate_seat(CHAIN, by, key_pair(f"vote {number}"), node)
        case "admit":
            return compose.admit_follower(CHAIN, name, key_pair(f"node {number}"))
        case "dismiss":
            return RemoveFollower(number)
        case "vote":
            last = queries.count(world.state, LAST)
            return VoteDecision(max(1, last - number % 2), approve=number != 7)
        case _:
            return ProposeDecision(EndEpoch(), now=False)


def keys_of(epoch: Epoch) -> list[bytes]:
    """Both keys of each seat."""
    return [key for seat in epoch.seats for key in (seat.vote_key, seat.node_key)]


def check_turn(before: Epoch, after: Epoch) -> None:
    """What holds between two epochs."""
    gone, new = set(before.seats) - set(after.seats), set(after.seats) - set(before.seats)
    touched = {seat.number for seat in gone | new}
    assert len(touched) <= changes_max(len(before.seats))
    assert after.seats
    assert len(set(keys_of(after))) == 2 * len(after.seats)
    assert len({seat.number for seat in after.seats}) == len(after.seats)


@settings(max_examples=150)
@given(st.integers(1, 7), st.lists(steps, max_size=40))
def test_bad_J15_no_sequence_of_decisions_breaks_a_network(seats: int, script: list[Step]) -> None:
    world = Council(seats)
    used: dict[bytes, tuple[int, str]] = {}
    for step in script:
        before = epochs.current(world.state)
        if step[0] == "turn" or before.ends:
            world.turn()
            check_turn(before, epochs.current(world.state))
        else:
            for by in OPERATORS[:seats] if step[0] == "all" else (OPERATORS[min(step[1], seats - 1)],):
                try:
                    world.run(by.id, action_of(("vote", *step[1:]) if step[0] == "all" else step, world))
                except Refused:
                    continue
        for seat in epochs.current(world.state).seats:
            for key, role in ((seat.vote_key, "vote"), (seat.node_key, "node")):
                assert used.setdefault(key, (seat.number, role)) == (seat.number, role)
        assert numbers_to_come(world.state)
        roles = {node.number: node.role for node in queries.nodes_by_number(world.state)}
        assert all(roles[number] is NodeRole.VALIDATOR for number in world.numbers)
