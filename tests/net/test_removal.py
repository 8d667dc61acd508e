"""Deleted repositories on the disks of whole nodes: held for a day of block time, gone after it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import trio
from attrs import evolve

from guts_core.chain import compose
from guts_core.chain.block import Block
from guts_core.chain.genesis import chain_id
from guts_core.codec import from_bytes, to_bytes
from guts_core.forge import queries
from guts_core.forge.actions import Action, DeleteRepository, RestoreRepository
from guts_core.forge.params import RESTORE_MS
from guts_core.names import RepoId
from guts_core.node.port import OpenFetch, Outcome, PortError, Projection, SubmitTransaction
from guts_net.disk import LocalDisk
from guts_net.handle import RunningNode
from guts_net.packs.layout import Layout
from guts_net.runtime import open_node
from guts_net.store import ChainDatabase
from tests.core.chain.chain_world import creation

from .world import WAIT_MS, Packed, World, a_commit, ask, found, push, wait_until


def database_of(node: RunningNode) -> ChainDatabase:
    return node._server._database


def applied(database: ChainDatabase) -> int:
    """The time of the newest block on disk."""
    stored = database.block_at(database.height())
    assert stored is not None
    return from_bytes(Block, stored.body).header.time


def repo_of(node: RunningNode, name: str) -> RepoId:
    found_repo = queries.repository_by_name(database_of(node), "alice", name)
    assert found_repo is not None
    return found_repo.id


def held(world: World, index: int) -> int:
    """How many packs a node keeps."""
    return len(list((world.seats[index].directory / "packs").glob("*.pack")))


async def act(node: RunningNode, world: World, *actions: Action, offset: int = 0) -> None:
    """A transaction of alice, signed with her account key, by a clock that many milliseconds ahead."""
    expires = int(time.time() * 1000) + offset + compose.LIFETIME_MS
    body = compose.by_account(chain_id(world.genesis), world.alice_id, actions, expires, os.urandom(32))
    signed = compose.sign_with_account_key(body, world.alice)
    outcome = await ask(node, SubmitTransaction(to_bytes(signed), (), WAIT_MS))
    assert isinstance(outcome, Outcome)
    assert outcome.error is None, outcome


async def two_repositories(path: Path, validators: int) -> tuple[World, Packed, list[RepoId]]:
    """A network that took the same pack into two repositories and another into the first, then stopped."""
    world = found(path, validators)
    shared, alone = a_commit(path / "shared"), a_commit(path / "alone")
    async with world.running() as nodes:
        assert (await world.give_credential(nodes[0])).error is None
        for name in ("one", "two"):
            assert (await push(nodes[0], world, name, shared)).refs[0].error is None
        repos = [repo_of(nodes[0], name) for name in ("one", "two")]
        assert (await push(nodes[0], world, "one", alone, repos[0], "alone")).refs[0].error is None
        await wait_until(lambda: all(held(world, i) == 2 for i in range(validators)))
        await act(nodes[0], world, DeleteRepository(repos[0], "one"))
        await wait_until(lambda: all(deleted_at(database_of(node), repos[0]) for node in nodes))
    return world, shared, repos


def deleted_at(database: ChainDatabase, repo: RepoId) -> int | None:
    record = queries.repository_even_deleted(database, repo)
    assert record is not None
    return record.deleted


class Watched(LocalDisk):
    """A disk that notes at which applied block time a repository was removed."""

    def __init__(self, directory: Path) -> None:
        super().__init__(self._note)
        self.layout = Layout(directory)
        self.removed: dict[str, int] = {}

    def _note(self, operation: str, subject: str) -> None:
        if operation == "remove-tree" and subject.endswith(".git"):
            with closing(ChainDatabase(self.layout.directory / "chain.db", LocalDisk())) as database:
                self.removed[subject] = applied(database)


async def test_a_deleted_repository_goes_when_the_applied_time_says_so_and_not_before(tmp_path: Path) -> None:
    """While the nodes run, on each of them; the pack that another repository lists stays, and is served."""
    world, _, repos = await two_repositories(tmp_path, 4)
    deleted = await the_deletion(world, repos[0])
    # So that the day ends some seconds after the start.
    offset = deleted + RESTORE_MS - int(time.time() * 1000) - 4_000
    disks = [Watched(seat.directory) for seat in world.seats]
    nodes = []
    async with trio.open_nursery() as nursery:
        for index, disk in enumerate(disks):
            nodes.append(await nursery.start(running, world, index, offset, disk))
        gone: Callable[[], bool] = lambda: not any(disk.layout.repo(repos[0]).exists() for disk in disks)  # noqa: E731  # read by two
        await wait_until(lambda: gone() and all(held(world, index) == 1 for index in range(4)))
        lease = await ask(nodes[0], OpenFetch(repos[1]))
        missing = await ask(nodes[0], OpenFetch(repos[0]))
        nursery.cancel_scope.cancel()

    for disk in disks:
        assert disk.removed[str(disk.layout.repo(repos[0]))] >= deleted + RESTORE_MS
        assert disk.layout.repo(repos[1]).exists()
    assert isinstance(lease, Projection)
    assert isinstance(missing, PortError)


async def the_deletion(world: World, repo: RepoId) -> int:
    async with world.running() as nodes:
        deleted = deleted_at(database_of(nodes[0]), repo)
    assert deleted is not None
    return deleted


async def running(
    world: World,
    index: int,
    offset: int,
    disk: LocalDisk | None,
    task_status: trio.TaskStatus[RunningNode],
) -> None:
    """A node whose clock is ahead."""
    async with open_node(evolve(world.settings(index), clock_offset_ms=offset), disk) as node:
        task_status.started(node)
        await trio.sleep_forever()


async def test_a_repository_comes_back_within_its_day_and_goes_by_block_time_alone(tmp_path: Path) -> None:
    """One node, stopped and started with its clock ever further ahead; without a block no time has passed."""
    world, shared, repos = await two_repositories(tmp_path, 1)
    layout = Layout(world.seats[0].directory)

    def state() -> tuple[bool, bool, int]:
        return layout.repo(repos[0]).exists(), layout.repo(repos[1]).exists(), held(world, 0)

    async def at(hours: int, *actions: Action, comes_to: tuple[bool, bool, int]) -> None:
        """Start so many hours from now, have these actions final, and stop when that is there."""
        offset = hours * 3_600_000
        async with open_node(evolve(world.settings(0), clock_offset_ms=offset)) as node:
            if actions:
                await act(node, world, *actions, offset=offset)
            await wait_until(lambda: state() == comes_to)
        assert state() == comes_to

    await at(12, RestoreRepository(repos[0]), comes_to=(True, True, 2))
    async with open_node(world.settings(0)) as node:
        assert isinstance(await ask(node, OpenFetch(repos[0])), Projection)
        refs = {ref.name: ref.oid for ref in queries.refs(database_of(node), repos[0])}
        assert refs["refs/heads/main"] == shared.oid
    await at(37, DeleteRepository(repos[0], "one"), comes_to=(True, True, 2))
    await at(37 + 25, comes_to=(True, True, 2))
    await at(37 + 26, DeleteRepository(repos[1], "two"), comes_to=(False, True, 1))
    await at(37 + 60, comes_to=(False, True, 1))
    await at(37 + 61, creation("three"), comes_to=(False, False, 0))


async def test_a_removal_that_was_interrupted_is_finished_at_the_next_start(tmp_path: Path) -> None:
    """Whatever is left of it: the directory, its links, the log of its refs, a pack still to be fetched."""
    world, _, repos = await two_repositories(tmp_path, 1)
    directory, offset = world.seats[0].directory, RESTORE_MS
    saved = tmp_path / "saved"
    for part in ("repos", "packs"):
        shutil.copytree(directory / part, saved / part)
    async with open_node(evolve(world.settings(0), clock_offset_ms=offset)) as node:
        await act(node, world, creation("three"), offset=offset)
        await wait_until(lambda: held(world, 0) == 1)
        pack = next(one for one in database_of(node).listed_packs(0) if one.repo == repos[0])
        database_of(node).add_missing(pack)
    for part in ("repos", "packs"):
        shutil.rmtree(directory / part)
        shutil.move(saved / part, directory / part)

    async with open_node(evolve(world.settings(0), clock_offset_ms=offset)) as node:
        assert database_of(node).list_missing() == []

    assert held(world, 0) == 1
    assert not Layout(directory).repo(repos[0]).exists()
    assert Layout(directory).repo(repos[1]).exists()

    disk = Watched(directory)
    async with open_node(evolve(world.settings(0), clock_offset_ms=offset), disk):
        pass
    assert disk.removed == {}  # each start would else do all removals of the network's life again
