"""What one question may hold in memory: paths, commits and lines that multiply are bounded, and told with the limit."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from random import Random

import pytest

from guts_core.git.reading import ancestry, archive, blame, changes, history, hunks, languages, limits, trees, visible
from guts_core.git.reading.objects import Bounded, Budget, TooMuchToRead
from guts_core.names import Oid
from tests.fixtures.git_history import RawObject, commit, tree
from tests.fixtures.tangled_history import held

MIB = 1 << 20
BLOB = RawObject("blob", b"x\n")
PLAIN = tree(("100644", b"file.py", BLOB.oid))


def oid(raw: RawObject) -> Oid:
    return Oid(bytes.fromhex(raw.oid))


@contextmanager
def peak() -> Iterator[Callable[[], int]]:
    """How many bytes were held at once inside the block, more than before; known behind it."""
    most = 0
    tracemalloc.start()
    try:
        yield lambda: most
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


def a_well_of_long_names(depth: int = 200, name_bytes: int = 10_000) -> list[RawObject]:
    """A few hundred objects of 10 KB whose paths are 200 MB together, the longest 2 MB."""
    raws = [BLOB, PLAIN]
    for _ in range(depth):
        raws.append(tree(("40000", b"d" * name_bytes, raws[-1].oid)))
    return [*raws, commit(raws[-1].oid)]


def a_long_way_to_many_files(names: int = 2_000) -> list[RawObject]:
    """One directory of many files at the end of a path of 100 KB: one path is short, all of them are not."""
    raws = [BLOB, tree(*[("100644", b"%04d.py" % number, BLOB.oid) for number in range(names)])]
    for _ in range(10):
        raws.append(tree(("40000", b"d" * 10_000, raws[-1].oid)))
    return [*raws, commit(raws[-1].oid)]


WALKS: dict[str, Callable[[Bounded, Oid], object]] = {
    "walk": lambda objects, tip: [None for _ in trees.walk(objects, objects.root(tip))],
    "archive": archive.plan,
    "changes": lambda objects, tip: changes.changes(objects, None, objects.root(tip)),
    "languages": languages.languages,
}


@pytest.mark.parametrize("made", [a_well_of_long_names, a_long_way_to_many_files])
@pytest.mark.parametrize("walk", sorted(WALKS))
def test_bad_C04_the_bytes_of_paths_are_bounded(walk: str, made: Callable[[], list[RawObject]]) -> None:
    """Entries and depth are far below their limits; paths grow, and are refused before they are made."""
    raws = made()
    objects = Bounded(held(*raws))

    with peak() as bytes_held, pytest.raises(TooMuchToRead, match=r"67,108,864 bytes of paths \(paths\)"):
        WALKS[walk](objects, oid(raws[-1]))
    assert bytes_held() < 2 * limits.PATH_BYTES_MAX


def test_bad_C04_a_search_for_a_renamed_file_is_bounded_too() -> None:
    """Blame looks through all that a commit deleted."""
    well = a_well_of_long_names()
    file = tree(("100644", b"file.py", BLOB.oid))
    new = commit(file.oid, [well[-1].oid])
    objects = Bounded(held(*well, file, new))

    with pytest.raises(TooMuchToRead, match=r"bytes of paths \(paths\)"):
        blame.blame(objects, oid(new), b"file.py")


def test_bad_C04_so_many_deleted_files_are_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "CHANGES_MAX", 10)
    others = [RawObject("blob", b"%d\n" % number) for number in range(11)]
    before = tree(*[("100644", b"%02d" % at, other.oid) for at, other in enumerate(others)])
    file = tree(("100644", b"file.py", BLOB.oid))
    old = commit(before.oid)
    new = commit(file.oid, [old.oid])

    with pytest.raises(TooMuchToRead, match=r"more than 10 files are different"):
        blame.blame(Bounded(held(BLOB, *others, before, file, old, new)), oid(new), b"file.py")


WORDS_BYTES = 500_000


def a_wordy_history(count: int = 60) -> list[RawObject]:
    """A line of commits, the newest last, each with a message of half a megabyte."""
    found = [commit(PLAIN.oid, message="first\n")]
    for number in range(count):
        found.append(commit(PLAIN.oid, [found[-1].oid], message=f"{number} " + "x" * WORDS_BYTES))
    return found


def octopuses(wordy: list[RawObject]) -> list[RawObject]:
    """All of them beside one another, and a merge of them."""
    beside = [commit(PLAIN.oid, message=f"{number} " + "x" * WORDS_BYTES) for number in range(len(wordy))]
    return [*beside, commit(PLAIN.oid, [one.oid for one in beside])]


@pytest.mark.parametrize("question", ["compare", "blame", "log", "page", "visible"])
def test_bad_C07_long_messages_are_not_held(question: str) -> None:
    """Walks keep what they walk by; of a message that is shown its beginning."""
    wordy = octopuses(a_wordy_history()) if question == "log" else a_wordy_history()
    tip, first = oid(wordy[-1]), oid(wordy[0])
    objects = Bounded(held(BLOB, PLAIN, *wordy))
    questions: dict[str, Callable[[], object]] = {
        "compare": lambda: ancestry.compare(objects, first, tip).ahead,
        "blame": lambda: blame.blame(objects, tip, b"file.py"),
        "log": lambda: [one.oid for one in history.log(objects, [tip])],
        "page": lambda: history.page(objects, [tip], count=60),
        "visible": lambda: visible.is_visible(objects, [tip], Oid(bytes.fromhex("1" * 40))),
    }

    with peak() as bytes_held:
        questions[question]()

    assert bytes_held() < 8 * MIB, "60 messages are 30 MB"


def test_a_commit_is_read_to_its_first_64_KiB() -> None:
    long = commit(PLAIN.oid, message="a" * limits.COMMIT_BYTES_KEPT)

    found = Bounded(held(long)).commit(oid(long))

    assert found.tree == oid(PLAIN)
    assert len(found.message) < limits.COMMIT_BYTES_KEPT
    assert set(found.message) == {"a"}


@pytest.mark.parametrize("question", ["log", "compare", "blame"])
def test_bad_C07_each_parent_of_a_merge_costs(question: str) -> None:
    """40 commits that name the same 250 parents: 10,000 ids that walks would hold."""
    parents = [commit(PLAIN.oid, message=f"{number}\n") for number in range(250)]
    line = [parents[0]]
    for number in range(40):
        line.append(commit(PLAIN.oid, [line[-1].oid, *(one.oid for one in parents[1:])], message=f"m{number}\n"))
    objects = Bounded(held(BLOB, PLAIN, *parents, *line), Budget(nodes=9_000))
    questions: dict[str, Callable[[], object]] = {
        "log": lambda: list(history.log(objects, [oid(line[-1])])),
        "compare": lambda: ancestry.compare(objects, oid(line[0]), oid(line[-1])),
        "blame": lambda: blame.blame(objects, oid(line[-1]), b"file.py"),
    }

    with pytest.raises(TooMuchToRead, match="9,000 objects"):
        questions[question]()


def test_bad_C04_a_directory_that_stands_in_many_places_is_looked_for_once() -> None:
    """Whether an object is visible costs the entries of each tree, and holds each tree once."""
    inner = tree(("100644", b"file", BLOB.oid))
    wide = tree(*[("40000", b"%05d" % number, inner.oid) for number in range(5_000)])
    made = commit(wide.oid)
    raws = held(BLOB, inner, wide, made)

    assert visible.is_visible(Bounded(raws), [oid(made)], oid(BLOB))
    with pytest.raises(TooMuchToRead, match="1,000 objects"):
        visible.is_visible(Bounded(raws, Budget(nodes=1_000)), [oid(made)], oid(BLOB))


def two_texts(old: bytes, new: bytes) -> tuple[Bounded, changes.Change, Oid]:
    """A commit that changed one file, and what it changed."""
    blobs = [RawObject("blob", text) for text in (old, new)]
    roots = [tree(("100644", b"a", blob.oid)) for blob in blobs]
    first = commit(roots[0].oid)
    second = commit(roots[1].oid, [first.oid])
    objects = Bounded(held(*blobs, *roots, first, second))
    return objects, changes.changes(objects, oid(roots[0]), oid(roots[1]))[0], oid(second)


TOO_LARGE = {
    "bytes": (b"x" * (limits.DIFF_BYTES_MAX + 1) + b"\n", b"y\n"),
    "new bytes": (b"y\n", b"x" * (limits.DIFF_BYTES_MAX + 1) + b"\n"),
    "lines": (b"x\n" * (limits.DIFF_LINES_MAX + 1), b"y\n"),
    "enormous": (b"x\n" * (3 * MIB), b"y\n"),
}


@pytest.mark.parametrize("case", sorted(TOO_LARGE))
def test_bad_C04_texts_that_are_too_large_are_not_compared(case: str) -> None:
    """Comparing holds up the whole process and cannot be stopped: no side is larger, and it is said."""
    old, new = TOO_LARGE[case]
    objects, change, tip = two_texts(old, new)

    found = hunks.file_diff(objects, change)
    patch = b"".join(hunks.patch(objects, [change]))

    assert (found.is_too_large, found.is_binary, found.hunks) == (True, False, ())
    assert patch.endswith(b"Files a/a and b/a differ and are too large for a patch\n")
    with pytest.raises(TooMuchToRead, match=r"262,144 bytes and 20,000 lines"):
        hunks.hunks_of(old, new)
    with pytest.raises(TooMuchToRead, match=r"the limit here is 262,144|\(lines\)|20,000 lines"):
        blame.blame(objects, tip, b"a")


def test_texts_at_both_bounds_are_compared() -> None:
    line = b"x" * (limits.DIFF_BYTES_MAX // limits.DIFF_LINES_MAX - 1) + b"\n"
    objects, change, tip = two_texts(line * limits.DIFF_LINES_MAX, line * (limits.DIFF_LINES_MAX - 1) + b"y\n")

    found = hunks.file_diff(objects, change)

    assert (found.additions, found.deletions, found.is_too_large) == (1, 1, False)
    assert [run.count for run in blame.blame(objects, tip, b"a")] == [limits.DIFF_LINES_MAX - 1, 1]


def test_a_large_binary_file_is_still_told_as_one() -> None:
    objects, change, _ = two_texts(bytes(MIB), bytes(MIB) + b"x")

    found = hunks.file_diff(objects, change)

    assert (found.is_binary, found.is_too_large) == (True, False)


def test_bad_C04_a_patch_is_not_made_of_enormous_names() -> None:
    """In quotes they are four times as long, and stand there four times."""
    root = tree(("100644", b"\xff" * (18 * MIB), BLOB.oid))
    objects = Bounded(held(BLOB, root))
    found = changes.changes(objects, None, oid(root))

    with peak() as bytes_held, pytest.raises(TooMuchToRead, match=r"longer than 33,554,432 bytes \(patch\)"):
        b"".join(hunks.patch(objects, found))
    assert bytes_held() < 18 * MIB


def renamed(old: bytes, new: bytes) -> tuple[Bounded, Oid, Oid]:
    """One file under two names in two trees."""
    one, other = RawObject("blob", old), RawObject("blob", new)
    before, after = tree(("100644", b"old", one.oid)), tree(("100644", b"new", other.oid))
    return Bounded(held(one, other, before, after)), oid(before), oid(after)


def test_bad_C04_lines_of_possible_renames_are_bounded() -> None:
    """16 MiB in the shortest lines that differ: held one by one they are 200 bytes for each."""
    text = b"".join(b"%x\n" % number for number in range(900_000))
    objects, before, after = renamed(text, text + b"more\n")

    with peak() as bytes_held:
        found = changes.changes(objects, before, after)

    assert [change.status.value for change in found] == ["A", "D"]
    assert bytes_held() < 128 * MIB


def test_bad_C04_short_lines_of_possible_renames_are_not_listed() -> None:
    """Of a file of line ends alone the same line is counted, and nothing else is held."""
    objects, before, after = renamed(b"a\n" * (MIB // 2), b"a\n" * (MIB // 2) + b"b\n")

    with peak() as bytes_held:
        found = changes.changes(objects, before, after)

    assert [change.status.value for change in found] == ["R"]
    assert bytes_held() < 8 * MIB


def test_thousands_of_renames_pair_names_first_and_the_others_in_order() -> None:
    """Each in one step: comparing each with each would take minutes."""
    dice = Random(1)  # noqa: S311 -- the same each time
    names = [b"f%05d" % number for number in range(5_000)]
    moved = names[:]
    dice.shuffle(moved)
    olds = tree(*[("40000", b"o", tree(*[("100644", name, BLOB.oid) for name in names]).oid)])
    inner = tree(*[("100644", name, BLOB.oid) for name in names])
    news = [tree(("100644", name, BLOB.oid)) for name in moved]
    outer = tree(*[("40000", b"n%05d" % at, new.oid) for at, new in enumerate(news)])
    objects = Bounded(held(BLOB, olds, inner, outer, *news))

    found = changes.changes(objects, oid(olds), oid(outer))

    assert len(found) == 5_000
    assert all(change.status is changes.Status.RENAMED for change in found)
    assert [change.old_path.partition(b"/")[2] for change in found] == moved


def pieces_of(kind: str, objects: Bounded, export: archive.Export) -> list[int]:
    writer = archive.zip_ if kind == "zip" else archive.tar_gz
    return [len(piece) for piece in writer(objects, export)]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_comes_in_small_pieces(kind: str) -> None:
    """What a client does not take is waited for: so much is held for it besides the file itself."""
    files = [RawObject("blob", Random(at).randbytes(3 * MIB)) for at in range(2)]  # noqa: S311 -- noise does not pack
    root = tree(*[("100644", b"%d" % at, file.oid) for at, file in enumerate(files)])
    made = commit(root.oid)
    objects = Bounded(held(*files, root, made))

    sizes = pieces_of(kind, objects, archive.plan(objects, oid(made)))

    assert sum(sizes) > 6 * MIB
    assert max(sizes) <= 2 * 64 * 1024


def test_the_end_of_a_zip_comes_in_small_pieces_too() -> None:
    """It names every file once more."""
    root = tree(*[("100644", b"%0200d" % at, BLOB.oid) for at in range(3_000)])
    made = commit(root.oid)
    objects = Bounded(held(BLOB, root, made))

    assert max(pieces_of("zip", objects, archive.plan(objects, oid(made)))) <= 2 * 64 * 1024


def test_an_archive_may_be_as_large_as_was_planned() -> None:
    """The budget for writing it is larger than that of any question."""
    assert archive.writing_budget(lambda: False).byte_count > limits.ARCHIVE_BYTES_MAX > limits.BYTES_MAX


def test_what_an_archive_holds_is_known_before(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [RawObject("blob", b"x" * size) for size in (10, 5_000)]
    root = tree(*[("100644", b"%d" % at, file.oid) for at, file in enumerate(files)])
    made = commit(root.oid)
    objects = Bounded(held(*files, root, made))

    export = archive.plan(objects, oid(made), b"p/")

    assert (export.entry_count, export.byte_count, export.largest_bytes, export.path_bytes) == (2, 5_010, 5_000, 6)
    assert export.walked_at_once == 2
    monkeypatch.setattr(archive, "BLOB_BYTES_MAX", 4_999)
    with pytest.raises(TooMuchToRead, match=r"files of at most 4,999 bytes"):
        archive.plan(objects, oid(made))


def wide_and_deep() -> list[RawObject]:
    """Three directories inside one another, of 3,000 files each, and one beside them."""
    files = [("100644", b"%0100d" % at, BLOB.oid) for at in range(3_000)]
    raws = [BLOB, tree(*files)]
    for _ in range(2):
        raws.append(tree(*files, ("40000", b"x", raws[-1].oid)))
    raws.append(tree(("40000", b"x", raws[-1].oid), ("40000", b"y", raws[1].oid)))
    return [*raws, commit(raws[-1].oid)]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_holds_no_more_than_was_said(kind: str) -> None:
    """The node counts by it what slow clients keep."""
    raws = wide_and_deep()
    objects = Bounded(held(*raws))
    export = archive.plan(objects, oid(raws[-1]))
    said = export.zip_bytes if kind == "zip" else export.tar_bytes

    with peak() as bytes_held:
        pieces_of(kind, objects, export)

    assert export.walked_at_once == 2 + 3_001 + 3_001 + 3_000
    assert said // 4 < bytes_held() <= said


@pytest.mark.parametrize("prefix", [b"", b"p/"])
def test_an_archive_is_walked_again_when_it_is_written(prefix: bytes) -> None:
    """No list of its entries is held meanwhile."""
    root = tree(*[("100644", b"%d" % at, BLOB.oid) for at in range(3)])
    made = commit(root.oid)
    objects = Bounded(held(BLOB, root, made))

    export = archive.plan(objects, oid(made), prefix)

    assert [path for path, _ in export.entries(objects)] == [prefix + b"%d" % at for at in range(3)]
    assert not [pair for pair in pairwise(path for path, _ in export.entries(objects)) if pair[0] >= pair[1]]
