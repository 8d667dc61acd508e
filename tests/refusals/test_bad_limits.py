"""Rows C01, C03 to C05, C07 and C13 of ``reliability.md`` 3: each number of ``PackLimits``, at it and one beyond."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve, fields

from guts_core.errors import LimitExceeded
from guts_core.git import pack_limits
from guts_core.git.pack_limits import OF_VALIDATORS, PackLimits
from tests.fixtures.git_history import BLOB, PLAIN, RawObject, commit, tree
from tests.net.packs.pack_world import World, entry, pack_of, pack_of_entries, ref_delta
from tests.refusals.test_bad_packs import number


@pytest.fixture
def world(tmp_path: Path) -> World:
    directory = tmp_path / "node"
    directory.mkdir()
    return World(directory)


def wide(entries: int) -> RawObject:
    return tree(*(("100644", f"{one:06}".encode(), BLOB.oid) for one in range(entries)))


def with_root(root: RawObject, *others: RawObject) -> bytes:
    return pack_of(BLOB, PLAIN, *others, root, commit(root.oid))


def nested(depth: int) -> bytes:
    """A tree so many directories deep."""
    objects = [BLOB, PLAIN]
    for _ in range(depth - 1):
        objects.append(tree(("40000", b"d", objects[-1].oid)))
    return pack_of(*objects, commit(objects[-1].oid))


def chain(length: int) -> bytes:
    """Each delta keeps its base and adds a byte."""
    entries, last = [entry(BLOB)], BLOB
    for link in range(length):
        body = last.body + bytes([link])
        delta = number(len(last.body)) + number(len(body)) + b"\x90" + bytes([len(last.body), 1, link])
        entries.append(ref_delta(last.oid, delta))
        last = RawObject("blob", body)
    return pack_of_entries(entries)


def merging(parents: int) -> bytes:
    tips = [commit(PLAIN.oid, message=f"{one}\n") for one in range(parents)]
    return pack_of(BLOB, PLAIN, *tips, commit(PLAIN.oid, [tip.oid for tip in tips]))


def long_commit(size: int) -> bytes:
    short = len(commit(PLAIN.oid, message="").body)
    return pack_of(BLOB, PLAIN, commit(PLAIN.oid, message="x" * (size - short)))


def long_tag(size: int) -> bytes:
    head = f"object {BLOB.oid}\ntype blob\ntag t\ntagger A <a@b.c> 1 +0000\n\n"
    return pack_of(BLOB, RawObject("tag", (head + "x" * (size - len(head))).encode()))


def file_of(size: int) -> bytes:
    return pack_of(RawObject("blob", bytes(size)))


# Which number, at how much; a pack that has just so much and one that has one more; and what is said of it.
ROWS = {
    "C01-file": ("blob_bytes", 5_000, file_of(5_000), file_of(5_001), "a file of 5001 bytes; at most 5000"),
    "C01-sum": (
        "inflated_bytes",
        100,
        pack_of(RawObject("blob", bytes(100))),
        pack_of(RawObject("blob", bytes(60)), RawObject("blob", bytes(41))),
        "the objects of the pack come to 101 bytes; at most 100",
    ),
    "C03-chain": ("delta_depth", 5, chain(5), chain(6), "a chain of more than 5 deltas"),
    "C04-entries": (
        "tree_entries",
        20,
        with_root(wide(20)),
        with_root(wide(21)),
        "tree [0-9a-f]{40} has 21 entries; at most 20",
    ),
    "C05-depth": ("tree_depth", 4, nested(4), nested(5), "more than 4 directories deep"),
    "C07-parents": ("parents", 3, merging(3), merging(4), "commit [0-9a-f]{40} has more than 3 parents"),
    "C07-commit": ("commit_bytes", 300, long_commit(300), long_commit(301), "a commit of 301 bytes; at most 300"),
    "C07-tag": ("commit_bytes", 300, long_tag(300), long_tag(301), "a tag of 301 bytes; at most 300"),
    "C13-objects": ("objects", 3, pack_of(BLOB, PLAIN, commit(PLAIN.oid)), merging(1), "4 objects; at most 3"),
}


@pytest.mark.parametrize("row", ROWS)
async def test_bad_C01_C03_C04_C05_C07_each_number_holds(world: World, row: str) -> None:
    """Just so much goes in, one more is refused with the number, and nothing of it stays."""
    name, most, just, beyond, words = ROWS[row]
    limits = evolve(OF_VALIDATORS, **{name: most})

    assert await world.check(just, limits=limits) is not None
    with pytest.raises(LimitExceeded, match=words) as caught:
        await world.check(beyond, limits=limits)
    assert str(world.directory) not in str(caught.value)
    assert world.files() == []


def test_every_number_has_a_row() -> None:
    """A limit that no test reaches is a wish."""
    assert {row[0] for row in ROWS.values()} == {one.name for one in fields(PackLimits)}


async def test_bad_C04_entries_are_counted_in_a_delta_too(world: World) -> None:
    """Its size is known without its base, its entries are not."""
    base, grown = wide(15), wide(25)
    more = grown.body[len(base.body) :]
    copy = b"\xb0" + len(base.body).to_bytes(2, "little")
    inserts = b"".join(
        bytes([len(piece)]) + piece for piece in (more[at : at + 100] for at in range(0, len(more), 100))
    )
    delta = number(len(base.body)) + number(len(grown.body)) + copy + inserts
    pack = pack_of_entries([entry(BLOB), entry(base), ref_delta(base.oid, delta)])

    assert await world.check(pack) is not None
    with pytest.raises(LimitExceeded, match=f"tree {grown.oid} has 25 entries; at most 20"):
        await world.check(pack, limits=evolve(OF_VALIDATORS, tree_entries=20))


async def test_bad_C04_few_long_names_are_no_many_entries(world: World) -> None:
    """Room for more entries is no proof of them."""
    long = tree(*(("100644", bytes([97 + one]) * 250, BLOB.oid) for one in range(4)))

    assert await world.check(with_root(long), limits=evolve(OF_VALIDATORS, tree_entries=5)) is not None


async def test_bad_C04_a_tree_has_only_so_many_bytes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its names: git reads a tree whole."""
    monkeypatch.setattr("guts_net.packs.survey.TREE_BYTES_MAX", 500)

    with pytest.raises(LimitExceeded, match=r"a tree of 5[0-9]{2} bytes; at most 500"):
        await world.check(with_root(wide(17)))


def test_no_node_may_take_more_than_validators_vouch_for() -> None:
    """The defaults are the numbers of the design."""
    assert PackLimits(5_000_000, 512 << 20, 500_000, 1_024, 4_095, 256, 1 << 20, 128 << 30) == OF_VALIDATORS
    assert pack_limits.PACK_BYTES_MAX == 2 << 30
