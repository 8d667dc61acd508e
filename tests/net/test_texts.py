"""
Texts on real disks: durable before the commit that lists them, gone with the commit that erases them.

The order is watched through the Disk door, as in ``test_order_of_writes``; and the power is cut at each
step, after which the node's next start puts right what was left.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from attrs import evolve
from typing_extensions import override

from guts_core.chain import compose
from guts_core.chain.commit import ListedText, TextName
from guts_core.chain.genesis import chain_id
from guts_core.chain.texts import DIRECTORY, file_of
from guts_core.chain.transaction import Text
from guts_core.codec import to_bytes
from guts_core.forge import queries
from guts_core.forge.actions import Action, CreateRepository, DeleteRepository, Erase
from guts_core.forge.ids import repository_id
from guts_core.forge.params import RESTORE_MS
from guts_core.forge.records import ObjectFormat, TextState
from guts_core.names import RepoId
from guts_core.node.port import Outcome, Phase, SubmitTransaction
from guts_net.disk import LocalDisk
from guts_net.handle import RunningNode
from guts_net.repair import AskingOrder
from guts_net.runtime import open_node
from guts_net.store import ChainDatabase
from guts_net.texts import TextStore
from tests.net.test_order_of_writes import COMMIT, Seen, WatchedDisk
from tests.net.world import WAIT_MS, World, ask, found, status, wait_until

SALT = b"\x05" * 32


def a_text() -> Text:
    """Words that stand nowhere by chance."""
    return Text(os.urandom(32), "canary " + os.urandom(16).hex())


def repo_of(world: World) -> RepoId:
    return repository_id(chain_id(world.genesis), world.alice_id, SALT)


async def act(node: RunningNode, world: World, action: Action, *texts: Text, offset_ms: int = 0) -> Outcome:
    """Alice does this, signed with her key, by a clock that far ahead; what became of it."""
    now = time.time_ns() // 1_000_000 + offset_ms
    body = compose.by_account(
        chain_id(world.genesis), world.alice_id, (action,), now + compose.LIFETIME_MS, os.urandom(32)
    )
    signed = compose.sign_with_account_key(body, world.alice)
    outcome = await ask(node, SubmitTransaction(to_bytes(signed), texts, WAIT_MS))
    assert isinstance(outcome, Outcome)
    return outcome


async def describe(node: RunningNode, world: World, text: Text) -> None:
    """A repository of Alice's, described."""
    create = CreateRepository("r", SALT, False, "refs/heads/main", ObjectFormat.SHA1, "all", text.commitment)
    done = await act(node, world, create, text)
    assert (done.phase, done.error) == (Phase.FINAL, None), done


async def erase(node: RunningNode, world: World, text: Text) -> None:
    done = await act(node, world, Erase(repo_of(world), text.commitment, ()))
    assert (done.phase, done.error) == (Phase.FINAL, None), done


def file(world: World, text: Text, index: int = 0) -> Path:
    return world.seats[index].directory / DIRECTORY / file_of(TextName(repo_of(world), text.commitment))


def holders(directory: Path, text: Text) -> list[str]:
    """Files that hold the words, or the salt, which would let anybody prove that they guessed the words."""
    wanted = (text.text.encode(), text.salt)
    found_in = [path for path in directory.rglob("*") if path.is_file()]
    return [path.name for path in found_in if any(one in path.read_bytes() for one in wanted)]


def state_of(node: RunningNode, world: World, text: Text) -> TextState | None:
    record = queries.text(node._server._database, repo_of(world), text.commitment)
    return None if record is None else record.state


# ---- the order of writes ----


def listed_before_durable(seen: Seen) -> list[str]:
    """Commits since a text was renamed to its place, before its directory was synced."""
    wrong, unsynced = [], False
    for operation, subject in seen:
        if f"/{DIRECTORY}/" in subject:
            unsynced = operation == "rename" or (unsynced and operation != "sync-directory")
        if (operation, subject) == COMMIT and unsynced:
            wrong.append(subject)
    assert any(operation == "rename" and f"/{DIRECTORY}/" in subject for operation, subject in seen)
    return wrong


def told_before_gone(seen: Seen) -> list[str]:
    """Erasures told while the file's name may come back by a power cut, or before they were committed."""
    wrong, committed, gone = [], False, False
    for event in seen:
        operation, subject = event
        committed = committed or event == COMMIT
        if operation == "unlink" and f"/{DIRECTORY}/" in subject:
            wrong += [] if committed else ["unlinked before its commit"]
        gone = gone or (operation == "sync-directory" and f"/{DIRECTORY}/" in subject)
        if event == ("told", "erased"):
            wrong += [] if committed and gone else ["told too early"]
    assert ("told", "erased") in seen
    return wrong


async def watched(path: Path, without: str | None = None) -> tuple[Seen, Seen]:
    """What node 0 of four does at its disk for a description, and then for its erasure."""
    world, disk, text = found(path, 4), WatchedDisk(without), a_text()
    async with world.running([disk, None, None, None]) as nodes:
        await describe(nodes[0], world, text)
        split = len(disk.seen)
        await erase(nodes[0], world, text)
        disk.seen.append(("told", "erased"))
        await wait_until(lambda: ("rename", str(world.seats[0].directory / "votes.log")) in disk.seen[split:])
    return disk.seen[:split], disk.seen[split:]


async def test_a_text_is_durable_before_its_commit_and_gone_before_it_is_said_to_be(tmp_path: Path) -> None:
    described, erased = await watched(tmp_path)

    assert listed_before_durable(described) == []
    assert told_before_gone(erased) == []


class NoTextDirectory(WatchedDisk):
    """Skips the syncs of directories of texts."""

    def _skips(self, path: Path) -> bool:
        return path.parent.name == DIRECTORY


async def test_a_skipped_sync_of_a_text_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that cannot fail guards nothing."""
    monkeypatch.setattr(WatchedDisk, "_skips", NoTextDirectory._skips)
    described, erased = await watched(tmp_path)

    assert listed_before_durable(described) != []
    assert told_before_gone(erased) != []


# ---- power cuts ----


class PowerCut(OSError):
    """The machine stopped."""


class CutDisk(LocalDisk):
    """Ends everything just after (or before) the first operation of this kind on such a path, once armed."""

    def __init__(self, operation: str, where: str, *, after: bool) -> None:
        self.armed = self.was_cut = self.rewritten = False
        self._operation, self._where, self._after = operation, where, after
        self._renamed_log = False
        super().__init__(self._watch)

    def _watch(self, operation: str, subject: str) -> None:
        if self._after:
            self._cut(operation, subject)
        self.rewritten = self.rewritten or (operation == "sync-directory" and self._renamed_log)
        self._renamed_log = self._renamed_log or (operation == "rename" and subject.endswith("votes.log"))

    def _cut(self, operation: str, subject: str) -> None:
        if self.was_cut or (self.armed and operation == self._operation and self._where in subject):
            self.was_cut = True
            raise PowerCut(f"cut at {operation} {subject}")

    def rename(self, source: Path, target: Path) -> None:
        """As LocalDisk."""
        self._before("rename", target)
        super().rename(source, target)

    def unlink(self, path: Path) -> None:
        """As LocalDisk."""
        self._before("unlink", path)
        super().unlink(path)

    def sync_directory(self, path: Path) -> None:
        """As LocalDisk."""
        self._before("sync-directory", path)
        super().sync_directory(path)

    def _before(self, operation: str, path: Path) -> None:
        if not self._after:
            self._cut(operation, str(path))


async def cut_during(world: World, disk: CutDisk, doing: Callable[[RunningNode], Awaitable[None]]) -> None:
    """One node's life, until the power is cut while it does this."""
    with pytest.raises((BaseExceptionGroup, PowerCut)):
        await live(world, disk, doing)
    assert disk.was_cut


async def live(world: World, disk: CutDisk, doing: Callable[[RunningNode], Awaitable[None]]) -> None:
    async with open_node(world.settings(0), disk) as node:
        # Every start rewrites the log, and that is not the step that is looked at.
        await wait_until(lambda: disk.rewritten)
        disk.armed = True
        with suppress(trio.EndOfChannel, trio.BrokenResourceError):
            await doing(node)
        with trio.fail_after(180):
            await trio.sleep_forever()


@pytest.mark.parametrize(
    ("operation", "where", "after"),
    [
        ("rename", f"/{DIRECTORY}/", False),  # written beside, and not in its place
        ("rename", f"/{DIRECTORY}/", True),
        ("sync-directory", f"/{DIRECTORY}/", True),  # durable, and not committed
        ("commit", "chain.db", True),  # committed, and not reported
    ],
)
async def test_a_text_survives_a_power_cut_at_each_step_of_its_writing(
    tmp_path: Path, operation: str, where: str, after: bool
) -> None:
    """The vote log has it until its file is durable; nothing half written is taken for it."""
    world, text = found(tmp_path, 1), a_text()
    await cut_during(world, CutDisk(operation, where, after=after), lambda node: describe(node, world, text))

    async with world.running() as nodes:
        await wait_until(lambda: state_of(nodes[0], world, text) is TextState.PRESENT)
        await wait_until(lambda: file(world, text).exists())

        assert file(world, text).read_bytes() == to_bytes(text)
        assert (await status(nodes[0])).missing_texts == 0
    assert not [path for path in world.seats[0].directory.rglob("*.new") if DIRECTORY in path.parts]


@pytest.mark.parametrize(
    ("operation", "where", "after"),
    [
        ("commit", "chain.db", True),  # committed, and the file still there
        ("unlink", f"/{DIRECTORY}/", True),
        ("sync-directory", f"/{DIRECTORY}/", True),  # gone, and the vote log not yet rewritten
        ("rename", "votes.log", False),
        ("rename", "votes.log", True),
    ],
)
async def test_an_erasure_is_finished_after_a_power_cut_at_each_step(
    tmp_path: Path, operation: str, where: str, after: bool
) -> None:
    """Whatever was left of the words is gone when the node stands again."""
    world, text = found(tmp_path, 1), a_text()
    async with world.running() as nodes:
        await describe(nodes[0], world, text)
    await cut_during(world, CutDisk(operation, where, after=after), lambda node: erase(node, world, text))

    async with world.running() as nodes:
        await wait_until(lambda: state_of(nodes[0], world, text) is TextState.ERASED)
        await wait_until(lambda: holders(world.seats[0].directory, text) == [])
        assert (await status(nodes[0])).missing_texts == 0


async def test_an_unlink_that_a_power_cut_undid_is_done_again(tmp_path: Path) -> None:
    """The name was not synced away: the state says what must not be here."""
    world, text = found(tmp_path, 1), a_text()
    async with world.running() as nodes:
        await describe(nodes[0], world, text)
        await erase(nodes[0], world, text)
    file(world, text).write_bytes(to_bytes(text))

    async with world.running():
        assert holders(world.seats[0].directory, text) == []


# ---- peers ----


async def test_a_node_that_was_away_gets_blocks_without_texts_and_asks_for_them(tmp_path: Path) -> None:
    """It is told that one is missing, commits all the same, and has it a moment later."""
    world, text = found(tmp_path, 4), a_text()
    async with world.running(first=1) as nodes:
        await describe(nodes[0], world, text)
        async with open_node(world.settings(0)) as late:
            await wait_until(lambda: file(world, text).exists())
            await wait_until(lambda: late._server._status().missing_texts == 0)
            assert file(world, text).read_bytes() == to_bytes(text)
    assert "text_repaired" in (world.path / "node0.log").read_text()
    assert text.text not in (world.path / "node0.log").read_text()


async def test_a_node_that_was_away_learns_of_the_erasure_and_leaves_no_trace(tmp_path: Path) -> None:
    """It held the text in its file and in its log, and was down when it was erased."""
    world, text = found(tmp_path, 4), a_text()
    async with world.running() as nodes:
        await describe(nodes[0], world, text)
        await wait_until(lambda: all(file(world, text, index).exists() for index in range(4)))
    assert holders(world.seats[0].directory, text) != []
    async with world.running(first=1) as nodes:
        await erase(nodes[0], world, text)
        async with open_node(world.settings(0)) as late:
            await wait_until(lambda: state_of(late, world, text) is TextState.ERASED)
            await wait_until(lambda: holders(tmp_path, text) == [])


async def test_an_erased_text_is_never_asked_for(tmp_path: Path) -> None:
    """Who was away for both finds that there is nothing to get, and misses nothing."""
    world, text = found(tmp_path, 4), a_text()
    async with world.running(first=1) as nodes:
        await describe(nodes[0], world, text)
        await erase(nodes[0], world, text)
        async with open_node(world.settings(0)) as late:
            await wait_until(lambda: state_of(late, world, text) is TextState.ERASED)
            assert (await status(late)).missing_texts == 0
            await wait_until(lambda: holders(tmp_path, text) == [])


async def test_fault_F09_a_text_that_a_disk_lost_or_damaged_is_fetched_again(tmp_path: Path) -> None:
    """One node's file is gone, another's has rotted: both are found at the start, no rotten one is given away."""
    world, text = found(tmp_path, 4), a_text()
    async with world.running() as nodes:
        await describe(nodes[0], world, text)
        await wait_until(lambda: all(file(world, text, index).exists() for index in range(4)))
    good = to_bytes(text)
    file(world, text, 3).unlink()
    file(world, text, 0).write_bytes(good[:-1] + b"!")

    async with world.running() as nodes:
        await wait_until(lambda: all(file(world, text, index).exists() for index in range(4)))
        await wait_until(lambda: all(file(world, text, index).read_bytes() == good for index in range(4)))
        await wait_until(lambda: all(node._server._status().missing_texts == 0 for node in nodes))


class FullDisk(LocalDisk):
    """Takes no small file until there is room."""

    def __init__(self, says: int) -> None:
        super().__init__()
        self.says, self.has_room, self.refused = says, False, 0

    @override
    def write_file(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        if not self.has_room:
            self.refused += 1
            raise OSError(self.says, os.strerror(self.says), str(path))
        super().write_file(path, data, mode)


@pytest.mark.parametrize("says", [errno.ENOSPC, errno.EMFILE])
async def test_fault_F13_a_full_disk_takes_a_fetched_text_later_and_the_node_goes_on(tmp_path: Path, says: int) -> None:
    """It is one more try of a search that goes on anyway; and so with a machine that has no file to open."""
    world, text, disk = found(tmp_path, 4), a_text(), FullDisk(says)
    async with world.running(first=1) as nodes:
        await describe(nodes[0], world, text)
        async with open_node(world.settings(0), disk) as late:
            await wait_until(lambda: disk.refused > 0)
            assert late._server._status().missing_texts == 1
            disk.has_room = True
            await wait_until(lambda: late._server._status().missing_texts == 0)
            assert file(world, text).read_bytes() == to_bytes(text)


async def test_fault_F09_a_rotten_text_that_a_peer_asks_for_is_fetched_again_at_once(tmp_path: Path) -> None:
    """Not at the next start: whoever notices it wakes the search."""
    world, text = found(tmp_path, 4), a_text()
    async with world.running() as nodes:
        await describe(nodes[0], world, text)
        await wait_until(lambda: all(file(world, text, index).exists() for index in range(4)))
    good = to_bytes(text)
    file(world, text, 0).unlink()
    async with open_node(world.settings(1)) as asked:
        await wait_until(lambda: asked._server._status().started)
        await wait_until(lambda: not asked._server._status().missing_texts)
        file(world, text, 1).write_bytes(good[:-1] + b"!")
        # Nobody else is there to be asked instead.
        async with open_node(world.settings(0)):
            await wait_until(lambda: asked._server._status().missing_texts == 1)
            async with world.running(first=2):
                await wait_until(lambda: file(world, text).exists())
                await wait_until(lambda: file(world, text, 1).read_bytes() == good)


async def test_a_text_that_nobody_holds_stays_missing_and_is_said_to_be(tmp_path: Path) -> None:
    """Agreement goes on; the operator sees a number and a line in the log, and the erasure ends the search."""
    world, text = found(tmp_path, 4), a_text()
    async with world.running() as nodes:
        await describe(nodes[0], world, text)
        await wait_until(lambda: all(file(world, text, index).exists() for index in range(4)))
    for index in range(4):
        file(world, text, index).unlink()

    async with world.running() as nodes:
        await wait_until(lambda: "text_still_missing" in (world.path / "node0.log").read_text())
        assert (await status(nodes[0])).missing_texts == 1
        await erase(nodes[0], world, text)
        assert (await status(nodes[0])).missing_texts == 0


async def test_texts_of_a_repository_that_cannot_be_restored_any_more_go_with_it(tmp_path: Path) -> None:
    """For a day they are kept; then they are neither here nor missing, after a restart either."""
    world, text = found(tmp_path, 1), a_text()
    async with world.running() as nodes:
        await describe(nodes[0], world, text)
        done = await act(nodes[0], world, DeleteRepository(repo_of(world), "r"))
        assert done.error is None
        assert file(world, text).exists()
    later = evolve(world.settings(0), clock_offset_ms=RESTORE_MS)
    async with open_node(later) as node:
        assert file(world, text).exists()
        again = CreateRepository("s", bytes(32), False, "refs/heads/main", ObjectFormat.SHA1, "all", None)
        assert (await act(node, world, again, offset_ms=RESTORE_MS)).error is None
        await wait_until(lambda: not file(world, text).exists())

    async with open_node(later) as node:
        assert (await status(node)).missing_texts == 0
    assert holders(world.seats[0].directory, text) == []


# ---- the store by itself ----


def opened(path: Path) -> tuple[TextStore, ChainDatabase]:
    disk = LocalDisk()
    database = ChainDatabase(path / "chain.db", disk)
    return TextStore(path, disk, database, lambda: 0), database


def test_what_does_not_belong_among_the_texts_is_swept(tmp_path: Path) -> None:
    """Half-written ones, unlisted ones, those in a wrong place; a start leaves what the state lists."""
    texts, database = opened(tmp_path)
    name = TextName(RepoId(SALT), a_text().commitment)
    texts.write(name, b"unlisted")
    texts.path(name).with_name("half.new").write_bytes(b"half")

    assert texts.sweep() == 2
    assert [path for path in (tmp_path / DIRECTORY).rglob("*") if path.is_file()] == []
    database.close()


def test_a_text_that_came_before_is_not_missing_when_a_block_comes_without_it(tmp_path: Path) -> None:
    texts, database = opened(tmp_path)
    held, other = a_text(), a_text()
    name, lacking = (TextName(RepoId(SALT), text.commitment) for text in (held, other))
    texts.write(name, to_bytes(held))

    assert texts.keep([ListedText(name, None), ListedText(lacking, None)]) == {lacking}
    assert texts.read(name) == to_bytes(held)
    database.close()


def test_a_validator_that_gives_nothing_is_asked_last() -> None:
    """One that does not answer costs half a minute: once, and not once for each text."""
    order = AskingOrder()
    assert order.of({2, 1, 3}) == [1, 2, 3]

    order.failed(1)
    order.failed(1)
    order.failed(3)

    assert order.of({1, 2, 3}) == [2, 3, 1]
    assert order.of({1, 4}) == [4, 1]
