"""The part of the port about packs that are handed out as they are."""

from __future__ import annotations

from typing import Annotated

from attrs import frozen

from guts_core.codec import Limit, kinds, record
from guts_core.codec.fields import AHash, ARepoId

# Merged long before there are more; a hundred bytes each.
LISTED_PACKS_MAX = 1_000


@record(kinds.OPEN_PACKS)
@frozen
class OpenPacks:
    """
    What are the packs of a repository, may they be handed out as they are, and where do they lie? -> PackList

    The caller has authorized the read already. ``wait_ms``: how long to wait for a judgement that nobody
    made yet. The files named stay while the stream is open, and an hour longer.
    """

    repo: ARepoId
    wait_ms: int


@record(kinds.LISTED_PACK)
@frozen
class ListedPack:
    """A pack as state lists it, and whether this node holds it."""

    seq: int
    digest: AHash
    idx_digest: AHash
    size: int
    objects: int
    is_held: bool


@record(kinds.PACK_LIST)
@frozen
class PackList:
    """
    The packs of one generation, in order of admission, as ``directory``/DIGEST.pack and .idx.

    ``unclean`` is why they are not to be handed out as they are; None: they may be. More than
    ``LISTED_PACKS_MAX`` are not listed, and unclean by that.
    """

    height: int
    generation: int
    directory: str
    packs: Annotated[tuple[ListedPack, ...], Limit(most=LISTED_PACKS_MAX)]
    unclean: str | None
