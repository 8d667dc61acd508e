"""``guts repo delete | restore``."""

from __future__ import annotations

import sys

import click

from guts_cli.acting import network_options, open_network, saved_token, signed_in
from guts_cli.completing import complete_repository
from guts_cli.outcomes import InTheWay, Missing, Said, Usage
from guts_cli.ownership import open_sight
from guts_cli.shape import command, wants_json
from guts_cli.target import parse_target
from guts_core.errors import Conflict
from guts_core.forge.actions import DeleteRepository, RestoreRepository

RESTORABLE_HOURS = 24


@command()
@click.argument("repository", shell_complete=complete_repository)
@network_options
@click.option("--yes-delete", metavar="OWNER/NAME", help="For scripts: the name once more, instead of being asked.")
def delete(*, repository: str, node: str | None, account: str | None, yes_delete: str | None) -> Said:
    """Delete REPOSITORY (OWNER/NAME) for everybody. Asks you to type its name.

    For 24 hours its owner can bring it back with `guts repo restore`; then every node drops its data.
    The transaction is signed here with your account key.
    """
    with open_sight(repository, node, account) as sight:
        found = sight.repository()
        key = sight.network.key(account)
        _confirm(found.full_name, yes_delete)
        sight.network.act(key, (DeleteRepository(found.id, found.name),))
    data = {"deleted": found.full_name, "id": found.id.hex(), "restorable_hours": RESTORABLE_HOURS}
    words = f"{found.full_name} is deleted; for {RESTORABLE_HOURS} hours it can be brought back"
    return Said(data, words, f"guts repo restore {found.full_name}")


def _confirm(name: str, said: str | None) -> None:
    """The name, typed by a person or given by a script; anything else changes nothing."""
    if said is None:
        if wants_json() or not sys.stdin.isatty():
            raise Usage("nobody is here to be asked", f"guts repo delete {name} --yes-delete {name}")
        said = click.prompt(f"This deletes {name} for everybody. Type its name to go on", err=True)
    if said != name:
        raise Usage(f"nothing is deleted: the name is {name}")


@command()
@click.argument("repository")
@network_options
def restore(*, repository: str, node: str | None, account: str | None) -> Said:
    """Bring back REPOSITORY (OWNER/NAME), deleted less than 24 hours ago, as it was.

    Only its owner can. It needs a token to be found (one that was saved, or GUTS_TOKEN); the
    transaction is signed here with your account key.
    """
    target = parse_target(repository)
    with open_network(node, near=target.base) as network:
        key = network.key(account)
        with signed_in(network, saved_token(network, key)) as client:
            deleted = [
                one for one in client.deleted_repositories() if one.full_name.lower() == target.full_name.lower()
            ]
        if not deleted:
            words = f"{target.full_name} is not among the repositories of {key.name} that can be restored"
            raise Missing(words, "guts repo list")
        try:
            network.act(key, (RestoreRepository(deleted[0].id),))
        except Conflict as error:
            following = f"guts repo edit {deleted[0].full_name} --name ANOTHER, then the same command again"
            raise InTheWay(str(error), following) from error
    data = {"restored": deleted[0].full_name, "id": deleted[0].id.hex()}
    return Said(data, f"{deleted[0].full_name} is back", f"guts repo view {deleted[0].full_name}")
