"""A disk without room even for what reading needs: words, and nothing to restart."""

from __future__ import annotations

import errno
from pathlib import Path

from guts_net.disk import LocalDisk
from tests.http.node_world import a_history, bearing, git, open_world


class FullDisk(LocalDisk):
    """Takes no new directory while it is full."""

    is_full = False

    def make_directory(self, path: Path, mode: int = 0o700) -> None:
        """As a file system without a free block."""
        if self.is_full and not path.exists():
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        super().make_directory(path, mode)


async def test_fault_F13_reading_on_a_completely_full_disk_is_refused_in_words(tmp_path: Path) -> None:
    """Git and the API say what is the matter and name no path; with room again the same request is served."""
    disk = FullDisk()
    async with open_world(tmp_path / "net", disk=disk) as node:
        token = await node.token("alice")
        work = await a_history(tmp_path)
        pushed = await git(work, "push", "-q", node.remote("alice/hello.git", "alice", token), "main")
        disk.is_full = True
        refused = await node.http.get("/alice/hello.git/info/refs?service=git-upload-pack")
        listed = await node.http.get("/api/v3/repos/alice/hello/commits", headers=bearing(token))
        ready = await node.http.get("/readyz")
        disk.is_full = False
        cloned = await git(tmp_path, "clone", "-q", node.remote("alice/hello.git"), "copy")

    assert pushed.code == 0, pushed.err
    assert (refused.status_code, listed.status_code) == (503, 503)
    for answer in (refused, listed):
        assert "this node's disk is full" in answer.text
        assert str(tmp_path) not in answer.text
        assert answer.headers["retry-after"]
    assert ready.status_code == 200
    assert cloned.code == 0, cloned.err
