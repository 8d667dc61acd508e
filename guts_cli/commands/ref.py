"""``guts ref log``."""

from __future__ import annotations

import shlex
from itertools import islice

import click

from guts_cli.acting import network_options
from guts_cli.completing import complete_repository
from guts_cli.outcomes import Said
from guts_cli.ownership import open_sight
from guts_cli.shape import command
from guts_core.git.refs import BRANCHES
from guts_http.client import RefMove, as_json

SHOWN_CHARS = 10
NOTHING = "-" * SHOWN_CHARS


@command()
@click.argument("where", metavar="OWNER/NAME[@REF]", shell_complete=complete_repository)
@network_options
@click.option(
    "-n", "--limit", metavar="N", type=click.IntRange(1, 10_000), default=30, show_default=True, help="How many moves."
)
def log(*, where: str, node: str | None, account: str | None, limit: int) -> Said:
    """Show how a ref moved, newest first: who, from where to where, at which height, with what, when.

    REF is a branch, or a full name such as refs/tags/v1; without it, the default branch. The lines come
    from the final blocks of the node that is asked.
    """
    name, _, ref = where.partition("@")
    with open_sight(name, node, account) as sight:
        repository = sight.repository()
        moves = list(islice(sight.client.ref_log(repository.full_name, ref or None), limit))
    wanted = moves[0].ref
    data = {"repository": repository.full_name, "ref": wanted, "moves": as_json(moves)}
    return Said(
        data,
        "\n".join(_line(move) for move in moves),
        f"guts verify {shlex.quote(f'{repository.full_name}@{_short(wanted)}')}",
    )


def _short(ref: str) -> str:
    """As people call it: a branch by its name alone."""
    return ref.removeprefix(BRANCHES)


def _line(move: RefMove) -> str:
    old, new = (NOTHING if oid is None else oid.hex()[:SHOWN_CHARS] for oid in (move.old, move.new))
    with_what = f"token {move.credential.hex()[:SHOWN_CHARS]}" if move.credential else "account key"
    through = f" through {move.gateway}" if move.gateway else ""
    return (
        f"{old} -> {new}  {move.relation.replace('_', '-'):12}  height {move.height:<6}  {move.time:%Y-%m-%d %H:%M:%S}"
        f"  {move.author or '?'}, {with_what}{through}"
    )
