"""Who belongs to the network by a node's committed state: whom its links are for."""

from __future__ import annotations

from attrs import frozen

from guts_core.chain.commit import Commit
from guts_core.discovery import Members
from guts_core.forge import epochs, paths, queries
from guts_core.forge.params import Followers
from guts_core.forge.records import NodeRole
from guts_core.names import NodeId
from guts_core.state.view import View


@frozen
class Membership:
    """The set of one moment, and what goes with it."""

    epoch: int
    members: Members
    names: dict[int, str]
    recent: dict[int, dict[int, NodeId]]  # validators of the current and of past epochs that the state still has
    heartbeat_ms: int
    is_open: bool  # anybody may follow


def membership(view: View) -> Membership:
    """What the state says now."""
    epoch = epochs.current(view)
    followers = {node.number: node for node in queries.nodes_by_number(view) if node.role is NodeRole.FOLLOWER}
    names = {number: node.name for number, node in followers.items()} | {one.number: one.name for one in epoch.seats}
    validators = {one.number: one.node_key for one in epoch.seats}
    # Known by its place in the epoch while it has one, whatever role it gets with the next.
    others = {number: node.node_key for number, node in followers.items() if number not in validators}
    recent = {epoch.number: validators}
    number = epoch.number
    while number and (past := epochs.past(view, number := number - 1)) is not None:
        recent[number] = {one.number: one.node_key for one in past.seats}
    is_open = epoch.params.followers is Followers.OPEN
    return Membership(epoch.number, Members(validators, others), names, recent, epoch.params.heartbeat_ms, is_open)


def changes_membership(commit: Commit) -> bool:
    """Whether a block wrote what ``membership`` reads."""
    nodes = paths.nodes()
    return any(key == paths.epoch() or key.startswith(nodes) for key in commit.records)
