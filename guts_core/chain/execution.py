"""
Execution of transactions over an overlay: deterministic, without clock, without text.

An inadmissible transaction raises and leaves the overlay as it was. Any other has a receipt: its
actions take effect together or not at all, and its payer is charged either way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import frozen

from guts_core.errors import Refused
from guts_core.forge import queries
from guts_core.forge.actions import GOVERNING
from guts_core.forge.activities import Activity, PackAdmitted
from guts_core.forge.apply import apply
from guts_core.forge.context import Availability, Context
from guts_core.forge.quota import QuotaExhausted, charge, charged
from guts_core.names import AccountId, TxId
from guts_core.state.view import Overlay, View

from .admission import (
    Candidate,
    Network,
    Place,
    check_signatures,
    check_witness,
    place_of,
)
from .commit import AdmittedPack
from .inadmissible import (
    CannotPay,
)
from .receipt import Receipt, failed, succeeded


@frozen
class Moment:
    """Where in the chain something executes."""

    height: int
    time: int  # of the executing header


def execute(
    candidate: Candidate, state: Overlay, network: Network, moment: Moment, seen: Callable[[TxId], bool]
) -> Receipt:
    """The receipt of a transaction at this place; raises Inadmissible and writes nothing."""
    place = place_of(candidate, state, moment.time, seen)
    check_signatures(candidate, place, network)
    availability = check_witness(candidate, network)
    pay(candidate, place.payer, state, network, moment.time)
    above = Overlay(state)
    try:
        activities = perform(candidate, place, availability, above, network, moment)
    except Refused as refusal:
        return failed(candidate.tx_id, refusal)
    state.absorb(above)
    return succeeded(candidate.tx_id, activities)


def pay(candidate: Candidate, payer: AccountId, state: Overlay, network: Network, time: int) -> None:
    """Charge for a transaction, whatever becomes of it; raises CannotPay and charges nothing."""
    try:
        charge(state, payer, time, 1, candidate.charge, network.params, governs=governs(candidate, payer, state))
    except QuotaExhausted as refusal:
        raise CannotPay(str(refusal)) from refusal


def check_pays(
    candidate: Candidate, payer: AccountId, view: View, network: Network, time: int, *, is_governing: bool
) -> None:
    """Raise CannotPay where charging for it would."""
    try:
        charged(view, payer, time, 1, candidate.charge, network.params, governs=is_governing)
    except QuotaExhausted as refusal:
        raise CannotPay(str(refusal)) from refusal


def governs(candidate: Candidate, payer: AccountId, state: View) -> bool:
    """Whether an operator does nothing but govern."""
    body = candidate.body
    if body.via is not None or not all(isinstance(action, GOVERNING) for action in body.actions):
        return False
    account = queries.account(state, payer)
    return account is not None and account.is_operator


def perform(
    candidate: Candidate,
    place: Place,
    availability: Availability | None,
    state: Overlay,
    network: Network,
    moment: Moment,
) -> list[Activity]:
    """The actions of an admissible transaction; raises Refused, and the overlay is then to be dropped."""
    context = Context(
        chain_id=network.chain_id,
        height=moment.height,
        time=moment.time,
        epoch=network.epoch,
        rules=network.rules,
        tx_id=candidate.tx_id,
        author=candidate.body.author,
        credential=place.credential,
        params=network.params,
        availability=availability,
        reserved_names=network.reserved_names,
        verifier=network.verifier,
    )
    return [activity for action in candidate.body.actions for activity in apply(action, state, context)]


def admitted_packs(receipts: Iterable[Receipt]) -> tuple[AdmittedPack, ...]:
    """The packs that a block's receipts tell every holder to keep."""
    return tuple(
        AdmittedPack(activity.repo, activity.digest, activity.idx_digest, activity.size)
        for receipt in receipts
        for activity in receipt.activities
        if isinstance(activity, PackAdmitted)
    )
