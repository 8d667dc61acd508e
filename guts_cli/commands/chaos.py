"""``guts chaos``."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import click

from guts_cli.chaos.run import Wish, run
from guts_cli.outcomes import EXIT_OK, show_object
from guts_cli.shape import command, wants_json

NODES_MIN, NODES_MAX = 4, 7
MINUTES_MAX = 24 * 60
SEED_MAX = 1 << 31
LINE_EVERY = 15
EXIT_NOT_WELL = 1


@command()
@click.option(
    "--nodes", type=click.IntRange(NODES_MIN, NODES_MAX), default=4, show_default=True, help="How many validators."
)
@click.option(
    "--minutes",
    type=click.FloatRange(0.1, MINUTES_MAX),
    default=3.0,
    show_default=True,
    help="How long things go wrong.",
)
@click.option("--seed", type=click.IntRange(min=0), help="What goes wrong, and in what order.  [default: another]")
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep everything here; must be empty.  [default: a temporary one, kept when all is not well]",
)
@click.option(
    "--ledger", type=click.Path(dir_okay=False, path_type=Path), help="Add the run to this file, a line of JSON."
)
def chaos(*, nodes: int, minutes: float, seed: int | None, directory: Path | None, ledger: Path | None) -> int:
    """Start a network of real processes on this machine, break it again and again, and count what was lost.

    Nodes are killed, paused, restarted, given wrong clocks and full disks, and what they say to each other is
    delayed, cut, reset and changed, while git pushes and programs call. Exit code 1 when an acknowledged push
    is lost, or two nodes differ.
    """
    as_json = wants_json()
    wish = Wish(nodes, minutes * 60, secrets.randbelow(SEED_MAX) if seed is None else seed, directory)
    progress = _Progress(is_quiet=as_json)
    if not as_json:
        click.echo(f"seed {wish.seed}: {nodes} nodes, {minutes:g} minutes; Ctrl-C ends it and cleans up", err=True)
    try:
        report = run(wish, progress.tell)
    finally:
        progress.end()
    if ledger is not None:
        report.append_to(ledger)
    if as_json:
        show_object(report.data())
    else:
        click.echo(report.text())
    return EXIT_OK if report.is_well else EXIT_NOT_WELL


class _Progress:
    """One line that changes on a terminal; a line now and then elsewhere."""

    def __init__(self, *, is_quiet: bool) -> None:
        self._is_quiet, self._is_terminal, self._told = is_quiet, sys.stderr.isatty(), 0

    def tell(self, line: str) -> None:
        """What is happening."""
        self._told += 1
        if self._is_quiet:
            return
        if self._is_terminal:
            click.echo(f"\r\x1b[K{line}", nl=False, err=True)
        elif self._told % LINE_EVERY == 1:
            click.echo(line, err=True)

    def end(self) -> None:
        """The cursor stands at the beginning of a line again."""
        if self._is_terminal and not self._is_quiet and self._told:
            click.echo("\r\x1b[K", nl=False, err=True)
