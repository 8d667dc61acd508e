"""What goes in by push comes out by clone: every ref, every object, in every way git has of asking."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fixtures import git_history

from .devnet import Devnet, Git
from .people import create_repository

OBJECTS = 10_000


def objects_of(repository: Path) -> set[str]:
    """Every object that the refs of a repository reach."""
    listed = Git(repository)("rev-list", "--objects", "--all", "--no-object-names").stdout
    return set(listed.split())


def local_refs(repository: Path) -> dict[str, str]:
    """Its refs."""
    lines = Git(repository)("for-each-ref", "--format=%(refname) %(objectname)").stdout.splitlines()
    return dict(line.split(" ") for line in lines)


def remote_refs(git: Git, url: str) -> dict[str, str]:
    """What a node advertises, without HEAD and peeled tags."""
    return {name: oid for name, oid in git.refs(url).items() if name != "HEAD" and not name.endswith("^{}")}


def test_a_history_of_ten_thousand_objects_comes_out_as_it_went_in(net: Devnet, alice: Git, tmp_path: Path) -> None:
    """Merges, tags of all kinds, symlinks, submodule entries, odd names, old oddities that git hosts tolerate."""
    source = tmp_path / "source.git"
    git_history.generate(source, OBJECTS)
    git_history.write_tolerated(source)
    assert len(objects_of(source)) >= OBJECTS
    create_repository(net, alice, "history")

    alice.at(source)("push", "-q", "--mirror", f"{net.url(0)}/alice/history.git")
    net.wait_all_at(0)

    expected = local_refs(source)
    for index in range(4):
        assert remote_refs(alice, f"{net.url(index)}/alice/history.git") == expected
    for index in (1, 3):
        clone = tmp_path / f"clone{index}.git"
        alice("clone", "-q", "--mirror", f"{net.url(index)}/alice/history.git", str(clone))
        assert local_refs(clone) == expected
        assert objects_of(clone) == objects_of(source)
    net.assert_same_state()


@pytest.mark.parametrize("name", sorted(git_history.DANGEROUS))
def test_dangerous_objects_are_refused(net: Devnet, alice: Git, tmp_path: Path, name: str) -> None:
    """What would hurt whoever clones it does not come in; the reason is printed, no ref moves."""
    source = tmp_path / "source.git"
    git_history.init(source)
    ref = git_history.write_dangerous(source, name)
    repository = f"dangerous-{name}"
    create_repository(net, alice, repository)

    push = alice.at(source)("push", f"{net.url(1)}/alice/{repository}.git", ref, check=False)

    assert push.returncode != 0
    # Some of it git itself does not want to send; the node refuses the rest in words.
    assert "rejected" in push.stderr or "fatal: empty filename in tree entry" in push.stderr, push.stderr
    assert alice.refs(f"{net.url(1)}/alice/{repository}.git") == {}


def a_project(net: Devnet, alice: Git, name: str, commits: int = 3) -> Git:
    """A repository with some commits on main, made by pushing to it."""
    work = alice.directory / name
    work.mkdir()
    mine = alice.at(work)
    mine("init", "-q")
    for number in range(commits):
        mine.commit("file", f"{number}\n", f"commit {number}")
    mine("remote", "add", "origin", f"{net.url(0)}/alice/{name}.git")
    mine("push", "-q", "origin", "main")
    net.wait_all_at(0)
    return mine


def test_pushing_to_a_missing_name_creates_the_repository(net: Devnet, alice: Git) -> None:
    """Under one's own account; HEAD follows the first branch pushed."""
    mine = a_project(net, alice, "created")

    shown = net.http(2, "/api/v3/repos/alice/created").json
    assert (shown["full_name"], shown["private"], shown["default_branch"]) == ("alice/created", False, "main")
    assert alice.refs(f"{net.url(2)}/alice/created")["HEAD"] == mine.oid("HEAD")
    work = alice.directory / "trunk"
    work.mkdir()
    other = alice.at(work)
    other("init", "-q", "-b", "trunk")
    other.commit("a", "a")
    other("push", "-q", f"{net.url(3)}/alice/trunk-only.git", "trunk")
    assert net.http(3, "/api/v3/repos/alice/trunk-only").json["default_branch"] == "trunk"


def test_force_push_branch_delete_and_tags(net: Devnet, alice: Git) -> None:
    """Everything that a plain git server does to refs."""
    mine = a_project(net, alice, "refs")
    url = f"{net.url(1)}/alice/refs.git"
    before = mine.oid("HEAD")
    mine("reset", "-q", "--hard", "HEAD~1")
    rewritten = mine.commit("file", "other\n", "rewritten")

    refused = mine("push", url, "main", check=False)
    assert refused.returncode != 0
    assert "non-fast-forward" in refused.stderr
    mine("push", "-q", "--force", url, "main")
    assert alice.refs(url)["refs/heads/main"] == rewritten != before
    leased = mine("push", f"--force-with-lease=main:{before}", url, "HEAD~1:main", check=False)
    assert leased.returncode != 0
    assert alice.refs(url)["refs/heads/main"] == rewritten
    mine("push", "-q", url, "HEAD:refs/heads/topic")
    mine("push", "-q", "--delete", url, "topic")
    assert "refs/heads/topic" not in alice.refs(url)
    mine("tag", "light")
    mine("tag", "-a", "-m", "annotated", "v1")
    mine("push", "-q", url, "--tags")
    advertised = alice.refs(url)
    assert advertised["refs/tags/light"] == rewritten
    assert advertised["refs/tags/v1^{}"] == rewritten
    assert advertised["refs/tags/v1"] == mine.oid("v1")


def test_an_atomic_push_moves_all_refs_or_none(net: Devnet, alice: Git) -> None:
    """One stale ref keeps the others where they are; without --atomic only the stale one stays."""
    mine = a_project(net, alice, "atomic")
    url = f"{net.url(2)}/alice/atomic.git"
    theirs = alice.clone(url, "atomic-other")
    theirs.commit("file", "theirs\n")
    theirs("push", "-q", "origin", "main")
    mine.commit("file", "mine\n")

    pushed = mine(
        "push", "--atomic", "--force-with-lease=main:" + mine.oid("HEAD~1"), url, "main", "HEAD:topic", check=False
    )
    assert pushed.returncode != 0
    assert "refs/heads/topic" not in alice.refs(url)
    mine("push", "-q", url, "HEAD:one", "HEAD:two", "--atomic")
    assert {"refs/heads/one", "refs/heads/two"} <= set(alice.refs(url))
    mixed = mine("push", url, "main", "HEAD:topic", check=False)
    assert mixed.returncode != 0
    assert "refs/heads/topic" in alice.refs(url)


def test_an_empty_repository_can_be_cloned(net: Devnet, alice: Git) -> None:
    """With the warning that git prints, and a push from it works."""
    create_repository(net, alice, "empty")

    clone = alice.clone(f"{net.url(1)}/alice/empty.git", "empty")
    oid = clone.commit("a", "a")
    clone("push", "-q", "origin", "main")
    net.wait_all_at(1)
    assert alice.refs(f"{net.url(2)}/alice/empty.git")["refs/heads/main"] == oid


@pytest.mark.parametrize("version", ["0", "1", "2"])
def test_shallow_filtered_and_incremental_fetches(net: Devnet, alice: Git, version: str) -> None:
    """Every protocol version; what comes is what was asked for."""
    name = f"fetch{version}"
    mine = a_project(net, alice, name, commits=5)
    url = f"{net.url(3)}/alice/{name}.git"
    protocol = ("-c", f"protocol.version={version}")

    alice(*protocol, "clone", "-q", "--depth", "1", url, f"shallow{version}")
    shallow = alice.at(alice.directory / f"shallow{version}")
    assert shallow("rev-list", "--count", "HEAD").stdout.strip() == "1"
    shallow(*protocol, "fetch", "-q", "--unshallow")
    assert shallow("rev-list", "--count", "HEAD").stdout.strip() == "5"
    if version == "2":  # older protocols fetch missing blobs one by one, by ids that no ref advertises
        alice(*protocol, "clone", "-q", "--filter=blob:none", url, f"partial{version}")
        assert (alice.directory / f"partial{version}" / "file").read_text() == "4\n"
    newest = mine.commit("file", "more\n")
    mine("push", "-q", "origin", "main")
    net.wait_all_at(0)
    shallow(*protocol, "fetch", "-q", "origin")
    assert shallow.oid("origin/main") == newest


def test_a_large_push_streams_in_chunks(net: Devnet, alice: Git) -> None:
    """Above http.postBuffer git sends chunked and asks with Expect: 100-continue; compressed negotiation works too."""
    mine = a_project(net, alice, "large")
    (mine.directory / "data").write_bytes(os.urandom(3 << 20))
    oid = mine.commit("note", "large\n")
    mine("-c", "http.postBuffer=65536", "push", "-q", "origin", "main")
    net.wait_all_at(0)
    assert alice.refs(f"{net.url(1)}/alice/large.git")["refs/heads/main"] == oid
