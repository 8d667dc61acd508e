"""``guts account create``."""

from __future__ import annotations

from pathlib import Path

import click

from guts_cli.acting import network_options, open_network, sponsor_key
from guts_cli.home import Context
from guts_cli.outcomes import Said
from guts_cli.shape import command
from guts_core.names import account_name

NAME_ID_CHARS = 8


@command()
@click.argument("name")
@network_options
@click.option(
    "--sponsor-key",
    "sponsor_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A node operator vouches: DIR/keys/operator.key.",
)
def create(*, name: str, node: str | None, account: str | None, sponsor_file: Path | None) -> Said:
    """Register the account NAME: its key is made and kept here, and an account that exists vouches for it.

    The sponsor is the context's account, the one of --account, or a node's operator by --sponsor-key.
    """
    account_name(name)
    with open_network(node) as network:
        key = network.register(name, sponsor_key(network, account, sponsor_file))
        if network.context is None:
            chain = network.chain_id.hex()
            network.home.remember(Context(chain[:NAME_ID_CHARS], chain, (network.client.base,), key.id))
    data = {"name": name, "id": key.id, "public_key": key.pair.public_key.hex()}
    text = f"account {name} is registered\n  id  {key.id}\n  key {network.home.path / 'keys'}"
    return Said(data, text, f"guts token create --account {name} --scope repo")
