"""Packs of live networks are written anew: what was forced away leaves every node, and small packs are merged."""

from __future__ import annotations

import subprocess
from pathlib import Path

from attrs import evolve

from guts_core.forge import queries
from guts_core.git.refs import ref_name
from guts_core.names import Oid, RepoId
from guts_core.node.port import REPLIES, OpenPush, PackData, PackEnd, PushReport
from guts_core.node.push_parts import PushCommand
from guts_net.conversation import Conversation
from guts_net.handle import RunningNode
from guts_net.packs.rewriting import MERGED_LEAST
from guts_net.runtime import open_node

from .world import WAIT_MS, Packed, World, a_commit, found, push, wait_until

REST_SECONDS = 0.2
MAIN = ref_name("refs/heads/main")


def founded(path: Path, validators: int) -> World:
    return found(path, validators, rules=3)


async def force(node: RunningNode, world: World, repo: RepoId, old: bytes, packed: Packed) -> PushReport:
    """Move main to another history."""
    stream = await node.open()
    async with stream:
        conversation = Conversation(stream)
        command = PushCommand(MAIN, Oid(old), Oid(packed.oid))
        await conversation.say(OpenPush(world.credential.seed, repo, "hello", False, False, (command,), WAIT_MS))
        await conversation.say(PackData(packed.pack))
        await conversation.say(PackEnd())
        while not isinstance(reply := await conversation.hear(REPLIES), PushReport):
            pass
        return reply


def repo_of(node: RunningNode, world: World) -> RepoId:
    repository = node.read(lambda view: queries.repository_of(view, world.alice_id, "hello"))
    assert repository is not None
    return RepoId(repository.id)


def packs_of(node: RunningNode, repo: RepoId) -> list[int]:
    return node.read(lambda view: [pack.seq for pack in queries.packs(view, repo)])


def has_object(world: World, index: int, repo: RepoId, oid: bytes) -> bool:
    """Whether a node's repository holds an object, by any pack."""
    git_dir = world.seats[index].directory / "repos" / repo.hex()[:2] / f"{repo.hex()}.git"
    return not subprocess.run(["git", "--git-dir", git_dir, "cat-file", "-e", oid.hex()], check=False).returncode


async def test_what_was_forced_away_leaves_every_node(tmp_path: Path) -> None:
    """A secret that was pushed and taken back: one proposes, a quorum looks, and all let it go."""
    world = founded(tmp_path, 4)
    secret, clean = a_commit(tmp_path / "secret"), a_commit(tmp_path / "clean")
    settings = [evolve(world.settings(index), repack_rest_seconds=REST_SECONDS) for index in range(4)]
    async with (
        open_node(settings[0]) as one,
        open_node(settings[1]) as two,
        open_node(settings[2]) as three,
        open_node(settings[3]) as four,
    ):
        nodes = (one, two, three, four)
        await world.give_credential(one)
        assert (await push(one, world, "hello", secret)).unpack_error is None
        repo = repo_of(one, world)
        report = await force(two, world, repo, secret.oid, clean)
        assert [ref.error for ref in report.refs] == [None]

        await wait_until(lambda: all(packs_of(node, repo) == [1] for node in nodes))
        await wait_until(lambda: not any(has_object(world, index, repo, secret.oid) for index in range(4)))

        assert all(has_object(world, index, repo, clean.oid) for index in range(4))
        repository = one.read(lambda view: queries.repository(view, repo))
        assert repository is not None
        assert (repository.objects_epoch, repository.bytes_stored) == (1, len(clean.pack))
        # And it goes on.
        assert (await push(three, world, "hello", a_commit(tmp_path / "next"), repo, "next")).unpack_error is None
    async with open_node(settings[0]) as back:
        assert not has_object(world, 0, repo, secret.oid)
        assert packs_of(back, repo) == [1, 2]


async def test_many_small_packs_become_one(tmp_path: Path) -> None:
    """Alone as in a large network: nothing is dropped, and pushes that were checked before stay good."""
    world = founded(tmp_path, 1)
    async with open_node(evolve(world.settings(0), repack_rest_seconds=REST_SECONDS)) as node:
        await world.give_credential(node)
        commits = [a_commit(tmp_path / f"commit-{number}") for number in range(MERGED_LEAST)]
        await push(node, world, "hello", commits[0])
        repo = repo_of(node, world)
        for number, commit in enumerate(commits[1:]):
            report = await push(node, world, "hello", commit, repo, f"branch-{number}")
            assert [ref.error for ref in report.refs] == [None]

        await wait_until(lambda: len(packs_of(node, repo)) == 1)

        assert all(has_object(world, 0, repo, commit.oid) for commit in commits)
        repository = node.read(lambda view: queries.repository(view, repo))
        assert repository is not None
        assert repository.objects_epoch == 0
        await wait_until(lambda: len(list((world.seats[0].directory / "repos").glob("??/*/objects/pack/*.pack"))) == 1)
