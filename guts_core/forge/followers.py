"""Followers: nodes that replicate the chain, serve reads and pass writes on, and have no vote."""

from __future__ import annotations

from attrs import evolve

from guts_core.codec import to_bytes
from guts_core.errors import Conflict, NotFound
from guts_core.names import NodeId
from guts_core.state.view import Overlay

from . import queries
from .actions import AdmitFollower, RemoveFollower
from .activities import FollowerAdmitted, FollowerRemoved
from .context import Context
from .permissions import Permission, demand
from .records import NodeRole
from .seats import check_new_key, check_node_name, check_proof, new_node, numbers_to_come
from .storing import put_node


def admit_follower(action: AdmitFollower, state: Overlay, context: Context) -> tuple[FollowerAdmitted]:
    """Let a node follow, at once; the author answers for it."""
    demand(context.principal, Permission.GOVERN, None, state)
    wanted = action.following
    check_node_name(wanted.name, state)
    check_new_key(wanted.node_key, state)
    check_proof(wanted.node_key, to_bytes(wanted), action.proof, context, "node")
    node = new_node(wanted.name, NodeId(wanted.node_key), context.author, state)
    return (FollowerAdmitted(node.number, node.node_key, node.name, node.operator),)


def remove_follower(action: RemoveFollower, state: Overlay, context: Context) -> tuple[FollowerRemoved]:
    """Let a follower go, at once; its keys never come back."""
    demand(context.principal, Permission.GOVERN, None, state)
    node = queries.node_of_number(state, action.number)
    if node is None:
        raise NotFound(f"there is no node {action.number}")
    if node.role is NodeRole.VALIDATOR:
        raise Conflict(f"{node.name} is a validator: the operators decide about its seat")
    if node.role is NodeRole.RETIRED:
        raise Conflict(f"{node.name} has no part in the network any more")
    if node.number in numbers_to_come(state):
        raise Conflict(f"{node.name} waits for a seat: the operators decide about it")
    put_node(state, evolve(node, role=NodeRole.RETIRED))
    return (FollowerRemoved(node.number),)
