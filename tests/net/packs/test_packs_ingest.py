"""Packs that are refused, and that a refusal leaves nothing (``reliability.md`` C01-C10, F43)."""

from __future__ import annotations

import errno
import zlib
from pathlib import Path

import pytest
import trio

from guts_core.codec import Tag, digest
from guts_core.errors import LimitExceeded, Unavailable
from guts_core.git.chunks import chunk_root
from guts_core.git.pack_limits import OBJECTS_MAX
from guts_net.disk import LocalDisk, LocalFile
from guts_net.packs import BadPack, MissingObjects, PackStore
from guts_net.packs.git_child import Answer
from guts_net.packs.refusals import refusal_of
from tests.fixtures import git_history
from tests.fixtures.git_history import BLOB, PLAIN, RawObject, commit, git, tree
from tests.net.packs.pack_world import (
    OTHER_REPO,
    REPO,
    World,
    entry,
    entry_head,
    pack_from,
    pack_of,
    pack_of_entries,
    ref_delta,
)

GOOD = pack_of(BLOB, PLAIN, commit(PLAIN.oid))


async def test_a_good_pack_is_described_by_its_bytes(world: World) -> None:
    checked = await world.check(GOOD)

    assert checked is not None
    assert checked.blob.digest == digest(Tag.BLOB, GOOD)
    assert (checked.blob.size, checked.blob.objects) == (len(GOOD), 3)
    assert checked.blob.chunk_root == chunk_root(checked.leaves) == digest(Tag.CHUNK, b"\x00", GOOD)
    assert world.files() == []


async def test_the_index_does_not_depend_on_who_makes_it(world: World, tmp_path: Path) -> None:
    """Validators compare digests of indexes that each made alone."""
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")

    first, second = await world.check(GOOD), await other.check(GOOD)

    assert first is not None
    assert second is not None
    assert first.blob == second.blob


async def test_pieces_of_any_size_make_the_same_pack(world: World) -> None:
    async with world.store.incoming() as incoming:
        for at in range(len(GOOD)):
            await incoming.write(GOOD[at : at + 1])
        assert incoming.size == len(GOOD)
        checked = await incoming.check(REPO)

    assert checked is not None
    assert checked.blob.digest == digest(Tag.BLOB, GOOD)


async def test_an_empty_pack_needs_no_blob(world: World) -> None:
    """Git sends one when the server has everything already."""
    assert await world.check(pack_of()) is None
    assert world.files() == []


@pytest.mark.parametrize(
    "pack", [pack_of()[:-1] + b"x", pack_of() + b"x", GOOD[:8] + bytes(4) + GOOD[12:]], ids=["trailer", "tail", "lie"]
)
async def test_an_empty_pack_is_empty(world: World, pack: bytes) -> None:
    with pytest.raises(BadPack, match="no objects"):
        await world.check(pack)


@pytest.mark.parametrize(
    ("objects", "lacking"),
    [
        ((BLOB, commit(PLAIN.oid)), PLAIN.oid),
        ((PLAIN, commit(PLAIN.oid)), BLOB.oid),
        ((BLOB, PLAIN, commit(PLAIN.oid, ["ab" * 20])), "ab" * 20),
        (
            (RawObject("tag", f"object {'cd' * 20}\ntype commit\ntag t\ntagger A <a@b> 1 +0000\n\nx\n".encode()),),
            "cd" * 20,
        ),
    ],
    ids=["tree", "blob", "parent", "tagged"],
)
async def test_bad_C10_a_missing_object_is_named(world: World, objects: tuple[RawObject, ...], lacking: str) -> None:
    with pytest.raises(MissingObjects, match=f"missing necessary objects: {lacking}"):
        await world.check(pack_of(*objects))
    assert world.files() == []


async def test_bad_C10_what_another_repository_has_does_not_count(world: World) -> None:
    """A push must not reach into a private repository by naming what is there."""
    await world.push(pack_of(BLOB, PLAIN), OTHER_REPO)
    head = pack_of(commit(PLAIN.oid))

    with pytest.raises(MissingObjects, match=PLAIN.oid):
        await world.check(head)
    assert await world.check(head, OTHER_REPO) is not None


async def test_links_may_lead_into_what_the_repository_has(world: World, source: Path) -> None:
    await world.push(pack_from(source, "main~1"))

    checked = await world.check(pack_from(source, "main", "^main~1"))

    assert checked is not None
    assert checked.blob.objects == 4


async def test_a_link_to_an_object_of_another_kind_is_refused(world: World) -> None:
    """Wherever that object is: beside it in the pack, or in the repository."""
    wrong = f"{BLOB.oid} is a blob where a tree is expected"

    with pytest.raises(BadPack, match=wrong):
        await world.check(pack_of(BLOB, commit(BLOB.oid)))
    await world.push(pack_of(BLOB))
    with pytest.raises(BadPack, match=wrong):
        await world.check(pack_of(commit(BLOB.oid)))


@pytest.mark.parametrize(
    ("pack", "words"),
    [
        (b"", "too early"),
        (GOOD[:31], "too early"),
        (GOOD[:60], "too early"),
        (GOOD[:-5], "too early"),
        (GOOD + b"junk", "after the end"),
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "checksum"),
        (b"KCAP" + GOOD[4:], "not a pack"),
        (GOOD[:7] + b"\x09" + GOOD[8:], "not a pack of version 2 or 3"),
        (pack_of_entries([entry(BLOB)], count=2), "corrupt|too early|memory"),
        (pack_of_entries([entry(BLOB), entry(PLAIN)], count=1), "checksum|after the end"),
        (pack_of_entries([entry_head(3, 8) + b"\xff" * 30]), "corrupt"),
        (pack_of_entries([entry_head(3, 9) + zlib.compress(BLOB.body)]), "corrupt"),
        (pack_of_entries([entry_head(3, 7) + zlib.compress(BLOB.body)]), "corrupt"),
        (pack_of_entries([entry_head(0, 8) + zlib.compress(BLOB.body)]), "corrupt"),
        (pack_of_entries([entry_head(5, 8) + zlib.compress(BLOB.body)]), "corrupt"),
        (pack_of_entries([entry_head(6, 3) + b"\x00" + zlib.compress(b"\x08\x08\x08")]), "corrupt"),
        (pack_of_entries([entry_head(6, 3) + b"\x7f" + zlib.compress(b"\x08\x08\x08")]), "corrupt"),
        (pack_of_entries([entry(BLOB), ref_delta(BLOB.oid, b"\x08\x08\xff\xff\xff\xff\xff\xff\xff\xff")]), "corrupt"),
        (pack_of_entries([entry(BLOB), ref_delta(BLOB.oid, b"\x08" + b"\xff" * 8 + b"\x7f\x90\x08")]), "memory"),
    ],
)
async def test_bad_C09_a_damaged_pack_is_refused_with_its_reason(world: World, pack: bytes, words: str) -> None:
    with pytest.raises((BadPack, LimitExceeded), match=words):
        await world.check(pack)
    assert world.files() == []


async def test_every_cut_of_a_pack_is_refused(world: World) -> None:
    for end in range(0, len(GOOD), 7):
        with pytest.raises(BadPack):
            await world.check(GOOD[:end])


async def test_bad_C03_a_thin_pack_is_refused_also_when_the_base_is_there(world: World) -> None:
    """The stored bytes are the sent bytes: no-thin was advertised, nothing is appended."""
    await world.push(GOOD)
    thin = pack_of_entries([ref_delta(BLOB.oid, b"\x08\x08\x90\x08")])

    with pytest.raises(BadPack, match="thin"):
        await world.check(thin)


async def test_bad_C03_deltas_that_are_each_others_base_are_refused(world: World) -> None:
    with pytest.raises(BadPack, match="thin: 2"):
        await world.check(pack_of_entries([ref_delta("11" * 20, b"\x08\x08\x90\x08"), ref_delta("22" * 20, b"\0\0")]))


async def test_bad_C01_more_bytes_than_declared_are_never_inflated(world: World) -> None:
    bomb = pack_of_entries([entry_head(3, 8) + zlib.compress(bytes(50 << 20))])

    with pytest.raises(BadPack, match="corrupt"):
        await world.check(bomb)


async def test_bad_C01_a_declared_size_is_no_allocation(world: World) -> None:
    with pytest.raises((BadPack, LimitExceeded)):
        await world.check(pack_of_entries([entry_head(2, 1 << 60) + zlib.compress(BLOB.body)]))


async def test_a_pack_of_too_many_bytes_stops_while_it_comes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guts_net.packs.ingest.PACK_BYTES_MAX", 100)

    async with world.store.incoming() as incoming:
        await incoming.write(GOOD[:100])
        with pytest.raises(LimitExceeded, match="larger than 100 bytes"):
            await incoming.write(b"x")
    assert world.files() == []


async def test_a_pack_of_too_many_objects_is_not_even_indexed(world: World) -> None:
    with pytest.raises(LimitExceeded, match=f"{OBJECTS_MAX + 1} objects; at most {OBJECTS_MAX}"):
        await world.check(pack_of_entries([entry(BLOB)], count=OBJECTS_MAX + 1))


async def test_a_check_that_takes_too_long_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guts_net.packs.ingest.check_seconds", lambda _size: 0.0)

    with pytest.raises(LimitExceeded, match="took longer"):
        await world.check(GOOD)
    assert world.files() == []


async def test_fault_F13_a_full_disk_refuses_the_push_and_recovers(world: World) -> None:
    full = [True]

    class SmallFile(LocalFile):
        def write(self, data: bytes) -> None:
            if full[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            super().write(data)

    class SmallDisk(LocalDisk):
        def create(self, path: Path) -> LocalFile:
            return SmallFile(self, path, path.open("xb"))

    store = PackStore(world.directory, SmallDisk())
    async with store.incoming() as incoming:
        with pytest.raises(Unavailable, match="no room on its disk"):
            await incoming.write(GOOD)
    assert world.files() == []
    full[0] = False
    async with store.incoming() as incoming:
        await incoming.write(GOOD)
        assert await incoming.check(REPO) is not None


def test_fault_F13_git_may_find_the_disk_full_first() -> None:
    answer = Answer(128, b"", "fatal: cannot write '/x/y.idx': No space left on device\n")

    assert isinstance(refusal_of(answer), Unavailable)


def zeros(mebibytes: int, times: int = 1) -> bytes:
    """A pack of a blob (several times): 1 KB becomes 1 MiB, within the declared size."""
    deflate = zlib.compressobj()
    data = b"".join(deflate.compress(bytes(1 << 20)) for _ in range(mebibytes)) + deflate.flush()
    return pack_of_entries([entry_head(3, mebibytes << 20) + data] * times)


async def test_bad_C01_a_large_blob_is_not_held_in_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guts_net.packs.git_child.CHILD_MEMORY_BYTES_MAX", 60 << 20)

    assert await world.check(zeros(100)) is not None


async def test_bad_C01_a_check_gets_only_so_much_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several, since the limit is set a moment after the child has started."""
    monkeypatch.setattr("guts_net.packs.git_child.CHILD_MEMORY_BYTES_MAX", 40 << 20)

    with pytest.raises(LimitExceeded, match="more memory"):
        await world.check(zeros(60, times=20))
    assert world.files() == []


async def test_fault_F43_a_push_that_is_cut_off_leaves_nothing(world: World) -> None:
    started = trio.Event()

    async def push() -> None:
        async with world.store.incoming() as incoming:
            await incoming.write(GOOD[:50])
            started.set()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(push)
        await started.wait()
        assert [path for path in world.files() if path.startswith("quarantine/")]
        nursery.cancel_scope.cancel()

    assert world.files() == []


async def test_fault_F43_a_check_that_is_cancelled_leaves_nothing(world: World) -> None:
    async with world.store.incoming() as incoming:
        await incoming.write(GOOD)
        with trio.CancelScope() as scope:
            scope.cancel()
            await incoming.check(REPO)

    assert scope.cancelled_caught
    assert world.files() == []
    assert list(world.store.layout.quarantine.iterdir()) == []


@pytest.mark.parametrize("name", sorted(git_history.DANGEROUS))
async def test_bad_A_09_C_06_dangerous_objects_are_refused(world: World, name: str) -> None:
    objects = git_history.DANGEROUS[name].objects

    with pytest.raises(BadPack, match=r"is not accepted: [a-zA-Z0-9]+: "):
        await world.check(pack_of(*objects))
    assert world.files() == []


@pytest.mark.parametrize("name", sorted(git_history.TOLERATED))
async def test_what_old_tools_wrote_is_tolerated(world: World, name: str) -> None:
    checked = await world.check(pack_of(*git_history.TOLERATED[name].objects))

    assert checked is not None
    assert checked.blob.objects == len({one.oid for one in git_history.TOLERATED[name].objects})


async def test_a_message_for_a_pusher_holds_no_path_and_no_control_character(world: World) -> None:
    hostile = tree(("40000", b".git\x1b]0;x\x07", PLAIN.oid), ("40000", b".git", PLAIN.oid))

    with pytest.raises(BadPack) as caught:
        await world.check(pack_of(BLOB, PLAIN, hostile, commit(hostile.oid)))
    assert str(world.directory) not in str(caught.value)
    assert str(caught.value).isprintable()


async def test_a_generated_history_of_two_thousand_objects_passes(world: World, tmp_path: Path) -> None:
    git_history.generate(tmp_path / "big", objects=2_000)
    revisions = git(tmp_path / "big", "for-each-ref", "--format=%(objectname)").decode().split()

    checked = await world.check(pack_from(tmp_path / "big", *revisions))

    assert checked is not None
    assert checked.blob.objects >= 2_000
