"""Merges: git's own answer, the same bytes everywhere, and a pack that a push could have brought."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from guts_core.errors import Invalid
from guts_core.git.reading.objects import Budget, TooMuchToRead
from guts_core.names import Oid
from guts_net.disk import LocalDisk
from guts_net.packs import bare, merging
from guts_net.packs.merging import Clash, Merger, Person
from tests.fixtures import tangled_history
from tests.fixtures.git_history import git, init
from tests.net.packs.pack_world import REPO, World, oid, pack_from

ALICE = Person("Älice", "alice@example.com", 1_800_000_000, "+0130")
NODE = Person("Node", "node@example.com", 1_800_000_001)
LINES = [b"line %d\n" % number for number in range(30)]


def commit(work: Path, branch: str, onto: str | None, message: str, **files: bytes | None) -> Oid:
    """A commit on a branch of a bare repository; None deletes. Underscores stand for dots."""
    body = b"".join(
        b"D %b\n" % name.replace("_", ".").encode()
        if content is None
        else b"M 100644 inline %b\ndata %d\n%b\n" % (name.replace("_", ".").encode(), len(content), content)
        for name, content in files.items()
    )
    head = f"commit refs/heads/{branch}\nauthor Bob <bob@example.com> 1700000000 -0700\n"
    head += f"committer Bob <bob@example.com> 1700000000 -0700\ndata {len(message.encode())}\n{message}\n"
    head += f"from {onto}\n" if onto else ""
    git(work, "fast-import", "--quiet", "--force", "--done", stdin=head.encode() + body + b"\ndone\n")
    return named(work, branch)


def named(work: Path, name: str) -> Oid:
    return oid(git(work, "rev-parse", name).decode().strip())


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """``main`` and ``side`` changed the same file, which ``side`` renamed, and each something else."""
    path = tmp_path / "work.git"
    init(path)
    commit(path, "main", None, "one\n", a_txt=b"".join(LINES), b_txt=b"b\n")
    start = named(path, "main").hex()
    commit(path, "side", start, "renamed\n", a_txt=None, moved_txt=b"".join([*LINES[:-1], b"last\n"]))
    commit(path, "side", named(path, "side").hex(), "sidé\n\nwith a body", s_txt=b"s\n")
    commit(path, "main", start, "changed\n", a_txt=b"".join([b"first\n", *LINES[1:]]), m_txt=b"m\n")
    return path


def merger(work: Path, name: str = "scratch", budget: Budget | None = None) -> Merger:
    scratch = work.parent / f"{name}.git"
    bare.make_scratch(LocalDisk(), scratch, objects=work / "objects")
    return Merger(scratch, budget)


def shown(scratch: Path, commit_: Oid | None) -> str:
    assert commit_ is not None
    return git(scratch, "cat-file", "commit", commit_.hex()).decode()


def test_a_merge_is_that_of_git(work: Path) -> None:
    main, side = named(work, "main"), named(work, "side")

    found = merger(work).merge(main, side, ALICE, "Merge side", NODE)

    assert found.tree is not None
    assert found.tree.hex() == git(work, "merge-tree", "--write-tree", "main", "side").decode().strip()
    assert shown(work.parent / "scratch.git", found.commit) == (
        f"tree {found.tree.hex()}\nparent {main.hex()}\nparent {side.hex()}\n"
        "author Älice <alice@example.com> 1800000000 +0130\n"
        "committer Node <node@example.com> 1800000001 +0000\n\nMerge side\n"
    )
    again = merger(work, "again").merge(main, side, ALICE, "Merge side\n", NODE)
    assert again == found, "the same inputs, other bytes"


def test_a_squash_has_the_tree_of_the_merge_and_one_parent(work: Path) -> None:
    made = merger(work)
    main, side = named(work, "main"), named(work, "side")

    found = made.squash(main, side, ALICE, "All of it")

    assert found.tree == made.merge(main, side, ALICE, "x").tree
    assert shown(work.parent / "scratch.git", found.commit).count("parent ") == 1


def test_a_rebase_keeps_authors_and_messages(work: Path) -> None:
    made = merger(work)

    found = made.rebase(named(work, "main"), named(work, "side"), NODE)

    assert found.commit is not None
    log = ["log", "--format=%an %ad|%cn|%s|%b|%P", "--date=raw", f"{named(work, 'main').hex()}..{found.commit.hex()}"]
    lines = git(work.parent / "scratch.git", *log).decode().split("\n\n")[0].splitlines()
    assert lines[0].startswith("Bob 1700000000 -0700|Node|sidé|with a body")
    assert found.tree == made.merge(named(work, "main"), named(work, "side"), ALICE, "x").tree


def test_a_rebase_leaves_out_what_is_there_already(work: Path) -> None:
    """The same change on both sides is made once."""
    start = named(work, "main~1").hex()
    commit(work, "side", start, "the same\n", m_txt=b"m\n")
    assert merger(work).rebase(named(work, "main"), named(work, "side"), NODE).commit == named(work, "main")
    commit(work, "side", named(work, "side").hex(), "and more\n", n_txt=b"n\n")

    found = merger(work, "other").rebase(named(work, "main"), named(work, "side"), NODE)

    text = shown(work.parent / "other.git", found.commit)
    assert f"\nparent {named(work, 'main').hex()}\n" in text
    assert text.endswith("\n\nand more\n")


def test_clashes_are_told_by_path_and_nothing_is_made(work: Path) -> None:
    start = named(work, "main~1").hex()
    commit(work, "side", start, "clash\n", a_txt=b"".join([b"other\n", *LINES[1:]]), b_txt=None)
    made = merger(work)
    main, side = named(work, "main"), named(work, "side")

    found = made.merge(main, side, ALICE, "x")

    blob = {
        name: oid(git(work, "rev-parse", name).decode().strip())
        for name in (f"{start}:a.txt", "main:a.txt", "side:a.txt")
    }
    assert (found.commit, found.tree) == (None, None)
    assert found.clashes == (Clash(b"a.txt", blob[f"{start}:a.txt"], blob["main:a.txt"], blob["side:a.txt"]),)
    assert made.new_objects() == ()
    assert made.write_pack(work.parent) is None
    rebased = merger(work, "other").rebase(main, side, NODE)
    assert (rebased.commit, rebased.stopped_at, [clash.path for clash in rebased.clashes]) == (None, side, [b"a.txt"])


def test_clashes_at_odd_names_are_told_byte_for_byte(work: Path) -> None:
    """A name that is no UTF-8 is a path like any other."""
    start, name = named(work, "main~1").hex(), b"gr\xfcn"
    for branch in ("main", "side"):
        head = f"commit refs/heads/{branch}\ncommitter B <b@c> 1 +0000\ndata 1\nx\nfrom {start}\n".encode()
        body = b'M 100644 inline "gr\\374n"\ndata 5\n%b\n\ndone\n' % branch.encode().ljust(5)
        git(work, "fast-import", "--quiet", "--force", "--done", stdin=head + body)

    found = merger(work).merge(named(work, "main"), named(work, "side"), ALICE, "x")

    assert [clash.path for clash in found.clashes] == [name]


async def test_what_is_new_is_a_pack_that_could_be_pushed(work: Path, world: World) -> None:
    """Nothing too much and nothing missing: the store takes it as it takes anybody's."""
    await world.push(pack_from(work, "main", "side"))
    made = merger(work)
    found = made.merge(named(work, "main"), named(work, "side"), ALICE, "Merge side")
    assert found.commit is not None

    pack = made.write_pack(work.parent)

    assert pack is not None
    listed = git(
        work.parent / "scratch.git",
        "rev-list",
        "--objects",
        "--no-object-names",
        found.commit.hex(),
        "^" + named(work, "main").hex(),
        "^" + named(work, "side").hex(),
    )
    assert sorted(listed.decode().split()) == sorted(one.hex() for one in made.new_objects())
    assert pack.with_suffix(".idx").exists()
    checked = await world.check(pack.read_bytes(), REPO)
    assert checked is not None
    assert checked.blob.objects == len(made.new_objects())


def test_merges_of_a_tangled_history_are_those_of_git(tmp_path: Path) -> None:
    """Where git merges without a clash and without criss-cross, so does libgit2, to the same tree."""
    path = tmp_path / "tangled.git"
    tangled_history.write(path, commits=60)
    pairs = [
        line.split() for line in git(path, "rev-list", "--parents", "--min-parents=2", "--all").decode().splitlines()
    ]
    same = clashing = 0
    made = merger(path)
    for _, one, other in pairs:
        try:
            expected = git(path, "merge-tree", "--write-tree", one, other).decode().strip()
        except subprocess.CalledProcessError:
            assert made.merge(oid(one), oid(other), ALICE, "x").clashes
            clashing += 1
            continue
        found = made.merge(oid(one), oid(other), ALICE, "x")
        if found.tree is not None:
            assert found.tree.hex() == expected
            same += 1
    assert same > 0
    assert clashing > 0


def test_settings_of_the_machine_are_not_heard(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on renames in somebody's own configuration would make another tree."""
    home = work.parent / "home"
    home.mkdir()
    (home / ".gitconfig").write_text("[merge]\n\trenames = false\n\trenameLimit = 1\n[diff]\n\trenames = false\n")
    (home / ".gitattributes").write_text("* merge=binary\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))

    found = merger(work).merge(named(work, "main"), named(work, "side"), ALICE, "x")

    assert found.tree is not None
    assert found.tree.hex() == git(work, "merge-tree", "--write-tree", "main", "side").decode().strip()


def test_bad_C04_a_tree_bomb_is_not_merged(work: Path) -> None:
    """It is walked within the budget before libgit2 is let at it, which nobody could stop."""
    with pytest.raises(TooMuchToRead, match="5 objects and entries"):
        merger(work, budget=Budget(nodes=5)).merge(named(work, "main"), named(work, "side"), ALICE, "x")


def test_a_long_rebase_is_refused_with_the_number(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "REBASE_COMMITS_MAX", 1)

    with pytest.raises(TooMuchToRead, match=r"2 commits to rebase; the limit is 1 \(commits\)"):
        merger(work).rebase(named(work, "main"), named(work, "side"), NODE)


def test_histories_with_nothing_in_common_are_not_merged(work: Path) -> None:
    commit(work, "other", None, "other\n", o_txt=b"o\n")

    with pytest.raises(Invalid, match="no history in common"):
        merger(work).merge(named(work, "main"), named(work, "other"), ALICE, "x")


@pytest.mark.parametrize(
    "fields",
    [("", "a@b", 1), ("A\nB", "a@b", 1), ("A", "a@b>", 1), ("A", "a\0b", 1), ("A", "a@b", -1), ("A", "a", 1, "+99")],
)
def test_people_whom_git_could_not_read_are_refused(fields: tuple[str, str, int]) -> None:
    with pytest.raises(Invalid, match="commit"):
        Person(*fields)
