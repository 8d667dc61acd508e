"""Operators decide: who may, how many it takes, what waits, and what a turn of epochs makes of it (J15)."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.chain import compose
from guts_core.codec import to_bytes
from guts_core.errors import Conflict, Invalid, NotAllowed, NotFound, Refused
from guts_core.forge import epochs, paths, queries
from guts_core.forge.accounts import BadKey, KeyTaken, NameTaken
from guts_core.forge.actions import ProposeDecision, RemoveFollower, VoteDecision
from guts_core.forge.activities import DecisionClosed, DecisionProposed, DecisionVoted, FollowerAdmitted
from guts_core.forge.credentials import UnprovenKey
from guts_core.forge.decisions import (
    Change,
    ChangeRules,
    DecisionState,
    EndEpoch,
    Parameter,
    RemoveValidator,
    SeatMove,
    SetParameters,
)
from guts_core.forge.governance import AlreadyVoted, Closed
from guts_core.forge.operators import NotSeated
from guts_core.forge.params import DECISION_LIFETIME_MS, Params, Registration
from guts_core.forge.records import NodeRole
from guts_core.forge.seats import LastValidator, changes_max
from guts_core.forge.tuning import parameter, tuned, written
from guts_core.names import AccountId, ChainId, NodeId, RepoId
from tests.core.forge.forge_world import (
    ALICE,
    BOB,
    CAROL,
    CHAIN,
    DEV,
    FIRST,
    FRANK,
    MAIN,
    NOW,
    TOPIC,
    World,
    created,
    key_pair,
)
from tests.core.forge.governance_world import OPERATORS, Council, joining

SMALL_ORDER = bytes(32)


# ---- how many it takes ----


def test_more_than_two_thirds_of_the_operators_of_seats_decide() -> None:
    world = Council(4)

    number = world.propose(EndEpoch())
    assert world.vote(number, 1) == (DecisionVoted(number, OPERATORS[1].id, approve=True),)
    assert not epochs.ends(world.state, world.time)
    assert world.vote(number, 2)[-1] == DecisionClosed(number, approved=True)

    assert epochs.ends(world.state, world.time)


def test_with_one_operator_proposing_is_deciding() -> None:
    """So that `guts up` grows to a network."""
    world = Council(1)

    done = world.run(OPERATORS[0].id, ProposeDecision(joining("new", OPERATORS[0]), now=True))

    assert done[0] == DecisionProposed(1, OPERATORS[0].id)
    assert done[-1] == DecisionClosed(1, approved=True)
    assert epochs.ends(world.state, world.time)
    world.turn()
    assert world.numbers == [0, 1]


def test_below_four_seats_all_operators_change_a_seat_and_two_thirds_the_rest() -> None:
    world = Council(3)
    add = world.propose(joining("new"))

    world.vote(add, 1)

    assert world.decision(add).state is DecisionState.OPEN
    world.vote(add, 2)
    assert world.decision(add).state is DecisionState.APPROVED
    assert world.decision(world.decide(EndEpoch())).state is DecisionState.APPLIED


def test_what_can_no_longer_be_approved_is_refused_and_closed() -> None:
    world = Council(4)
    number = world.propose(RemoveValidator(3))
    world.vote(number, 1, approve=False)

    assert world.vote(number, 3, approve=False)[-1] == DecisionClosed(number, approved=False)

    world.assert_refused(OPERATORS[2].id, VoteDecision(number, approve=True), kind=Closed, words="1 was refused")
    assert world.numbers == [0, 1, 2, 3]


def test_votes_of_those_who_lost_their_seats_do_not_count() -> None:
    world = Council(4)
    number = world.propose(SetParameters((Parameter("delta_ms", 100),)), by=3)
    world.vote(number, 0)
    world.decide(RemoveValidator(3))
    world.turn()

    world.vote(number, 1)

    assert world.decision(number).state is DecisionState.OPEN
    world.vote(number, 2)
    assert world.decision(number).state is DecisionState.APPROVED


def test_only_operators_of_seats_govern_and_never_through_a_credential() -> None:
    world = World()
    assert [seat.operator for seat in epochs.current(world.state).seats] == [ALICE.id] * 3
    token = world.a_credential(BOB)

    world.assert_refused(CAROL.id, ProposeDecision(EndEpoch(), now=False), kind=NotAllowed, words="may not govern")
    world.assert_refused(
        BOB.id, VoteDecision(1, approve=True), credential=token, kind=NotAllowed, words="sign with an account key"
    )


def test_an_operator_without_a_seat_decides_nothing() -> None:
    world = Council(5)
    world.decide(RemoveValidator(4))
    number = world.propose(EndEpoch())
    world.turn()

    world.assert_refused(OPERATORS[4].id, VoteDecision(number, approve=True), kind=NotAllowed, words="may not govern")
    frank = World()
    frank.assert_refused(FRANK.id, VoteDecision(1, approve=True), kind=NotSeated, words="none in the current epoch")


def test_a_vote_is_cast_once_on_something_that_is_open() -> None:
    world = Council(4)
    number = world.propose(EndEpoch())

    for index, action, kind, words in (
        (0, VoteDecision(number, approve=True), AlreadyVoted, "voted on decision 1 already"),
        (0, VoteDecision(number, approve=False), AlreadyVoted, "voted on decision 1 already"),
        (1, VoteDecision(7, approve=True), NotFound, "no decision 7"),
        (1, VoteDecision(1 << 64, approve=True), NotFound, "no decision"),
    ):
        world.assert_refused(OPERATORS[index].id, action, kind=kind, words=words)
    world.time += DECISION_LIFETIME_MS
    world.assert_refused(OPERATORS[1].id, VoteDecision(number, approve=True), kind=Closed, words="1 lapsed")


def test_votes_after_the_decision_and_after_its_epoch_are_refused_with_what_came_of_it() -> None:
    world = Council(4)
    number = world.decide(RemoveValidator(3))

    world.assert_refused(OPERATORS[3].id, VoteDecision(number, approve=True), kind=Closed, words="approved and waits")
    world.turn()

    world.assert_refused(OPERATORS[2].id, VoteDecision(number, approve=True), kind=Closed, words="applied with epoch 1")


# ---- adding and removing ----


def test_who_is_approved_follows_at_once_and_has_a_seat_after_the_turn() -> None:
    """It must have caught up before it votes."""
    world = Council(4)

    number = world.decide(joining("new"))

    node = queries.node_by_name(world.state, "new")
    assert node is not None
    assert (node.number, node.role, node.vote_key) == (4, NodeRole.FOLLOWER, None)
    assert world.numbers == [0, 1, 2, 3]
    world.turn()
    seat = epochs.current(world.state).seats[4]
    assert (seat.number, seat.name, seat.operator) == (4, "new", BOB.id)
    assert (seat.vote_key, seat.node_key) == (key_pair("vote new").public_key, key_pair("node new").public_key)
    bob, node = queries.account(world.state, BOB.id), queries.node_of_number(world.state, 4)
    assert bob is not None
    assert bob.is_operator
    assert node is not None
    assert node.role is NodeRole.VALIDATOR
    assert (world.decision(number).state, world.decision(number).epoch) == (DecisionState.APPLIED, 1)


def test_a_follower_that_gets_a_seat_keeps_its_number() -> None:
    world = Council(4)
    follow = compose.admit_follower(CHAIN, "reader", key_pair("node new"))
    (admitted,) = world.run(OPERATORS[1].id, follow)
    assert isinstance(admitted, FollowerAdmitted)

    world.decide(joining("new"))
    world.assert_refused(OPERATORS[1].id, RemoveFollower(4), kind=Conflict, words="new waits for a seat")
    world.turn()

    assert world.numbers == [0, 1, 2, 3, admitted.number]
    assert queries.node_by_name(world.state, "reader") is None


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (joining("new", vote="same", node="same"), Invalid, "one key in two roles"),
        (joining("new", vote="vote n1"), KeyTaken, "belongs to a node"),
        (joining("new", vote="node n1"), KeyTaken, "belongs to a node"),
        (joining("new", node="node n1"), KeyTaken, "belongs to a node"),
        (joining("new", vote="bob"), KeyTaken, "belongs to an account"),
        (joining("n2"), NameTaken, "node 2 is called n2"),
        (joining("No Name"), Invalid, "name"),
        (joining("Upper"), Invalid, "name"),
        (joining("new", chain=ChainId(b"\x08" * 32)), UnprovenKey, "did not sign this for this network"),
        (evolve(joining("new"), vote_proof=bytes(64)), UnprovenKey, "vote key"),
        (evolve(joining("new"), node_proof=bytes(64)), UnprovenKey, "node key"),
        (RemoveValidator(9), NotFound, "node 9 has no seat"),
        (SetParameters((Parameter("delta_ms", 0),)), Invalid, "delta_ms is 0"),
        (SetParameters((Parameter("merge_engine", 1),)), Invalid, "with the rules only"),
        (SetParameters((Parameter("nonsense", 1),)), Invalid, "no parameter 'nonsense'"),
        (SetParameters((Parameter("retry_ms", 9), Parameter("delta_ms", 9))), Invalid, "ascending"),
        (SetParameters((Parameter("retry_ms", 9), Parameter("retry_ms", 8))), Invalid, "each once"),
        (SetParameters((Parameter("registration", 9),)), Invalid, "may be 1, 2, 3"),
        (ChangeRules(0, 0), Conflict, "rules 0 hold already"),
        (ChangeRules(1, NOW * 2), Invalid, "more than a year"),
    ],
)
def test_bad_J15_what_cannot_be_is_not_even_proposed(change: Change, kind: type[Refused], words: str) -> None:
    Council(4).assert_refused(OPERATORS[0].id, ProposeDecision(change, now=False), kind=kind, words=words)


def test_candidates_with_weak_keys_or_unknown_operators_are_refused() -> None:
    world, good = Council(4), joining("new")
    weak = evolve(good, candidacy=evolve(good.candidacy, vote_key=SMALL_ORDER))
    nobody = evolve(good, candidacy=evolve(good.candidacy, operator=AccountId(b"\x09" * 32)))

    for change, kind, words in ((weak, BadKey, "small order"), (nobody, NotFound, "register it first")):
        world.assert_refused(OPERATORS[0].id, ProposeDecision(change, now=False), kind=kind, words=words)


def test_bad_J15_keys_are_taken_for_ever_also_by_those_who_wait_and_those_who_left() -> None:
    world = Council(4)
    world.decide(joining("new"))
    world.assert_refused(
        OPERATORS[0].id, ProposeDecision(joining("other", vote="vote new"), now=False), kind=KeyTaken, words="a node"
    )
    world.decide(RemoveValidator(0))
    world.turn(2)
    assert world.numbers == [1, 2, 3, 4]

    again = joining("again", CAROL, vote="vote n0")
    world.assert_refused(OPERATORS[1].id, ProposeDecision(again, now=False), kind=KeyTaken, words="a node")
    node = queries.node_of_number(world.state, 0)
    assert node is not None
    assert node.role is NodeRole.RETIRED
    assert queries.node_by_name(world.state, "n0") is None


def test_whoever_is_to_leave_now_does_not_wait_for_what_others_wait_for() -> None:
    """F41: a thief's seat is gone with this epoch, whatever queued before; only its own rotation is dropped."""
    world = Council(4)
    for number in (1, 3):
        rotation = compose.rotate_seat(CHAIN, number, key_pair(f"new vote {number}"), None)
        world.run(OPERATORS[number].id, rotation)
    world.decide(RemoveValidator(2))

    world.decide(RemoveValidator(3), now=True)
    world.turn()

    assert world.numbers == [0, 1, 2]
    moves = [(change.move, change.number) for change in queries.queue(world.state).seats]
    assert moves == [(SeatMove.ROTATE, 1), (SeatMove.LEAVE, 2)]
    node = queries.node_of_number(world.state, 3)
    assert node is not None
    assert node.role is NodeRole.RETIRED


def test_whoever_is_to_leave_now_waits_where_nobody_would_be_left() -> None:
    """One seat at a time changes here: first the successor has to be there."""
    world = Council(1)
    world.decide(joining("new"))
    world.decide(RemoveValidator(0), now=True)

    world.turn()
    assert world.numbers == [0, 1]
    world.turn()

    assert world.numbers == [1]


def test_of_two_decisions_about_the_same_the_second_cannot_be_approved() -> None:
    """The world moves while people vote: the last vote is refused with the reason, and nothing is undone."""
    world = Council(4)
    first, second = world.propose(RemoveValidator(3)), world.propose(RemoveValidator(3), by=1)
    world.vote(first, 1, 2)
    world.vote(second, 0)

    world.assert_refused(OPERATORS[2].id, VoteDecision(second, approve=True), kind=Conflict, words="loses its seat")

    assert world.decision(second).state is DecisionState.OPEN


def test_bad_J15_the_last_validator_stays() -> None:
    world = Council(2)
    world.decide(RemoveValidator(1))

    world.assert_refused(
        OPERATORS[0].id, ProposeDecision(RemoveValidator(0), now=False), kind=LastValidator, words="the last validator"
    )
    world.turn()
    assert world.numbers == [0]
    operator = queries.account(world.state, OPERATORS[1].id)
    assert operator is not None
    assert not operator.is_operator
    assert queries.operators_count(world.state) == 1


def test_bad_J15_a_turn_takes_what_leaves_a_quorum_and_the_rest_waits() -> None:
    """Seven seats change by two."""
    world = Council(7)
    for number in (0, 1, 2):
        world.decide(RemoveValidator(number))

    world.turn()
    assert world.numbers == [2, 3, 4, 5, 6]
    assert len(queries.queue(world.state).seats) == 1
    world.turn()

    assert world.numbers == [3, 4, 5, 6]
    assert [changes_max(seats) for seats in (1, 3, 4, 6, 7, 10)] == [1, 1, 1, 1, 2, 3]


# ---- the rest of the closed set ----


def test_parameters_change_with_the_next_epoch_and_add_up() -> None:
    world = Council(4)
    world.decide(SetParameters((parameter("delta_ms", "70"), parameter("registration", "approval"))))
    number = world.decide(SetParameters((parameter("retry_ms", "700"),)))
    assert epochs.current(world.state).params == Params()

    world.turn()

    expected = evolve(Params(), delta_ms=70, retry_ms=700, registration=Registration.APPROVAL)
    assert epochs.current(world.state).params == expected
    assert world.decision(number).epoch == 1
    world.turn()
    assert epochs.current(world.state).params == expected


def test_parameters_are_written_as_people_read_them() -> None:
    assert written(parameter("followers", "open")) == "open"
    assert written(parameter("quota_bytes", "7")) == 7
    assert tuned(Params(), SetParameters((parameter("followers", "open"),))).followers.name == "OPEN"
    for name, text, words in (
        ("delta_ms", "-1", "whole number"),
        ("delta_ms", "\u0661", "whole number"),
        ("followers", "all", "one of admitted, open"),
        ("x", "1", "no parameter"),
    ):
        with pytest.raises(Invalid, match=words):
            parameter(name, text)


def test_rules_begin_with_the_first_epoch_after_their_time() -> None:
    world = Council(4)
    number = world.decide(ChangeRules(1, world.time + 60_000))

    world.turn()
    assert epochs.current(world.state).rules == 0
    world.time += 60_000
    world.turn()

    assert epochs.current(world.state).rules == 1
    assert world.decision(number).epoch == 2
    world.assert_refused(
        OPERATORS[0].id, ProposeDecision(ChangeRules(0, 0), now=False), kind=Invalid, words="no way back"
    )


def test_deciding_on_the_rules_in_force_calls_others_off() -> None:
    world = Council(4)
    first = world.decide(ChangeRules(1, 0))
    second = world.decide(ChangeRules(2, 0))
    assert world.decision(first).state is DecisionState.REPLACED

    world.decide(ChangeRules(0, 0))
    world.turn()

    assert epochs.current(world.state).rules == 0
    assert world.decision(second).state is DecisionState.REPLACED


def test_under_rules_1_a_new_branch_becomes_the_default_where_that_is_missing() -> None:
    """Under rules 0 only the first branches did: a branch set as default before it was pushed left HEAD on nothing."""
    for rules, head in ((0, MAIN), (1, TOPIC)):
        world = World(rules=rules)
        repo = world.a_repository()
        world.push(repo, created(DEV, FIRST))
        world.state.put(*_default(world, repo, MAIN))
        world.push(repo, created(TOPIC, FIRST))

        assert world.repository(repo).default_branch == head


# ---- epochs ----


def test_an_epoch_ends_by_time_or_by_decision() -> None:
    world = Council(1, params=Params(epoch_ms=10_000))

    assert not epochs.ends(world.state, NOW + 9_999)
    assert epochs.ends(world.state, NOW + 10_000)
    world.turn()
    assert not epochs.ends(world.state, world.time + 9_999)
    world.propose(SetParameters((Parameter("delta_ms", 9),)), now=True)
    assert epochs.ends(world.state, world.time)
    world.turn()
    assert not epochs.ends(world.state, world.time)


def test_seats_that_are_over_are_kept_for_evidence_and_not_longer() -> None:
    world = Council(4)
    world.decide(RemoveValidator(0))

    world.turn(3)

    assert epochs.past(world.state, 0) is None
    assert [past and len(past.seats) for past in (epochs.past(world.state, number) for number in (1, 2, 3))] == [
        3,
        3,
        None,
    ]


# ---- rotation ----


def test_a_validator_rotates_its_keys_and_keeps_its_number_and_its_id() -> None:
    """By its operator alone, from the next epoch on; credentials go on naming the same gateway."""
    world = Council(4)
    before = queries.node_of_number(world.state, 2)
    assert before is not None

    world.run(OPERATORS[2].id, compose.rotate_seat(CHAIN, 2, key_pair("new vote"), key_pair("new node")))
    assert queries.node_of_number(world.state, 2) == before
    world.turn()

    after = queries.node_of_number(world.state, 2)
    assert after is not None
    assert after.id == before.id
    assert (after.vote_key, after.node_key) == (key_pair("new vote").public_key, key_pair("new node").public_key)
    assert epochs.current(world.state).seats[2].vote_key == after.vote_key
    assert queries.node_of_key(world.state, before.node_key) == after
    assert queries.gateway_of_key(world.state, NodeId(key_pair("new node").public_key)) == before.id


def test_under_rules_2_keys_that_wait_can_be_replaced_and_keep_their_place() -> None:
    """A new key that is lost before its epoch costs no epoch. The other role's key waits on; neither is used again."""
    world = Council(4, rules=2)
    for number in (2, 1):
        rotation = compose.rotate_seat(CHAIN, number, key_pair(f"lost vote {number}"), key_pair(f"new node {number}"))
        world.run(OPERATORS[number].id, rotation)

    world.run(OPERATORS[2].id, compose.rotate_seat(CHAIN, 2, key_pair("better vote"), None))

    assert [change.number for change in queries.queue(world.state).seats] == [2, 1]
    world.turn()
    seat = epochs.current(world.state).seats[2]
    assert seat.vote_key == key_pair("better vote").public_key
    assert seat.node_key == key_pair("new node 2").public_key
    lost = compose.rotate_seat(CHAIN, 2, key_pair("lost vote 2"), None)
    world.assert_refused(OPERATORS[2].id, lost, kind=KeyTaken, words="belongs to a node")


def test_rotations_that_cannot_be() -> None:
    world = Council(4)
    vote, node = key_pair("new vote"), key_pair("new node")
    good = compose.rotate_seat(CHAIN, 2, vote, node)

    for by, action, kind, words in (
        (1, good, NotAllowed, "another account answers for n2"),
        (2, compose.rotate_seat(CHAIN, 9, vote, node), NotFound, "node 9 has no seat"),
        (2, compose.rotate_seat(CHAIN, 2, None, None), Invalid, "a vote key, a node key or both"),
        (2, compose.rotate_seat(CHAIN, 2, vote, vote), Invalid, "one key cannot have two roles"),
        (2, compose.rotate_seat(CHAIN, 2, key_pair("vote n2"), None), KeyTaken, "belongs to a node"),
        (2, compose.rotate_seat(CHAIN, 2, key_pair("bob"), None), KeyTaken, "belongs to an account"),
        (2, evolve(good, vote_proof=bytes(64)), UnprovenKey, "vote key"),
        (2, evolve(good, node_proof=None), UnprovenKey, "node key"),
        (2, evolve(compose.rotate_seat(CHAIN, 2, vote, None), node_proof=bytes(64)), Invalid, "does not bring"),
        (2, compose.rotate_seat(ChainId(b"\x08" * 32), 2, vote, node), UnprovenKey, "for this network"),
    ):
        world.assert_refused(OPERATORS[by].id, action, kind=kind, words=words)
    world.run(OPERATORS[2].id, compose.rotate_seat(CHAIN, 2, vote, None))
    world.assert_refused(
        OPERATORS[2].id, compose.rotate_seat(CHAIN, 2, None, node), kind=Conflict, words="one change of keys at a time"
    )
    world.decide(RemoveValidator(3))
    world.assert_refused(
        OPERATORS[3].id, compose.rotate_seat(CHAIN, 3, None, node), kind=Conflict, words="loses its seat"
    )


# ---- followers ----


def test_followers_are_admitted_and_let_go_by_any_operator() -> None:
    world = Council(4)

    (admitted,) = world.run(OPERATORS[1].id, compose.admit_follower(CHAIN, "reader", key_pair("node reader")))
    assert admitted == FollowerAdmitted(4, NodeId(key_pair("node reader").public_key), "reader", OPERATORS[1].id)
    world.run(OPERATORS[2].id, RemoveFollower(4))

    assert [node.role for node in queries.nodes_by_number(world.state)] == [NodeRole.VALIDATOR] * 4 + [NodeRole.RETIRED]
    for action, kind, words in (
        (RemoveFollower(4), Conflict, "no part in the network any more"),
        (RemoveFollower(0), Conflict, "n0 is a validator"),
        (RemoveFollower(7), NotFound, "no node 7"),
        (compose.admit_follower(CHAIN, "reader", key_pair("node reader")), KeyTaken, "belongs to a node"),
        (compose.admit_follower(CHAIN, "n1", key_pair("node x")), NameTaken, "node 1 is called n1"),
        (evolve(compose.admit_follower(CHAIN, "x", key_pair("node x")), proof=bytes(64)), UnprovenKey, "node key"),
    ):
        world.assert_refused(OPERATORS[1].id, action, kind=kind, words=words)
    world.assert_refused(
        BOB.id, compose.admit_follower(CHAIN, "x", key_pair("node x")), kind=NotAllowed, words="may not govern"
    )


def _default(world: World, repo: RepoId, branch: str) -> tuple[bytes, bytes]:
    """HEAD on a branch that is not there, as setting it before pushing leaves it."""
    return paths.repository(repo), to_bytes(evolve(world.repository(repo), default_branch=branch))
