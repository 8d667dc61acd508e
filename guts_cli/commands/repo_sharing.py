"""``guts repo members | share | unshare``."""

from __future__ import annotations

from typing import Final

import click

from guts_cli.acting import Network, network_options
from guts_cli.completing import complete_repository
from guts_cli.outcomes import Missing, Said
from guts_cli.ownership import Sight, open_sight
from guts_cli.shape import command
from guts_core.errors import NotFound
from guts_core.forge.actions import RemoveCollaborator, SetCollaborator
from guts_core.forge.records import Role
from guts_core.names import AccountId, account_name

ROLES: Final = tuple(role.name.lower() for role in Role)


@command()
@click.argument("repository", shell_complete=complete_repository)
@network_options
def members(*, repository: str, node: str | None, account: str | None) -> Said:
    """List who works in REPOSITORY (OWNER/NAME) and as what, the owner first. For those who may push."""
    with open_sight(repository, node, account) as sight:
        name = sight.repository().full_name
        data, lines = _members(sight, name)
    return Said({"repository": name, "members": data}, "\n".join(lines), f"guts repo share {name} ACCOUNT")


@command()
@click.argument("repository", shell_complete=complete_repository)
@click.argument("member", metavar="ACCOUNT")
@network_options
@click.option(
    "--role", type=click.Choice(ROLES), default="write", show_default=True, help="Each includes those before."
)
def share(*, repository: str, member: str, node: str | None, account: str | None, role: str) -> Said:
    """Let ACCOUNT work in REPOSITORY (OWNER/NAME), or change its role. It takes effect at once.

    The transaction is signed here with your account key.
    """
    with open_sight(repository, node, account) as sight:
        found = sight.repository()
        them = _account(sight.network, member)
        sight.network.act(sight.network.key(account), (SetCollaborator(found.id, them, Role[role.upper()]),))
    data = {"repository": found.full_name, "account": member, "role": role}
    words = f"{member} may {'administer' if role == 'admin' else role} {found.full_name} now"
    return Said(data, words, f"guts repo members {found.full_name}")


@command()
@click.argument("repository", shell_complete=complete_repository)
@click.argument("member", metavar="ACCOUNT")
@network_options
def unshare(*, repository: str, member: str, node: str | None, account: str | None) -> Said:
    """Take ACCOUNT's role in REPOSITORY (OWNER/NAME) away: anybody's as its administrator, or your own.

    What they have cloned stays with them. The transaction is signed here with your account key.
    """
    with open_sight(repository, node, account) as sight:
        found = sight.repository()
        them = _account(sight.network, member)
        sight.network.act(sight.network.key(account), (RemoveCollaborator(found.id, them),))
    data = {"repository": found.full_name, "account": member, "role": None}
    words = f"{member} has no role in {found.full_name} any more"
    return Said(data, words, f"guts repo members {found.full_name}")


def _account(network: Network, name: str) -> AccountId:
    try:
        return network.client.account(account_name(name)).id
    except NotFound:
        raise Missing(f"there is no account {name} on this network", f"guts account create {name}") from None


def _members(sight: Sight, name: str) -> tuple[list[dict[str, str]], list[str]]:
    found = list(sight.client.collaborators(name))
    width = max(len(one.name) for one in found)
    return [{"account": one.name, "role": one.role} for one in found], [
        f"{one.name:{width}}  {one.role}" for one in found
    ]
