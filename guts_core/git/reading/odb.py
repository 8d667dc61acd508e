"""
Objects out of an object database that somebody opened with libgit2: its words become ours.

Nothing is believed of the disk below: libgit2 hashes what it unpacked and compares, so flipped bits are an
error and never an answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pygit2
from pygit2.enums import ObjectType

from guts_core.errors import Corrupt
from guts_core.names import Oid

from .objects import Header, Kind, MissingObject

_KINDS: dict[ObjectType, Kind] = {
    ObjectType.COMMIT: "commit",
    ObjectType.TREE: "tree",
    ObjectType.BLOB: "blob",
    ObjectType.TAG: "tag",
}


class OdbObjects:
    """An ``Objects`` over an open database. One thread at a time."""

    def __init__(self, odb: pygit2.Odb) -> None:
        self._odb = odb

    def close(self) -> None:
        """
        Let go of the database, also where an error still leads here: nothing may be read afterwards.

        libgit2 shares open packs by their paths: as long as one is held, whoever comes next reads that file,
        though another was put in its place.
        """
        del self._odb

    def header(self, oid: Oid) -> Header:
        """Kind and size; the content is not unpacked."""
        with _answering(oid):
            kind, size = self._odb.read_header(pygit2.Oid(raw=oid))
        return Header(_KINDS[kind], size)

    def read(self, oid: Oid) -> bytes:
        """The content; Corrupt when it does not hash to the id."""
        with _answering(oid):
            return self._odb.read(pygit2.Oid(raw=oid))[1]


@contextmanager
def _answering(oid: Oid) -> Iterator[None]:
    try:
        yield
    except KeyError:
        raise MissingObject(oid) from None
    except (pygit2.GitError, ValueError) as error:
        raise Corrupt(f"object {oid.hex()} cannot be read: {error}") from error
