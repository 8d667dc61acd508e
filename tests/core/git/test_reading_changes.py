"""Differences, renames, patches and blame: the answers of stock git over a history that is hard to read."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from guts_core.errors import Invalid, NotFound
from guts_core.git.reading import blame, changes, hunks
from guts_core.git.reading.changes import Change, Status
from guts_core.git.reading.objects import Bounded, Budget, TooMuchToRead
from guts_core.names import Oid
from tests.fixtures.git_history import RawObject, commit, tree
from tests.fixtures.tangled_history import Tangled, held

_BLAMED = re.compile(r"^([0-9a-f]{40}) (\d+) \d+", re.MULTILINE)
_NAMED = re.compile(r"^filename (.*)$", re.MULTILINE)


def between(tangled: Tangled, old: Oid, new: Oid) -> tuple[Change, ...]:
    objects = tangled.objects()
    return changes.changes(objects, objects.root(old), objects.root(new))


def name_status(found: tuple[Change, ...]) -> Iterator[str]:
    """As ``git diff --name-status -z`` says it."""
    for change in found:
        likeness = f"{change.likeness:03}" if change.status is Status.RENAMED else ""
        yield f"{change.status.value}{likeness}"
        paths = (change.old_path, change.new_path) if change.status is Status.RENAMED else (change.path,)
        yield from (path.decode("utf-8", "surrogateescape") for path in paths)


def test_changes_and_renames_are_those_of_git(tangled: Tangled) -> None:
    renames = 0
    for old, new in tangled.pairs(60):
        found = between(tangled, old, new)

        said = tangled.git("diff", "--name-status", "-M", "-z", old.hex(), new.hex()).split("\0")[:-1]
        assert list(name_status(found)) == said, (old.hex(), new.hex())
        renames += sum(change.status is Status.RENAMED and change.likeness < 100 for change in found)
    assert renames > 50


def test_patches_are_those_of_git_to_the_byte(tangled: Tangled) -> None:
    """Hunks, functions above them, odd names in quotes, links, submodules, binary files, missing line ends."""
    for old, new in tangled.pairs(60):
        patch = b"".join(hunks.patch(tangled.objects(), between(tangled, old, new)))

        said = tangled.git("diff", "-M", "--full-index", old.hex(), new.hex())
        assert patch.decode("utf-8", "surrogateescape") == said, (old.hex(), new.hex())


def test_a_first_commit_is_compared_with_nothing(tangled: Tangled) -> None:
    first = tangled.commits()[-1]
    objects = tangled.objects()

    found = changes.changes(objects, None, objects.root(first))
    patch = b"".join(hunks.patch(objects, found))

    assert {change.status for change in found} == {Status.ADDED}
    said = tangled.git("diff-tree", "--root", "-p", "--full-index", "--no-commit-id", first.hex())
    assert patch.decode("utf-8", "surrogateescape") == said


def raw_blob(text: bytes) -> RawObject:
    return RawObject("blob", text)


def oid(raw: RawObject) -> Oid:
    return Oid(bytes.fromhex(raw.oid))


def test_a_file_that_becomes_a_link_is_two_patches() -> None:
    """Lines of the one are none of the other."""
    file, link = raw_blob(b"text\n"), raw_blob(b"elsewhere")
    old, new = tree(("100644", b"x", file.oid)), tree(("120000", b"x", link.oid))
    objects = Bounded(held(file, link, old, new))

    found = changes.changes(objects, oid(old), oid(new))
    patch = b"".join(hunks.patch(objects, found))

    assert [change.status for change in found] == [Status.TYPE_CHANGED]
    assert patch.count(b"diff --git a/x b/x\n") == 2
    assert b"deleted file mode 100644" in patch
    assert b"new file mode 120000" in patch


def test_too_many_changes_are_refused_with_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "CHANGES_MAX", 10)
    blob = raw_blob(b"x")
    new = tree(*[("100644", b"%02d" % number, blob.oid) for number in range(11)])

    with pytest.raises(TooMuchToRead, match=r"more than 10 files are different \(changes\)"):
        changes.changes(Bounded(held(blob, new)), None, oid(new))


def test_a_patch_is_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hunks, "PATCH_BYTES_MAX", 1_000)
    blob = raw_blob(b"line\n" * 300)
    new = tree(("100644", b"a", blob.oid))
    objects = Bounded(held(blob, new))

    with pytest.raises(TooMuchToRead, match=r"longer than 1,000 bytes \(patch\)"):
        b"".join(hunks.patch(objects, changes.changes(objects, None, oid(new))))


def test_where_many_files_went_only_the_same_contents_are_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    """As git does past its limit: looking at every pair would take minutes."""
    monkeypatch.setattr(changes, "RENAME_PAIRS_MAX", 3)
    blobs = [raw_blob(b"%d\n" % number * 30) for number in range(3)]
    edited = [raw_blob(blob.body + b"more\n") for blob in blobs[:2]]
    old = tree(*[("100644", b"a%d" % at, blob.oid) for at, blob in enumerate(blobs)])
    new = tree(*[("100644", b"b%d" % at, blob.oid) for at, blob in enumerate([*edited, blobs[2]])])

    found = changes.changes(Bounded(held(*blobs, *edited, old, new)), oid(old), oid(new))

    assert sorted(change.status.value for change in found) == ["A", "A", "D", "D", "R"]


def blamed_by_git(tangled: Tangled, commit_: Oid, path: bytes) -> list[tuple[str, int]]:
    named = path.decode("utf-8", "surrogateescape")
    said = tangled.git("blame", "--line-porcelain", "--root", commit_.hex(), "--", named)
    return [(found, int(line)) for found, line in _BLAMED.findall(said)]


@pytest.mark.parametrize("branch", ["main", "left", "right"])
def test_blame_is_that_of_git(tangled: Tangled, branch: str) -> None:
    """Through renames with edits, and merges that took lines from both sides."""
    tip, called = tangled.oid(branch), set()
    texts = [path for path, entry in tangled.files(tip).items() if entry.mode in (0o100644, 0o100755)]
    for path in texts:
        if path == b"binary":
            continue
        found = blame.blame(tangled.objects(), tip, path)

        lines = [(run.commit.hex(), run.first_there + at + 1) for run in found for at in range(run.count)]
        assert lines == blamed_by_git(tangled, tip, path), path
        assert [run.first for run in found] == [sum(one.count for one in found[:at]) for at in range(len(found))]
        called |= {run.path for run in found if run.path != path}
    assert called, "no line was followed through a rename"


def test_what_has_no_lines_has_nobody_to_blame(tangled: Tangled) -> None:
    main = tangled.oid("main")
    for path, error in ((b"src", Invalid), (b"binary", Invalid), (b"module", Invalid), (b"never", NotFound)):
        with pytest.raises(error):
            blame.blame(tangled.objects(), main, path)


def test_a_file_of_too_many_lines_is_refused_with_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blame, "DIFF_LINES_MAX", 3)
    blob = raw_blob(b"x\n" * 4)
    root = tree(("100644", b"a", blob.oid))
    made = commit(root.oid)

    with pytest.raises(TooMuchToRead, match=r"has 4 lines; the limit of blame is 3 \(lines\)"):
        blame.blame(Bounded(held(blob, root, made)), oid(made), b"a")


def test_differences_and_blame_keep_to_their_budget(tangled: Tangled) -> None:
    main = tangled.oid("main")
    with pytest.raises(TooMuchToRead, match="50 objects"):
        changes.changes(Bounded(tangled.held, Budget(nodes=50)), None, tangled.objects().root(main))
    with pytest.raises(TooMuchToRead, match="20 objects"):
        blame.blame(
            Bounded(tangled.held, Budget(nodes=20)),
            main,
            b"plain.txt" if tangled.files(main).get(b"plain.txt") else b"empty",
        )
