"""
The end of a run: whether every node tells one story, and whether everything that was promised is in it.

Asked is what users ask: refs, the log of every ref, blocks, repositories, and a clone from each node.
"""

from __future__ import annotations

import subprocess
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import trio
from attrs import frozen

from guts_core.errors import GutsError
from guts_core.sim.histories import Refs, Undecided, Violation, total_order
from guts_http.client import RefMove, TrioClient, open_trio_client

from .clients import REPOSITORIES
from .nodes import Nodes
from .record import Push, Record
from .watch import ask_all

T = TypeVar("T")
# Everything is well again: a restart, a handshake, and what was missed; ten times what an idle machine needs.
CONVERGED_SECONDS = 90.0
POLL_SECONDS = 0.5
# Longer than any view lasts, whatever the network was through.
LEFT_BEHIND_SECONDS = 15.0
CLONE_SECONDS = 120.0


@frozen
class Story:
    """What one node tells."""

    root: bytes
    refs: tuple[tuple[str, str, str], ...]  # repository, ref, oid
    moves: tuple[tuple[str, RefMove], ...]  # of each ref of each repository, newest first
    repositories: frozenset[str]


@frozen
class Verdict:
    """What is wrong: nothing, if all is well."""

    lost: tuple[Push, ...]
    differences: tuple[str, ...]
    height: int
    converged_seconds: float


async def judge(nodes: Nodes, record: Record, directory: Path, token: str) -> Verdict:
    """Wait until nothing is under way at any node, then hold what they tell against each other and the record."""
    began = trio.current_time()
    height = await _converged(nodes)
    seconds = trio.current_time() - began
    if height is None:
        return Verdict((), (f"after {CONVERGED_SECONDS:.0f} s not all nodes are at one height",), 0, seconds)
    stories = [
        await _asked(nodes.seat(index).url, token, lambda client: _story(client, nodes, height))
        for index in range(nodes.count)
    ]
    differences = [*_compare(stories), *_lacking(stories, record), *await _clones(nodes, record, directory)]
    if broken := _against_history(stories[0], record):
        differences.append(broken)
    return Verdict(_lost(stories, record), tuple(differences), height, seconds)


async def _converged(nodes: Nodes) -> int | None:
    """The height that every node has reached with all its packs, when nothing is under way any more."""
    goal, waiting, since = 0, [0], trio.current_time()
    with trio.move_on_after(CONVERGED_SECONDS):
        while True:
            found = [status for status in await ask_all(nodes) if status]
            is_whole = len(found) == nodes.count and not any(status.missing_packs for status in found)
            if goal and is_whole and all(status.height >= goal for status in found):
                return goal
            before, waiting = waiting, [status.mempool for status in found]
            if waiting != before:
                since = trio.current_time()
            # What clients left behind when they were stopped becomes final yet, or waits for what never comes.
            is_quiet = not any(waiting) or trio.current_time() - since > LEFT_BEHIND_SECONDS
            goal = max(status.height for status in found) if is_whole and is_quiet else 0
            await trio.sleep(POLL_SECONDS)
    return None


async def _asked(url: str, token: str, question: Callable[[TrioClient], Awaitable[T]]) -> T:
    async with open_trio_client(url, token) as client:
        return await question(client)


async def _story(client: TrioClient, nodes: Nodes, height: int) -> Story:
    owner = nodes.network.file.account
    refs: list[tuple[str, str, str]] = []
    moves: list[tuple[str, RefMove]] = []
    made = frozenset([repository.name async for repository in client.my_repositories()])
    for repo in REPOSITORIES:
        if repo not in made:
            continue
        listed = [ref async for ref in client.matching_refs(f"{owner}/{repo}", "heads/")]
        refs += [(repo, ref.name, ref.sha.hex()) for ref in listed]
        for ref in listed:
            moves += [(repo, move) async for move in client.ref_log(f"{owner}/{repo}", ref.name)]
    return Story((await client.block(height)).state_root, tuple(sorted(refs)), tuple(moves), made)


def _compare(stories: list[Story]) -> list[str]:
    found: list[str] = []
    for (first, one), (second, other) in pairwise(enumerate(stories)):
        found += [
            f"nodes {first} and {second} differ in their {name}"
            for name in ("root", "refs", "moves", "repositories")
            if getattr(one, name) != getattr(other, name)
        ]
    return found


def _lacking(stories: list[Story], record: Record) -> list[str]:
    return [
        f"repository {name}, acknowledged by node {through}, is not on node {index}"
        for name, through in record.repositories.items()
        for index, story in enumerate(stories)
        if name not in story.repositories
    ]


def _lost(stories: list[Story], record: Record) -> tuple[Push, ...]:
    """Acknowledged, and not in the history of its ref on every node."""
    known = [{(repo, move.ref, move.new.hex()) for repo, move in story.moves if move.new} for story in stories]
    return tuple(p for p in record.acknowledged if not all((p.repo, p.ref, p.oid) in moved for moved in known))


def _against_history(story: Story, record: Record) -> str | None:
    """Whether what clients were told fits the chain's order."""
    log = [
        ((move.height, move.index), record.oids[move.new.hex()])
        for _, move in story.moves
        if move.new and move.new.hex() in record.oids
    ]
    try:
        total_order(Refs(), record.history.operations, log)
    except (Violation, Undecided) as error:
        return f"what clients were told does not fit the chain: {error}"
    return None


async def _clones(nodes: Nodes, record: Record, directory: Path) -> list[str]:
    """What is not in a clone of some node though a client was told that it is in."""
    found = []
    for index in range(nodes.count):
        for repo in REPOSITORIES:
            acknowledged = [push for push in record.acknowledged if push.repo == repo]
            if acknowledged:
                found += await _clone(nodes, index, acknowledged, directory / f"clone{index}-{repo}.git")
    return found


async def _clone(nodes: Nodes, index: int, acknowledged: list[Push], target: Path) -> list[str]:
    network, repo = nodes.network, acknowledged[0].repo
    url = f"{nodes.seat(index).url}/{network.file.account}/{repo}.git"
    helper = f"credential.helper={network.credential_helper.resolve()}"
    with trio.move_on_after(CLONE_SECONDS):
        cloned = await _git("-c", "credential.helper=", "-c", helper, "clone", "-q", "--mirror", url, str(target))
        checked = await _git("-C", str(target), "fsck", "--connectivity-only", "--no-progress")
        if cloned.returncode or checked.returncode:
            return [f"{repo} cannot be cloned from node {index}: {(cloned.stderr or checked.stderr).decode().strip()}"]
        lacking = []
        for ref in sorted({push.ref for push in acknowledged}):
            listed = await _git("-C", str(target), "rev-list", ref)
            commits = set(listed.stdout.decode().split())
            lacking += [p.oid for p in acknowledged if p.ref == ref and p.oid not in commits]
        return [f"commit {oid} is not in the clone of {repo} from node {index}" for oid in lacking]
    return [f"{repo} could not be cloned from node {index} in {CLONE_SECONDS:.0f} s"]


async def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    return await trio.run_process(["git", *words], capture_stdout=True, capture_stderr=True, check=False)


async def told(nodes: Nodes, record: Record, directory: Path, token: str) -> Verdict:
    """The verdict; a node that cannot be asked is a difference, too."""
    try:
        return await judge(nodes, record, directory, token)
    except GutsError as error:
        return Verdict((), (f"the nodes cannot be asked: {error}",), 0, 0.0)
