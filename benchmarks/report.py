"""What a run of the benchmarks tells: a table for people, JSON for programs, and the bars that were missed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import asdict, frozen
from rich.console import Console
from rich.table import Table

from .figures import Figure

FORMAT = 1
EXIT_OK, EXIT_MISSED = 0, 1
# Below this a neighbour's work hardly shows on two cores; above, medians creep up.
QUIET_LOAD = 1.5


@frozen
class Report:
    """All figures of one run, and what they were taken on."""

    machine: dict[str, str | int]
    load: tuple[float, float]  # one-minute load average before the run, and after it
    quick: bool
    began: datetime
    seconds: float
    figures: tuple[Figure, ...]

    @property
    def missed(self) -> tuple[Figure, ...]:
        """Figures on the wrong side of their bar."""
        return tuple(figure for figure in self.figures if figure.is_missed)

    @property
    def exit_code(self) -> int:
        """1 when a bar is missed."""
        return EXIT_MISSED if self.missed else EXIT_OK


def to_json(report: Report) -> dict[str, Any]:
    """The run as other programs read it."""
    return {
        "format": FORMAT,
        "began": report.began.astimezone(UTC).isoformat(timespec="seconds"),
        "seconds": round(report.seconds, 1),
        "quick": report.quick,
        "machine": report.machine,
        "load": {"before": report.load[0], "after": report.load[1]},
        "figures": [{**asdict(figure), "missed": figure.is_missed} for figure in report.figures],
        "missed": [figure.name for figure in report.missed],
    }


def write_json(report: Report, path: Path) -> None:
    """Write it; its directory is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(to_json(report), indent=2) + "\n")


def show(report: Report, console: Console) -> None:
    """The table, what explains its rows, and the verdict."""
    console.print(machine_line(report), style="dim")
    console.print(_table(report.figures))
    for noted in report.figures:
        if noted.note:
            console.print(f"{noted.name}: {noted.note}", style=None if noted.is_missed else "dim")
    console.print("\n" + "\n".join(verdict(report)))


def machine_line(report: Report) -> str:
    """What it was measured on, in one line."""
    has = report.machine
    before, after = report.load
    busy = "" if before < QUIET_LOAD else " (other work was going on: figures are worse for it)"
    return (
        f"{has['cpu']}, {has['cores']} cores, {has['memory_gib']} GiB, Linux {has['kernel']}, Python {has['python']}, "
        f"git {has['git']}; load {before:.2f} before, {after:.2f} after{busy}; {report.seconds:.0f} s"
        + (", quick: fewer runs" if report.quick else "")
    )


def verdict(report: Report) -> list[str]:
    """One line when every bar is met or there is none, otherwise one for each that is missed."""
    barred = [figure for figure in report.figures if figure.bar is not None]
    if not barred:
        return ["none of these has a bar"]
    if not report.missed:
        return [f"all {len(barred)} bars met"]
    told = [f"MISSED {one.name}: {number(one.median)} {one.unit}, bar {bar(one)}" for one in report.missed]
    return [*told, f"{len(report.missed)} of {len(barred)} bars missed"]


def bar(of: Figure) -> str:
    """``<= 10`` or ``>= 50``; empty without one."""
    return "" if of.bar is None else f"{'>=' if of.at_least else '<='} {number(of.bar)}"


def number(value: float) -> str:
    """Three digits that count, thousands parted."""
    if value == 0:
        return "0"
    for limit, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= limit:
            return f"{value:,.{digits}f}" if digits == 0 else f"{value:.{digits}f}"
    return f"{value:.3f}"


def _table(figures: Sequence[Figure]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("figure", "median", "spread", "unit", "bar", "", "runs"):
        table.add_column(heading, justify="left" if heading in {"figure", "unit", "bar", ""} else "right", no_wrap=True)
    for one in figures:
        state = "" if one.bar is None else "[red]missed[/red]" if one.is_missed else "[green]ok[/green]"
        spread = f"{number(one.low)} - {number(one.high)}" if one.runs > 1 else ""
        table.add_row(one.name, number(one.median), spread, one.unit, bar(one), state, str(one.runs))
    return table
