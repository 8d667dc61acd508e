"""
The smallest git worth pushing: commits with at most one parent, and packs of them.

An object's id is a hash of what it is, a pack is canonical bytes, and an attester finds out by
itself how a new value stands to an old one (``architecture.md`` 5, "Two facts about each update").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from attrs import frozen

from guts_core.codec import Tag, decode, digest, encode
from guts_core.errors import Malformed
from guts_core.forge.actions import Blob, Manifest, ManifestKind, Relation, SourceKind, Update
from guts_core.forge.records import ObjectFormat, Ref
from guts_core.git.chunks import BlobDigest
from guts_core.names import Oid, RefName, RepoId

Parents = Mapping[Oid, Oid | None]


@frozen
class SimCommit:
    """A commit: what it follows, and what makes it itself."""

    parent: Oid | None
    salt: bytes

    @property
    def oid(self) -> Oid:
        """Its id, as long as git's."""
        return Oid(digest(Tag.TRACE, encode((self.parent, self.salt)))[:20])


@frozen
class Move:
    """What a pusher wants of one ref."""

    ref: RefName
    old: Oid | None
    new: Oid | None


def pack_of(commits: Iterable[SimCommit]) -> bytes:
    """The pack of these commits."""
    return encode(tuple((commit.parent, commit.salt) for commit in commits))


@lru_cache(maxsize=4096)
def parents_in(pack: bytes) -> Parents:
    """What a pack holds; raises Malformed for other bytes."""
    value = decode(pack)
    if not isinstance(value, tuple):
        raise Malformed("a pack is a list of commits")
    found: dict[Oid, Oid | None] = {}
    for item in value:
        if not isinstance(item, tuple) or len(item) != 2 or not isinstance(item[1], bytes):
            raise Malformed("a commit is a parent and a salt")
        parent = None if item[0] is None else Oid(bytes(item[0])) if isinstance(item[0], bytes) else None
        found[SimCommit(parent, item[1]).oid] = parent
    return found


@lru_cache(maxsize=4096)
def blob_of(pack: bytes) -> Blob:
    """What a manifest says of a pack and its index."""
    hasher = BlobDigest()
    hasher.update(pack)
    digested = hasher.finish()
    index = digest(Tag.BLOB, b"index", pack)
    return Blob(digested.digest, digested.size, digested.chunk_root, len(parents_in(pack)), index)


def is_ancestor(parents: Parents, old: Oid, new: Oid) -> bool:
    """Whether ``old`` is ``new`` or lies below it."""
    at: Oid | None = new
    while at is not None:
        if at == old:
            return True
        at = parents.get(at)
    return False


def is_closed(parents: Parents, oid: Oid) -> bool:
    """Whether a commit and all below it are there."""
    at: Oid | None = oid
    while at is not None:
        if at not in parents:
            return False
        at = parents[at]
    return True


def updates_of(
    moves: Iterable[Move | Update], pack: bytes | None, known: Parents, refs: Iterable[Ref]
) -> tuple[Update, ...]:
    """The facts about each move; raises Malformed when an object is neither in the pack nor below a ref."""
    inside: Parents = {} if pack is None else parents_in(pack)
    everything = {**known, **inside}
    tips = [ref.oid for ref in refs]
    return tuple(_update(move, inside, everything, tips) for move in moves)


def _update(move: Move | Update, inside: Parents, everything: Parents, tips: list[Oid]) -> Update:
    if move.new is None:
        return Update(move.ref, move.old, None, Relation.DELETED, SourceKind.NONE)
    if not is_closed(everything, move.new):
        raise Malformed(f"{move.ref}: its history leads to an object that is not here")
    if move.new in inside:
        source = SourceKind.PACK
    elif any(is_ancestor(everything, move.new, tip) for tip in tips):
        source = SourceKind.EXISTING
    else:
        raise Malformed(f"{move.ref}: its object is below no ref")
    if move.old is None:
        relation = Relation.CREATED
    else:
        relation = Relation.FAST_FORWARD if is_ancestor(everything, move.old, move.new) else Relation.FORCED
    return Update(move.ref, move.old, move.new, relation, source)


def manifest_of(repo: RepoId, updates: tuple[Update, ...], pack: bytes | None) -> Manifest:
    """The manifest of a push."""
    uses_pack = any(update.source is SourceKind.PACK for update in updates)
    blob = blob_of(pack) if pack is not None and uses_pack else None
    return Manifest(ManifestKind.PACK, repo, ObjectFormat.SHA1, blob, updates)
