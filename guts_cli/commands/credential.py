"""``guts credential``: git asks, and the saved token of the node's network answers."""

from __future__ import annotations

import sys

import click

from guts_cli.addresses import is_listed
from guts_cli.asked_by_git import ANY_USER, Place, read_asked, token_among
from guts_cli.home import Context, Home, user_home
from guts_cli.saved_tokens import forget_refused, given_token
from guts_cli.shape import command

MAKE_ONE = "guts token create --scope repo --save"


@command()
@click.argument("operation", type=click.Choice(["get", "store", "erase"]))
@click.option("--node", metavar="URL", required=True, help="Answer for this node and for no other host.")
@click.option("--network", metavar="ID", help="Id of its network.  [default: that of the context with this node]")
@click.option("--account", metavar="NAME", help="Name or id of the account.  [default: the context's]")
@click.option("--quiet", is_flag=True, help="Say nothing to people.")
def credential(*, operation: str, node: str, network: str | None, account: str | None, quiet: bool) -> int:
    """Answer git as its credential helper: with GUTS_TOKEN, or with the token saved for the network of its node.

    `guts clone` writes it into a clone's configuration; nobody types it.
    """
    asked = read_asked(sys.stdin)
    if not asked.is_for(node):
        return 0
    if operation == "get":
        _answer(_token(user_home(), node, network, account), quiet=quiet)
    elif operation == "erase":
        _forget(_places(user_home(), node, network, account), asked.password)
        if not quiet:
            click.echo(f"guts: {node} does not accept the saved token\nnext: {MAKE_ONE}", err=True)
    return 0


def _forget(places: list[Place], refused: str | None) -> None:
    for place in places:
        if refused is not None:
            forget_refused(place.chain_id, place.account, refused)


def _answer(token: str | None, *, quiet: bool) -> None:
    if token is not None:
        click.echo(f"username={ANY_USER}\npassword={token}")
    elif not quiet:
        click.echo(f"guts: no token is saved here\nnext: {MAKE_ONE}", err=True)


def _token(home: Home, node: str, network: str | None, account: str | None) -> str | None:
    if (given := given_token()) is not None:
        return given
    return token_among(home, _places(home, node, network, account))


def _places(home: Home, node: str, network: str | None, account: str | None) -> list[Place]:
    """Of networks that list the node: what clones remember of its network was the node's own word once."""
    contexts = [
        one
        for one in home.contexts().contexts.values()
        if network in (None, one.chain_id) and is_listed(home, one.chain_id, node)
    ]
    places = [Place(one.chain_id, held) for one in contexts for held in _accounts(home, account, one)]
    return list(dict.fromkeys(places))


def _accounts(home: Home, wanted: str | None, context: Context) -> list[str]:
    if wanted is None:
        return [context.account] if context.account else []
    return [key.id for key in home.all_keys() if wanted in (key.name, key.id)]
