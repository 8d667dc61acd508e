"""git is a run-time dependency: a node without the git it needs says so when it starts, not at the first push."""

from __future__ import annotations

from pathlib import Path

import pytest

from guts_core.errors import Unavailable
from guts_net.runtime import open_node

from .world import found


@pytest.mark.parametrize(("answer", "words"), [("git version 2.30.2", "too old"), (None, "not installed")])
async def test_a_node_does_not_start_without_the_git_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str | None, words: str
) -> None:
    """One sentence that says what is needed."""
    world = found(tmp_path, 1)
    programs = tmp_path / "bin"
    programs.mkdir()
    if answer is not None:
        (programs / "git").write_text(f"#!/bin/sh\necho {answer}\n")
        (programs / "git").chmod(0o700)
    monkeypatch.setenv("PATH", str(programs))

    with pytest.RaisesGroup(pytest.RaisesExc(Unavailable, match=words), flatten_subgroups=True):
        async with open_node(world.settings(0)):
            pytest.fail("it started")
