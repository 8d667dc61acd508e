"""
What is durable before what is said: the order of writes of one node among four, through its Disk door.

Each rule is a function from what the door saw to its violations. The unbroken node has none; a node
whose disk skips one sync violates exactly that rule, so the rule can fail.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typing_extensions import override

from guts_core.codec import kinds
from guts_net.disk import LocalDisk, LocalFile

from .world import a_commit, found, push

Seen = list[tuple[str, str]]
OK = ("told", "ok")
COMMIT = ("commit", "chain.db")


class WatchedDisk(LocalDisk):
    """Writes down everything in order; skips the syncs whose path ends in ``without``."""

    def __init__(self, without: str | None = None) -> None:
        self.seen: Seen = []
        self._without = without
        super().__init__(lambda operation, subject: self.seen.append((operation, subject)))

    def _skips(self, path: Path) -> bool:
        return self._without is not None and str(path).endswith(self._without)

    @override
    def append(self, path: Path) -> LocalFile:
        file = super().append(path)
        return UnsyncedFile(self, path, file._raw) if self._skips(path) else file

    @override
    def sync_file(self, path: Path) -> None:
        if not self._skips(path):
            super().sync_file(path)

    @override
    def sync_directory(self, path: Path) -> None:
        if not self._skips(path):
            super().sync_directory(path)


class UnsyncedFile(LocalFile):
    """A file that a power cut would take."""

    @override
    def sync(self) -> None:
        self._raw.flush()


def votes_sent_unsynced(seen: Seen) -> list[str]:
    """Votes and promises to hold a pack that left before the log was synced."""
    said: set[str] = set()
    unsynced, wrong = False, []
    for operation, subject in seen:
        if subject.endswith("votes.log"):
            unsynced = operation == "write" or (unsynced and operation != "sync")
        kind = subject.split(":")[0]
        if operation == "send" and kind in {str(kinds.VOTE), str(kinds.AVAIL_SAID)} and subject not in said:
            said.add(subject)
            wrong += [subject] if unsynced else []
    assert said, "no vote was sent at all"
    return wrong


def avails_before_packs(seen: Seen) -> list[str]:
    """Promises to hold a pack that left before the pack, its index and their directory were synced."""
    wrong, done, said = [], set(), set()
    for operation, subject in seen:
        if operation == "rename" and "/packs/" in subject:
            done.discard("packs")
        if operation == "sync":
            done.add(Path(subject).suffix)
        if operation == "sync-directory" and subject.endswith("/packs"):
            done.add("packs")
        if operation == "send" and subject.startswith(f"{kinds.AVAIL_SAID}:") and subject not in said:
            said.add(subject)
            wrong += [] if {".pack", ".idx", "packs"} <= done else [subject]
    assert said, "no pack was attested at all"
    return wrong


def oks_before_commits(seen: Seen) -> list[str]:
    """Pushes acknowledged without a commit since the pack was linked."""
    wrong, committed = [], False
    for event in seen:
        if event[0] == "link":
            committed = False
        if event == COMMIT:
            committed = True
        if event == OK and not committed:
            wrong.append("ok")
    assert OK in seen
    return wrong


async def watched_push(path: Path, without: str | None = None) -> Seen:
    """A push through node 0 and one through node 1, as node 0's disk saw them."""
    world = found(path, 4)
    disk = WatchedDisk(without)
    async with world.running([disk, None, None, None]) as nodes:
        assert (await world.give_credential(nodes[0])).error is None
        for index in (0, 1):
            packed = a_commit(path / f"work{index}")
            report = await push(nodes[index], world, f"hello{index}", packed)
            assert [ref.error for ref in report.refs] == [None]
            if index == 0:
                disk.seen.append(OK)
    return disk.seen


async def test_everything_is_durable_before_it_is_said(tmp_path: Path) -> None:
    """Votes, promises and acknowledgements survive the power cut that follows them."""
    seen = await watched_push(tmp_path)

    assert votes_sent_unsynced(seen) == []
    assert avails_before_packs(seen) == []
    assert oks_before_commits(seen) == []


@pytest.mark.parametrize(
    ("without", "rule"),
    [
        ("votes.log", votes_sent_unsynced),
        (".pack", avails_before_packs),
        (".idx", avails_before_packs),
        ("/packs", avails_before_packs),
    ],
)
async def test_a_skipped_sync_is_noticed(tmp_path: Path, without: str, rule: Callable[[Seen], list[str]]) -> None:
    """A rule that cannot fail guards nothing."""
    assert rule(await watched_push(tmp_path, without)) != []


async def test_an_acknowledgement_without_a_commit_is_noticed(tmp_path: Path) -> None:
    """The third rule can fail too."""
    seen = await watched_push(tmp_path)

    assert oks_before_commits([event for event in seen if event != COMMIT]) == ["ok"]
