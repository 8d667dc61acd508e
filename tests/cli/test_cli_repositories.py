"""Repositories, tokens and the log of a ref from the command line, on a real network of one node."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.desk import Desk
from tests.ports import free_ports

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A network of one node; alice is at this desk."""
    path = tmp_path_factory.mktemp("repositories")
    desk = Desk(path, path / "net")
    port = str(free_ports(1)[0])
    desk.json("devnet", "start", "--validators", "1", "--dir", "net", "--http-port", port, "--detach")
    yield desk
    desk.run("devnet", "stop", "--dir", "net")


@pytest.fixture
def desk(shared: Desk, tmp_path: Path) -> Desk:
    """Alice in a fresh directory."""
    return Desk(tmp_path, shared.home)


def test_a_repository_is_edited_in_one_go_and_followed_by_its_old_name(desk: Desk) -> None:
    """All that is said or nothing; links to the old name go on working."""
    desk.work_tree().run("push", "alice/plain")

    edited = desk.json("repo", "edit", "alice/plain", "--description", "A greeting", "--name", "fancy", "--private")
    refused = desk.json("repo", "edit", "alice/fancy", "--public", "--name", "fancy.lock", code=2)
    by_old_name = desk.json("repo", "view", "alice/plain")
    again = desk.json("repo", "edit", "alice/fancy", "--description", "A greeting", "--private")
    desk.run("clone", "alice/plain", "copy")
    cleared = desk.json("repo", "edit", "alice/fancy", "--description", "", "--public")

    assert (edited["name"], edited["description"], edited["private"], edited["changes"]) == (
        "alice/fancy",
        "A greeting",
        True,
        3,
    )
    assert refused["error"]["code"] == "invalid"
    assert (by_old_name["name"], by_old_name["private"]) == ("alice/fancy", True)
    assert again["changes"] == 0
    assert (cleared["description"], cleared["private"], cleared["readable_by"]) == (
        None,
        False,
        "readable by everybody",
    )


def typed(desk: Desk, text: str, *words: str) -> tuple[int, str]:
    """A guts command on a terminal, where somebody types one line; its exit code and all it says."""
    primary, secondary = pty.openpty()
    argv = [sys.executable, "-m", "guts_cli", *words]
    child = subprocess.Popen(
        argv, cwd=desk.directory, env=desk.environment(), stdin=secondary, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    os.write(primary, f"{text}\n".encode())
    said = child.communicate()[0]
    os.close(primary)
    os.close(secondary)
    return child.returncode, said


def test_the_default_branch_is_one_that_is_there(desk: Desk) -> None:
    """A clone of a repository without its default branch shows nothing; the API refuses it as well."""
    desk.json("repo", "create", "later")
    before_the_first = desk.json("repo", "edit", "alice/later", "--default-branch", "trunk")
    desk.work_tree().run("push", "alice/headless")

    refused = desk.json("repo", "edit", "alice/headless", "--default-branch", "trunk", code=3)

    assert (before_the_first["default_branch"], before_the_first["pushed"]) == ("trunk", None)
    assert refused["error"]["next"] == "guts push alice/headless HEAD:refs/heads/trunk"
    assert desk.json("repo", "view", "alice/headless")["default_branch"] == "main"


def test_a_token_that_may_not_create_is_not_told_of_a_missing_repository(desk: Desk) -> None:
    """Nobody looks for a typing error in the name where the token is what is wrong."""
    token = desk.json("token", "create", "--scope", "read")["token"]

    failed = desk.work_tree().run("push", "alice/uncreated", code=128, GUTS_TOKEN=token).stderr

    assert "its scope is read" in failed
    assert "guts: alice/uncreated is not there, and this push did not create it\nnext: unset GUTS_TOKEN; " in failed


def test_a_repository_is_shared_and_no_longer(desk: Desk) -> None:
    """A role takes effect at once, and its end does."""
    desk.run("account", "create", "carol")
    desk.run("token", "create", "--account", "carol", "--scope", "repo", "--save")
    desk.run("repo", "create", "ours", "--private")

    hidden = desk.json("repo", "view", "alice/ours", "--account", "carol", code=3)
    desk.json("repo", "share", "alice/ours", "carol", "--role", "read")
    reader = desk.json("repo", "view", "alice/ours", "--account", "carol")
    desk.json("repo", "share", "alice/ours", "carol")
    members = desk.json("repo", "members", "alice/ours")["members"]
    no_admin = desk.json("repo", "unshare", "alice/ours", "alice", "--account", "carol", code=4)
    desk.json("repo", "unshare", "alice/ours", "carol", "--account", "carol")
    gone = desk.json("repo", "view", "alice/ours", "--account", "carol", code=3)

    assert hidden["error"]["code"] == gone["error"]["code"] == "not-found"
    assert reader["role"] == "read"
    assert members == [{"account": "alice", "role": "admin"}, {"account": "carol", "role": "write"}]
    assert no_admin["error"]["code"] == "not-allowed"


def test_a_person_types_the_name_of_what_is_deleted(desk: Desk) -> None:
    """A yes is typed too quickly; for a day even the name is no last word."""
    desk.work_tree().run("push", "alice/precious")

    mistaken, refusal = typed(desk, "yes", "repo", "delete", "alice/precious")
    still = desk.json("repo", "view", "alice/precious")
    deleted, words = typed(desk, "alice/precious", "repo", "delete", "alice/precious")
    gone = desk.json("repo", "view", "alice/precious", code=3)
    desk.json("repo", "restore", "alice/precious")
    desk.run("clone", "alice/precious", "back")

    assert (mistaken, deleted) == (2, 0)
    assert "nothing is deleted: the name is alice/precious" in refusal
    assert "for 24 hours it can be brought back" in words
    assert words.endswith("next: guts repo restore alice/precious\n")
    assert gone["error"]["next"] == "guts repo list"
    assert desk.json("repo", "view", "alice/precious")["id"] == still["id"]


def test_a_restore_meets_a_name_that_was_taken_again(desk: Desk) -> None:
    """The newcomer under the name is not pushed aside."""
    desk.json("repo", "create", "twice")
    desk.json("repo", "delete", "alice/twice", "--yes-delete", "alice/twice")
    desk.json("repo", "create", "twice")

    error = desk.json("repo", "restore", "alice/twice", code=5)["error"]

    assert "twice is taken" in error["message"]
    assert error["next"].startswith("guts repo edit alice/twice --name")
    desk.json("repo", "edit", "alice/twice", "--name", "elsewhere")
    assert desk.json("repo", "restore", "alice/twice")["restored"] == "alice/twice"


def test_a_revoked_token_opens_nothing(desk: Desk) -> None:
    """A lost token is ended by the key that made it, by the beginning of its id or by its note."""
    work = desk.work_tree()
    lost = desk.json("token", "create", "--scope", "repo", "--note", "lost")["token"]
    work.run("push", "alice/opened", GUTS_TOKEN=lost)
    found = next(one for one in desk.json("token", "list")["tokens"] if one["note"] == "lost")
    desk.json("token", "revoke", found["id"][:8])
    work.commit("two\n")

    failed = work.run("push", "alice/opened", code=128, GUTS_TOKEN=lost)

    assert "next: unset GUTS_TOKEN; guts token create" in failed.stderr
    assert [one["revoked"] for one in desk.json("token", "list", "--all")["tokens"] if one["note"] == "lost"] == [True]
    assert "lost" not in [one["note"] for one in desk.json("token", "list")["tokens"]]
    assert desk.json("token", "revoke", "--note", "lost", code=3)["error"]["next"] == "guts token list --all"


def test_two_tokens_with_one_note_are_told_apart_by_id(desk: Desk) -> None:
    """The wrong one is not ended by chance."""
    for _ in range(2):
        desk.json("token", "create", "--scope", "read", "--note", "same")

    assert desk.json("token", "revoke", "--note", "same", code=5)["error"]["message"] == (
        "2 tokens are meant: say which by ID"
    )


def test_the_log_of_a_ref_says_who_moved_it_from_where_to_where_with_what(desk: Desk) -> None:
    """Newest first, deletions included, for people and programs alike."""
    work = desk.work_tree()
    first = work.run("git", "rev-parse", "HEAD").stdout.strip()
    work.run("push", "alice/moving")
    second = work.commit("two\n")
    work.run("push", "alice/moving")
    work.run("push", "alice/moving", f"{first}:refs/heads/main", "--", "--force")
    work.run("push", "alice/moving", "HEAD:refs/tags/v1")
    token = next(one for one in desk.json("token", "list")["tokens"] if one["current"])

    told = desk.json("ref", "log", "alice/moving")
    tag = desk.json("ref", "log", "alice/moving@refs/tags/v1")
    newest = desk.json("ref", "log", "alice/moving@main", "-n", "1")
    lines = desk.run("ref", "log", "alice/moving").stdout.splitlines()

    assert told["ref"] == "refs/heads/main"
    assert [(move["old"], move["new"], move["relation"]) for move in told["moves"]] == [
        (second, first, "forced"),
        (first, second, "fast_forward"),
        (None, first, "created"),
    ]
    assert {(move["author"], move["credential"]) for move in told["moves"]} == {("alice", token["id"])}
    assert [move["new"] for move in tag["moves"]] == [second]
    assert newest["moves"] == told["moves"][:1]
    assert lines[0].startswith(f"{second[:10]} -> {first[:10]}  forced")
    assert f"alice, token {token['id'][:10]} through node-0" in lines[2]


def test_a_context_whose_nodes_serve_another_network_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    """A token of one network is no business of another that took its port."""
    url = desk.json("context", "show")["nodes"][0]
    other = desk.elsewhere("other")
    other.json("context", "add", url, "--name", "mine")
    file = other.home / "contexts.json"
    chain = other.json("context", "show")["chain_id"]
    file.write_text(file.read_text().replace(chain, "ab" * 32))

    error = other.json("repo", "view", "alice/hello", code=2)["error"]

    assert "now belong to another network" in error["message"]
    assert error["next"].startswith("guts context remove mine")
