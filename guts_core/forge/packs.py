"""Admitted packs are state: the list of what every holder stores, by digest (``architecture.md`` 5)."""

from __future__ import annotations

from attrs import evolve

from guts_core.codec import to_bytes
from guts_core.state.view import Overlay

from . import paths, queries
from .actions import Blob
from .activities import PackAdmitted
from .context import Context
from .records import Pack, PackSeat, Repository


def admit_pack(
    blob: Blob, repository: Repository, state: Overlay, context: Context
) -> tuple[Repository, tuple[()] | tuple[PackAdmitted]]:
    """Append a pack to the repository's list unless it stands there; the caller stores the repository."""
    if queries.pack_of_digest(state, repository.id, blob.digest) is not None:
        return repository, ()
    seq = repository.packs
    pack = Pack(seq, blob.digest, blob.idx_digest, blob.size, blob.objects, context.height)
    state.put(paths.pack(repository.id, seq), to_bytes(pack))
    state.put(paths.pack_seat(repository.id, blob.digest), to_bytes(PackSeat(seq)))
    grown = evolve(
        repository,
        packs=seq + 1,
        bytes_stored=repository.bytes_stored + blob.size,
        generation=repository.generation + 1,
    )
    return grown, (PackAdmitted(repository.id, seq, blob.digest, blob.idx_digest, blob.size, blob.objects),)
