"""
Where things lie in a node's data directory: paths are made from ids only, never from names (A01).

``packs/<digest>.pack|.idx`` is the one copy of each pack; ``repos/../<id>.git/objects/pack`` holds hard
links to the packs that a repository lists; ``quarantine/`` holds what is not checked yet.
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from guts_core.codec import HASH_BYTES
from guts_core.names import RepoId

# git names packs by 40 hexadecimal digits; 160 bits of our digest do as well.
_PACK_NAME_DIGITS = 40


@frozen
class Layout:
    """The paths under one data directory."""

    directory: Path

    @property
    def packs(self) -> Path:
        """Every held pack, by digest."""
        return self.directory / "packs"

    @property
    def quarantine(self) -> Path:
        """Pushes in progress; emptied at start."""
        return self.directory / "quarantine"

    @property
    def repos(self) -> Path:
        """All repositories."""
        return self.directory / "repos"

    def pack(self, digest: bytes) -> Path:
        """The pack with this digest."""
        return self.packs / f"{_hex(digest)}.pack"

    def idx(self, digest: bytes) -> Path:
        """Its index."""
        return self.packs / f"{_hex(digest)}.idx"

    def repo(self, repo_id: RepoId) -> Path:
        """A repository's bare git directory."""
        name = _hex(repo_id)
        return self.repos / name[:2] / f"{name}.git"

    def linked_pack(self, git_dir: Path, digest: bytes) -> Path:
        """Where a pack stands inside a bare git directory."""
        return git_dir / "objects" / "pack" / f"pack-{_hex(digest)[:_PACK_NAME_DIGITS]}.pack"

    def projections(self, repo_id: RepoId) -> Path:
        """The projected directories of a repository."""
        return self.repo(repo_id) / "projected"


def _hex(name: bytes) -> str:
    assert len(name) == HASH_BYTES
    return name.hex()
