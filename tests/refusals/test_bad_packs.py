"""Rows C01 to C10 of ``reliability.md`` 3: packs and objects, each given to the quarantine as a push would."""

from __future__ import annotations

import signal
import zlib
from itertools import pairwise
from pathlib import Path

import pytest

from guts_core.errors import LimitExceeded
from guts_core.git import pack_limits as limits
from guts_net.packs import BadPack, MissingObjects
from guts_net.packs.git_child import Answer
from guts_net.packs.refusals import refusal_of
from tests.fixtures.git_history import BLOB, PLAIN, RawObject, commit, tree, write_object
from tests.net.packs.pack_world import (
    OFS_DELTA,
    OTHER_REPO,
    REPO,
    World,
    entry,
    entry_head,
    pack_of,
    pack_of_entries,
    ref_delta,
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    directory = tmp_path / "node"
    directory.mkdir()
    return World(directory)


async def refused(
    world: World,
    pack: bytes,
    words: str,
    by: type[Exception] = LimitExceeded,
    limits: limits.PackLimits = limits.OF_VALIDATORS,
) -> None:
    """The pack is refused with these words, which hold no path, and nothing of it stays."""
    before = world.files()
    with pytest.raises(by, match=words) as caught:
        await world.check(pack, limits=limits)

    assert str(world.directory) not in str(caught.value)
    assert str(caught.value).isprintable()
    assert before == world.files()


# ---- C01: what small packs inflate to ----


def copying(base_size: int, times: int) -> bytes:
    """A delta that repeats its base, and what it makes: 7 bytes for 64 KiB of result."""
    piece = b"\xb0" + (base_size & 0xFF).to_bytes(1, "little") + (base_size >> 8).to_bytes(1, "little")
    return number(base_size) + number(base_size * times) + piece * times


def number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def ofs_delta(distance: int, delta: bytes) -> bytes:
    digits = [distance & 0x7F]
    while distance := distance >> 7:
        distance -= 1
        digits.append(distance & 0x7F | 0x80)
    return entry_head(OFS_DELTA, len(delta)) + bytes(reversed(digits)) + zlib.compress(delta)


async def test_bad_C01_what_a_push_inflates_to_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deltas multiply without zlib: twenty of them make 20 MiB of 1 KB."""
    monkeypatch.setattr(limits, "INFLATED_BYTES_FREE", 10 << 20)
    base = RawObject("blob", bytes(32 << 10))
    deltas = [ref_delta(base.oid, copying(32 << 10, 32 + one)) for one in range(20)]

    await refused(world, pack_of_entries([entry(base), *deltas]), "the objects of the pack come to 2[0-9]{7} bytes")


async def test_bad_C01_a_zlib_bomb_is_bounded_by_its_declared_size(world: World) -> None:
    """The first byte over ends it, whatever would still come."""
    bomb = pack_of_entries([entry_head(3, 100) + zlib.compress(bytes(100 << 20))])

    await refused(world, bomb, "corrupt", BadPack)


async def test_bad_C01_a_check_gets_only_so_much_computing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bomb within every declared size: counted in processor time, which a busy machine does not change."""
    monkeypatch.setattr("guts_net.packs.ingest.check_cpu_seconds", lambda _size: 0)
    deflate = zlib.compressobj(1)
    data = b"".join(deflate.compress(bytes(1 << 20)) for _ in range(600)) + deflate.flush()

    await refused(world, pack_of_entries([entry_head(3, 600 << 20) + data]), "computing time|does not accept")


def test_bad_C01_too_much_computing_has_words() -> None:
    """The kernel ends the child by a signal of its own."""
    refusal = refusal_of(Answer(-signal.SIGXCPU, b"", ""))

    assert isinstance(refusal, LimitExceeded)
    assert "computing time" in str(refusal)


# ---- C02: deltas that lie ----

TINY = entry(BLOB)
LYING_DELTAS = {
    "result of 2^63": (ref_delta(BLOB.oid, number(8) + number(1 << 63) + b"\x90\x08"), "memory|corrupt"),
    "copy past the base": (ref_delta(BLOB.oid, number(8) + number(200) + b"\x90\xc8"), "corrupt"),
    "copy from beyond the base": (ref_delta(BLOB.oid, number(8) + number(4) + b"\x91\xff\x04"), "corrupt"),
    "another size of the base": (ref_delta(BLOB.oid, number(9) + number(4) + b"\x90\x04"), "corrupt"),
    "the reserved instruction": (ref_delta(BLOB.oid, number(8) + number(4) + b"\x00\x90\x04"), "corrupt"),
    "insertion past the end": (ref_delta(BLOB.oid, number(8) + number(4) + b"\x7fabc"), "corrupt"),
    "less than it says": (ref_delta(BLOB.oid, number(8) + number(9) + b"\x90\x08"), "corrupt"),
    "distance zero: itself": (entry_head(OFS_DELTA, 3) + b"\x00" + zlib.compress(b"\x08\x08\x08"), "corrupt"),
    "distance before the pack": (ofs_delta(5000, b"\x08\x08\x90\x08"), "corrupt"),
    "distance of 2^70": (
        entry_head(OFS_DELTA, 4) + b"\xff" * 10 + b"\x00" + zlib.compress(b"\x08\x08\x90\x08"),
        "corrupt",
    ),
    "into the middle of an entry": (ofs_delta(3, b"\x08\x08\x90\x08"), "no base"),
}


@pytest.mark.parametrize("name", LYING_DELTAS)
async def test_bad_C02_a_delta_that_lies_is_refused(world: World, name: str) -> None:
    """A typed refusal at parse; nothing is allocated from a declared size."""
    delta, words = LYING_DELTAS[name]
    with pytest.raises((BadPack, LimitExceeded), match=words):
        await world.check(pack_of_entries([TINY, delta]))
    assert world.files() == []


# ---- C03: chains ----


def chain(length: int) -> bytes:
    """A blob and deltas, each on the one before and each another object."""
    entries, size, text = [entry(BLOB)], len(BLOB.body), BLOB.body
    for link in range(length):
        made = (
            number(size) + number(size + 4) + b"\xb0" + size.to_bytes(2, "little") + b"\x04" + link.to_bytes(4, "big")
        )
        entries.append(ofs_delta(len(entries[-1]), made))
        text += link.to_bytes(4, "big")
        size += 4
    return pack_of_entries(entries)


async def test_bad_C03_a_chain_of_deltas_is_bounded(world: World) -> None:
    """Every reader pays for each link."""
    assert await world.check(chain(limits.DELTA_DEPTH_MAX)) is not None
    await refused(world, chain(limits.DELTA_DEPTH_MAX + 1), "a chain of more than 4095 deltas")


async def test_bad_C03_bases_that_come_later_are_counted_too(world: World) -> None:
    """Deltas by id may lead forwards; the count follows them without recursion."""
    few = limits.PackLimits(delta_depth=3)
    links = [BLOB]
    for link in range(4):
        links.append(RawObject("blob", links[-1].body + bytes([link])))
    deltas = [
        ref_delta(old.oid, number(len(old.body)) + number(len(new.body)) + b"\x90" + bytes([len(old.body), 1, link]))
        for link, (old, new) in enumerate(pairwise(links))
    ]

    assert await world.check(pack_of_entries([*reversed(deltas[:3]), entry(BLOB)]), limits=few) is not None
    await refused(world, pack_of_entries([*reversed(deltas), entry(BLOB)]), "a chain of more than 3 deltas", limits=few)


async def test_bad_C03_a_cycle_and_a_missing_base_are_refused(world: World) -> None:
    """Deltas that are each other's base have no object at the end of the chain; nor has a thin pack."""
    first = ref_delta("11" * 20, b"\x08\x08\x90\x08")
    await refused(world, pack_of_entries([first, ref_delta("22" * 20, b"\x08\x08\x90\x08")]), "thin", BadPack)
    await refused(world, pack_of_entries([first]), "thin", BadPack)


# ---- C04, C05: trees ----


def bomb(levels: int, width: int) -> list[RawObject]:
    """One tree a level, each naming the next one many times."""
    objects = [BLOB, tree(*((("100644", f"f{n}".encode(), BLOB.oid)) for n in range(width)))]
    for _ in range(levels - 1):
        objects.append(tree(*(("40000", f"d{n}".encode(), objects[-1].oid) for n in range(width))))
    return [*objects, commit(objects[-1].oid)]


async def test_bad_C04_a_tree_bomb_costs_what_its_objects_cost(world: World) -> None:
    """12 objects, 10^10 paths: what walks objects sees 12."""
    objects = bomb(10, 10)
    digest = await world.push(pack_of(*objects))

    assert len(objects) == 12
    assert world.store.is_linked(REPO, digest)


def nested(depth: int) -> list[RawObject]:
    """A tree so many directories deep."""
    objects = [BLOB, PLAIN]
    for _ in range(depth - 1):
        objects.append(tree(("40000", b"d", objects[-1].oid)))
    return objects


async def test_bad_C05_a_tree_is_only_so_deep(world: World) -> None:
    """Nobody could check it out, and whoever walks it recursively falls."""
    deep = nested(limits.TREE_DEPTH_MAX)
    assert await world.check(pack_of(*deep, commit(deep[-1].oid))) is not None

    deeper = nested(5_000)
    await refused(world, pack_of(*deeper, commit(deeper[-1].oid)), "more than 1024 directories deep")


# ---- C06: trees as git never writes them ----

BAD_TREES = {
    "unsorted": tree(("100644", b"b", BLOB.oid), ("100644", b"a", BLOB.oid)),
    "duplicate": tree(("100644", b"a", BLOB.oid), ("100644", b"a", BLOB.oid)),
    "a file and a directory of one name": tree(("100644", b"a", BLOB.oid), ("40000", b"a", PLAIN.oid)),
    "null id": tree(("100644", b"a", "0" * 40)),
    "empty name": tree(("100644", b"", BLOB.oid)),
    "slash": tree(("100644", b"a/b", BLOB.oid)),
    "traversal": tree(("100644", b"../b", BLOB.oid)),
    "dot": tree(("40000", b".", PLAIN.oid)),
    "dot dot": tree(("40000", b"..", PLAIN.oid)),
    "no mode": RawObject("tree", b" a\0" + bytes.fromhex(BLOB.oid)),
    "cut off": RawObject("tree", b"100644 a\0" + bytes(10)),
    "no NUL": RawObject("tree", b"100644 a" + bytes.fromhex(BLOB.oid).replace(b"\0", b"x")),
}


@pytest.mark.parametrize("name", BAD_TREES)
async def test_bad_C06_a_tree_that_readers_would_read_differently_is_refused(world: World, name: str) -> None:
    """What you review is what you get, or it does not go in."""
    root = BAD_TREES[name]
    with pytest.raises((BadPack, MissingObjects)):
        await world.check(pack_of(BLOB, PLAIN, root, commit(root.oid)))
    assert world.files() == []


GIT_DIRECTORIES: tuple[str, ...] = (".git", ".GIT", ".GiT", ".g\u200cit", ".\u200dgit", ".git\u206f", "git~1", "GIT~1")
GIT_DIRECTORIES += (".git::$INDEX_ALLOCATION", ".git ", ".git.", ".git. .", ".git\\x")


@pytest.mark.parametrize("name", GIT_DIRECTORIES)
async def test_bad_A09_git_directories_in_every_spelling_are_refused(world: World, name: str) -> None:
    """For every disk, on every platform: some clone has that disk."""
    root = tree(("40000", name.encode(), PLAIN.oid))

    await refused(world, pack_of(BLOB, PLAIN, root, commit(root.oid)), "hasDotgit", BadPack)


@pytest.mark.parametrize("name", ["C:", "CON", "nul", "aux.c", "trailing ", "trailing."])
async def test_bad_A09_names_that_one_system_cannot_write_are_kept(world: World, name: str) -> None:
    """Linux has an ``aux.c``. git refuses to check these out where they mean something else."""
    root = tree(("100644", name.encode(), BLOB.oid))

    assert await world.check(pack_of(BLOB, root, commit(root.oid))) is not None


# ---- C07: commits ----


def with_parents(count: int) -> list[RawObject]:
    """Root commits and one that has all of them as parents."""
    roots = [commit(PLAIN.oid, message=f"{number}\n") for number in range(count)]
    return [BLOB, PLAIN, *roots, commit(PLAIN.oid, [one.oid for one in roots])]


async def test_bad_C07_a_commit_has_only_so_many_parents(world: World) -> None:
    """History walks cost their number."""
    assert await world.check(pack_of(*with_parents(limits.PARENTS_MAX))) is not None
    await refused(world, pack_of(*with_parents(limits.PARENTS_MAX + 1)), "has more than 256 parents")


async def test_bad_C07_parents_are_counted_in_a_delta_too(world: World) -> None:
    """However the commit is stored."""
    *others, merge = with_parents(limits.PARENTS_MAX + 1)
    base = RawObject("commit", merge.body + b"more\n")
    size = len(merge.body)
    copy = number(size + 5) + number(size) + b"\xb0" + size.to_bytes(2, "little")
    pack = pack_of_entries([*map(entry, others), ref_delta(base.oid, copy), entry(base)])

    await refused(world, pack, "has more than 256 parents")


async def test_bad_C07_deltas_of_commits_with_long_messages_pass(world: World) -> None:
    """Long is not many."""
    base = commit(PLAIN.oid, message="x" * 30_000)
    body = base.body[:-1] + b"y"
    copy = number(len(base.body)) + number(len(body)) + b"\xb0" + (len(body) - 1).to_bytes(2, "little") + b"\x01y"

    assert (
        await world.check(pack_of_entries([entry(BLOB), entry(PLAIN), entry(base), ref_delta(base.oid, copy)]))
        is not None
    )


def tag_of(target: RawObject, message: str) -> RawObject:
    return RawObject(
        "tag", f"object {target.oid}\ntype {target.kind}\ntag t\ntagger A <a@b.c> 1 +0000\n\n{message}".encode()
    )


async def test_bad_C07_commits_and_tags_are_only_so_long(world: World) -> None:
    """Whatever shows or searches history reads them whole."""
    long = commit(PLAIN.oid, message="x" * (10 << 20))
    await refused(world, pack_of(BLOB, PLAIN, long), "a commit of 1048[0-9]+ bytes; at most 1048576")
    await refused(world, pack_of(BLOB, tag_of(BLOB, "x" * (1 << 20))), "a tag of 1048[0-9]+ bytes; at most 1048576")


HONEST = commit(PLAIN.oid)


def changed(old: bytes, new: bytes) -> RawObject:
    assert old in HONEST.body
    return RawObject("commit", HONEST.body.replace(old, new, 1))


BAD_COMMITS = {
    "two authors": changed(b"committer", b"author A <a@b> 1 +0000\ncommitter"),
    "NUL in a header": changed(b"author A", b"author A\0A"),
    "a date of 2^64": changed(b" 1700000000 ", b" 18446744073709551616 "),
    "a date that is no number": changed(b" 1700000000 ", b" soon "),
    "no tree": RawObject("commit", HONEST.body.split(b"\n", 1)[1]),
    "a missing tree": commit("ab" * 20),
    "a tree that is no id": changed(PLAIN.oid.encode(), b"z" * 40),
    "no author": RawObject("commit", b"\n".join(HONEST.body.split(b"\n")[:1] + HONEST.body.split(b"\n")[2:])),
    "a mail without an end": changed(b"author@example.com>", b"author@example.com"),
    "empty": RawObject("commit", b""),
}


@pytest.mark.parametrize("name", BAD_COMMITS)
async def test_bad_C07_a_commit_that_breaks_its_format_is_refused(world: World, name: str) -> None:
    """Readers would disagree about who wrote what, and when."""
    with pytest.raises((BadPack, MissingObjects)):
        await world.check(pack_of(BLOB, PLAIN, BAD_COMMITS[name]))
    assert world.files() == []


# ---- C08: ids ----


async def test_bad_C08_one_id_has_one_content(world: World) -> None:
    """If this disk has other bytes under the id of a pushed object, the push is refused; nothing is replaced."""
    await world.push(pack_of(RawObject("blob", b"other\n")))
    git_dir = world.store.layout.repo(REPO)
    place = git_dir / "objects" / BLOB.oid[:2] / BLOB.oid[2:]
    write_object(git_dir, RawObject("blob", b"collides"))
    wrong = RawObject("blob", b"collides")
    place.parent.mkdir(exist_ok=True)
    (git_dir / "objects" / wrong.oid[:2] / wrong.oid[2:]).rename(place)
    before = place.read_bytes()

    await refused(world, pack_of(BLOB), "collides|corrupt|does not accept", BadPack)
    assert before == place.read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        "fatal: SHA-1 appears to be part of a collision attack: 38762cf7f55934b34d179ae6a4c80cadccbb7f0a",
        "fatal: SHA1 COLLISION FOUND WITH 38762cf7f55934b34d179ae6a4c80cadccbb7f0a !",
    ],
)
def test_bad_C08_what_git_says_of_collisions_has_words(words: str) -> None:
    """No object is known whose header and content collide, so that git's detection itself cannot be shown here."""
    refusal = refusal_of(Answer(128, b"", f"error: something before\n{words}\n"))

    assert isinstance(refusal, BadPack)
    assert "collides with another under SHA-1" in str(refusal)


# ---- C09: framing of the pack ----


GOOD = pack_of(BLOB, PLAIN, commit(PLAIN.oid))
BAD_FRAMES = {
    "trailer": GOOD[:-1] + bytes([GOOD[-1] ^ 1]),
    "zero objects announced": GOOD[:8] + bytes(4) + GOOD[12:],
    "one object too many announced": pack_of_entries([entry(BLOB)], count=2),
    "one object too few announced": pack_of_entries([entry(BLOB), entry(PLAIN)], count=1),
    "2^32-1 objects announced": pack_of_entries([entry(BLOB)], count=0xFFFFFFFF),
    "bytes after the trailer": GOOD + b"\0",
    "a second pack after the trailer": GOOD + GOOD,
    "version 4": GOOD[:7] + b"\x04" + GOOD[8:],
    "a pack index": b"\xfftOc\x00\x00\x00\x02" + bytes(1024),
    "a bundle": b"# v2 git bundle\n" + GOOD,
}


@pytest.mark.parametrize("name", BAD_FRAMES)
async def test_bad_C09_a_pack_that_lies_about_itself_is_refused(world: World, name: str) -> None:
    """Trailer, count, version, and what follows; an index is never taken from a client."""
    with pytest.raises((BadPack, LimitExceeded)):
        await world.check(BAD_FRAMES[name])
    assert world.files() == []


# ---- C10: connectivity ----


async def test_bad_C10_what_only_another_repository_has_is_missing(world: World) -> None:
    """Naming what a private repository has does not bring it here."""
    await world.push(pack_of(BLOB, PLAIN), OTHER_REPO)

    await refused(world, pack_of(commit(PLAIN.oid)), f"missing necessary objects: {PLAIN.oid}", MissingObjects)


# ---- B07, B08: files that git reads as settings ----


def with_file(name: bytes, text: bytes) -> bytes:
    """A pack of one commit with one file."""
    blob = RawObject("blob", text)
    root = tree(("100644", name, blob.oid))
    return pack_of(blob, root, commit(root.oid))


BAD_MODULES = {
    "a name that leads out": b'[submodule "../../x"]\n\tpath = a\n\turl = https://e.org/a\n',
    "a URL that is an option": b'[submodule "a"]\n\tpath = a\n\turl = -u./payload\n',
    "a URL with a line feed": b'[submodule "a"]\n\tpath = a\n\turl = "https://e.org/%0ahost=evil"\n',
    "a path that is an option": b'[submodule "a"]\n\tpath = -x\n\turl = https://e.org/a\n',
    "a command": b'[submodule "a"]\n\tpath = a\n\turl = https://e.org/a\n\tupdate = !sh\n',
}


@pytest.mark.parametrize("name", BAD_MODULES)
async def test_bad_B07_modules_that_attack_who_clones_are_refused(world: World, name: str) -> None:
    """The server never reads them; a recursive clone would."""
    await refused(world, with_file(b".gitmodules", BAD_MODULES[name]), "gitmodules", BadPack)


async def test_bad_B07_a_symbolic_link_for_modules_is_refused(world: World) -> None:
    """It would escape every other check."""
    root = tree(("120000", b".gitmodules", BLOB.oid))

    await refused(world, pack_of(BLOB, root, commit(root.oid)), "gitmodulesSymlink", BadPack)


async def test_bad_B07_many_modules_are_text(world: World) -> None:
    """Ten thousand of them, and a carriage return in a path: stored as bytes, fetched by nobody here."""
    many = b"".join(b'[submodule "m%d"]\n\tpath = m%d\n\turl = https://e.org/a\n' % (n, n) for n in range(10_000))
    odd = b'[submodule "a"]\n\tpath = "a\r"\n\turl = https://e.org/a\n'

    assert await world.check(with_file(b".gitmodules", many)) is not None
    assert await world.check(with_file(b".gitmodules", odd)) is not None


@pytest.mark.parametrize(
    "text",
    [b"* " + b" ".join(b"a%d" % n for n in range(1_000_000)) + b"\n", b"x" * 5_000 + b" text\n"],
    ids=["a million attributes", "a wide column"],
)
async def test_bad_B08_attributes_that_exhaust_readers_are_refused(world: World, text: bytes) -> None:
    """Readers allocate by the length of a line."""
    await refused(world, with_file(b".gitattributes", text), "gitattributesLineLength", BadPack)


async def test_bad_B08_filters_and_substitutions_are_only_bytes(world: World) -> None:
    """Nothing on the server smudges, filters or expands; the blob is what was pushed."""
    text = b"* filter=lfs diff=x merge=y export-subst ident\n$Id$ $Format:%H$\n"

    assert await world.check(with_file(b".gitattributes", text)) is not None
