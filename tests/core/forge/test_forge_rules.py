"""Operators who sign together, quotas, and the table of refusals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attrs import evolve

from guts_core.errors import Invalid, NotAllowed, Refused
from guts_core.forge import queries
from guts_core.forge.operators import TooFewOperators, check_operators
from guts_core.forge.params import Params
from guts_core.forge.quota import GOVERNING_RESERVE, QuotaExhausted, charge
from guts_core.forge.records import Quota
from guts_core.forge.refusals import REFUSALS, refusal_of
from guts_core.names import AccountId
from guts_core.state.view import Overlay
from tests.core.forge.forge_world import ALICE, BOB, CAROL, ERIN, FRANK, HOUR, NOW, Records, World

ALL = tuple(sorted((ALICE.id, ERIN.id, FRANK.id)))


def test_two_of_three_operators_are_not_more_than_two_thirds() -> None:
    two = tuple(sorted((ALICE.id, ERIN.id)))

    with pytest.raises(TooFewOperators, match="2 of 3 operators"):
        check_operators(two, World().state, two[0])


@pytest.mark.parametrize(
    ("operators", "kind", "words"),
    [
        (ALL[::-1], Invalid, "ascending"),
        ((ALL[0], ALL[0], ALL[1]), Invalid, "ascending"),
        ((ERIN.id,), Invalid, "author must be among"),
        (tuple(sorted((*ALL, BOB.id))), NotAllowed, "not an operator"),
        (tuple(sorted((*ALL, AccountId(b"\x09" * 32)))), NotAllowed, "not an operator"),
    ],
)
def test_the_list_of_operators_is_exact(operators: tuple[AccountId, ...], kind: type[Refused], words: str) -> None:
    with pytest.raises(kind, match=words):
        check_operators(operators, World().state, ALICE.id)


LITTLE = Params(quota_transactions=2, quota_bytes=100, quota_window_ms=HOUR)


def can_pay(state: Overlay, account: AccountId, time: int, transactions: int, size: int, params: Params) -> bool:
    try:
        charge(Overlay(state), account, time, transactions, size, params)
    except QuotaExhausted:
        return False
    return True


def test_an_account_pays_until_its_window_is_used_up() -> None:
    """Transactions and bytes are separate limits; what is refused is not counted."""
    state = Overlay(Records())
    charge(state, BOB.id, NOW, 1, 60, LITTLE)

    assert not can_pay(state, BOB.id, NOW, 1, 41, LITTLE)
    with pytest.raises(QuotaExhausted, match="100 bytes in 60 minutes"):
        charge(state, BOB.id, NOW, 1, 41, LITTLE)
    charge(state, BOB.id, NOW, 1, 40, LITTLE)
    assert queries.quota(state, BOB.id) == Quota(NOW // HOUR, 2, 100)
    with pytest.raises(QuotaExhausted, match="2 transactions in 60 minutes"):
        charge(state, BOB.id, NOW, 1, 0, LITTLE)


def test_a_new_window_of_block_time_starts_from_nothing() -> None:
    """The window is a number, so nothing has to be reset when it passes."""
    state = Overlay(Records())
    last = (NOW // HOUR + 1) * HOUR - 1
    charge(state, BOB.id, last, 2, 100, LITTLE)

    assert not can_pay(state, BOB.id, last, 1, 0, LITTLE)
    assert can_pay(state, BOB.id, last + 1, 1, 0, LITTLE)
    charge(state, BOB.id, last + 1, 1, 7, LITTLE)

    assert queries.quota(state, BOB.id) == Quota(NOW // HOUR + 1, 1, 7)


def test_an_operator_who_used_everything_up_can_still_govern() -> None:
    """So much is set aside for that alone, and no more."""
    state = Overlay(Records())
    charge(state, ALICE.id, NOW, 2, 100, LITTLE)

    with pytest.raises(QuotaExhausted):
        charge(state, ALICE.id, NOW, 1, 1, LITTLE)
    charge(state, ALICE.id, NOW, GOVERNING_RESERVE, 500, LITTLE, governs=True)
    with pytest.raises(QuotaExhausted, match="2 transactions"):
        charge(state, ALICE.id, NOW, 1, 1, LITTLE, governs=True)


def test_accounts_pay_for_themselves() -> None:
    state = Overlay(Records())
    charge(state, BOB.id, NOW, 2, 100, LITTLE)

    assert can_pay(state, CAROL.id, NOW, 2, 100, LITTLE)


def test_more_than_a_window_holds_can_never_be_paid() -> None:
    state = Overlay(Records())

    assert can_pay(state, BOB.id, NOW, 1, 100, LITTLE)
    assert not can_pay(state, BOB.id, NOW, 1, 101, LITTLE)
    assert not can_pay(state, BOB.id, NOW, 1, 1, evolve(LITTLE, quota_bytes=0))


def test_every_refusal_of_the_forge_is_in_the_table_under_its_own_code() -> None:
    """A receipt carries the code alone; an edge that does not know it cannot say whose fault it was."""
    ours = {cls for cls in _below(Refused) if cls.__module__.startswith("guts_core.forge")}

    assert ours <= set(REFUSALS.values())
    assert len({cls.code for cls in ours}) == len(ours)
    assert all(refusal_of(cls.code) is cls for cls in ours)
    assert refusal_of("made-up-later") is Refused


def _below(cls: type[Refused]) -> Iterator[type[Refused]]:
    for child in cls.__subclasses__():
        yield child
        yield from _below(child)
