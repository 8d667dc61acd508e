"""Networks of a few operators who decide: one seat each unless told, real rules over a real overlay."""

from __future__ import annotations

from collections.abc import Sequence

from guts_core.chain import compose
from guts_core.codec import Tag
from guts_core.forge import epochs, queries
from guts_core.forge.actions import ProposeDecision, ReportEvidence, VoteDecision
from guts_core.forge.activities import Activity, DecisionProposed
from guts_core.forge.decisions import AddValidator, Change, Decision
from guts_core.forge.founding import found
from guts_core.forge.params import Params
from guts_core.identity import Ed25519Verifier
from guts_core.names import BlockHash, ChainId
from guts_core.simplex.committee import Committee
from guts_core.simplex.messages import Kind, Proposal, Vote
from guts_core.simplex.quorum import FaultModel
from guts_core.state.view import Overlay
from tests.core.forge.forge_world import BOB, CAROL, CHAIN, NOW, Person, Records, World, a_seat, key_pair

OPERATORS = tuple(Person(f"op{index}", is_operator=True) for index in range(7))


class Council(World):
    """A network whose operators each answer for one validator."""

    def __init__(self, seats: int, operators: int | None = None, params: Params | None = None, rules: int = 0) -> None:
        super().__init__(params=params or Params(), state=Overlay(Records()), rules=rules)
        count = seats if operators is None else operators
        people = OPERATORS[:count]
        entries = tuple(a_seat(number, people[number % count], f"n{number}") for number in range(seats))
        self.state = Overlay(Records())
        found(self.state, (*people, BOB, CAROL), entries, NOW, params=self.params, rules=rules)

    @property
    def numbers(self) -> list[int]:
        """Who has a seat, in voting order."""
        return [seat.number for seat in epochs.current(self.state).seats]

    def propose(self, change: Change, by: int = 0, *, now: bool = False) -> int:
        """An operator proposes; the decision's number."""
        done = self.run(OPERATORS[by].id, ProposeDecision(change, now))
        (proposed,) = (activity for activity in done if isinstance(activity, DecisionProposed))
        return proposed.number

    def vote(self, number: int, *by: int, approve: bool = True) -> tuple[Activity, ...]:
        """Operators vote, one after the other; what the last vote did."""
        done: tuple[Activity, ...] = ()
        for index in by:
            done = self.run(OPERATORS[index].id, VoteDecision(number, approve))
        return done

    def decide(self, change: Change, *, now: bool = False) -> int:
        """Everybody agrees, as long as that is needed."""
        number = self.propose(change, now=now)
        for index in range(1, len({seat.operator for seat in epochs.current(self.state).seats})):
            if self.decision(number).decided is None:
                self.vote(number, index)
        return number

    def decision(self, number: int) -> Decision:
        """A decision that is known to be there."""
        found_one = queries.decision(self.state, number)
        assert found_one is not None
        return found_one

    def turn(self, times: int = 1) -> None:
        """Epochs end."""
        for _ in range(times):
            self.time += 1000
            epochs.turn(self.state, self.time)


def joining(name: str, operator: Person = BOB, *, chain: ChainId = CHAIN, **keys: str) -> AddValidator:
    """A candidate whose keys are called after its name."""
    vote, node = key_pair(keys.get("vote", f"vote {name}")), key_pair(keys.get("node", f"node {name}"))
    return compose.add_validator(chain, name, operator.id, vote, node)


def a_vote(
    kind: Kind, block: int | None, *, seat: int = 0, epoch: int = 0, view: int = 5, chain: ChainId = CHAIN
) -> Vote:
    """A vote of seat ``n<seat>`` in a network of its own; ``block`` is the first byte of what it names."""
    proposal = None
    if block is not None:
        proposal = Proposal(epoch, view, view - 1, BlockHash(bytes(32)), BlockHash(bytes((block,)) * 32))
    committee = Committee(chain, epoch, (bytes(32),), FaultModel.BYZANTINE, Ed25519Verifier())
    signature = key_pair(f"vote n{seat}").sign(Tag.SIGN_VOTE, chain, committee.content(kind, view, proposal))
    return Vote(kind, epoch, view, proposal, seat, signature)


def evidence(*votes: Vote) -> ReportEvidence:
    """A report of two votes."""
    first, second = votes
    return ReportEvidence(first, second)


def names(activities: Sequence[Activity]) -> list[str]:
    """What happened, by name."""
    return [type(activity).__name__ for activity in activities]
