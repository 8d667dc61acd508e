"""The people of the end-to-end tests: alice has the devnet's account, bob registers with her word."""

from __future__ import annotations

from pathlib import Path

from .devnet import Devnet, Git


def alice_of(net: Devnet, directory: Path) -> Git:
    """The account that the devnet was started with."""
    directory.mkdir(parents=True, exist_ok=True)
    return Git(directory, net.info["account"], net.info["token"])


def newcomer(net: Devnet, directory: Path, name: str, scope: str = "repo") -> Git:
    """A new account, sponsored by alice, with a token for every node."""
    directory.mkdir(parents=True, exist_ok=True)
    net.guts("account", "create", name, "--node", net.url(0))
    return Git(directory, name, token_for(net, name, scope))


def token_for(net: Devnet, name: str, scope: str, gateway: str = "all") -> str:
    """A further token of an account."""
    made = net.guts_json(
        "token", "create", "--account", name, "--scope", scope, "--gateway", gateway, "--node", net.url(0)
    )
    net.wait_all_at(0)
    return str(made["token"])


def create_repository(net: Devnet, owner: Git, name: str, *, private: bool = False) -> None:
    """``POST /api/v3/user/repos``."""
    answer = net.http(0, "/api/v3/user/repos", token=owner.token, body={"name": name, "private": private})
    assert answer.status == 201, answer.body
    net.wait_all_at(0)


def a_repository(net: Devnet, alice: Git, name: str, *, private: bool = False) -> Git:
    """A repository with one commit on main, on every node; where its owner works on it."""
    create_repository(net, alice, name, private=private)
    work = alice.directory / name
    work.mkdir()
    mine = alice.at(work)
    mine("init", "-q")
    mine.commit("file", "one\n")
    mine("push", "-q", f"{net.url(0)}/alice/{name}.git", "main")
    net.wait_all_at(0)
    return mine


def add_collaborator(net: Devnet, owner: Git, repository: str, member: Git, permission: str = "push") -> None:
    """``PUT /api/v3/repos/{o}/{n}/collaborators/{user}``."""
    path = f"/api/v3/repos/{owner.user}/{repository}/collaborators/{member.user}"
    answer = net.http(0, path, token=owner.token, body={"permission": permission}, method="PUT")
    assert answer.status in {201, 204}, answer.body
    net.wait_all_at(0)
