"""F06, F11 to F16: a log torn anywhere, syncs that fail or lie, a disk that is full, read-only or slow."""

from __future__ import annotations

import errno
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from typing_extensions import override

from guts_core.codec import kinds
from guts_core.errors import Corrupt
from guts_core.names import Oid
from guts_core.node.port import REPLIES, OpenPush, PackData, PortError
from guts_core.node.push_parts import PushCommand
from guts_net.conversation import Conversation
from guts_net.disk import LocalDisk, LocalFile
from guts_net.handle import RunningNode
from guts_net.journal import FRAME_HEAD_BYTES, HEAD_BYTES, Journal
from guts_net.runtime import open_node
from tests.faults.bad_disk import BrokenDisk, FailingDisk, Left, until_cut
from tests.net.world import World, a_commit, found, push, status, wait_until

VOTES = (f"send {kinds.VOTE}:", f"send {kinds.AVAIL_SAID}:", f"send {kinds.PROPOSE}:")


@asynccontextmanager
async def all_but_the_first(world: World) -> AsyncIterator[list[RunningNode]]:
    """The honest rest, with alice's credential known."""
    async with world.running(first=1) as others:
        assert (await world.give_credential(others[0])).error is None
        yield others


async def takes_a_push(node: RunningNode, world: World, path: Path, name: str) -> None:
    """The network goes on."""
    report = await push(node, world, name, a_commit(path / f"work-{name}"))
    assert [ref.error for ref in report.refs] == [None]


async def until_it_ends(world: World, disk: BrokenDisk, act: Callable[[], Awaitable[None]]) -> None:
    """Run the first node, break its disk and act elsewhere: raises what ends the node."""
    async with open_node(world.settings(0), disk) as node:
        await wait_until(lambda: len(node._network.connected) == 3)
        disk.is_broken = True
        await act()
        await trio.sleep_forever()


async def refusal_of(node: RunningNode, world: World) -> str:
    """What a push is told that is refused before its pack is whole."""
    command = PushCommand("refs/heads/main", None, Oid(bytes(range(20))))
    opening = OpenPush(world.credential.seed, None, "here", False, False, (command,), 1000)
    async with await node.open() as stream:
        conversation = Conversation(stream)
        await conversation.say(opening)
        await conversation.say(PackData(b"PACK"))
        refusal = await conversation.hear(REPLIES)
    assert isinstance(refusal, PortError), refusal
    return refusal.message


async def is_one_state(nodes: list[RunningNode]) -> None:
    """All are at one height, of one state, and nobody saw two votes of one validator for one view."""
    await wait_until(lambda: len({node._node.ledger.head for node in nodes}) == 1)
    assert [node._node.equivocations for node in nodes] == [0] * len(nodes)


# ---- F06 ----


async def test_fault_F06_a_vote_log_torn_at_any_byte_is_a_prefix_of_what_was_promised(tmp_path: Path) -> None:
    """The log of a real node: cut anywhere, it has the records before the cut."""
    world = found(tmp_path, 1)
    async with world.running() as nodes:
        assert (await world.give_credential(nodes[0])).error is None
    path = world.seats[0].directory / "votes.log"
    data = path.read_bytes()
    journal, records = Journal.open(path, LocalDisk())
    journal.close()
    assert len(records) > 3

    ends = range(len(data) - len(records[-1]) - 2 * FRAME_HEAD_BYTES, len(data))
    for cut in [*range(HEAD_BYTES, ends[0], 11), *ends]:
        path.write_bytes(data[:cut])
        torn, left = Journal.open(path, LocalDisk())
        torn.close()
        assert left == records[: len(left)]
        assert len(left) < len(records)


async def test_fault_F06_a_damaged_vote_before_a_good_one_stops_the_voter(tmp_path: Path) -> None:
    """It may have forgotten a vote: it does not start, and says so."""
    world = found(tmp_path, 1)
    async with world.running() as nodes:
        assert (await world.give_credential(nodes[0])).error is None
    path = world.seats[0].directory / "votes.log"
    data = bytearray(path.read_bytes())
    data[HEAD_BYTES + 40] ^= 1
    path.write_bytes(data)

    with pytest.raises(Corrupt, match="must not vote again"):
        async with open_node(world.settings(0)):
            pass


# ---- F11, F15: a journal that cannot be kept ----


@pytest.mark.parametrize(
    ("operation", "code"),
    [("sync", errno.EIO), ("write", errno.EIO), ("write", errno.EROFS), ("write", errno.EACCES)],
)
async def test_fault_F11_F15_a_vote_that_cannot_be_kept_is_not_said_and_the_node_ends(
    tmp_path: Path, operation: str, code: int
) -> None:
    """Never tried again: the kernel forgets what it could not write. The others go on; restarted, it catches up."""
    world = found(tmp_path, 4)
    disk = BrokenDisk(operation, "votes.log", code)
    async with all_but_the_first(world) as others:
        with pytest.raises(ExceptionGroup) as ended:
            await until_it_ends(world, disk, lambda: takes_a_push(others[0], world, tmp_path, "while"))
        assert ended.group_contains(OSError, match=str(code))
        assert disk.failures == 1
        assert [said for said in disk.after if said.startswith(VOTES)] == []

        await takes_a_push(others[0], world, tmp_path, "after")
        async with open_node(world.settings(0)) as back:
            await is_one_state([back, *others])


async def test_fault_F11_a_pack_that_cannot_be_synced_is_never_vouched_for_and_the_node_ends(tmp_path: Path) -> None:
    """EIO from the sync of a pack: only a new process knows what is on that disk."""
    world = found(tmp_path, 4)
    disk = BrokenDisk("sync", ".pack")
    async with all_but_the_first(world) as others:
        with pytest.raises(ExceptionGroup) as ended:
            await until_it_ends(world, disk, lambda: takes_a_push(others[0], world, tmp_path, "while"))
        assert ended.group_contains(OSError, match="Input/output error")
        assert [said for said in disk.after if said.startswith(f"send {kinds.AVAIL_SAID}:")] == []
        async with open_node(world.settings(0)) as back:
            await is_one_state([back, *others])
            await wait_until(lambda: back._server._status().missing_packs == 0)


async def test_fault_F15_packs_on_a_read_only_disk_are_refused_and_agreement_goes_on(tmp_path: Path) -> None:
    """The pusher is told to come back; the same node's votes still count."""
    world = found(tmp_path, 4)
    disk = ReadOnlyQuarantine()
    async with world.running([disk, None, None, None]) as nodes:
        assert (await world.give_credential(nodes[0])).error is None
        disk.is_read_only = True
        assert "cannot write packs now" in await refusal_of(nodes[0], world)
        await takes_a_push(nodes[1], world, tmp_path, "elsewhere")
        disk.is_read_only = False
        await takes_a_push(nodes[0], world, tmp_path, "again")
        await is_one_state(nodes)


class ReadOnlyQuarantine(LocalDisk):
    """No new file or directory, while it is so."""

    is_read_only = False

    @override
    def make_directory(self, path: Path, mode: int = 0o700) -> None:
        if self.is_read_only:
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        super().make_directory(path, mode)


# ---- F12 ----


class LyingDisk(FailingDisk):
    """Says that everything is durable, and nothing is."""

    @override
    def made_durable(self, place: Path) -> None:
        """Not at all."""


async def test_fault_F12_what_one_lying_disk_loses_is_at_all_others_and_comes_back(tmp_path: Path) -> None:
    """A drive cache that forgets at one node of four: every acknowledged push stays, and is mended there."""
    world = found(tmp_path, 4)
    async with world.running() as nodes:
        assert (await world.give_credential(nodes[0])).error is None
    disk = LyingDisk()
    async with world.running(first=1) as others:

        async def act(node: RunningNode) -> None:
            await wait_until(lambda: len(node._network.connected) == 3)
            disk._loose.clear()
            await takes_a_push(others[0], world, tmp_path, "acknowledged")
            await wait_until(lambda: any((world.seats[0].directory / "packs").glob("*.pack")))
            disk.arm(0)

        await until_cut(world.settings(0), disk, Left.NOTHING, act)
        assert list((world.seats[0].directory / "packs").glob("*.pack")) == []
        await takes_a_push(others[0], world, tmp_path, "without")
        async with open_node(world.settings(0)) as back:
            goal = others[0]._node.ledger.head.height
            await wait_until(lambda: back._server._status().height >= goal)
            await wait_until(lambda: back._server._status().missing_packs == 0)
            assert len(list((world.seats[0].directory / "packs").glob("*.pack"))) == 2
            await wait_until(lambda: len({n._node.ledger.head.state_root for n in (back, *others)}) == 1)


# ---- F13 ----


class FullDisk(LocalDisk):
    """Has as much room as it is told."""

    free: int | None = None

    @override
    def free_bytes(self, path: Path) -> int:
        return super().free_bytes(path) if self.free is None else self.free


async def test_fault_F13_a_node_without_room_refuses_clients_votes_on_and_recovers_by_itself(tmp_path: Path) -> None:
    """Its own pushers hear why; those of others succeed with its votes; when room returns, so does it."""
    world = found(tmp_path, 4)
    disk = FullDisk()
    async with world.running([disk, None, None, None]) as nodes:
        assert (await world.give_credential(nodes[0])).error is None
        disk.free = 0
        assert "low on disk space" in await refusal_of(nodes[0], world)
        await takes_a_push(nodes[1], world, tmp_path, "elsewhere")
        await is_one_state(nodes)

        disk.free = None
        await takes_a_push(nodes[0], world, tmp_path, "here")
        await wait_until(lambda: nodes[0]._server._status().missing_packs == 0)
        await is_one_state(nodes)


# ---- F16 ----


class SlowDisk(LocalDisk):
    """Every sync of the vote log takes this long."""

    seconds = 0.0

    @override
    def append(self, path: Path) -> LocalFile:
        file = super().append(path)
        return _SlowFile(self, path, file._raw)


class _SlowFile(LocalFile):
    _disk: SlowDisk

    @override
    def sync(self) -> None:
        time.sleep(self._disk.seconds)
        super().sync()


@pytest.mark.parametrize("seconds", [0.01, 0.3, 1.5])
async def test_fault_F16_a_slow_disk_holds_up_the_loop_once_and_never_the_others(
    tmp_path: Path, seconds: float
) -> None:
    """But for one that found it slow, syncs are in threads: the loop serves on; three quick disks are a quorum."""
    world = found(tmp_path, 4)
    disk = SlowDisk()
    async with world.running([disk, None, None, None]) as nodes:
        assert (await world.give_credential(nodes[1])).error is None
        disk.seconds = seconds
        gaps: list[float] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch_the_loop, gaps.append)
            for number in range(2):
                await takes_a_push(nodes[1], world, tmp_path, f"quick{number}")
            nursery.cancel_scope.cancel()
        if seconds > 1:
            assert len([gap for gap in gaps if gap >= seconds]) <= 1, "the loop waited for a disk again"
        disk.seconds = 0.0
        await is_one_state(nodes)


async def watch_the_loop(note: Callable[[float], object]) -> None:
    """How long the loop lets others wait."""
    while True:
        before = trio.current_time()
        await trio.sleep(0.01)
        note(trio.current_time() - before)


async def test_the_status_of_a_healthy_disk_names_no_damage(tmp_path: Path) -> None:
    """What readyz looks at is there and empty."""
    async with found(tmp_path, 1).running() as nodes:
        assert (await status(nodes[0])).damage is None
