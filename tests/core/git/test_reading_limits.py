"""Objects that hurt whoever walks them, and odd ones that everybody has: bounded, in words, shown where they can be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from guts_core.errors import GutsError
from guts_core.git.pack_limits import TREE_DEPTH_MAX
from guts_core.git.reading import archive, changes, history, languages, trees, visible
from guts_core.git.reading.objects import Bounded, Budget, MissingObject, TooMuchToRead, WrongKind
from guts_core.names import Oid
from tests.fixtures.git_history import TOLERATED, RawObject, commit, tree
from tests.fixtures.tangled_history import held

BLOB = RawObject("blob", b"x")
PLAIN = tree(("100644", b"file.py", BLOB.oid))


def oid(raw: RawObject) -> Oid:
    return Oid(bytes.fromhex(raw.oid))


def a_bomb(levels: int = 10, width: int = 10) -> list[RawObject]:
    """A dozen objects that stand for ten thousand million paths."""
    raws = [BLOB, tree(*[("100644", b"f%d.py" % number, BLOB.oid) for number in range(width)])]
    for _ in range(levels - 1):
        raws.append(tree(*[("40000", b"d%d" % number, raws[-1].oid) for number in range(width)]))
    return [*raws, commit(raws[-1].oid)]


def a_well(depth: int) -> list[RawObject]:
    """Directories inside one another."""
    raws = [BLOB, PLAIN]
    for _ in range(depth):
        raws.append(tree(("40000", b"d", raws[-1].oid)))
    return [*raws, commit(raws[-1].oid)]


WALKS: dict[str, Callable[[Bounded, Oid], object]] = {
    "walk": lambda objects, tip: list(trees.walk(objects, objects.root(tip))),
    "archive": archive.plan,
    "changes": lambda objects, tip: changes.changes(objects, None, objects.root(tip)),
    "languages": languages.languages,
}


@pytest.mark.parametrize("walk", sorted(WALKS))
def test_bad_C04_a_tree_bomb_is_refused_by_every_walk(walk: str) -> None:
    bomb = a_bomb()

    with pytest.raises(TooMuchToRead, match=r"5,000 objects and entries|20,000 files"):
        WALKS[walk](Bounded(held(*bomb), Budget(nodes=5_000)), oid(bomb[-1]))


def test_bad_C04_what_looks_at_each_tree_once_is_not_hurt_by_a_bomb() -> None:
    """A log of a path, and the question whether an object is visible, cost what the objects cost."""
    bomb = a_bomb()
    tip, budget = oid(bomb[-1]), Budget(nodes=200)
    objects = Bounded(held(*bomb), budget)

    assert [one.oid for one in history.log(objects, [tip], b"/".join([b"d1"] * 9) + b"/f1.py")] == [tip]
    assert not visible.is_visible(objects, [tip], oid(PLAIN)), "it is not stored"
    assert visible.is_visible(objects, [tip], oid(BLOB))
    assert list(history.log(objects, [tip], b"d1/nothing")) == []


@pytest.mark.parametrize("walk", sorted(WALKS))
def test_bad_C05_trees_are_walked_only_so_deep(walk: str) -> None:
    """As deep as one may be pushed, and not a directory further; nothing recurses on the way."""
    well, deeper = a_well(TREE_DEPTH_MAX), a_well(TREE_DEPTH_MAX + 1)

    WALKS[walk](Bounded(held(*well)), oid(well[-1]))
    with pytest.raises(TooMuchToRead, match=r"1,024 directories inside one another \(depth\)"):
        WALKS[walk](Bounded(held(*deeper)), oid(deeper[-1]))
    with pytest.raises(TooMuchToRead, match="depth"):
        trees.entry_at(Bounded(held(*deeper)), oid(deeper[-2]), b"/".join([b"d"] * (TREE_DEPTH_MAX + 1)))


@pytest.mark.parametrize(
    "data",
    [b"100644 a", b"x a\0" + bytes(20), b"100644 a\0" + bytes(19), b"100644", b"-1 a\0" + bytes(20), b"\0" * 30],
)
def test_bad_C06_what_is_no_tree_is_told_as_such(data: bytes) -> None:
    root = RawObject("tree", data)

    with pytest.raises(WrongKind, match="form of a tree"):
        Bounded(held(root)).tree(oid(root))
    with pytest.raises(WrongKind, match="form of a tree"):
        trees.entry_at(Bounded(held(root)), oid(root), b"a/b")


@pytest.mark.parametrize("name", sorted(TOLERATED))
def test_bad_C06_odd_trees_and_commits_of_old_histories_are_read(name: str) -> None:
    raws = TOLERATED[name].objects
    objects = Bounded(held(*raws))
    tip, kind = objects.peeled(oid(raws[-1]))

    found = dict(trees.walk(objects, objects.root(tip)))

    assert kind == "commit"
    assert {entry.mode for entry in found.values()} <= {0o100644, 0o040000}


def test_bad_C07_broken_commits_are_walked_past() -> None:
    """Dates of any size, no author, a message of anything: it stands in the log, and the log goes on."""
    root = commit(PLAIN.oid)
    odd = RawObject(
        "commit", f"tree {PLAIN.oid}\nparent {root.oid}\ncommitter <> 99999999999999999 +9999999\n\n".encode() + b"\xff"
    )
    treeless = RawObject("commit", f"parent {odd.oid}\n\n".encode())
    objects = Bounded(held(BLOB, PLAIN, root, odd, treeless))

    found = [one.oid for one in history.log(objects, [oid(odd)])]

    assert found == [oid(odd), oid(root)]
    assert [one.oid for one in history.log(objects, [oid(treeless)], b"file.py")] == [oid(treeless), oid(root)]
    with pytest.raises(WrongKind, match="names no tree"):
        objects.root(oid(treeless))


def test_bad_C07_a_commit_with_many_parents_costs_its_parents() -> None:
    parents = [commit(PLAIN.oid, message=f"{number}\n") for number in range(300)]
    merge = commit(PLAIN.oid, [parent.oid for parent in parents])
    objects = Bounded(held(BLOB, PLAIN, *parents, merge))

    assert len(list(history.log(objects, [oid(merge)]))) == 301
    with pytest.raises(TooMuchToRead, match="100 objects"):
        list(history.log(Bounded(held(BLOB, PLAIN, *parents, merge), Budget(nodes=100)), [oid(merge)]))


def test_objects_of_another_kind_are_told_as_such() -> None:
    tag = RawObject("tag", f"object {PLAIN.oid}\ntype tree\ntag x\n\nold\n".encode())
    objects = Bounded(held(BLOB, PLAIN, tag))
    for read, wrong in ((objects.tree, BLOB), (objects.commit, PLAIN), (objects.blob, PLAIN), (objects.blob, tag)):
        with pytest.raises(WrongKind, match=f"{wrong.oid} is a {wrong.kind}, no "):
            read(oid(wrong))
    assert objects.peeled(oid(tag)) == (oid(PLAIN), "tree")


@pytest.mark.parametrize("text", [b"", b"object", b"object 123\n", b"object " + b"x" * 40, b"type tree\n"])
def test_what_is_no_tag_is_told_as_such(text: bytes) -> None:
    tag = RawObject("tag", text)

    with pytest.raises(WrongKind, match="form of a tag"):
        Bounded(held(tag)).peeled(oid(tag))


def test_tags_of_tags_are_followed_only_so_far() -> None:
    chain = [PLAIN]
    for _ in range(20):
        chain.append(RawObject("tag", f"object {chain[-1].oid}\ntype tag\ntag x\n\n".encode()))
    objects = Bounded(held(*chain))

    assert objects.peeled(oid(chain[10])) == (oid(PLAIN), "tree")
    with pytest.raises(TooMuchToRead, match="16 tags of tags"):
        objects.peeled(oid(chain[-1]))


def test_bad_C01_a_large_object_is_refused_before_it_is_held() -> None:
    """Its size is asked first; the bytes are never."""
    asked: list[Oid] = []

    class Counting:
        def __init__(self) -> None:
            self._held = held(BLOB)

        def header(self, wanted: Oid) -> object:
            return self._held.header(wanted)

        def read(self, wanted: Oid) -> bytes:
            asked.append(wanted)
            return self._held.read(wanted)

    objects = Bounded(Counting())  # type: ignore[arg-type]

    with pytest.raises(TooMuchToRead, match=f"blob {BLOB.oid} has 1 bytes; the limit here is 0"):
        objects.blob(oid(BLOB), 0)
    assert asked == []


def test_what_is_missing_is_no_refusal() -> None:
    """Whoever asks may come back: the node does not hold everything yet."""
    made = commit(PLAIN.oid)
    for raws in ((made,), (made, PLAIN)):
        with pytest.raises(MissingObject, match="not on this node") as caught:
            archive.plan(Bounded(held(*raws)), oid(made))
        assert isinstance(caught.value, GutsError)


def test_languages_are_told_by_names_and_sizes() -> None:
    """Copies of others' work, prose, links and what programs made do not count; contents are not read."""
    big, small = RawObject("blob", b"x" * 1_000), RawObject("blob", b"y" * 10)
    names = {
        "a.py": big, "b.py": small, "c.rs": small, "Makefile": small, "README.md": big, "data.json": big,
        "app.min.js": big, "noending": big, "d.RS": small, ".vimrc": small,
    }  # fmt: skip
    vendor = tree(("100644", b"v.go", big.oid))
    root = tree(
        *[("100644", name.encode(), raw.oid) for name, raw in sorted(names.items())],
        ("120000", b"link.c", big.oid),
        ("160000", b"module.c", "1" * 40),
        ("40000", b"vendor", vendor.oid),
    )
    made = commit(root.oid)

    found = languages.languages(Bounded(held(big, small, vendor, root, made)), oid(made))

    assert list(found.items()) == [("Python", 1_010), ("Rust", 20), ("Makefile", 10), ("Vim Script", 10)]


@pytest.mark.parametrize(
    ("path", "language"),
    [
        (b"x/y/Dockerfile", "Dockerfile"), (b"CMakeLists.txt", "CMake"), (b"a.h", "C"), (b"a.R", "R"), (b"c", None),
        (b"go", None), (b"x.", None), (b"", None), (b".py", "Python"), (b"\xff.ts", "TypeScript"), (b"a.py/b", None),
    ],
)  # fmt: skip
def test_a_file_is_in_the_language_of_its_name(path: bytes, language: str | None) -> None:
    assert languages.language_of(path) == language
