"""``guts node init | run``."""

from __future__ import annotations

from pathlib import Path

import click

from guts_cli.config import HTTP_PORT_DEFAULT, P2P_PORT_DEFAULT, Address, NodeConfig
from guts_cli.node_directory import NodeDirectory, write_public
from guts_cli.outcomes import Said
from guts_cli.shape import command
from guts_core.chain.genesis_json import check_address, to_json
from guts_core.names import account_name

DIRECTORY = click.option(
    "--dir", "directory", required=True, type=click.Path(file_okay=False, path_type=Path), help="The node's directory."
)


@command()
@DIRECTORY
@click.option("--name", required=True, help="The validator's name in the network, such as your own.")
@click.option("--operator", help="Name of the account that answers for the node.  [default: the node's name]")
@click.option("--http", default=f"127.0.0.1:{HTTP_PORT_DEFAULT}", show_default=True, help="Serve git and API here.")
@click.option("--p2p", default=f"127.0.0.1:{P2P_PORT_DEFAULT}", show_default=True, help="Hear other validators here.")
@click.option("--address", help="host:port at which the others reach you.  [default: that of --p2p]")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where to write the entry file.")
def init(
    *, directory: Path, name: str, operator: str | None, http: str, p2p: str, address: str | None, out: Path | None
) -> Said:
    """Make a node's keys and settings, and the entry file to hand over.

    Three keys are made in DIR/keys, readable by you alone: one speaks to other nodes, one votes, one is
    the operator's account. The entry holds their public halves and is signed by all three; whoever makes
    the genesis adds it with `guts genesis add`.
    """
    advertised = address or p2p
    check_address(advertised)
    config = NodeConfig(account_name(name), str(Address.parse(http)), str(Address.parse(p2p)))
    entry = NodeDirectory(directory).create(config, account_name(operator or name), advertised)
    path = out or directory / f"{name}.entry.json"
    write_public(path, to_json(entry))
    keys = {"node": entry.entry.node_key.hex(), "vote": entry.entry.vote_key.hex()}
    keys["operator"] = entry.entry.operator.key.hex()
    data = {"name": name, "dir": str(directory), "entry": str(path), "address": advertised, "keys": keys}
    text = f"node {name} is ready in {directory}\n  entry  {path}  (hand this over)\n  keys   {directory / 'keys'}"
    return Said(data, text + "  (keep these)", f"guts genesis add {path}")


@command()
@DIRECTORY
@click.option("--genesis", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="The network's file.")
@click.option("--http", help="HOST:PORT for git, API and pages.  [default: config.toml]")
@click.option("--p2p", help="HOST:PORT for other validators.  [default: config.toml]")
def run(directory: Path, genesis: Path | None, http: str | None, p2p: str | None) -> int:
    """Run a node until it is told to stop (Ctrl-C or SIGTERM).

    The genesis file is kept in DIR, so that later starts need no --genesis. Settings stand in
    DIR/config.toml; the log goes to DIR/logs/node.log.
    """
    from guts_cli.serve import run_in_foreground  # noqa: PLC0415 -- trio and the servers take a second to load

    return run_in_foreground(NodeDirectory(directory), genesis, http, p2p)
