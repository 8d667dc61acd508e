"""Messages of the bulk connection: chunks of packs, and texts, asked for by name (``architecture.md`` 3 and 5)."""

from __future__ import annotations

from typing import Annotated

from attrs import frozen

from guts_core.codec import Limit, kinds, record
from guts_core.codec.fields import AHash, ARepoId

# Chunks of a blob are this size, the last one shorter; one chunk travels as one frame.
CHUNK_BYTES = 1 << 20
# A tree over 2^40 chunks is an exabyte.
PATH_MAX = 40
# The largest text with its salt and heads.
TEXT_RECORD_BYTES_MAX = 256 * 1024 + 64


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


@record(kinds.TEXT_WANTED)
@frozen
class TextWanted:
    """Send the text that was committed to in this repository; the answer carries the same number."""

    number: int
    repo: ARepoId
    commitment: AHash


@record(kinds.TEXT_SUPPLIED)
@frozen
class TextSupplied:
    """The canonical text; whoever asked checks that it is the one."""

    number: int
    data: Annotated[bytes, Limit(most=TEXT_RECORD_BYTES_MAX)]


@record(kinds.TEXT_ABSENT)
@frozen
class TextAbsent:
    """We do not hold that text: not yet, not any more, or never; state says which."""

    number: int
