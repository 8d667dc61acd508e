"""Packs that were accepted: durable before anyone hears of it, linked, read by chunks, swept, adopted from peers."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from guts_core.errors import Corrupt, LimitExceeded, Malformed
from guts_core.forge.actions import Blob
from guts_core.git.chunks import CHUNK_BYTES, chunk_path, verify_chunk
from guts_net.disk import LocalDisk
from guts_net.packs import GitChildren, PackStore
from tests.fixtures.git_history import BLOB, PLAIN, RawObject, commit, git
from tests.net.packs.pack_world import OTHER_REPO, REPO, World, pack_from, pack_of, pieces_of

GOOD = pack_of(BLOB, PLAIN, commit(PLAIN.oid))
# More than two chunks that do not compress.
NOISE = b"".join((n * n * 2654435761 % 2**32).to_bytes(4, "big") for n in range(700_000))
LARGE = pack_of(RawObject("blob", NOISE))


async def blob_of(world: World, pack: bytes) -> Blob:
    checked = await world.check(pack)
    assert checked is not None
    return checked.blob


async def test_pack_index_and_directory_are_synced_in_this_order_before_keep_returns(world: World) -> None:
    """An attestation follows at once: what it promises must survive the power cut after it."""
    async with world.store.incoming() as incoming:
        await incoming.write(GOOD)
        checked = await incoming.check(REPO)
        assert checked is not None
        world.operations.clear()
        await world.store.keep(checked)
        done = list(world.operations)

    name = checked.blob.digest.hex()
    assert done == [
        ("sync", checked.pack.name),
        ("sync", checked.idx.name),
        ("rename", f"{name}.pack"),
        ("rename", f"{name}.idx"),
        ("sync-directory", "packs"),
    ]


async def test_keeping_the_same_pack_twice_is_no_error(world: World) -> None:
    first = await world.push(GOOD)
    second = await world.push(GOOD)

    assert first == second
    assert world.store.has(first)
    assert len(list(world.store.layout.packs.iterdir())) == 2


async def test_a_second_keep_waits_for_the_directory_too(world: World) -> None:
    """The first one may be between its renames and its sync."""
    await world.push(GOOD)
    world.operations.clear()
    await world.push(GOOD)

    assert ("sync-directory", "packs") in world.operations


async def test_kept_bytes_are_the_sent_bytes(world: World) -> None:
    digest = await world.push(GOOD)

    assert world.store.layout.pack(digest).read_bytes() == GOOD
    assert await world.store.blob(digest) == await blob_of(world, GOOD)


async def test_the_quarantine_is_empty_after_a_push(world: World) -> None:
    await world.push(GOOD)

    assert list(world.store.layout.quarantine.iterdir()) == []


async def test_links_are_hard_links_pack_before_index(world: World) -> None:
    """Git looks for indexes, so an index without its pack would be an error to a reader."""
    digest = await world.push(GOOD)
    linked = world.store.layout.linked_pack(world.store.layout.repo(REPO), digest)

    assert linked.samefile(world.store.layout.pack(digest))
    assert linked.with_suffix(".idx").samefile(world.store.layout.idx(digest))
    assert [s for o, s in world.operations if o == "link"] == [linked.name, linked.with_suffix(".idx").name]
    assert world.store.is_linked(REPO, digest)
    assert not world.store.is_linked(OTHER_REPO, digest)


async def test_a_repository_directory_passes_git_fsck(world: World, source: Path) -> None:
    await world.push(pack_from(source, "main~1"))
    await world.push(pack_from(source, "main", "^main~1"))

    assert b"dangling commit" in git(world.store.layout.repo(REPO), "fsck", "--full", "--strict")


async def test_a_pack_that_is_not_held_is_not_linked_and_makes_no_repository(world: World) -> None:
    assert not await world.store.link(REPO, bytes(32))
    assert world.files() == []


async def test_a_half_made_repository_is_completed(world: World) -> None:
    """A crash may come between any two steps of making one."""
    digest = await world.push(GOOD)
    git_dir = world.store.layout.repo(REPO)
    world.store.layout.linked_pack(git_dir, digest).unlink()
    (git_dir / "config").unlink()

    assert await world.store.link(REPO, digest)
    assert b"tree" in git(git_dir, "cat-file", "-t", PLAIN.oid)


async def test_chunks_of_a_kept_pack_prove_themselves(world: World) -> None:
    digest = await world.push(LARGE)
    digested, blob = await world.store.digested(digest), await world.store.blob(digest)
    assert digested is not None
    assert blob is not None

    chunks = [await world.store.read_chunk(digest, index) for index in range(len(digested.leaves))]

    assert b"".join(chunk or b"" for chunk in chunks) == LARGE
    assert len(chunks) == 3
    for index, chunk in enumerate(chunks):
        assert verify_chunk(blob.chunk_root, blob.size, index, chunk or b"", chunk_path(digested.leaves, index)), (
            f"chunk {index} of {CHUNK_BYTES}"
        )


@pytest.mark.parametrize("index", [-1, 3, 1 << 40])
async def test_there_is_no_chunk_outside_a_pack(world: World, index: int) -> None:
    digest = await world.push(LARGE)

    assert await world.store.read_chunk(digest, index) is None


async def test_an_unknown_pack_has_nothing(world: World) -> None:
    assert not world.store.has(bytes(32))
    assert await world.store.read_chunk(bytes(32), 0) is None
    assert await world.store.digested(bytes(32)) is None
    assert await world.store.blob(bytes(32)) is None


async def test_fault_F09_rot_in_a_kept_pack_is_noticed_when_it_is_digested(world: World) -> None:
    digest = await world.push(GOOD)
    path = world.store.layout.pack(digest)
    path.write_bytes(GOOD[:50] + b"\0" + GOOD[51:])

    with pytest.raises(Corrupt, match="damaged"):
        await world.store.blob(digest)


async def test_a_pack_comes_from_a_peer(world: World, tmp_path: Path) -> None:
    blob = await blob_of(world, LARGE)
    world.operations.clear()

    await world.store.adopt(blob, pieces_of(LARGE, 100_000))

    assert await world.store.blob(blob.digest) == blob
    assert world.operations.index(("sync-directory", "packs")) > world.operations.index(
        ("rename", f"{blob.digest.hex()}.idx")
    )
    assert list(world.store.layout.quarantine.iterdir()) == []


async def test_a_certificate_is_law_for_what_is_in_a_pack(world: World) -> None:
    """After finality every holder stores the bytes, even those that its own checks would refuse."""
    disconnected = pack_of(commit(PLAIN.oid))
    (world.directory / "quorum").mkdir()
    quorum = PackStore(world.directory / "quorum", LocalDisk())
    async with quorum.incoming() as incoming:
        await incoming.write(disconnected)
        blob = (await incoming.index()).blob

    await world.store.adopt(blob, pieces_of(disconnected))

    assert world.store.has(blob.digest)


@pytest.mark.parametrize(
    "sent", [LARGE[:-1], LARGE + b"x", LARGE[:9] + b"x" + LARGE[10:], b""], ids=["short", "long", "other", "nothing"]
)
async def test_other_bytes_from_a_peer_are_its_fault(world: World, sent: bytes) -> None:
    blob = await blob_of(world, LARGE)

    with pytest.raises(Malformed, match="other bytes"):
        await world.store.adopt(blob, pieces_of(sent, 100_000))
    assert world.files() == []


async def test_another_index_than_the_quorums_is_an_alarm(world: World) -> None:
    blob = await blob_of(world, GOOD)
    other = Blob(blob.digest, blob.size, blob.chunk_root, blob.objects, bytes(32))

    with pytest.raises(Corrupt, match="index"):
        await world.store.adopt(other, pieces_of(GOOD))
    assert not world.store.has(blob.digest)


async def test_sweep_empties_the_quarantine_and_drops_what_nobody_needs(world: World) -> None:
    """F01: nothing is left of pushes that a crash cut off."""
    listed = await world.push(GOOD)
    attested = await _keep(world, pack_of(BLOB, PLAIN))
    orphan = await _keep(world, pack_of(BLOB))
    half = world.store.layout.quarantine / "abandoned"
    half.mkdir()
    (half / "incoming").write_bytes(b"PACK")
    (world.store.layout.packs / "README").write_text("not ours to remove")

    removed = await PackStore(world.directory, LocalDisk(world.saw)).sweep({attested})

    assert removed == (orphan,)
    assert [world.store.has(digest) for digest in (listed, attested, orphan)] == [True, True, False]
    assert list(world.store.layout.quarantine.iterdir()) == []
    assert (world.store.layout.packs / "README").exists()


async def test_sweep_keeps_what_the_state_lists_although_its_link_was_lost(world: World) -> None:
    digest = await world.push(GOOD)
    linked = world.store.layout.linked_pack(world.store.layout.repo(REPO), digest)
    linked.unlink()
    linked.with_suffix(".idx").unlink()

    assert await world.store.sweep({digest}) == ()
    assert not world.store.is_linked(REPO, digest)
    assert await world.store.link(REPO, digest)


async def test_a_disk_that_fails_a_sync_is_not_asked_again(world: World) -> None:
    """F11: the kernel forgets dirty pages after it reported them once."""

    class Failing(LocalDisk):
        def sync_file(self, path: Path) -> None:
            raise OSError(5, "Input/output error", str(path))

    (world.directory / "failing").mkdir()
    failing = PackStore(world.directory / "failing", Failing())
    async with failing.incoming() as incoming:
        await incoming.write(GOOD)
        checked = await incoming.check(REPO)
        assert checked is not None
        with pytest.raises(OSError, match="Input/output"):
            await failing.keep(checked)
    assert not failing.has(checked.blob.digest)


async def test_a_child_that_says_too_much_is_ended(world: World) -> None:
    await world.push(LARGE)
    oid = RawObject("blob", NOISE).oid

    with pytest.raises(LimitExceeded, match="more than 1000 bytes"):
        await world.store.git.run(
            "cat-file", "blob", oid, git_dir=world.store.layout.repo(REPO), output_bytes_max=1_000
        )


async def test_large_checks_leave_room_for_short_questions(tmp_path: Path) -> None:
    """Also when more of them wait than there are places; and all end when nobody waits for them any more."""
    children = GitChildren(most=2, most_large=1)
    endless = tmp_path / "fifo"
    os.mkfifo(endless)  # git waits for a writer that never comes

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(partial(children.run, "hash-object", str(endless), is_large=True))
        await trio.testing.wait_all_tasks_blocked()
        answer = await children.run("version")
        nursery.cancel_scope.cancel()

    assert answer.code == 0


async def test_a_child_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(LimitExceeded, match=r"hash-object took longer than 0\.05 seconds"):
        await GitChildren().run("hash-object", str(tmp_path / "fifo"), seconds=0.05)


async def test_git_here_is_recent_enough(world: World) -> None:
    assert await world.store.git.check_version() >= (2, 39)


async def test_no_setting_of_the_operator_reaches_a_child(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".gitconfig").write_text("[user]\n\tname = Mallory\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.name")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "Mallory")

    answer = await world.store.git.run("config", "--get", "user.name")

    assert (answer.code, answer.output) == (1, b"")


async def _keep(world: World, pack: bytes) -> bytes:
    async with world.store.incoming() as incoming:
        await incoming.write(pack)
        checked = await incoming.check(REPO)
        assert checked is not None
        await world.store.keep(checked)
        return checked.blob.digest
