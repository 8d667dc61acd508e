"""``guts key show``."""

from __future__ import annotations

from pathlib import Path

import click

from guts_cli.home import Home, user_home
from guts_cli.node_directory import NodeDirectory
from guts_cli.outcomes import Said
from guts_cli.shape import command


@command()
@click.option(
    "--dir", "directory", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Show a node's keys."
)
def show(directory: Path | None) -> Said:
    """Show public keys: of your accounts, or with --dir of a node. Secrets are never printed."""
    return _node_keys(directory) if directory else _account_keys(user_home())


def _node_keys(directory: Path) -> Said:
    node = NodeDirectory(directory)
    pairs = {"node": node.node_key(), "vote": node.vote_key(), "operator": node.operator_key()}
    public: dict[str, object] = {role: pair.public_key.hex() for role, pair in pairs.items()}
    lines = [f"{role:8}  {key}" for role, key in public.items()]
    return Said({"dir": str(directory), **public}, "\n".join(lines), f"guts node run --dir {directory}")


def _account_keys(home: Home) -> Said:
    current = home.current()
    rows: list[dict[str, object]] = [
        {
            "account": key.name,
            "id": key.id,
            "public_key": key.pair.public_key.hex(),
            "current": current is not None and current.account == key.id,
        }
        for key in home.all_keys()
    ]
    lines = [
        f"{'*' if row['current'] else ' '} {row['account']}  id {row['id']}  key {row['public_key']}" for row in rows
    ]
    words = "\n".join(lines) or f"no account keys in {home.path}"
    return Said({"home": str(home.path), "keys": rows}, words, "guts status" if rows else "guts up")
