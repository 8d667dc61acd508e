"""``/api/guts/v1/network``: who votes until when, what operators decide, who follows, who contradicted themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_never

from attrs import asdict

from guts_core.errors import NotFound
from guts_core.forge import queries
from guts_core.forge.decisions import (
    AddValidator,
    Change,
    ChangeRules,
    Conviction,
    Decision,
    DecisionState,
    EndEpoch,
    Queue,
    RemoveValidator,
    SeatChange,
    SetParameters,
)
from guts_core.forge.governance import is_open
from guts_core.forge.operators import approvals_needed, seated
from guts_core.forge.params import Params
from guts_core.forge.records import Epoch, NodeRecord, NodeRole, ValidatorEntry
from guts_core.forge.seats import changes_max
from guts_core.forge.tuning import WORDS, written
from guts_core.names import AccountId
from guts_http.reader import Snapshot
from guts_http.routing import Access, Asked, Reply, Routes

from .paging import asked_page, links
from .shapes import exact_time_text

routes = Routes()
_NETWORK = "/api/guts/v1/network"


def epoch_of(asked: Asked, snapshot: Snapshot) -> Epoch:
    """The epoch of the next block; before the first one is committed, what genesis says."""
    if snapshot.height:
        return queries.epoch(snapshot)
    genesis = asked.site.reader.genesis
    return Epoch(0, genesis.time, genesis.rules, genesis.params, genesis.validators, ends=False)


@routes.reads(f"{_NETWORK}/epoch", Access.PUBLIC)
def get_epoch(asked: Asked, snapshot: Snapshot) -> Reply:
    """Who votes, under which rules and parameters, until when, and what waits for the next epoch."""
    epoch = epoch_of(asked, snapshot)
    return Reply(
        {
            "number": epoch.number,
            "since": exact_time_text(epoch.since),
            "ends": exact_time_text(epoch.since + epoch.params.epoch_ms),
            "ending": epoch.ends,
            "rules": epoch.rules,
            "params": _params(epoch.params),
            "seats": [_seat(snapshot, seat) for seat in epoch.seats],
            "changes_per_epoch": changes_max(len(epoch.seats)),
            "waiting": _waiting(snapshot, queries.queue(snapshot)),
        }
    )


@routes.reads(f"{_NETWORK}/decisions", Access.PUBLIC)
def list_decisions(asked: Asked, snapshot: Snapshot) -> Reply:
    """What operators proposed, in order; ``state`` chooses."""
    page, state = asked_page(), asked.argument("state")
    epoch = epoch_of(asked, snapshot)
    shown = (decision_values(snapshot, one, epoch) for one in queries.decisions(snapshot))
    found, more = page.of(one for one in shown if state in (None, one["state"]))
    return Reply(found, headers=links(asked, f"{_NETWORK}/decisions", page, more=more, query={"state": state}))


@routes.reads(f"{_NETWORK}/decisions/<int:number>", Access.PUBLIC)
def get_decision(asked: Asked, snapshot: Snapshot, number: int) -> Reply:
    """One of them."""
    found = queries.decision(snapshot, number)
    if found is None:
        raise NotFound(f"there is no decision {number}")
    return Reply(decision_values(snapshot, found, epoch_of(asked, snapshot)))


@routes.reads(f"{_NETWORK}/followers", Access.PUBLIC)
def list_followers(_asked: Asked, snapshot: Snapshot) -> Reply:
    """The nodes that follow without voting, in order of number."""
    nodes = queries.nodes_by_number(snapshot)
    return Reply([_node(snapshot, node) for node in nodes if node.role is NodeRole.FOLLOWER])


@routes.reads(f"{_NETWORK}/evidence", Access.PUBLIC)
def list_evidence(_asked: Asked, snapshot: Snapshot) -> Reply:
    """Which validators contradicted themselves, the oldest epoch first."""
    return Reply([_conviction(snapshot, one) for one in queries.convictions(snapshot)])


# ---- shapes ----


def decision_values(snapshot: Snapshot, found: Decision, epoch: Epoch) -> dict[str, Any]:
    """A decision; one that too few voted on in time has lapsed."""
    state = found.state.name.lower()
    if found.state is DecisionState.OPEN and not is_open(found, snapshot.time):
        state = "lapsed"
    return {
        "number": found.number,
        "proposer": _name(snapshot, found.proposer),
        **_change(snapshot, found.change),
        "now": found.now,
        "state": state,
        "approve": _names(snapshot, found.approve),
        "reject": _names(snapshot, found.reject),
        "needed": approvals_needed(found.change, epoch),
        "operators": _names(snapshot, seated(epoch)),
        "proposed": exact_time_text(found.proposed),
        "closes": exact_time_text(found.closes),
        "decided": None if found.decided is None else exact_time_text(found.decided),
        "epoch": found.epoch,
    }


def _change(snapshot: Snapshot, change: Change) -> dict[str, Any]:
    """Its kind, the sentence that tells it, and its fields."""
    match change:
        case AddValidator():
            wanted = change.candidacy
            operator = _name(snapshot, AccountId(wanted.operator))
            fields: dict[str, Any] = {
                "name": wanted.name,
                "operator": operator,
                "vote_key": wanted.vote_key.hex(),
                "node_key": wanted.node_key.hex(),
            }
            return {
                "kind": "add",
                "says": f"add validator {wanted.name}, for which {operator} answers",
                "fields": fields,
            }
        case RemoveValidator():
            name = node_name(snapshot, change.number)
            return {
                "kind": "remove",
                "says": f"remove validator {name}",
                "fields": {"number": change.number, "name": name},
            }
        case SetParameters():
            values = {value.name: written(value) for value in change.values}
            words = ", ".join(f"{name}={value}" for name, value in values.items())
            return {"kind": "set", "says": f"set {words}", "fields": values}
        case ChangeRules():
            after = exact_time_text(change.not_before) if change.not_before else None
            words = f"go over to rules {change.rules}" + (f", not before {after}" if after else "")
            return {"kind": "rules", "says": words, "fields": {"rules": change.rules, "not_before": after}}
        case EndEpoch():
            return {"kind": "end-epoch", "says": "end the epoch", "fields": {}}
        case _:
            assert_never(change)


def _waiting(snapshot: Snapshot, queue: Queue) -> dict[str, Any]:
    rules = queue.rules
    coming = None
    if rules is not None:
        after = exact_time_text(rules.not_before) if rules.not_before else None
        coming = {"rules": rules.rules, "not_before": after, "decision": rules.decision}
    return {
        "seats": [_seat_change(snapshot, change) for change in queue.seats],
        "params": None if queue.params is None else _params(queue.params),
        "rules": coming,
    }


def _seat_change(snapshot: Snapshot, change: SeatChange) -> dict[str, Any]:
    return {
        "move": change.move.name.lower(),
        "number": change.number,
        "name": node_name(snapshot, change.number),
        "decision": change.decision,
    }


def _params(params: Params) -> dict[str, Any]:
    return {
        name: value.name.lower() if name in WORDS else value for name, value in asdict(params, recurse=False).items()
    }


def _seat(snapshot: Snapshot, seat: ValidatorEntry) -> dict[str, Any]:
    return {
        "number": seat.number,
        "name": seat.name,
        "operator": _name(snapshot, AccountId(seat.operator)),
        "vote_key": seat.vote_key.hex(),
        "node_key": seat.node_key.hex(),
    }


def _node(snapshot: Snapshot, node: NodeRecord) -> dict[str, Any]:
    return {
        "number": node.number,
        "name": node.name,
        "operator": _name(snapshot, AccountId(node.operator)),
        "node_id": node.id.hex(),
        "node_key": node.node_key.hex(),
    }


def _conviction(snapshot: Snapshot, found: Conviction) -> dict[str, Any]:
    return {
        "epoch": found.epoch,
        "seat": found.seat,
        "number": found.number,
        "name": node_name(snapshot, found.number),
        "vote_key": found.vote_key.hex(),
        "view": found.first.view,
        "kinds": [vote.kind.name.lower() for vote in (found.first, found.second)],
        "reporter": _name(snapshot, AccountId(found.reporter)),
        "height": found.height,
        "time": exact_time_text(found.time),
    }


def node_name(snapshot: Snapshot, number: int) -> str:
    """What a node is or was called."""
    node = queries.node_of_number(snapshot, number)
    return f"node {number}" if node is None else node.name


def _names(snapshot: Snapshot, accounts: Iterable[AccountId]) -> list[str | None]:
    return [_name(snapshot, account) for account in accounts]


def _name(snapshot: Snapshot, account: AccountId) -> str | None:
    found = queries.account(snapshot, account)
    return None if found is None else found.name
