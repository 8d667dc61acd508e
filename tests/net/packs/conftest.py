from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.git_history import git, init
from tests.net.packs.pack_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    directory = tmp_path / "node"
    directory.mkdir()
    return World(directory)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A repository with three commits on main, a branch beside it, an annotated tag, a tag of it and a light tag."""
    repo = tmp_path / "source"
    init(repo)
    lines = []
    for mark, branch, parent in ((1, "main", None), (2, "main", 1), (3, "main", 2), (4, "side", 1)):
        lines += [f"commit refs/heads/{branch}", f"mark :{mark}", f"committer A <a@b.c> {mark} +0000", "data 1", "x"]
        lines += [f"from :{parent}"] if parent else []
        lines += [f"M 100644 inline dir/file{mark}", "data 2", f"{mark}", ""]
    lines += ["tag v1", "mark :9", "from :2", "tagger A <a@b.c> 9 +0000", "data 1", "t"]
    lines += ["tag v1-again", "from :9", "tagger A <a@b.c> 9 +0000", "data 1", "t"]
    lines += ["reset refs/tags/light", "from :1", "", "done", ""]
    git(repo, "fast-import", "--quiet", "--done", stdin="\n".join(lines).encode())
    return repo
