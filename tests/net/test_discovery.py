"""Seven whole nodes that know one address each: they find each other, one moves, and lies about it are dropped."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio
from attrs import evolve

from guts_core.chain.genesis import chain_id
from guts_core.chain.genesis_json import GenesisFile, to_json
from guts_core.codec import from_bytes, to_bytes
from guts_core.discovery import Infos, Kept, Members, sign_info
from guts_core.errors import Invalid, Malformed
from guts_core.link.handshake import Channel, Dialer
from guts_net.handle import RunningNode
from guts_net.peers.link import dial
from guts_net.peers.links import wall_ms
from guts_net.runtime import open_node
from guts_net.whereabouts import FILE
from tests.net.peers.peers_world import Villain, wait_hung_up
from tests.net.world import World, ask, found, status, wait_until

NODES = 7
# Rounds are short, so that what needs one is done in well under a second.
GOSSIP_SECONDS = 0.4


class Ring:
    """Each node is told the address of the one before it, and no more."""

    def __init__(self, path: Path, nodes: int = NODES) -> None:
        self.world = found(path, nodes)
        # The genesis file tells no addresses at all.
        (path / "genesis.json").write_text(to_json(GenesisFile(genesis=self.world.genesis)))
        self.ids = [entry.node_key for entry in self.world.genesis.validators]

    @asynccontextmanager
    async def node(self, index: int, port: int | None = None, *, bootstrap: bool = True) -> AsyncIterator[RunningNode]:
        """One of them, at its place or another one."""
        before = (index - 1) % len(self.ids)
        settings = evolve(
            self.world.settings(index),
            bootstrap=(f"{self.ids[before].hex()}@127.0.0.1:{self.world.seats[before].port}",) if bootstrap else (),
            gossip_seconds=GOSSIP_SECONDS,
        )
        if port is not None:
            settings = evolve(settings, p2p=f"127.0.0.1:{port}")
        async with open_node(settings) as node:
            yield node

    def told(self, index: int) -> dict[bytes, tuple[str, ...]]:
        """What a node's file keeps of where the others are."""
        path = self.world.seats[index].directory / FILE
        try:
            kept = from_bytes(Kept, path.read_bytes())
        except (FileNotFoundError, Malformed):
            return {}
        return {info.node: info.addresses for info in kept.infos}


def meshed(nodes: list[RunningNode]) -> bool:
    """Whether each is connected to all others."""
    return all(len(node.connected) == len(nodes) - 1 for node in nodes)


async def test_fault_F39_seven_nodes_with_one_address_each_are_all_connected_and_find_one_that_moves(
    tmp_path: Path,
) -> None:
    """It keeps what it knew, and whoever is told keeps its new place."""
    ring = Ring(tmp_path)
    async with AsyncExitStack() as stack:
        others = [await stack.enter_async_context(ring.node(index)) for index in range(1, NODES)]
        async with ring.node(0) as zero:
            await wait_until(lambda: meshed([zero, *others]))
            await wait_until(lambda: len(ring.told(0)) == NODES)
        await wait_until(lambda: not any(0 in node.connected for node in others))

        async with ring.node(0, port=0, bootstrap=False) as zero:
            await wait_until(lambda: meshed([zero, *others]))
            await wait_until(lambda: all(ring.told(i).get(ring.ids[0]) == (zero.p2p,) for i in range(1, NODES)))
            assert zero.p2p != f"127.0.0.1:{ring.world.seats[0].port}"
            assert (await status(zero)).outlook.name == "CLEAR"


async def test_fault_F39_a_poisoned_address_is_dropped_and_its_teller_shut_out(tmp_path: Path) -> None:
    """A validator that says where another one is, without its signature."""
    ring = Ring(tmp_path, 4)
    async with AsyncExitStack() as stack:
        zero, one, two = [await stack.enter_async_context(ring.node(index)) for index in range(3)]
        await wait_until(lambda: meshed([zero, one, two]))
        await wait_until(lambda: len(ring.told(0)) == 3)
        honest = ring.told(0)
        villain = await impersonate(ring, 3, zero)
        members, key, now = Members(dict(enumerate(ring.ids))), ring.world.seats[1].keys["node"], wall_ms()
        old, new = (sign_info(key, chain_id(ring.world.genesis), ("127.0.0.1:1",), time) for time in (1, now + 1_000))
        await villain.say(to_bytes(Infos(members.digest, (old,))))
        await villain.say(to_bytes(Infos(members.digest, (evolve(new, addresses=("127.0.0.1:2",)),))))
        await wait_hung_up(villain.stream)
        await villain.stream.aclose()

        with pytest.raises(trio.BrokenResourceError):
            await impersonate(ring, 3, zero)
        assert ring.told(0) == honest
        assert zero.connected == {1, 2}


async def impersonate(ring: Ring, index: int, node: RunningNode) -> Villain:
    """A connection under a validator's key."""
    host, _, port = node.p2p.rpartition(":")
    stream = await trio.open_tcp_stream(host, int(port))
    key, wanted = ring.world.seats[index].keys["node"], ring.ids[ring_index(ring, node)]
    dialer = Dialer(key, chain_id(ring.world.genesis), wanted, Channel.CONTROL, secret=os.urandom(32), now_ms=0)
    try:
        return Villain(stream, await dial(stream, dialer))
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise


def ring_index(ring: Ring, node: RunningNode) -> int:
    """Which of them it is."""
    return next(i for i, seat in enumerate(ring.world.seats) if seat.directory == node.settings.directory)


async def test_fault_F39_a_node_that_is_kept_from_the_others_says_so(tmp_path: Path) -> None:
    """Too few validators to hold an honest one; then enough."""
    ring = Ring(tmp_path, 4)
    async with ring.node(0) as zero:
        assert (await status(zero)).outlook.name == "FEW"
        async with ring.node(3), ring.node(2):
            await wait_until(lambda: len(zero.connected) == 2)
            assert (await status(zero)).outlook.name != "FEW"


async def test_a_file_of_addresses_that_is_damaged_is_not_believed(tmp_path: Path) -> None:
    """It may be lost: the node begins with its hints again."""
    ring = Ring(tmp_path, 2)
    (ring.world.seats[0].directory / FILE).write_bytes(b"\x00 not a record")
    async with ring.node(0) as zero, ring.node(1) as one:
        await wait_until(lambda: meshed([zero, one]))
        await wait_until(lambda: len(ring.told(0)) == 2)


async def test_a_bootstrap_address_without_a_key_is_refused_in_words(tmp_path: Path) -> None:
    """An address alone could be anybody's."""
    world: World = found(tmp_path, 1)
    with pytest.raises(Invalid, match="KEY@HOST:PORT"):
        async with open_node(evolve(world.settings(0), bootstrap=("127.0.0.1:7080",))) as node:
            await ask(node, None)
