"""``make bench``: measure, print a table, write JSON, exit 1 when a bar is missed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from . import (
    crowd,
    distance,
    finality,
    first_push,
    git_traffic,
    growth,
    joining,
    kept,
    proofs,
    reading,
    ready_made,
    serving,
    simulator,
    starting,
    state_tree,
    throughput,
)
from .figures import Figure, machine
from .peer import MissingProgram
from .report import QUIET_LOAD, Report, number, show, write_json
from .run import Run, open_run

LATEST = Path(".bench/latest.json")
# Wide enough for every row when the output is no terminal.
WIDTH_MIN = 110
# The network is idle first and loaded afterwards, so memory comes before pushes.
MEASUREMENTS: dict[str, Callable[[Run], Sequence[Figure]]] = {
    "unit-costs": lambda run: run.costs,
    "finality": finality.measure,
    "throughput": throughput.measure,
    "distance": distance.measure,
    "ready": starting.measure_ready,
    "first-push": first_push.measure,
    "memory": starting.measure_memory,
    "status": reading.measure,
    "push": git_traffic.measure_pushes,
    "large-push": git_traffic.measure_large_pushes,
    "raw": serving.measure_raw,
    "clone": serving.measure_clones,
    "ready-made": ready_made.measure,
    "fetch": serving.measure_fetches,
    "crowd": crowd.measure,
    "growth": growth.measure,
    "simulator": simulator.measure,
    "joining": joining.measure,
    "state-tree": state_tree.measure,
    "proofs": proofs.measure,
}

# Not part of a run unless asked for.
LONG = frozenset({"growth"})


@click.command()
@click.option("--only", multiple=True, type=click.Choice(tuple(MEASUREMENTS)), help="Measure this; may be repeated.")
@click.option("--quick", is_flag=True, help="Fewer runs, four minutes; figures vary more.")
@click.option("--long", is_flag=True, help="Also what takes long: a gigabyte each way, 500 clients at once.")
@click.option(
    "--repository",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    callback=lambda _context, _option, path: path and _repository(path),
    help="Serve this repository instead of one made of 100,000 objects.",
)
@click.option("--forget", is_flag=True, help="First remove the repositories that earlier runs made and kept.")
@click.option(
    "--json",
    "json_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=LATEST,
    show_default=True,
    help="Write the figures here.",
)
def main(
    only: tuple[str, ...], quick: bool, long: bool, repository: Path | None, forget: bool, json_path: Path
) -> None:
    """Measure Guts on this machine: eight minutes on two cores, which should have nothing else to do.

    Exits 1 and names the bar when one is missed.
    """
    if forget:
        kept.forget()
    names = only or tuple(name for name in MEASUREMENTS if long or name not in LONG)
    try:
        report = measure(names, quick=quick, long=long, repository=repository)
    except MissingProgram as missing:
        raise click.ClickException(str(missing)) from None
    write_json(report, json_path)
    console = Console(width=None if sys.stdout.isatty() else WIDTH_MIN, highlight=False, soft_wrap=True)
    show(report, console)
    console.print(f"figures written to {json_path}")
    sys.exit(report.exit_code)


def _repository(path: Path) -> Path:
    listed = subprocess.run(
        ["git", "-C", str(path), "for-each-ref", "--count=1", "refs/heads"], capture_output=True, check=False
    )
    if not listed.stdout:
        raise click.BadParameter(f"{path} is no git repository with a branch")
    return path


def measure(names: Sequence[str], *, quick: bool, long: bool = False, repository: Path | None = None) -> Report:
    """Every measurement asked for, in the order in which they are kept."""
    began, start, load = datetime.now(UTC), time.monotonic(), os.getloadavg()[0]
    if load > QUIET_LOAD:
        print(f"  the machine is busy (load {load:.2f}): figures will be worse for it", file=sys.stderr, flush=True)
    figures: list[Figure] = []
    with open_run(quick=quick, long=long, repository=repository) as run:
        for name in (name for name in MEASUREMENTS if name in names):
            figures += _one(run, name)
    seconds = time.monotonic() - start
    return Report(machine(), (load, os.getloadavg()[0]), quick, began, seconds, tuple(figures))


def _one(run: Run, name: str) -> Sequence[Figure]:
    run.tell(f"{name} ...")
    start = time.monotonic()
    figures = MEASUREMENTS[name](run)
    for figure in figures:
        run.tell(f"    {figure.name}: {number(figure.median)} {figure.unit}")
    run.tell(f"{name}: {time.monotonic() - start:.0f} s")
    return figures


if __name__ == "__main__":
    main()
