"""Histories as git lists them: in its order, chosen by path as it chooses, and how commits are related."""

from __future__ import annotations

import pytest

from guts_core.errors import NotFound
from guts_core.git.reading import ancestry, history, trees, visible
from guts_core.git.reading.objects import Bounded, Budget, MissingObject, TooMuchToRead
from guts_core.names import Oid
from tests.fixtures.git_history import RawObject, commit, tree
from tests.fixtures.tangled_history import Tangled, held

BRANCHES = ("main", "left", "right")
EMPTY_TREE = tree()


def hexes(oids: tuple[Oid, ...]) -> list[str]:
    return [oid.hex() for oid in oids]


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_log_is_that_of_git(tangled: Tangled, branch: str) -> None:
    found = [one.oid.hex() for one in history.log(tangled.objects(), [tangled.oid(branch)])]

    assert found == tangled.ids("rev-list", branch)


def test_a_log_of_several_tips_has_each_commit_once(tangled: Tangled) -> None:
    tips = sorted((tangled.oid(branch) for branch in BRANCHES), reverse=True)

    found = [one.oid.hex() for one in history.log(tangled.objects(), tips)]

    assert sorted(found) == sorted(tangled.ids("rev-list", "--all"))


def test_a_log_of_a_path_is_that_of_git(tangled: Tangled) -> None:
    """Also of files that are gone, of directories, and past merges that took the file from one side."""
    old = {path for oid in tangled.commits()[::10] for path in tangled.files(oid)}
    paths = sorted({part for path in old for part in (path, path.rpartition(b"/")[0]) if part} | {b"never", b"a"})
    assert len(paths) > 60

    for path in paths:
        found = [one.oid.hex() for one in history.log(tangled.objects(), [tangled.oid("main")], path)]
        named = path.decode("utf-8", "surrogateescape")
        assert found == tangled.ids("--literal-pathspecs", "rev-list", "main", "--", named), path


def test_pages_follow_one_another(tangled: Tangled) -> None:
    main, found, skip = tangled.oid("main"), [], 0
    while True:
        part = history.page(tangled.objects(), [main], skip=skip, count=20)
        found += [one.oid.hex() for one in part.commits]
        if not part.more:
            break
        skip += 20

    assert found == tangled.ids("rev-list", "main")
    assert history.page(tangled.objects(), [main], skip=10_000).commits == ()


def test_a_page_reads_no_more_than_it_shows(tangled: Tangled) -> None:
    """The first page of an endless history costs what a page costs."""
    objects = Bounded(tangled.held, Budget(nodes=40))

    assert len(history.page(objects, [tangled.oid("main")], count=10).commits) == 10


def test_commits_are_related_as_git_says(tangled: Tangled) -> None:
    """Merge bases, several of them where branches merged crosswise, and what each side has alone."""
    several = 0
    for base, head in tangled.pairs(150):
        found = ancestry.compare(tangled.objects(), base, head)

        bases = tangled.ids("merge-base", "--all", base.hex(), head.hex())
        assert hexes(found.merge_bases) == bases
        assert hexes(found.ahead) == tangled.ids("rev-list", f"{base.hex()}..{head.hex()}")
        assert hexes(found.behind) == tangled.ids("rev-list", f"{head.hex()}..{base.hex()}")
        assert ancestry.is_ancestor(tangled.objects(), base, head) == (bases == [base.hex()])
        several += len(bases) > 1
    assert several, "the history has no criss-cross merges"


def test_dates_that_lie_change_no_answer() -> None:
    """A child that is older than its parent: clocks were wrong, in real histories too."""
    root = commit(EMPTY_TREE.oid, message="root\n")
    dates = [str(date) for date in (1_900_000_000, 1_000, 1_800_000_000)]
    line = [root]
    for date in dates:
        made = commit(EMPTY_TREE.oid, [line[-1].oid], message=f"{date}\n")
        line.append(RawObject(made.kind, made.body.replace(b"1700000000", date.encode())))
    side = commit(EMPTY_TREE.oid, [line[1].oid], message="side\n")
    objects = Bounded(held(EMPTY_TREE, side, *line))
    head, base = Oid(bytes.fromhex(line[-1].oid)), Oid(bytes.fromhex(side.oid))

    found = ancestry.compare(objects, base, head)

    assert hexes(found.merge_bases) == [line[1].oid]
    assert hexes(found.ahead) == [line[3].oid, line[2].oid]
    assert hexes(found.behind) == [side.oid]


def test_unrelated_histories_have_no_base() -> None:
    one, other = commit(EMPTY_TREE.oid, message="one\n"), commit(EMPTY_TREE.oid, message="other\n")
    objects = Bounded(held(EMPTY_TREE, one, other))

    found = ancestry.compare(objects, Oid(bytes.fromhex(one.oid)), Oid(bytes.fromhex(other.oid)))

    assert (found.merge_bases, hexes(found.ahead), hexes(found.behind)) == ((), [other.oid], [one.oid])


def test_a_missing_parent_is_told_as_such() -> None:
    """A node that has not fetched everything yet says so, and which object it lacks."""
    only = commit(EMPTY_TREE.oid, ["1" * 40])

    with pytest.raises(MissingObject, match=r"1{40}"):
        list(history.log(Bounded(held(EMPTY_TREE, only)), [Oid(bytes.fromhex(only.oid))]))


def test_paths_lead_where_git_says(tangled: Tangled) -> None:
    main = tangled.oid("main")
    root = tangled.objects().root(main)
    listed = tangled.git("ls-tree", "-r", "-t", "-z", "main").split("\0")[:-1]

    found = [
        f"{entry.mode:06o} {'tree' if entry.is_tree else 'blob' if entry.is_blob else 'commit'} {entry.oid.hex()}\t"
        + path.decode("utf-8", "surrogateescape")
        for path, entry in trees.walk(tangled.objects(), root)
    ]

    assert found == listed
    for path, entry in trees.walk(tangled.objects(), root):
        assert trees.entry_at(tangled.objects(), root, path) == entry


@pytest.mark.parametrize(
    "path",
    [b"..", b"a/../plain.txt", b"/plain.txt", b"plain.txt/", b"a//x", b".", b"PLAIN.TXT", b"plain.txt\0", b"\xc0\xae."],
)  # fmt: skip
def test_bad_A05_a_path_is_compared_byte_for_byte(tangled: Tangled, path: bytes) -> None:
    """What only looks like a way out of the tree, or like a name in it, is a name that is not there."""
    root = tangled.objects().root(tangled.oid("main"))
    assert trees.entry_at(tangled.objects(), root, b"binary") is not None

    with pytest.raises(NotFound, match="nothing at the path"):
        trees.existing_entry(tangled.objects(), root, path)


def test_bad_C14_only_what_a_ref_reaches_is_visible(tangled: Tangled) -> None:
    """An object of a commit that was never merged is stored, and shown to nobody."""
    main, tips = tangled.oid("main"), [tangled.oid("main")]
    reached = set(tangled.ids("rev-list", "--objects", "--no-object-names", "main"))
    hidden = [oid for oid in tangled.held.objects if oid.hex() not in reached]
    shown = [oid for oid in tangled.held.objects if oid.hex() in reached]
    assert len(hidden) > 10

    assert [oid for oid in hidden[::7] if visible.is_visible(tangled.objects(), tips, oid)] == []
    assert [oid for oid in shown[::40] if not visible.is_visible(tangled.objects(), tips, oid)] == []
    assert visible.is_visible(tangled.objects(), tips, main)
    assert not visible.is_visible(tangled.objects(), tips, Oid(bytes(20)))


def test_a_budget_says_which_limit_and_its_value(tangled: Tangled) -> None:
    main = tangled.oid("main")
    for budget, words in (
        (Budget(nodes=100), r"100 objects and entries \(nodes\)"),
        (Budget(byte_count=5_000), r"5,000 bytes of objects \(bytes\)"),
        (Budget(is_late=lambda: True), r"\(time\)"),
    ):
        with pytest.raises(TooMuchToRead, match=words):
            list(history.log(Bounded(tangled.held, budget), [main]))
