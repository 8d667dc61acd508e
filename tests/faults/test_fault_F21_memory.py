"""F21: no memory at a step of deciding or executing: the node ends, says nothing of it, and is whole after a start."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from attrs import define, field

from guts_cli.outcomes import EXIT_CODES, failure_of
from guts_core.chain.genesis import Genesis
from guts_core.chain.memory import MemoryStore
from guts_core.codec import Tag
from guts_core.identity import Ed25519Verifier
from guts_core.names import ChainId, TxId
from guts_core.node.effects import Effect
from guts_core.node.events import Event
from guts_core.node.node import Node, NodeConfig
from guts_core.state.view import Pair
from guts_net.disk import LocalDisk
from guts_net.runtime import open_node
from tests.core.chain.chain_world import a_genesis, a_push, key, oid
from tests.core.node import node_world
from tests.core.node.node_world import Seat
from tests.core.node.test_node_pushes import PACK, repo_of
from tests.net.world import World, a_commit, found, push, wait_until

SHORT = 1


@define
class Memory:
    """How many more times the short node gets what it asks the machine for; without a number always."""

    left: int | None = None
    denied: int = 0

    def take(self) -> None:
        """Wherever the core calls out, something is allocated."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.denied, self.left = self.denied + 1, None
                raise MemoryError


class ShortStore(MemoryStore):
    """A database whose answers need memory."""

    memory: Memory

    def get(self, key: bytes) -> bytes | None:
        """As the base."""
        self.memory.take()
        return super().get(key)

    def scan(self, prefix: bytes, after: bytes = b"", limit: int = 1000) -> list[Pair]:
        """As the base."""
        self.memory.take()
        return super().scan(prefix, after, limit)

    def page(self, path: bytes) -> bytes | None:
        """As the base."""
        self.memory.take()
        return super().page(path)

    def is_replay(self, tx_id: TxId) -> bool:
        """As the base."""
        self.memory.take()
        return super().is_replay(tx_id)


@define
class ShortVerifier:
    """The same of signatures."""

    memory: Memory

    def verify(self, public_key: bytes, tag: Tag, chain: ChainId, body: bytes, signature: bytes) -> bool:
        """As the real one."""
        self.memory.take()
        return Ed25519Verifier().verify(public_key, tag, chain, body, signature)


@define
class Crowded(node_world.World):
    """One of four nodes may be denied memory; a process that was ends there, and another starts on its disk."""

    genesis: Genesis = field(factory=a_genesis)
    memory: Memory = field(factory=Memory)

    def new_seat(self, index: int, store: MemoryStore) -> Seat:
        """The short one over what runs out."""
        if index != SHORT:
            return super().new_seat(index, store)
        if not isinstance(store, ShortStore):
            store = ShortStore()
            store.memory = self.memory
        config = NodeConfig(self.genesis, index, key(f"vote {index}"), ShortVerifier(self.memory))
        return Seat(Node(config, store), store)

    def tell(self, index: int, event: Event) -> list[Effect]:
        """What MemoryError does to a process: whatever was decided is gone."""
        try:
            return super().tell(index, event)
        except MemoryError:
            assert index == SHORT
            self.restart(SHORT)
            return []


def test_fault_F21_a_node_denied_memory_at_any_step_ends_and_is_whole_after_its_start() -> None:
    """A push, what agreement says of it, and its execution: at every call out of the core, one after another."""
    world = Crowded()
    world.a_repository()
    steps = 0
    while True:
        world.memory.left, denied = steps, world.memory.denied
        signed = world.signed(a_push(repo_of(world), f"refs/heads/b{steps}", None, oid(f"commit {steps}")))
        tx_id = world.submit(0, signed, pack=PACK)
        world.pass_time(3_000)
        world.memory.left = None
        world.pass_time(1_500)
        assert [seat.node.ledger.is_pending(tx_id) for seat in world.seats] == [False] * 4, steps
        if world.memory.denied == denied:
            break
        steps += 1

    assert steps > 20
    assert len(world.roots) == 1
    assert len(set(world.heights)) == 1
    assert [seat.node.equivocations for seat in world.seats] == [0] * 4


class NoMemory(LocalDisk):
    """The machine has none where it is told of a message that leaves, or of a commit."""

    def __init__(self, at: str) -> None:
        super().__init__(self._heard)
        self.at, self.is_short = at, False

    def _heard(self, operation: str, _subject: str) -> None:
        if self.is_short and operation == self.at:
            raise MemoryError


async def until_it_ends(world: World, disk: NoMemory) -> None:
    """Run the first node, and take its memory while blocks go on: raises what ends it."""
    with trio.fail_after(180):
        async with open_node(world.settings(0), disk) as node:
            await wait_until(lambda: len(node.connected) == 3)
            disk.is_short = True
            await trio.sleep_forever()


@pytest.mark.parametrize("at", ["send", "commit"])
async def test_fault_F21_a_running_node_without_memory_ends_and_comes_back_whole(tmp_path: Path, at: str) -> None:
    """Not one task goes on: the node is over with the first of them."""
    world = found(tmp_path, 4)
    disk = NoMemory(at)
    async with world.running(first=1) as others:
        assert (await world.give_credential(others[0])).error is None
        with pytest.raises(ExceptionGroup) as ended:
            await until_it_ends(world, disk)
        assert ended.group_contains(MemoryError)
        report = await push(others[0], world, "r", a_commit(tmp_path / "work"))
        assert [ref.error for ref in report.refs] == [None]
        async with open_node(world.settings(0)) as again:
            await wait_until(lambda: again.height >= others[0].height and not again._database.list_missing())
            assert [one._node.equivocations for one in (again, *others)] == [0] * 4


def test_fault_F21_the_end_for_want_of_memory_is_told_as_such() -> None:
    """It is no bug, and what to do about it is said."""
    failure = failure_of(MemoryError())

    assert (failure.code, failure.exit_code) == ("out-of-memory", EXIT_CODES["out-of-memory"])
    assert "no more memory" in failure.message
    assert "start it again" in failure.message
