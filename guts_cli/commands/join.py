"""``guts join``."""

from __future__ import annotations

from pathlib import Path

import click
from attrs import evolve

from guts_cli.config import HTTP_PORT_DEFAULT, P2P_PORT_DEFAULT, Address, Config
from guts_cli.home import user_home
from guts_cli.joining import Joining, chosen_genesis, run_command
from guts_cli.node_directory import NodeDirectory
from guts_cli.outcomes import EXIT_OK, Said, show
from guts_cli.pinned import pin
from guts_cli.serve import run_in_foreground
from guts_cli.shape import command, wants_json
from guts_core.names import account_name
from guts_http.client import open_client


@command()
@click.argument("url")
@click.option(
    "--dir", "directory", required=True, type=click.Path(file_okay=False, path_type=Path), help="Keep it here."
)
@click.option("--name", required=True, help="What the network is to call the node.")
@click.option("--chain-id", metavar="HEX", help="The network that is meant, as somebody you trust tells it.")
@click.option("--genesis", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The same as a file.")
@click.option("--http", default=f"127.0.0.1:{HTTP_PORT_DEFAULT}", show_default=True, help="Serve git and API here.")
@click.option("--p2p", default=f"127.0.0.1:{P2P_PORT_DEFAULT}", show_default=True, help="Hear other nodes here.")
@click.option("--yes", is_flag=True, help="Ask nothing; needs --chain-id or --genesis.")
@click.option("--no-run", is_flag=True, help="Stop when the state is here and verified.")
def join(
    *,
    url: str,
    directory: Path,
    name: str,
    chain_id: str | None,
    genesis: Path | None,
    http: str,
    p2p: str,
    yes: bool,
    no_run: bool,
) -> int:
    """Follow the network of the node at URL: fetch its state, verify it, and serve it.

    The node is asked for the genesis, and you for whether it is the right one; from there on nothing is
    believed that genesis does not prove. Where followers are admitted, the command says what an operator
    types. A follower has no vote: it serves reads and clones, and passes writes on. The same command goes on
    where it was interrupted.
    """
    listen = {"http.listen": str(Address.parse(http)), "p2p.listen": str(Address.parse(p2p))}
    config = Config.of({"node.name": account_name(name), **listen})
    home = NodeDirectory(directory)
    with open_client(url) as client:
        file = chosen_genesis(client.genesis(), chain_id, genesis, yes=yes)
        joining = Joining(home, evolve(file, entries=()), config)
        joining.prepare(client.places())
        joining.wait_until_admitted(client, lambda words: click.echo(words, err=True))
    synced = joining.sync()
    pin(user_home(), file)
    if no_run:
        _tell(joining, None if synced is None else synced.height, run_command(directory))
        return EXIT_OK
    if not wants_json():
        click.echo(_words(joining, None if synced is None else synced.height))
    return run_in_foreground(home, None, ())


def _tell(joining: Joining, height: int | None, following: str) -> None:
    data = {"network": joining.file.chain_id.hex(), "dir": str(joining.directory.path), "height": height}
    show(Said(data, _words(joining, height), following), wants_json())


def _words(joining: Joining, height: int | None) -> str:
    where = "its blocks come one by one" if height is None else f"its state at height {height} is here and verified"
    return f"{joining.config.node.name} follows network {joining.file.genesis.name}: {where}"
