"""``guts network trust | list``."""

from __future__ import annotations

from pathlib import Path

import click

from guts_cli.commands.genesis import grouped
from guts_cli.home import user_home
from guts_cli.outcomes import Said, counted
from guts_cli.pinned import TRUST, all_pinned, pin, read_genesis
from guts_cli.shape import command
from guts_core.chain.genesis_json import GenesisFile

VERIFY = "guts verify OWNER/NAME@main"


@command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def trust(file: Path) -> Said:
    """Believe what the validators of the genesis in FILE agree on, from now on.

    Get the file from somebody who runs the network or uses it, not from a node that you want to check,
    and compare the chain id with them: whoever has the same one has the same network.
    """
    genesis = read_genesis(file)
    path = pin(user_home(), genesis)
    row = network_row(genesis)
    size = counted(len(genesis.genesis.validators), "validator")
    text = (
        f"network {row['name']} of {size} ({row['fault_model']}) is pinned in {path}\n"
        f"  chain id  {grouped(genesis.chain_id.hex())}"
    )
    return Said({**row, "path": str(path)}, text, VERIFY)


@command(name="list")
def list_() -> Said:
    """List the networks whose proofs are believed here."""
    home = user_home()
    pinned = all_pinned(home)
    rows = [network_row(file) for file in pinned]
    lines = [
        f"{row['name']}  {row['chain_id']}  {counted(len(file.genesis.validators), 'validator')}, {row['fault_model']}"
        for file, row in zip(pinned, rows, strict=True)
    ]
    words = "\n".join(lines) or f"no network is pinned in {home.path}"
    return Said({"networks": rows}, words, VERIFY if rows else TRUST)


def network_row(file: GenesisFile) -> dict[str, object]:
    """A pinned network as programs read it."""
    genesis = file.genesis
    return {
        "name": genesis.name,
        "chain_id": file.chain_id.hex(),
        "validators": len(genesis.validators),
        "fault_model": genesis.fault_model.name.lower(),
    }
