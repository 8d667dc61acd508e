"""Messages of the bulk connection: ask for one chunk of a pack, and the answer (``architecture.md`` 5)."""

from __future__ import annotations

from typing import Annotated

from attrs import frozen

from guts_core.codec import Family, Limit, kinds, record
from guts_core.codec.fields import AHash

# Chunks of a blob are this size, the last one shorter; one chunk travels as one frame.
CHUNK_BYTES = 1 << 20
# A tree over 2^40 chunks is an exabyte.
PATH_MAX = 40


@record(kinds.CHUNK_WANTED)
@frozen
class ChunkWanted:
    """Send chunk ``index`` of the file with this digest; answers carry the same number."""

    number: int
    digest: AHash
    index: int


@record(kinds.CHUNK)
@frozen
class Chunk:
    """The chunk and the hashes beside its way up to the root; whoever asked checks them."""

    number: int
    data: Annotated[bytes, Limit(most=CHUNK_BYTES)]
    path: Annotated[tuple[AHash, ...], Limit(most=PATH_MAX)]


@record(kinds.CHUNK_MISSING)
@frozen
class ChunkMissing:
    """We do not hold that file, or it has no such chunk."""

    number: int


BULK_MESSAGES = Family((ChunkWanted, Chunk, ChunkMissing))
