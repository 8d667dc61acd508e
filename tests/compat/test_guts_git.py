"""`guts clone`, `push` and `pull`: stock git with the saved token, through whichever node answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from guts_core.identity import token_of
from tests.cli.desk import Desk

from .devnet import Devnet
from .people import newcomer

pytestmark = pytest.mark.e2e
STRANGERS_TOKEN = token_of(bytes(32))


@pytest.fixture
def desk(net: Devnet, tmp_path: Path) -> Desk:
    """Alice's, whose home is the devnet's own."""
    return Desk(tmp_path, net.home)


def test_a_repository_is_pushed_cloned_and_pulled_by_its_name(net: Devnet, desk: Desk) -> None:
    """Three commands, no URL, no password; in the clone plain git finds the token as well."""
    work = desk.work_tree()
    pushed = work.run("push", "alice/three", "--json")
    cloned = desk.run("clone", "alice/three", "copy")
    copy = desk.at("copy")
    second = copy.commit("two\n")
    copy.run("git", "push", "-q")
    net.wait_all_at(0)
    work.run("pull", "alice/three")

    assert json.loads(pushed.stdout) == {
        "repository": "alice/three",
        "node": net.url(0),
        "url": f"{net.url(0)}/alice/three.git",
    }
    assert "[new branch]" in pushed.stderr
    assert cloned.stdout.endswith("next: cd copy\n")
    assert second == work.run("git", "rev-parse", "HEAD").stdout.strip()
    assert copy.run("git", "config", "remote.origin.url").stdout.strip() == f"{net.url(0)}/alice/three.git"


def test_the_token_stands_in_no_argument_url_or_configuration_and_no_other_helper_gets_it(
    net: Devnet, desk: Desk, tmp_path: Path
) -> None:
    """Git hands every configured helper what worked, and one that stores would keep it in the clear."""
    told = tmp_path / "told"
    spy = tmp_path / "spy"
    spy.write_text(f"#!/bin/sh\n{{ echo $1; cat; }} >> {told}\n")
    spy.chmod(0o700)
    config, trace = tmp_path / "gitconfig", tmp_path / "trace"
    config.write_text(f"[credential]\n\thelper = {spy}\n")
    traces = {"GIT_TRACE": str(trace), "GIT_TRACE2_EVENT": str(trace)}
    watched: dict[str, Any] = {"GIT_CONFIG_GLOBAL": str(config), **traces}
    work = desk.work_tree()
    work.run("push", "-u", "alice/secret", **watched)
    desk.run("clone", "alice/secret", **watched)
    copy = desk.at("secret")
    for place in (work, copy):
        place.run("git", "pull", "-q", **watched)
        place.commit(f"more from {place.directory}\n")
        place.run("git", "push", "-q", **watched)

    token = str(net.info["token"])
    assert not told.exists()
    assert "guts_cli credential" in trace.read_text()
    assert token not in trace.read_text()
    assert [str(path) for path in tmp_path.rglob("*") if path.is_file() and token.encode() in path.read_bytes()] == []


def test_what_stands_after_the_dashes_is_gits(net: Devnet, desk: Desk) -> None:
    """Whoever knows git loses nothing."""
    work = desk.work_tree()
    work.commit("two\n")
    work.run("push", "alice/deep", "HEAD:refs/heads/trunk", "--", "--quiet")
    desk.run("clone", "alice/deep", "--", "--depth", "1", "--branch", "trunk")

    assert len(desk.at("deep").run("git", "log", "--oneline").stdout.splitlines()) == 1


def test_gits_exit_code_is_ours_and_a_refused_push_says_so(net: Devnet, desk: Desk) -> None:
    """A script sees what git says; git's words stand alone where we know nothing to add."""
    first = desk.work_tree("first")
    first.commit("here\n")
    first.run("push", "alice/race")
    other = desk.work_tree("other")
    other.commit("elsewhere\n")

    refused = other.run("push", "alice/race", code=1)
    in_json = other.run("push", "alice/race", "--json", code=1)

    assert "[rejected]" in refused.stderr
    assert refused.stdout == ""
    assert json.loads(in_json.stdout)["error"] == {
        "code": "git-failed",
        "message": "git push ended with exit code 1",
        "next": None,
    }


@pytest.mark.parametrize("token", [STRANGERS_TOKEN, "guts_pat_nonsense"])
def test_a_token_that_is_not_accepted_is_said_with_the_command_that_makes_one(
    net: Devnet, desk: Desk, token: str
) -> None:
    """Git alone says "Authentication failed"."""
    failed = desk.work_tree().run("push", "alice/nothing", code=128, GUTS_TOKEN=token)

    assert failed.stderr.endswith("next: unset GUTS_TOKEN; guts token create --scope repo --gateway all --save\n")
    assert "token" in failed.stderr.splitlines()[-2]
    assert token not in failed.stderr + failed.stdout


def test_without_a_token_the_command_that_makes_one_is_said(net: Devnet, desk: Desk, tmp_path: Path) -> None:
    """A missing token and a private repository look the same to git; here both have words."""
    stranger = Desk(tmp_path, tmp_path / "nowhere")
    work = desk.work_tree()
    work.run("push", "alice/hidden", "--", "-o", "private")
    work.run("push", "alice/open")

    pushed = Desk(work.directory, stranger.home).run("push", "--node", net.url(0), "alice/open", code=128)
    hidden = stranger.run("clone", "--json", f"{net.url(0)}/alice/hidden", code=128)
    stranger.run("clone", f"{net.url(0)}/alice/open.git", "public-one")

    assert "guts: a push needs a token, and none is saved here\nnext: guts token create" in pushed.stderr
    assert json.loads(hidden.stdout)["error"]["code"] == "unauthenticated"
    assert (tmp_path / "public-one" / "file").exists()


def test_another_persons_repository_is_named_as_missing(net: Devnet, desk: Desk, tmp_path: Path) -> None:
    """Nobody creates under a stranger's name, and nobody learns what is there."""
    bob = newcomer(net, tmp_path / "bob", "bob")

    failed = desk.work_tree().run("push", "alice/of-bob", code=128, GUTS_TOKEN=str(bob.token))

    assert failed.stderr.endswith("guts: there is no such repository, or you may not read it\nnext: guts repo list\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["clone", "hello"], "'hello' names no repository: write OWNER/NAME, such as alice/hello"),
        (["clone", "a/b/c"], "names no repository"),
        (["clone", "http://alice:secret@127.0.0.1:1/alice/hello"], "a secret never stands in a URL"),
        (["clone", "ssh://127.0.0.1/alice/hello"], "is no repository of a node"),
        (["clone", "Alice!/hello"], "account name"),
        (["push", "alice/hello"], "this directory is no git repository"),
        (["pull"], "this directory is no git repository"),
    ],
)
def test_a_mistyped_command_is_answered_before_git_starts(net: Devnet, desk: Desk, words: list[str], said: str) -> None:
    """With words, exit code 2, and never a traceback."""
    failed = desk.run(*words, code=2, GIT_CEILING_DIRECTORIES=str(desk.directory.parent))

    assert said in failed.stderr
    assert "secret@" not in failed.stderr


def test_an_empty_repository_has_nothing_to_push(net: Devnet, desk: Desk) -> None:
    """The newcomer's first stumble."""
    work = desk.at("empty")
    work.run("git", "init", "-q", "-b", "main")

    assert "next: git add . && git commit" in work.run("push", "alice/empty", code=2).stderr
    assert "no remote yet" in work.run("push", code=2).stderr


def test_another_node_takes_over_where_one_is_down(own_net: Callable[..., Devnet], tmp_path: Path) -> None:
    """A clone goes on working when the node it came from is gone: same remote, same tracking branches."""
    net = own_net(4)
    desk = Desk(tmp_path, net.home)
    work = desk.work_tree()
    work.run("push", "-u", "alice/tough")
    net.wait_all_at(0)
    net.kill(0)
    line = f"guts: {net.url(0)} does not answer; using {net.url(1)}\n"

    second = work.commit("two\n")
    pushed = work.run("push")
    net.wait_height(net.status(1)["height"], 1, 2, 3)
    cloned = desk.run("clone", "alice/tough", "copy")
    copy = desk.at("copy")
    third = copy.commit("three\n")
    copy.run("push")
    pulled = work.run("pull")

    assert [done.stderr.count(line) for done in (pushed, cloned, pulled)] == [1, 1, 1]
    assert work.run("git", "rev-parse", "origin/main").stdout.strip() == third
    assert work.run("git", "config", "remote.origin.url").stdout.strip().startswith(net.url(0))
    assert copy.run("git", "log", "--format=%H").stdout.split()[1] == second
    net.kill(1, 2, 3)
    assert "no answer from" in work.run("push", code=6).stderr
