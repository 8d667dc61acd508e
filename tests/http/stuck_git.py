"""A git that hangs, for tests of what waits for it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import trio

from tests.http.node_world import Node


class StuckGit:
    """A git before the real one on PATH that hangs in some commands, as on a disk that does not answer."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._directory, self._monkeypatch = directory, monkeypatch

    def hang_in(self, command: str) -> None:
        """From now on; each such child leaves its process id behind."""
        real, started = shutil.which("git"), self._directory / "started"
        self._directory.mkdir()
        started.mkdir()
        hang = f': > "{started}/$$"; exec sleep 3600'
        script = f'#!/bin/sh\ncase " $* " in *" {command} "*) {hang};; esac\nexec "{real}" "$@"\n'
        (self._directory / "git").write_text(script)
        (self._directory / "git").chmod(0o700)
        self._monkeypatch.setenv("PATH", f"{self._directory}:{os.environ['PATH']}")

    async def one_hangs(self) -> None:
        """Return when there is such a child."""
        while not self._running():  # noqa: ASYNC110 -- it is another process
            await trio.sleep(0.01)

    async def none_hangs(self) -> None:
        """Return when every one has ended and was waited for."""
        while self._running():  # noqa: ASYNC110 -- it is another process
            await trio.sleep(0.01)

    def _running(self) -> list[str]:
        return [one.name for one in (self._directory / "started").iterdir() if Path("/proc", one.name).exists()]


async def judged(node: Node) -> None:
    """Return when the node has judged its packs, for which it walks through histories as well."""
    said = {"reason": "this node has not judged its packs yet"}
    while said["reason"] == "this node has not judged its packs yet":
        said = (await node.http.get("/api/guts/v1/repos/alice/hello/packs")).json()
