"""A stock git client pushes into the machine and the store, and clones what comes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

from guts_core.names import Oid, RefName
from tests.fixtures import git_history
from tests.fixtures.git_history import git
from tests.net.packs.pack_world import MAIN, REPO, World

SCRIPT = Path(__file__).with_name("push_once.py")
ROOT = Path(__file__).parents[3]


@frozen
class Remote:
    """Where a client pushes to."""

    world: World
    refs_file: Path

    def push(self, repo: Path, *what: str) -> subprocess.CompletedProcess[str]:
        """Run ``git push`` and say how it went."""
        command = f"{sys.executable} {SCRIPT} {self.world.directory} {self.refs_file}"
        return subprocess.run(
            ["git", "-C", repo, "-c", "protocol.ext.allow=always", "push", "--porcelain", f"ext::{command}", *what],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "GIT_CONFIG_GLOBAL": "/dev/null", "LC_ALL": "C"},
        )

    def refs(self) -> dict[RefName, Oid]:
        """The refs after the last push."""
        held = json.loads(self.refs_file.read_text())
        return {RefName(name): Oid(bytes.fromhex(value)) for name, value in held.items()}


@pytest.fixture
def remote(world: World, tmp_path: Path) -> Remote:
    refs_file = tmp_path / "refs.json"
    refs_file.write_text("{}")
    return Remote(world, refs_file)


def refs_of_repo(repo: Path) -> dict[str, str]:
    lines = git(repo, "for-each-ref", "--format=%(refname) %(objectname)").decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines)


async def test_a_history_goes_in_by_push_and_out_by_clone(remote: Remote, tmp_path: Path) -> None:
    source = tmp_path / "big"
    git_history.generate(source, objects=1_000)
    git_history.write_tolerated(source)

    done = remote.push(source, "--mirror")

    assert done.returncode == 0, done.stderr
    assert "remote: weighed and measured" in done.stderr
    assert {name: value.hex() for name, value in remote.refs().items()} == refs_of_repo(source)
    async with remote.world.store.projected(REPO, 1, remote.refs(), MAIN) as path:
        git(tmp_path, "clone", "--quiet", "--mirror", path.as_uri(), "out")
    assert refs_of_repo(tmp_path / "out") == refs_of_repo(source)


async def test_forward_existing_forced_and_deleted(remote: Remote, source: Path) -> None:
    assert remote.push(source, "main~1:refs/heads/main").returncode == 0
    assert remote.push(source, "main").returncode == 0
    assert remote.push(source, "main~1:refs/heads/again", "main:refs/tags/there").returncode == 0
    assert "[rejected]" in remote.push(source, "side:main").stdout
    assert remote.push(source, "+side:main").returncode == 0
    assert remote.push(source, ":again").returncode == 0

    side, main = (git(source, "rev-parse", name).decode().strip() for name in ("side", "main"))
    assert {n: v.hex() for n, v in remote.refs().items()} == {"refs/heads/main": side, "refs/tags/there": main}


async def test_a_refused_name_is_shown_by_git_and_the_others_go_in(remote: Remote, source: Path) -> None:
    done = remote.push(source, "main", "main:refs/pull/1/head", "main:refs/heads/x/HEAD")

    assert done.returncode == 1
    assert "refs/pull/1/head\t[remote rejected] (ref refs/pull/1/head is in a space" in done.stdout
    assert "HEAD is not a name for a branch" in done.stdout
    assert list(remote.refs()) == ["refs/heads/main"]


@pytest.mark.parametrize("name", ["dot-git", "modules-url", "duplicate"])
async def test_dangerous_objects_are_refused_with_words_that_git_prints(
    remote: Remote, source: Path, name: str
) -> None:
    ref = git_history.write_dangerous(source, name)

    done = remote.push(source, ref)

    assert done.returncode == 1
    assert "is not accepted: " in done.stderr + done.stdout
    assert remote.world.files() == []
