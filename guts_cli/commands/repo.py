"""``guts repo create | list``."""

from __future__ import annotations

from secrets import token_bytes

import click

from guts_cli.acting import SALT_BYTES, network_options, open_network, saved_token
from guts_cli.outcomes import Said
from guts_cli.shape import command
from guts_core.forge.actions import CreateRepository
from guts_core.forge.records import ObjectFormat
from guts_core.names import repository_name
from guts_http.client import open_client

DEFAULT_BRANCH = "main"


@command()
@click.argument("name")
@network_options
@click.option("--private", is_flag=True, help="For members only (and, as everything, the network's operators).")
@click.option("--default-branch", default=DEFAULT_BRANCH, show_default=True, help="What a clone checks out.")
def create(*, name: str, node: str | None, account: str | None, private: bool, default_branch: str) -> Said:
    """Create an empty repository NAME. The transaction is signed here, with your account key."""
    repository_name(name)
    with open_network(node) as network:
        key = network.key(account)
        action = CreateRepository(
            name=name,
            salt=token_bytes(SALT_BYTES),
            private=private,
            default_branch=f"refs/heads/{default_branch}",
            object_format=ObjectFormat.SHA1,
            placement="all",
            description=None,
        )
        network.act(key, (action,))
        url = f"{network.client.base}/{key.name}/{name}.git"
    data = {"owner": key.name, "name": name, "private": private, "clone_url": url}
    return Said(data, f"repository {key.name}/{name} is created\n  {url}", f"git push {url} HEAD:{default_branch}")


@command(name="list")
@network_options
def list_(*, node: str | None, account: str | None) -> Said:
    """List repositories you own or collaborate in, as the token of your account shows them.

    Uses GUTS_TOKEN, or the token that `guts token create --save` kept.
    """
    with open_network(node) as network:
        key = network.key(account)
        token = saved_token(network, key)
        with open_client(network.client.base, token) as client:
            found = list(client.my_repositories())
    rows = [{"name": repo.full_name, "private": repo.private, "clone_url": repo.clone_url} for repo in found]
    lines = [f"{row['name']}  {'private' if row['private'] else 'public'}  {row['clone_url']}" for row in rows]
    following = f"git clone {rows[0]['clone_url']}" if rows else "guts repo create NAME"
    return Said({"repositories": rows}, "\n".join(lines) or "no repositories yet", following)
