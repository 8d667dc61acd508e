"""``guts status``."""

from __future__ import annotations

import click

from guts_cli.acting import open_network
from guts_cli.outcomes import Said
from guts_cli.shape import command
from guts_http.client import as_json

SHOWN = ("fault_model", "height", "final", "state_root", "view", "validators", "quorum", "peers", "missing_packs")


@command()
@click.option("--node", envvar="GUTS_NODE", metavar="URL", help="Ask this node.  [default: one of the context's]")
def status(node: str | None) -> Said:
    """Show what a node knows: its last final block, the state root after it, and who it is connected to."""
    with open_network(node) as network:
        found = as_json(network.client.status())
        base = network.client.base
    rows = [("node", base), ("network", str(found["chain_id"])), *((name, str(found[name])) for name in SHOWN)]
    text = "\n".join(f"{name.replace('_', ' '):14} {value}" for name, value in rows)
    return Said(found, text, "guts repo list")
