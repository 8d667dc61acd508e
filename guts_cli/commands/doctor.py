"""``guts doctor``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from guts_cli.checkup import Finding, look_at_home, look_at_node
from guts_cli.config import Config
from guts_cli.config.limits import LimitRow, limits_table
from guts_cli.home import user_home
from guts_cli.outcomes import EXIT_OK, Said, show
from guts_cli.own_node import OwnNode
from guts_cli.progress import working
from guts_cli.shape import command, wants_json

EXIT_FOUND = 1
MARKS = {True: "ok  ", False: "FAIL"}


@command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Look at the node in this directory, too.",
)
@click.option("--limits", is_flag=True, help="Show every limit, with its reason.")
def doctor(directory: Path | None, *, limits: bool) -> int:
    """Look for what is wrong here: programs, keys, networks, the token, and a node's directory.

    Each line is one thing; what is wrong comes with the command that mends it. Nothing is changed. Exit code 1
    when anything is wrong.
    """
    with working("looking"):
        found = list(look_at_home(user_home(), dict(os.environ), needs_network=directory is None))
        found += look_at_node(directory) if directory is not None else ()
    rows = limits_table(_config(directory)) if limits else ()
    bad = [one for one in found if not one.ok]
    data = {"ok": not bad, "checks": [_row(one) for one in found], "limits": [_limit(row) for row in rows]}
    show(Said(data, _text(found, rows)), wants_json())
    return EXIT_FOUND if bad else EXIT_OK


def _config(directory: Path | None) -> Config:
    return Config() if directory is None else OwnNode.at(directory).config


def _row(one: Finding) -> dict[str, object]:
    return {"check": one.check, "ok": one.ok, "message": one.message, "next": one.next}


def _limit(row: LimitRow) -> dict[str, object]:
    value = None if isinstance(row.value, str) else row.value
    whose = row.whose.name.lower()
    return {"name": row.name, "value": value, "unit": row.unit, "set_by": whose, "reason": row.reason}


def _text(found: Sequence[Finding], rows: Sequence[LimitRow]) -> str:
    lines = []
    for one in found:
        lines.append(f"{MARKS[one.ok]}  {one.check:14}  {one.message}")
        if one.next:
            lines.append(f"{'':22}{one.next}")
    bad = sum(not one.ok for one in found)
    lines += ["", "all is well" if not bad else f"{bad} {'thing is' if bad == 1 else 'things are'} wrong"]
    lines += [""] * bool(rows) + [f"{row.name} = {row.value} {row.unit}: {row.reason}" for row in rows]
    return "\n".join(lines)
