"""A pack that a node holds already is vouched for as one that it does not: by what it finds in this repository."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from guts_core.chain import compose
from guts_core.chain.genesis import chain_id
from guts_core.codec import to_bytes
from guts_core.forge.actions import Action, Blob, Manifest, ManifestKind, RefUpdate, Relation, SourceKind, Update
from guts_core.forge.ids import repository_id
from guts_core.forge.records import ObjectFormat
from guts_core.git.refs import ref_name
from guts_core.names import Oid, RepoId
from guts_core.node.port import Outcome, Phase, SubmitTransaction
from guts_net.handle import RunningNode
from guts_net.runtime import open_node
from tests.core.chain.chain_world import creation

from .test_removal import repo_of
from .world import WAIT_MS, Packed, World, a_commit, ask, found, push

MAIN = ref_name("refs/heads/main")


def a_child(path: Path, parent: Packed) -> Packed:
    """A commit on top of another, in a pack of its own that leads out of itself."""

    def git(*arguments: str, stdin: bytes = b"") -> bytes:
        command = ["git", "-C", str(path), "-c", "user.name=a", "-c", "user.email=a@example.test", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, check=True).stdout

    git("commit", "-q", "--allow-empty", "-m", "two")
    oid = git("rev-parse", "HEAD").strip()
    wanted = oid + b"\n^" + parent.oid.hex().encode() + b"\n"
    return Packed(bytes.fromhex(oid.decode()), git("pack-objects", "-q", "--stdout", "--revs", stdin=wanted))


async def blob_of(node: RunningNode, digest: bytes) -> Blob:
    blob = await node._server._packs.blob(digest)
    assert blob is not None
    return blob


async def asked(node: RunningNode, world: World, repo: RepoId, branch: str, oid: bytes, blob: Blob) -> Outcome:
    """A branch at a commit of a pack that the node holds, by somebody who signs for themselves, without a gateway."""
    update = Update(f"refs/heads/{branch}", None, Oid(oid), Relation.CREATED, SourceKind.PACK)
    action = RefUpdate(Manifest(ManifestKind.PACK, repo, ObjectFormat.SHA1, blob, (update,)))
    return await submitted(node, world, action)


async def submitted(node: RunningNode, world: World, *actions: Action) -> Outcome:
    expires = int(time.time() * 1000) + compose.LIFETIME_MS
    body = compose.by_account(chain_id(world.genesis), world.alice_id, actions, expires, os.urandom(32))
    signed = compose.sign_with_account_key(body, world.alice)
    outcome = await ask(node, SubmitTransaction(to_bytes(signed), (), WAIT_MS))
    assert isinstance(outcome, Outcome)
    return outcome


LIES: dict[str, Callable[[Blob], Blob]] = {
    "idx_digest": lambda true: evolve(true, idx_digest=b"\x07" * 32),
    "chunk_root": lambda true: evolve(true, chunk_root=b"\x07" * 32),
    "size": lambda true: evolve(true, size=true.size - 1),
    "objects": lambda true: evolve(true, objects=true.objects + 1),
}


@pytest.mark.parametrize("word", LIES)
async def test_a_lie_about_a_held_pack_is_not_vouched_for(tmp_path: Path, word: str) -> None:
    """State would list an index that nobody has, and each audit would take the pack for a damaged one."""
    world = found(tmp_path, 1)
    async with open_node(world.settings(0)) as node:
        await world.give_credential(node)
        one = a_commit(tmp_path / "work")
        await push(node, world, "hello", one)
        repo = repo_of(node, "hello")
        true = await blob_of(node, listed(node, repo))

        refused = await asked(node, world, repo, "lie", one.oid, LIES[word](true))
        taken = await asked(node, world, repo, "truth", one.oid, true)

    assert refused.phase is Phase.REFUSED
    assert "is not what its manifest says" in (refused.message or "")
    assert (taken.phase, taken.error) == (Phase.FINAL, None)


def listed(node: RunningNode, repo: RepoId) -> bytes:
    """The digest of the only pack of a repository."""
    (pack,) = node._server._database.listed_packs(0)
    assert pack.repo == repo
    return pack.digest


async def test_bad_C10_a_held_pack_that_leads_into_another_repository_is_not_vouched_for(tmp_path: Path) -> None:
    """Held and good there, it would leave this repository with commits whose history nobody finds in it."""
    world = found(tmp_path, 1)
    async with open_node(world.settings(0)) as node:
        await world.give_credential(node)
        one = a_commit(tmp_path / "work")
        two = a_child(tmp_path / "work", one)
        await push(node, world, "hello", one)
        first = listed(node, repo_of(node, "hello"))
        await push(node, world, "hello", two, repo_of(node, "hello"), "two")
        (second,) = (pack.digest for pack in node._server._database.listed_packs(0) if pack.digest != first)
        create = creation("other")
        assert (await submitted(node, world, create)).error is None
        other = repository_id(chain_id(world.genesis), world.alice_id, create.salt)

        refused = await asked(node, world, other, "main", two.oid, await blob_of(node, second))
        taken = await asked(node, world, other, "main", one.oid, await blob_of(node, first))
        follows = await asked(node, world, other, "two", two.oid, await blob_of(node, second))

    assert refused.phase is Phase.REFUSED
    assert "missing" in (refused.message or "")
    assert [(one.phase, one.error) for one in (taken, follows)] == [(Phase.FINAL, None)] * 2
