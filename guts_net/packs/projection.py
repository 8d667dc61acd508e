"""
Projected directories: the refs of one generation, as git child processes read them.

Refs live in the replicated state and nowhere else (``architecture.md`` 5). One immutable directory a
generation, renamed into place whole, so a clone never sees half of an atomic push. A reader holds a
lease; a directory goes when nobody holds it and a newer one is there.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from guts_core.codec import Tag, digest
from guts_core.names import Oid, RefName, RepoId
from guts_net.protocols import Disk

from . import bare
from .layout import Layout

# HEAD can move without a new generation, so the name of a directory says both.
_HEAD_DIGITS = 12


class Projections:
    """Builds, leases and removes projected directories."""

    def __init__(self, layout: Layout, disk: Disk, make_repo: Callable[[RepoId], Path]) -> None:
        self._layout, self._disk, self._make_repo = layout, disk, make_repo
        self._leases: Counter[Path] = Counter()
        self._newest: dict[RepoId, Path] = {}

    def is_there(self, repo_id: RepoId, generation: int, head: RefName) -> bool:
        """Whether the directory of this generation stands: a lease that is taken at once needs no refs."""
        return self._path(repo_id, generation, head).exists()

    @asynccontextmanager
    async def lease(
        self, repo_id: RepoId, generation: int, refs: Mapping[RefName, Oid] | None, head: RefName
    ) -> AsyncIterator[Path]:
        """The directory of this generation, built of ``refs`` unless it is there already (None)."""
        path = self._path(repo_id, generation, head)
        self._leases[path] += 1
        try:
            if refs is not None:
                await trio.to_thread.run_sync(self._build, repo_id, path, dict(refs), head)
            self._supersede(repo_id, path)
            yield path
        finally:
            with trio.CancelScope(shield=True):
                await self._release(repo_id, path)

    def _path(self, repo_id: RepoId, generation: int, head: RefName) -> Path:
        return self._layout.projections(repo_id) / f"{generation}-{_digits(head)}"

    def _supersede(self, repo_id: RepoId, path: Path) -> None:
        newest = self._newest.get(repo_id)
        if newest is None or _generation(path) >= _generation(newest):
            self._newest[repo_id] = path

    async def _release(self, repo_id: RepoId, path: Path) -> None:
        self._leases[path] -= 1
        if not self._leases[path]:
            del self._leases[path]
        there = await trio.to_thread.run_sync(_children, self._layout.projections(repo_id))
        # No await between looking at the leases and renaming, so nobody leases what goes.
        gone = [self._put_away(other) for other in there if self._is_unused(repo_id, other)]
        for aside in gone:
            await trio.to_thread.run_sync(self._disk.remove_tree, aside)

    def _put_away(self, path: Path) -> Path:
        aside = _hidden_beside(path)
        self._disk.rename(path, aside)
        return aside

    def _is_unused(self, repo_id: RepoId, path: Path) -> bool:
        return path not in self._leases and path != self._newest.get(repo_id) and not path.name.startswith(".")

    def _build(self, repo_id: RepoId, path: Path, refs: dict[RefName, Oid], head: RefName) -> None:
        if path.exists():
            return
        beside = _hidden_beside(path)
        try:
            self._disk.make_directory(path.parent)
            objects = self._make_repo(repo_id) / "objects"
            bare.make_scratch(self._disk, beside, head=f"ref: {head}\n".encode(), objects=objects)
            bare.write(self._disk, beside / "packed-refs", packed_refs(refs))
            self._disk.rename(beside, path)
        except OSError:
            self._disk.remove_tree(beside)
            if not path.exists():  # otherwise another reader built the same one first
                raise


def packed_refs(refs: Mapping[RefName, Oid]) -> bytes:
    """The packed-refs file that shows these refs; sorted as git compares, bytewise."""
    lines = sorted((name.encode(), oid.hex().encode()) for name, oid in refs.items())
    return b"# pack-refs with: sorted \n" + b"".join(b"%b %b\n" % (oid, name) for name, oid in lines)


def _hidden_beside(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(8)}")


def _digits(head: RefName) -> str:
    return digest(Tag.BLOB, head.encode()).hex()[:_HEAD_DIGITS]


def _generation(path: Path) -> int:
    return int(path.name.split("-")[0])


def _children(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else []
