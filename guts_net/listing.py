"""What the committed state lists of a repository: its refs and packs, all of one generation."""

from __future__ import annotations

from guts_core.forge import queries
from guts_core.forge.records import Pack
from guts_core.names import RefName, RepoId

from .packs import Listed
from .store import ChainDatabase


def listed(database: ChainDatabase, repo: RepoId) -> Listed | None:
    """Refs, HEAD and packs; None where there is no such repository."""
    with database.snapshot():
        repository = queries.repository(database, repo)
        if repository is None:
            return None
        refs = {RefName(name.decode()): oid for name, oid in queries.ref_values(database, repo)}
        packs = tuple(queries.packs(database, repo))
        head = RefName(repository.default_branch)
        return Listed(database.height(), repository.generation, refs, head, packs)


def packs(database: ChainDatabase, repo: RepoId) -> tuple[int, int, tuple[Pack, ...]] | None:
    """Height, generation and packs, without the refs, which may be many; None where there is no such repository."""
    with database.snapshot():
        repository = queries.repository(database, repo)
        if repository is None:
            return None
        return database.height(), repository.generation, tuple(queries.packs(database, repo))


def generation(database: ChainDatabase, repo: RepoId) -> int | None:
    """How often its refs and packs changed; None where there is no such repository."""
    repository = queries.repository(database, repo)
    return None if repository is None else repository.generation
