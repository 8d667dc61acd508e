"""Whom a node's links are for: read from its state, and performed while they stand."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import evolve

from guts_core.chain.foundation import found_state
from guts_core.codec import to_bytes
from guts_core.forge import epochs, paths
from guts_core.forge.records import NodeRecord, NodeRole
from guts_core.forge.storing import put_node
from guts_core.identity import Ed25519Verifier, KeyPair
from guts_core.names import ChainId, NodeId
from guts_core.simplex.quorum import FaultModel
from guts_core.state.view import Overlay, Pair
from guts_net.clock import MachineClock
from guts_net.disk import LocalDisk
from guts_net.membership import membership
from guts_net.peers import PeerNetwork
from guts_net.whereabouts import Whereabouts
from tests.net.world import World, found

FOLLOWER = NodeId(b"f" * 32)
ROTATED = NodeId(b"r" * 32)


class _Empty:
    def get(self, _key: bytes) -> bytes | None:
        return None

    def scan(self, _prefix: bytes, _after: bytes = b"", _limit: int = 1000) -> list[Pair]:
        return []


def a_state(world: World) -> Overlay:
    """The state at height 0."""
    state = Overlay(_Empty())
    for key, value in found_state(world.genesis).records.items():
        assert value is not None
        state.put(key, value)
    return state


def a_later_state(world: World) -> Overlay:
    """A follower was admitted, validator 1 rotated its key, and an epoch ended."""
    state = a_state(world)
    operator = world.genesis.validators[0].operator
    put_node(state, NodeRecord(FOLLOWER, 4, NodeRole.FOLLOWER, "reader", operator, FOLLOWER, None))
    epoch = epochs.turn(state, world.genesis.time + 1)
    seats = list(epoch.seats)
    seats[1] = evolve(seats[1], node_key=ROTATED)
    state.put(paths.epoch(), to_bytes(evolve(epoch, seats=tuple(seats[:3]))))
    return state


def test_members_are_the_seats_of_the_epoch_and_the_followers_that_were_admitted(tmp_path: Path) -> None:
    """And the seats of the epochs that the state still has."""
    world = found(tmp_path, 4)
    keys = {entry.number: entry.node_key for entry in world.genesis.validators}
    later = membership(a_later_state(world))

    assert membership(a_state(world)).members.validators == keys
    assert later.members.validators == {0: keys[0], 1: ROTATED, 2: keys[2]}
    assert later.members.followers == {4: FOLLOWER}
    assert later.names[4] == "reader"
    assert (later.epoch, later.recent[0], later.is_open) == (1, keys, False)


async def test_links_follow_the_state(tmp_path: Path) -> None:
    """A turn of the epoch: keys that rotated or left are let in under their numbers, new ones are known."""
    world = found(tmp_path, 4)
    before, after = membership(a_state(world)), membership(a_later_state(world))
    me, chain = KeyPair(world.seats[0].keys["node"].seed), ChainId(b"c" * 32)
    network = PeerNetwork(me, chain, {}, 0, os.urandom)
    whereabouts = Whereabouts(
        me,
        chain,
        FaultModel.BYZANTINE,
        Ed25519Verifier(),
        network,
        before,
        directory=tmp_path,
        disk=LocalDisk(),
        clock=MachineClock(0),
        entropy=os.urandom,
        hints={ROTATED: ("new:1",), FOLLOWER: ("reader:1",)},
        gossip_seconds=0,
        final_age_ms=lambda: 0,
    )
    whereabouts.turn(after)

    roster = network._roster
    peers = {peer.number: peer for peer in roster}
    assert set(peers) == {1, 2, 3, 4}
    assert (peers[1].addresses, peers[4].addresses, peers[3].addresses) == (("new:1",), (), ())
    assert [peers[number].is_validator for number in (1, 2, 3, 4)] == [True, True, False, False]
    old = before.members.validators
    assert all(roster.admits(node) for node in (old[1], old[2], old[3], ROTATED, FOLLOWER))
    assert not roster.admits(NodeId(b"s" * 32))
    assert roster.is_of(old[1], peers[1])
    assert roster.is_of(ROTATED, peers[1])
