"""What the tests of packs share: packs made byte by byte, a store in a temporary directory, a push in one call."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from attrs import Factory, define, frozen

from guts_core.git.pack_limits import OF_VALIDATORS, PackLimits
from guts_core.names import Oid, RefName, RepoId
from guts_core.node.push_parts import PushCommand
from guts_net.disk import LocalDisk
from guts_net.packs import CheckedPack, PackStore
from tests.fixtures.git_history import RawObject, git

REPO = RepoId(bytes(31) + b"\x01")
OTHER_REPO = RepoId(bytes(31) + b"\x02")
MAIN = RefName("refs/heads/main")
_KINDS = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}
OFS_DELTA, REF_DELTA = 6, 7


def oid(text: str) -> Oid:
    return Oid(bytes.fromhex(text))


def entry_head(kind: int, size: int) -> bytes:
    """The type and size that an entry of a pack starts with."""
    first, size = (kind << 4) | (size & 15), size >> 4
    head = bytearray()
    while size:
        head.append(first | 0x80)
        first, size = size & 0x7F, size >> 7
    return bytes([*head, first])


def entry(one: RawObject) -> bytes:
    return entry_head(_KINDS[one.kind], len(one.body)) + zlib.compress(one.body)


def ref_delta(base: str, delta: bytes) -> bytes:
    return entry_head(REF_DELTA, len(delta)) + bytes.fromhex(base) + zlib.compress(delta)


def pack_of_entries(entries: Sequence[bytes], count: int | None = None) -> bytes:
    """A pack with these entries, a right trailer, and this count (a lie, perhaps)."""
    body = struct.pack(">4sII", b"PACK", 2, len(entries) if count is None else count) + b"".join(entries)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def pack_of(*objects: RawObject) -> bytes:
    return pack_of_entries([entry(one) for one in objects])


def pack_from(repo: Path, *revisions: str) -> bytes:
    """The pack that git sends for these revisions (``^x`` excludes)."""
    return git(repo, "pack-objects", "--revs", "--stdout", "-q", stdin="\n".join(revisions).encode() + b"\n")


@define
class World:
    """A store and what its disk did."""

    directory: Path
    operations: list[tuple[str, str]] = Factory(list)
    store: PackStore = Factory(lambda self: PackStore(self.directory, LocalDisk(self.saw)), takes_self=True)

    def saw(self, operation: str, subject: str) -> None:
        """Note an operation of the disk and the last part of its path."""
        self.operations.append((operation, Path(subject).name))

    async def check(self, pack: bytes, repo: RepoId = REPO, limits: PackLimits = OF_VALIDATORS) -> CheckedPack | None:
        """Whether the pack passes; nothing is kept."""
        async with self.store.incoming() as incoming:
            await incoming.write(pack)
            return await incoming.check(repo, limits)

    async def push(self, pack: bytes, repo: RepoId = REPO) -> bytes:
        """Check, keep and link a pack: its digest."""
        async with self.store.incoming() as incoming:
            await incoming.write(pack)
            checked = await incoming.check(repo)
            assert checked is not None
            await self.store.keep(checked)
        assert await self.store.link(repo, checked.blob.digest)
        return checked.blob.digest

    def files(self) -> list[str]:
        """Every file there is, but for the empty frame of the directory."""
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.rglob("*") if path.is_file())


@frozen
class Move:
    """A push command, written short."""

    ref: str
    old: str | None
    new: str | None

    def command(self) -> PushCommand:
        """As the port carries it."""
        return PushCommand(self.ref, oid(self.old) if self.old else None, oid(self.new) if self.new else None)


def refs_of(**names: str) -> Mapping[RefName, Oid]:
    return {RefName(f"refs/heads/{name}"): oid(value) for name, value in names.items()}


async def pieces_of(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]
