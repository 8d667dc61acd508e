"""
The packs of a node: taken in, kept by digest, linked into repositories, shown to readers.

``architecture.md`` 5. A kept pack is durable before anyone hears of it: pack, index and directory are
synced, in that order, through the Disk door. Links are derived: whoever owns the replicated state
drives them again at start.
"""

from __future__ import annotations

import os
import re
import secrets
import threading
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path

import trio

from guts_core.errors import Corrupt, Malformed, Unavailable
from guts_core.forge.actions import Blob
from guts_core.git.chunks import CHUNK_BYTES, Digested, chunk_count
from guts_core.names import Oid, RefName, RepoId
from guts_net.protocols import Disk
from guts_net.tally import Tally

from . import bare
from .facts import Command, Facts, compute
from .git_child import GitChildren
from .index_file import count_of
from .ingest import CheckedPack, Incoming, digest_file
from .layout import Layout
from .projection import Projections

# From the moment a held pack is judged until the promise about it stands: less than a transaction lives.
IN_USE_SECONDS = 3600.0
_PACK_FILE = re.compile(r"([0-9a-f]{64})\.(?:pack|idx)")


class PackStore:
    """All packs under one data directory. One instance a process; the directory is locked by the caller."""

    def __init__(self, directory: Path, disk: Disk, git: GitChildren | None = None, tally: Tally | None = None) -> None:
        self._tally = tally or Tally()
        self.layout = Layout(directory)
        self.git = git or GitChildren()
        self._disk = disk
        self._making_repo = threading.Lock()
        self._dropping = threading.Lock()  # nobody links a pack while it goes
        self._used: dict[bytes, float] = {}  # when a held pack was last judged or kept, by trio's clock
        self._projections = Projections(self.layout, disk, self._make_repo)
        for place in (self.layout.packs, self.layout.quarantine, self.layout.repos):
            disk.make_directory(place)
        disk.sync_directory(directory)

    # Taking in.

    @asynccontextmanager
    async def incoming(self) -> AsyncIterator[Incoming]:
        """Quarantine for one pack; what was not kept when the block ends is removed."""
        incoming = Incoming(self.layout, self._disk, self.git, self.layout.quarantine / secrets.token_hex(16))
        try:
            yield incoming
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(incoming.discard)

    async def keep(self, checked: CheckedPack) -> None:
        """Store a checked pack durably under its digest; keeping one twice is no error."""
        self._used[checked.blob.digest] = trio.current_time()
        if await trio.to_thread.run_sync(self._keep, checked):
            self._tally.add("packs")
            self._tally.add("pack_bytes", checked.blob.size)

    async def adopt(self, blob: Blob, pieces: AsyncIterable[bytes]) -> None:
        """
        Take a pack that a quorum vouched for, from a peer: ``digest``, ``size`` and ``idx_digest`` are looked at.

        Raises Malformed when the peer's bytes are not the pack, Corrupt when our git indexes the right
        bytes to another index than the quorum's did.
        """
        async with self.incoming() as incoming, _closing(pieces):
            async for piece in pieces:
                if incoming.size + len(piece) > blob.size:
                    raise Malformed(f"pack {blob.digest.hex()}: the peer sent other bytes")
                await incoming.write(piece)
            if (await incoming.complete()).digest != blob.digest:
                raise Malformed(f"pack {blob.digest.hex()}: the peer sent other bytes")
            checked = await incoming.index()
            if checked.blob.idx_digest != blob.idx_digest:
                raise Corrupt(f"pack {blob.digest.hex()}: its index here differs from the one that was agreed on")
            await self.keep(checked)

    # Held packs.

    def has(self, digest: bytes) -> bool:
        """Whether the pack is kept (its index is named last, but a disk may lose either)."""
        return self.layout.idx(digest).exists() and self.layout.pack(digest).exists()

    async def read_chunk(self, digest: bytes, index: int) -> bytes | None:
        """One chunk of a kept pack; None if the pack is not held or has no such chunk."""
        return await trio.to_thread.run_sync(self._read_chunk, digest, index)

    async def digested(self, digest: bytes) -> Digested | None:
        """Size and chunk leaves of a kept pack, read anew (for paths of chunks); None if it is not held."""
        return await trio.to_thread.run_sync(self._digested, digest)

    async def blob(self, digest: bytes) -> Blob | None:
        """What a manifest says of a kept pack, read anew; None if it is not held. Raises Corrupt for rot."""
        return await trio.to_thread.run_sync(self._blob, digest)

    # Repositories.

    async def link(self, repo_id: RepoId, digest: bytes) -> bool:
        """Make a kept pack one of a repository's; False if it is not held. Linking twice is no error."""
        return await trio.to_thread.run_sync(self._link, repo_id, digest)

    def is_linked(self, repo_id: RepoId, digest: bytes) -> bool:
        """Whether the repository's directory holds the pack: both names, for a power cut may take either."""
        linked = self.layout.linked_pack(self.layout.repo(repo_id), digest)
        return linked.with_suffix(".idx").exists() and linked.exists()

    async def facts(
        self,
        repo_id: RepoId,
        current_refs: Mapping[RefName, Oid],
        commands: Iterable[Command],
        pack: CheckedPack | bytes | None,
        tips: Callable[[], frozenset[Oid]] | None = None,
    ) -> Facts:
        """
        What each command of a push is; ``pack`` is a checked pack, the digest of a kept one, or None.

        ``current_refs`` are all refs, or those that the commands name and ``tips`` gives what all point at.
        """
        listed = tuple(commands)
        tips = tips or (lambda: frozenset(current_refs.values()))
        if isinstance(pack, CheckedPack) and pack.idx.exists():
            git_dir = pack.git_dir
            return await compute(self.git, lambda: nullcontext(git_dir), pack.idx, current_refs, listed, tips)
        digest = pack.blob.digest if isinstance(pack, CheckedPack) else pack
        idx = None if digest is None else self.layout.idx(digest)
        if digest is not None:
            self._used[digest] = trio.current_time()
            if not self.has(digest):
                raise _not_held(digest)
        return await compute(self.git, lambda: self._view(repo_id, digest), idx, current_refs, listed, tips)

    def is_projected(self, repo_id: RepoId, generation: int, head: RefName) -> bool:
        """Whether the directory of this generation stands; as long as nothing is awaited it does not go."""
        return self._projections.is_there(repo_id, generation, head)

    @asynccontextmanager
    async def projected(
        self, repo_id: RepoId, generation: int, refs: Mapping[RefName, Oid] | None, head: RefName
    ) -> AsyncIterator[Path]:
        """
        Lease the directory that shows exactly these refs to git children; it stays until the block ends.

        ``refs`` None: ``is_projected`` has just said that they are laid out.
        """
        async with self._projections.lease(repo_id, generation, refs, head) as path:
            yield path

    def hold(self, digests: Iterable[bytes]) -> None:
        """Keep these packs for an hour, for somebody who reads their files in parts."""
        now = trio.current_time()
        self._used.update((digest, now) for digest in digests if digest in self._used or self.has(digest))

    # What nothing needs any more.

    def has_repository(self, repo_id: RepoId) -> bool:
        """Whether the repository has a directory."""
        return self.layout.repo(repo_id).exists()

    async def drop_repository(self, repo_id: RepoId) -> None:
        """Remove a repository's directory, with the links to its packs; none is no error."""
        await trio.to_thread.run_sync(self._disk.remove_tree, self.layout.repo(repo_id))

    async def drop_packs(self, digests: Iterable[bytes]) -> tuple[bytes, ...]:
        """Remove those of these packs that no repository has linked and nobody judged in the last hour."""
        now = trio.current_time()
        self._used = {digest: at for digest, at in self._used.items() if now - at < IN_USE_SECONDS}
        return await trio.to_thread.run_sync(self._drop_packs, tuple(digests))

    async def set_aside(self, digest: bytes, repos: Iterable[RepoId]) -> None:
        """A damaged pack: out of these repositories and of the packs, so that nobody is given it; a sweep takes it."""
        await trio.to_thread.run_sync(self._set_aside, digest, tuple(repos))

    # Start.

    async def sweep(self, keep: AbstractSet[bytes]) -> tuple[bytes, ...]:
        """
        At start, before anything else: empty the quarantine, drop projections and packs not in ``keep``.

        ``keep`` holds every digest that the state lists and every one under an own attestation that has not
        expired. Returns the digests that were removed. What a repository has linked stays.
        """
        return await trio.to_thread.run_sync(self._sweep, keep)

    # In threads.

    def _keep(self, checked: CheckedPack) -> bool:
        """Whether it was not kept before."""
        pack, idx = self.layout.pack(checked.blob.digest), self.layout.idx(checked.blob.digest)
        is_new = not self.has(checked.blob.digest)
        if is_new:
            self._disk.sync_file(checked.pack)
            self._disk.sync_file(checked.idx)
            self._disk.rename(checked.pack, pack)
            self._disk.rename(checked.idx, idx)
        # Also when another push kept the same pack: it may not have come so far yet.
        self._disk.sync_directory(self.layout.packs)
        return is_new

    def _read_chunk(self, digest: bytes, index: int) -> bytes | None:
        try:
            with self.layout.pack(digest).open("rb") as raw:
                size = os.fstat(raw.fileno()).st_size
                if not 0 <= index < chunk_count(size):
                    return None
                raw.seek(index * CHUNK_BYTES)
                return raw.read(CHUNK_BYTES)
        except FileNotFoundError:
            return None

    def _digested(self, digest: bytes) -> Digested | None:
        if not self.has(digest):
            return None
        digested = digest_file(self.layout.pack(digest))
        if digested.digest != digest:
            raise Corrupt(f"pack {digest.hex()} is damaged on this disk")
        return digested

    def _blob(self, digest: bytes) -> Blob | None:
        digested = self._digested(digest)
        if digested is None:
            return None
        idx = self.layout.idx(digest)
        return Blob(digest, digested.size, digested.chunk_root, count_of(idx), digest_file(idx).digest)

    def _link(self, repo_id: RepoId, digest: bytes) -> bool:
        return self.has(digest) and self._link_into(self._make_repo(repo_id), digest)

    def _make_repo(self, repo_id: RepoId) -> Path:
        git_dir = self.layout.repo(repo_id)
        with self._making_repo:
            bare.make_durable(self._disk, git_dir)
        return git_dir

    def _link_into(self, git_dir: Path, digest: bytes) -> bool:
        """Pack first: git looks for the index. False if the pack is not held any more."""
        linked = self.layout.linked_pack(git_dir, digest)
        with self._dropping:
            if not self.has(digest):
                return False
            self._disk.link(self.layout.pack(digest), linked)
            self._disk.link(self.layout.idx(digest), linked.with_suffix(".idx"))
        return True

    def _drop_packs(self, digests: Iterable[bytes]) -> tuple[bytes, ...]:
        dropped = []
        for digest in digests:
            with self._dropping:
                pack = self.layout.pack(digest)
                if digest in self._used or not self.has(digest) or pack.stat().st_nlink > 1:
                    continue
                self._disk.unlink(pack)
                self._disk.unlink(self.layout.idx(digest))
            dropped.append(digest)
        return tuple(dropped)

    def _set_aside(self, digest: bytes, repos: Iterable[RepoId]) -> None:
        """Index first: without it git does not look for the pack."""
        for repo_id in repos:
            linked = self.layout.linked_pack(self.layout.repo(repo_id), digest)
            self._disk.unlink(linked.with_suffix(".idx"))
            self._disk.unlink(linked)
        for path in (self.layout.idx(digest), self.layout.pack(digest)):
            if path.exists():
                self._disk.rename(path, self.layout.quarantine / f"damaged-{path.name}")

    @asynccontextmanager
    async def _view(self, repo_id: RepoId, digest: bytes | None) -> AsyncIterator[Path]:
        """A git directory with the repository's packs and this one."""
        git_dir = self.layout.quarantine / secrets.token_hex(16)
        try:
            await trio.to_thread.run_sync(self._make_view, git_dir, repo_id, digest)
            yield git_dir
        finally:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._disk.remove_tree, git_dir)

    def _make_view(self, git_dir: Path, repo_id: RepoId, digest: bytes | None) -> None:
        objects = self.layout.repo(repo_id) / "objects"
        bare.make_scratch(self._disk, git_dir, objects=objects if objects.is_dir() else None)
        if digest is not None and not self._link_into(git_dir, digest):
            raise _not_held(digest)

    def _sweep(self, keep: AbstractSet[bytes]) -> tuple[bytes, ...]:
        for entry in sorted(self.layout.quarantine.iterdir()):
            self._disk.remove_tree(entry)
        for projected in sorted(self.layout.repos.glob("??/*.git/projected")):
            self._disk.remove_tree(projected)
        removed = set()
        for path in sorted(self.layout.packs.iterdir()):
            match = _PACK_FILE.fullmatch(path.name)
            if match and bytes.fromhex(match[1]) not in keep and path.stat().st_nlink == 1:
                self._disk.unlink(path)
                removed.add(bytes.fromhex(match[1]))
        return tuple(sorted(removed))


def _not_held(digest: bytes) -> Unavailable:
    return Unavailable(f"pack {digest.hex()} is not held any more")


@asynccontextmanager
async def _closing(pieces: AsyncIterable[bytes]) -> AsyncIterator[None]:
    """An async generator that is left early has to be closed by whoever leaves it."""
    try:
        yield
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()
