"""``guts token create``."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

from guts_cli.acting import TokenWish, network_options, open_network
from guts_cli.outcomes import Missing, Said, Usage, counted
from guts_cli.saved_tokens import save_token
from guts_cli.shape import command
from guts_core.forge.records import Scope
from guts_core.names import NodeId
from guts_http.client import Follower, Validator

_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
ALL = "all"


@command()
@network_options
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.name.lower() for scope in Scope]),
    multiple=True,
    required=True,
    help="repo: read and write; read: read private ones; delete_repo: delete. May be repeated.",
)
@click.option(
    "--gateway", "gateways", metavar="NODE", multiple=True, help="Node (name or key) that may be handed it, or `all`."
)
@click.option("--expires", default="30d", show_default=True, help="Lifetime: 90d, 12h, 30m.")
@click.option("--note", default="", help="What it is for, seen by whoever lists your tokens.")
@click.option("--save", is_flag=True, help="Keep it in GUTS_HOME, for guts and for git in clones made by guts.")
def create(
    *,
    node: str | None,
    account: str | None,
    scopes: tuple[str, ...],
    gateways: tuple[str, ...],
    expires: str,
    note: str,
    save: bool,
) -> Said:
    """Create a token: the password for git and the API. It is printed once; only --save keeps it.

    Only the nodes named with --gateway may be handed it; without, that is the one node this command
    talks to. A node that knows the token can act with it, within its scope, until it expires.
    """
    lifetime = _lifetime_ms(expires)
    with open_network(node) as network:
        key = network.key(account)
        named = gateways or (network.client.status().node.hex(),)
        listed = _gateways(network.client.validators(), network.client.followers(), named)
        wish = TokenWish(tuple(Scope[scope.upper()] for scope in scopes), lifetime, listed, note)
        token = network.create_token(key, wish)
        if save:
            save_token(network.home, network.chain_id.hex(), key.id, token)
        base = network.client.base
    data = {
        "account": key.name,
        "scopes": list(scopes),
        "token": token,
        "gateways": [gateway.hex() for gateway in listed],
    }
    text = (
        f"token of {key.name}, for {', '.join(scopes)}, {counted(len(listed), 'gateway')}, shown only now:\n\n  {token}"
    )
    by_hand = f"git push {base}/{key.name}/NAME.git  (user {key.name}, the token as password)"
    return Said(data, text, f"guts push {key.name}/NAME" if save else by_hand)


def _lifetime_ms(text: str) -> int:
    found = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", text)
    if not found:
        raise Usage(f"--expires {text!r} is not a number of minutes, hours or days such as 30d")
    return int(found[1]) * _UNITS_MS[found[2]]


def _gateways(
    validators: Sequence[Validator], followers: Sequence[Follower], wanted: tuple[str, ...]
) -> tuple[NodeId, ...]:
    """``all`` are those who vote: a follower is handed a token only where somebody names it."""
    if wanted == (ALL,):
        return tuple(validator.node_id for validator in validators)
    known = {one.node_id: one.name for one in validators} | {one.node_key: one.name for one in followers}
    found = []
    for word in wanted:
        match = [key for key, name in known.items() if word in (name, key.hex())]
        if not match:
            names = ", ".join(known.values())
            raise Missing(f"no node {word[:64]!r}; there are {names}", "the same command with --gateway all")
        found.append(match[0])
    return tuple(found)
