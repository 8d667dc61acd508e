"""
Taking a pushed pack in: streamed to quarantine, digested on the way, checked by git.

Step 1 of ``architecture.md`` 5. Nothing outside the quarantine changes here, and leaving the block of
``PackStore.incoming`` removes it, however that happens (F43).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import trio
from attrs import frozen

from guts_core.errors import LimitExceeded, Unavailable
from guts_core.forge.actions import Blob
from guts_core.git.chunks import BlobDigest, Digested
from guts_core.git.pack_limits import OBJECTS_MAX, OF_VALIDATORS, PACK_BYTES_MAX, PackLimits
from guts_core.names import RepoId
from guts_net.disk import NO_ROOM as FULL
from guts_net.disk import UNWRITABLE
from guts_net.protocols import Disk, DiskFile

from . import bare
from .fsck_levels import strict_option
from .git_child import Answer, GitChildren
from .index_file import count_of
from .layout import Layout
from .limits import LARGE_PACK_BYTES, PACK_BYTES_LEAST, check_cpu_seconds, check_seconds
from .readable import check_readable
from .refusals import NO_ROOM, BadPack, refusal_of

_HEADER = struct.Struct(">4sII")
_EMPTY_PACK_BYTES = 32
_READ_BYTES = 1 << 20


@frozen
class CheckedPack:
    """A pack that passed; its files wait in quarantine until they are kept or the block ends."""

    blob: Blob
    leaves: tuple[bytes, ...]
    git_dir: Path  # a scratch git directory that sees the pack and the repository's objects
    pack: Path
    idx: Path


class Incoming:
    """One pack on its way in: ``write`` the bytes, ``finish``, ``check``."""

    def __init__(self, layout: Layout, disk: Disk, git: GitChildren, directory: Path) -> None:
        self._layout, self._disk, self._git, self.directory = layout, disk, git, directory
        self._digest = BlobDigest()
        self._file: DiskFile | None = None
        self._objects: int | None = None
        self.digested: Digested | None = None

    @property
    def size(self) -> int:
        """Bytes that came so far."""
        return self._digest.size

    async def write(self, data: bytes) -> None:
        """Take the next bytes, of any number; raises LimitExceeded when there are too many."""
        if self._digest.size + len(data) > PACK_BYTES_MAX:
            raise LimitExceeded(f"the pack is larger than {PACK_BYTES_MAX} bytes; push in several steps")
        await trio.to_thread.run_sync(self._write, data)

    async def complete(self) -> Digested:
        """No more bytes come: what they are, with no opinion about them."""
        if self.digested is None:
            self.digested = await trio.to_thread.run_sync(self._complete)
        return self.digested

    async def finish(self) -> Digested:
        """The pack is complete. Raises BadPack or LimitExceeded for what its first bytes say."""
        digested = await self.complete()
        self._objects = await trio.to_thread.run_sync(self._count) if self._objects is None else self._objects
        return digested

    async def check(self, repo_id: RepoId, limits: PackLimits = OF_VALIDATORS) -> CheckedPack | None:
        """
        The pack, if every object in it is sound and every link leads into it or a pack the repository lists.

        None for a pack without objects: git sends one when nothing new is needed.
        """
        digested = await self.finish()
        self._check_count(limits.objects)
        if self._objects == 0:
            await trio.to_thread.run_sync(self._check_empty)
            return None
        pack = await trio.to_thread.run_sync(self._open_scratch, repo_id, digested)
        levels = strict_option(await self._git.fsck_ids())
        answer = await self._index(pack, levels, cpu_seconds=check_cpu_seconds(digested.size))
        if answer.code != 0:
            raise refusal_of(answer)
        await check_readable(self._git, self.directory, pack, limits)
        return await trio.to_thread.run_sync(self._checked, digested, pack)

    async def index(self) -> CheckedPack:
        """Index a pack that a quorum vouched for: no opinion about what is in it (a certificate is law)."""
        digested = await self.finish()
        pack = await trio.to_thread.run_sync(self._open_scratch, None, digested)
        answer = await self._index(pack)
        if answer.code != 0:
            raise refusal_of(answer)
        return await trio.to_thread.run_sync(self._checked, digested, pack)

    def discard(self) -> None:
        """Remove all of it (blocks)."""
        if self._file is not None:
            with suppress(OSError):  # what could not be written is not wanted any more
                self._file.close()
        self._disk.remove_tree(self.directory)

    async def _index(self, pack: Path, *options: str, cpu_seconds: int | None = None) -> Answer:
        assert self.digested is not None
        return await self._git.run(
            "index-pack",
            *options,
            "--index-version=2",
            "--no-rev-index",
            "--threads=2",
            str(pack),
            git_dir=self.directory,
            seconds=check_seconds(self.digested.size),
            cpu_seconds=cpu_seconds,
            is_large=self.digested.size > LARGE_PACK_BYTES,
        )

    def _write(self, data: bytes) -> None:
        with _room_on_disk():
            if self._file is None:
                self._disk.make_directory(self.directory)
                self._file = self._disk.create(self._raw)
            self._file.write(data)
        self._digest.update(data)

    def _complete(self) -> Digested:
        if self._file is not None:
            with _room_on_disk():
                self._file.close()
        return self._digest.finish()

    def _count(self) -> int:
        """How many objects the pack says it has."""
        if self._digest.size < PACK_BYTES_LEAST:
            raise BadPack("the pack ends too early")
        with self._raw.open("rb") as raw:
            magic, version, objects = _HEADER.unpack(raw.read(_HEADER.size))
        if magic != b"PACK" or version not in (2, 3):
            raise BadPack("this is not a pack of version 2 or 3")
        self._objects = int(objects)
        self._check_count(OBJECTS_MAX)
        return self._objects

    def _check_count(self, most: int) -> None:
        if self._objects is not None and self._objects > most:
            raise LimitExceeded(f"the pack has {self._objects} objects; at most {most} are taken in one push")

    def _check_empty(self) -> None:
        data = self._raw.read_bytes() if self._digest.size == _EMPTY_PACK_BYTES else b""
        if hashlib.sha1(data[:12], usedforsecurity=False).digest() != data[12:]:
            raise BadPack("the pack says that it has no objects, and is not empty")

    def _open_scratch(self, repo_id: RepoId | None, digested: Digested) -> Path:
        """Make the quarantine a git directory with the pack in its place."""
        objects = None if repo_id is None else self._layout.repo(repo_id) / "objects"
        bare.make_scratch(self._disk, self.directory, objects=objects if objects and objects.is_dir() else None)
        pack = self._layout.linked_pack(self.directory, digested.digest)
        self._disk.rename(self._raw, pack)
        return pack

    def _checked(self, digested: Digested, pack: Path) -> CheckedPack:
        idx = pack.with_suffix(".idx")
        blob = Blob(digested.digest, digested.size, digested.chunk_root, count_of(idx), digest_file(idx).digest)
        return CheckedPack(blob, digested.leaves, self.directory, pack, idx)

    @property
    def _raw(self) -> Path:
        return self.directory / "incoming"


@contextmanager
def _room_on_disk() -> Iterator[None]:
    """A full disk refuses the push and no more: the quarantine is not what the node's promises rest on (F13)."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise Unavailable(NO_ROOM) from error
        if error.errno in UNWRITABLE:
            raise Unavailable(f"this node cannot write packs now: {error.strerror}") from error
        raise


def digest_file(path: Path) -> Digested:
    """Digest a whole file (blocks)."""
    digest = BlobDigest()
    with path.open("rb") as raw:
        while data := raw.read(_READ_BYTES):
            digest.update(data)
    return digest.finish()
