"""``guts repo create | list | view | edit``."""

from __future__ import annotations

import shlex
from secrets import token_bytes

import click

from guts_cli.acting import SALT_BYTES, network_options, open_network, saved_token, signed_in
from guts_cli.completing import complete_repository
from guts_cli.outcomes import Missing, Said, Usage, counted
from guts_cli.ownership import Sight, open_sight
from guts_cli.shape import command
from guts_core.chain.transaction import Text
from guts_core.forge.actions import (
    Action,
    CreateRepository,
    DescribeRepository,
    RenameRepository,
    SetDefaultBranch,
    SetVisibility,
)
from guts_core.forge.records import ObjectFormat
from guts_core.git.refs import BRANCHES
from guts_core.names import repository_name
from guts_http.client import Repository, as_json

DEFAULT_BRANCH = "main"
SHOWN_CHARS = 100
READABLE = {
    False: "readable by everybody",
    True: "readable by members and by the operators of this network",
}
ROLES = (("admin", "admin"), ("push", "write"), ("pull", "read"))


@command()
@click.argument("name")
@network_options
@click.option("--private", is_flag=True, help="For members only (and, as everything, the network's operators).")
@click.option("--default-branch", default=DEFAULT_BRANCH, show_default=True, help="What a clone checks out.")
@click.option("--description", metavar="TEXT", help="What it is. It can be erased later; the name cannot.")
def create(
    *, name: str, node: str | None, account: str | None, private: bool, default_branch: str, description: str | None
) -> Said:
    """Create an empty repository NAME. The transaction is signed here, with your account key."""
    repository_name(name)
    text = Text(token_bytes(SALT_BYTES), description) if description else None
    with open_network(node) as network:
        key = network.key(account)
        action = CreateRepository(
            name=name,
            salt=token_bytes(SALT_BYTES),
            private=private,
            default_branch=BRANCHES + default_branch,
            object_format=ObjectFormat.SHA1,
            placement="all",
            description=None if text is None else text.commitment,
        )
        network.act(key, (action,), () if text is None else (text,))
        network.home.remember_repository(network.chain_id.hex(), f"{key.name}/{name}")
        url = f"{network.client.base}/{key.name}/{name}.git"
    data = {"owner": key.name, "name": name, "private": private, "clone_url": url}
    return Said(data, f"repository {key.name}/{name} is created\n  {url}", f"guts push {key.name}/{name}")


@command(name="list")
@network_options
def list_(*, node: str | None, account: str | None) -> Said:
    """List repositories you own or collaborate in, as the token of your account shows them.

    Uses GUTS_TOKEN, or the token that `guts token create --save` kept.
    """
    with open_network(node) as network:
        key = network.key(account)
        token = saved_token(network, key)
        with signed_in(network, token) as client:
            found = list(client.my_repositories())
        network.home.remember_repository(network.chain_id.hex(), *(repo.full_name for repo in found))
    rows = [{"name": repo.full_name, "private": repo.private, "clone_url": repo.clone_url} for repo in found]
    width = max((len(repo.full_name) for repo in found), default=0)
    lines = [
        f"{repo.full_name:{width}}  {'private' if repo.private else 'public':7}  {repo.clone_url}" for repo in found
    ]
    following = f"guts clone {rows[0]['name']}" if rows else "guts repo create NAME"
    return Said({"repositories": rows}, "\n".join(lines) or "no repositories yet", following)


@command()
@click.argument("repository", shell_complete=complete_repository)
@network_options
def view(*, repository: str, node: str | None, account: str | None) -> Said:
    """Show REPOSITORY (OWNER/NAME): who can read it, its branches, its size, your role."""
    with open_sight(repository, node, account) as sight:
        found = sight.repository()
        branches = sum(1 for _ in sight.client.branches(found.full_name))
    data = _data(found, branches)
    return Said(data, _words(data), f"guts {'clone' if branches else 'push'} {found.full_name}")


def role_of(found: Repository) -> str | None:
    """What the caller may do, in one word."""
    return next((role for name, role in ROLES if getattr(found.permissions, name)), None)


def _data(found: Repository, branches: int) -> dict[str, object]:
    shown = as_json(found)
    return {
        "name": found.full_name,
        "id": found.id.hex(),
        "description": found.description,
        "private": found.private,
        "readable_by": READABLE[found.private],
        "default_branch": found.default_branch,
        "branches": branches,
        "size_kib": found.size,
        "clone_url": found.clone_url,
        "created": shown["created"],
        # A new repository has GitHub's `pushed_at`: when it was made.
        "pushed": None if not branches and found.pushed == found.created else shown["pushed"],
        "role": role_of(found),
    }


def _words(data: dict[str, object]) -> str:
    rows = {
        "description": data["description"] or "none",
        "visibility": f"{'private' if data['private'] else 'public'}, {data['readable_by']}",
        "branches": f"{data['branches']}, default {data['default_branch']}",
        "size": f"{data['size_kib']} KiB",
        "last push": data["pushed"] or "never",
        "your role": data["role"] or "none",
        "clone URL": data["clone_url"],
    }
    return "\n".join([str(data["name"]), *(f"  {name:12} {value}" for name, value in rows.items())])


@command()
@click.argument("repository", shell_complete=complete_repository)
@network_options
@click.option("--name", metavar="NAME", help="Call it so from now on; the old name leads here until it is used again.")
@click.option("--description", help="What it is; an empty text takes it away.")
@click.option("--private/--public", default=None, help="Who may read it.")
@click.option("--default-branch", metavar="NAME", help="What a clone checks out.")
def edit(
    *,
    repository: str,
    node: str | None,
    account: str | None,
    name: str | None,
    description: str | None,
    private: bool | None,
    default_branch: str | None,
) -> Said:
    """Change REPOSITORY (OWNER/NAME): everything that is said, or nothing where one thing cannot be.

    The change is one transaction, signed here with your account key.
    """
    if name is not None:
        repository_name(name)
    text = Text(token_bytes(SALT_BYTES), description) if description else None
    with open_sight(repository, node, account) as sight:
        found = sight.repository()
        actions: list[Action] = []
        if private is not None and private != found.private:
            actions.append(SetVisibility(found.id, private))
        if name is not None and name != found.name:
            actions.append(RenameRepository(found.id, name))
        if description is not None and description != (found.description or ""):
            actions.append(DescribeRepository(found.id, None if text is None else text.commitment))
        if default_branch is not None and default_branch != found.default_branch:
            _require_branch(sight, found, default_branch)
            actions.append(SetDefaultBranch(found.id, BRANCHES + default_branch))
        if (name, description, private, default_branch) == (None, None, None, None):
            raise Usage("nothing is to be changed", "guts repo edit --help")
        if actions:
            network = sight.network
            texts = (text,) if text is not None and any(isinstance(one, DescribeRepository) for one in actions) else ()
            network.act(network.key(account), actions, texts)
        owner = found.full_name.partition("/")[0]
        now = sight.client.repository(f"{owner}/{name or found.name}")
        branches = sum(1 for _ in sight.client.branches(now.full_name))
    data = _data(now, branches)
    words = f"{counted(len(actions), 'change')}\n" if actions else "it is so already\n"
    return Said({**data, "changes": len(actions)}, words + _words(data), f"guts repo view {now.full_name}")


def _require_branch(sight: Sight, found: Repository, name: str) -> None:
    """A clone of a repository without its default branch shows nothing. An empty one has the branch yet to come."""
    names = [branch.name for branch in sight.client.branches(found.full_name)]
    if names and name not in names:
        words = f"{found.full_name} has no branch {name[:SHOWN_CHARS]!r}"
        raise Missing(words, f"guts push {found.full_name} {shlex.quote(f'HEAD:{BRANCHES}{name}')}")
