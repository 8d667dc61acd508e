"""What a repository's packs are, as one node lists them: nothing of it is to be believed without a proof."""

from __future__ import annotations

from attrs import frozen

from .calls import OURS, Call, get_one, repository_path


@frozen
class Pack:
    """An admitted pack, and whether the node holds it."""

    seq: int
    digest: bytes
    idx_digest: bytes
    size: int
    objects: int
    held: bool


@frozen
class PackList:
    """The packs of one generation; ``reason`` is why they are not handed out as they are (``clean`` is false)."""

    height: int
    generation: int
    clean: bool
    reason: str | None
    packs: tuple[Pack, ...]


def packs(repo: str) -> Call[PackList]:
    """The packs of a repository, and whether they are handed out as they are."""
    return get_one(PackList, packs_path(repo))


def packs_path(repo: str) -> str:
    """Where they are listed; below it each has its file."""
    return f"{repository_path(repo).replace('/api/v3', OURS, 1)}/packs"
