"""
Pack admission: what a node has vouched for it holds, whole, and what a block admits is linked or asked for.

The packs are git's own and are checked by git; a start sweeps and links as that of a node does.
"""

from __future__ import annotations

import subprocess
from contextlib import closing
from functools import cache
from pathlib import Path

import trio
from attrs import frozen

from guts_core.chain.commit import AdmittedPack
from guts_core.codec import to_bytes
from guts_core.forge.actions import Blob
from guts_core.forge.records import Pack
from guts_core.names import RepoId
from guts_core.state.keys import Kind, Scope, key
from guts_net.packs import PackStore
from guts_net.packs.ingest import digest_file
from guts_net.protocols import Disk
from guts_net.store import ChainDatabase
from tests.crash.exploring import Workload
from tests.crash.fault_disk import FaultDisk
from tests.fixtures.git_history import RawObject
from tests.net.packs.pack_world import pack_of
from tests.properties.state_commits import commit_of

REPOS = (RepoId(b"\3" * 32), RepoId(b"\4" * 32))


def _pack(number: int) -> bytes:
    return pack_of(RawObject("blob", b"%d" % number * 300), RawObject("blob", b"%d and other" % number))


async def _admit(store: PackStore, database: ChainDatabase, disk: FaultDisk, number: int) -> None:
    """From the first byte of a push to the block that has it."""
    async with store.incoming() as incoming:
        data = _pack(number)
        await incoming.write(data[:100])
        await incoming.write(data[100:])
        checked = await incoming.check(REPOS[0])
        assert checked is not None
        await store.keep(checked)
        disk.promise(("vouched", checked.blob))
    blob, repo = checked.blob, REPOS[number % 2]
    assert await store.link(repo, blob.digest)
    record = to_bytes(Pack(number, blob.digest, blob.idx_digest, blob.size, blob.objects, number))
    records: dict[bytes, bytes | None] = {key(Scope.REPOSITORY, repo, Kind.PACK, number.to_bytes(4, "big")): record}
    packs = (AdmittedPack(repo, blob.digest, blob.idx_digest, blob.size),)
    database.commit(commit_of(number, records=records, packs=packs))
    disk.promise(("admitted", blob))


def _run(directory: Path, disk: FaultDisk) -> None:
    async def act() -> None:
        with closing(ChainDatabase(directory / "chain.db", disk)) as database:
            store = PackStore(directory, disk)
            await store.sweep(frozenset())
            for number in (1, 2, 3):
                await _admit(store, database, disk, number)
            async with store.incoming() as refused:
                await refused.write(_pack(4))
                await refused.check(REPOS[0])  # checked, and given up

    trio.run(act)


@frozen
class Found:
    """What a start found."""

    store: PackStore
    listed: tuple[AdmittedPack, ...]
    missing: tuple[AdmittedPack, ...]


def _recover(directory: Path, disk: Disk) -> Found:
    """As a node's start: sweep what nothing names, link what the state lists, ask for what is gone."""
    with closing(ChainDatabase(directory / "chain.db", disk)) as database:
        listed = tuple(database.listed_packs(0))
        store = PackStore(directory, disk)
        # What it vouched for stands in the vote log, which comes before the attestation is said.
        store._sweep({pack.digest for pack in listed} | _VOUCHED)
        for pack in listed:
            if not (store.is_linked(pack.repo, pack.digest) and store.has(pack.digest)) and not store._link(
                pack.repo, pack.digest
            ):
                database.add_missing(pack)
        return Found(store, listed, tuple(database.list_missing()))


def _check(directory: Path, found: Found, promises: list[tuple[str, Blob]]) -> None:
    assert list((directory / "quarantine").iterdir()) == [], "something is left in quarantine"
    for said, blob in promises:
        assert found.store.has(blob.digest), f"a pack that was {said} is gone"
        assert digest_file(found.store.layout.pack(blob.digest)).digest == blob.digest, f"{said}, and damaged"
        assert digest_file(found.store.layout.idx(blob.digest)).digest == blob.idx_digest, f"{said}; index damaged"
    admitted = {blob.digest for said, blob in promises if said == "admitted"}
    assert admitted <= {pack.digest for pack in found.listed}, "an acknowledged block is gone"
    assert found.missing == (), "a block admits a pack that was not durable before it"
    for pack in found.listed:
        assert found.store.is_linked(pack.repo, pack.digest)
    _git_reads(found)


@cache
def _objects(pack: bytes) -> tuple[str, ...]:
    """What git finds in a pack, by its index."""
    shown = subprocess.run(["git", "show-index"], input=pack, capture_output=True, check=True).stdout.decode()
    return tuple(sorted(line.split()[1] for line in shown.splitlines()))


def _git_reads(found: Found) -> None:
    """The links lead to whole indexes; each is looked into once for all cuts that left it so."""
    for pack in found.listed:
        linked = found.store.layout.linked_pack(found.store.layout.repo(pack.repo), pack.digest)
        assert len(_objects(linked.with_suffix(".idx").read_bytes())) == 2


@cache
def _vouched() -> frozenset[bytes]:
    from guts_core.git.chunks import BlobDigest

    digests = set()
    for number in (1, 2, 3):
        digest = BlobDigest()
        digest.update(_pack(number))
        digests.add(digest.finish().digest)
    return frozenset(digests)


_VOUCHED = _vouched()
# What a scratch directory of git's holds was checked and is thrown away.
PACKS = Workload("pack admission", lambda _: None, _run, _recover, _check)
