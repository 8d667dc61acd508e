"""
The page of figures, from what a run of the tests told: ``python -m tests.figures FILE --write``.

``make figures`` runs the tests with ``--figures FILE`` and then this. Without ``--write`` the page is printed.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from .told import added_up

TREE = Path(__file__).parents[2]
PAGE = TREE / "docs/quality/figures.md"
FOUND = Path(__file__).with_name("found.md")
LEDGER = TREE / "docs/quality/ledger.jsonl"
_HOUR_US = 3_600_000_000


def page(sums: dict[str, Counter[str]], commit: str) -> str:
    """All of it."""
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    outcomes = ", ".join(f"{count:,} {name}" for name, count in sorted(sums.get("outcomes", Counter()).items()))
    parts = [
        "# Figures of a test run",
        f"Written by `make figures`. {datetime.now(UTC):%Y-%m-%d}, commit `{commit}`, {machine}.\n\nTests: {outcomes}.",
        "## Simulated",
        _seeds(sums.get("seeds", Counter())),
        _twins(sums.get("twins", Counter())),
        _mutants(sums.get("mutants", Counter())),
        "## Faults that happened, by kind",
        _counts(sums.get("faults", Counter())),
        "## What liars achieved",
        "An attack that got through to nobody tests nothing; each kind counts in its own unit.",
        _counts(sums.get("liars", Counter())),
        "## Runs against real processes",
        chaos(LEDGER.read_text().splitlines() if LEDGER.exists() else []),
        FOUND.read_text().strip(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _seeds(sums: Counter[str]) -> str:
    rows = ["| campaign | seeds | events | simulated hours |", "|---|--:|--:|--:|"]
    for name in sorted({key.rpartition(":")[0] for key in sums}):
        hours = sums[f"{name}: simulated us"] / _HOUR_US
        rows.append(f"| {name} | {sums[f'{name}: seeds']:,} | {sums[f'{name}: events']:,} | {hours:.2f} |")
    return "\n".join(rows)


def _twins(sums: Counter[str]) -> str:
    hours = sums["simulated us"] / _HOUR_US
    convicted = sums["convicted in cases"]
    return (
        f"Twins: {sums['cases']:,} scripts, {sums['events']:,} events, {hours:.2f} simulated hours; "
        f"honest nodes convicted the twinned key in {convicted:,} of them."
    )


def _mutants(sums: Counter[str]) -> str:
    killed, planted = sums["killed"], sums["planted"]
    needed = sums["seeds needed"]
    return f"[Planted mistakes](../explanation/mutants.md): {killed} of {planted} noticed, by {needed} seeds."


def _counts(sums: Counter[str]) -> str:
    rows = [f"| {name} | {count:,} |" for name, count in sorted(sums.items())]
    return "\n".join(["| | |", "|---|--:|", *rows])


def chaos(lines: list[str]) -> str:
    """One row for each line of the ledger of ``guts chaos``, whatever it tells; words where there is none."""
    runs = [json.loads(line) for line in lines]
    if not runs:
        return "None is in the ledger yet: `guts chaos --ledger docs/quality/ledger.jsonl` adds one."
    names = [name for name, value in runs[0].items() if isinstance(value, int | float | str)]
    rows = [f"| {' | '.join(names)} |", f"|{'---|' * len(names)}"]
    return "\n".join([*rows, *(f"| {' | '.join(str(run.get(name, '')) for name in names)} |" for run in runs)])


def _commit() -> str:
    said = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=TREE, capture_output=True, check=False, text=True
    )
    return said.stdout.strip() or "unknown"


def main(arguments: list[str]) -> int:
    """Exit code 2 without a file."""
    files = [argument for argument in arguments if argument != "--write"]
    if len(files) != 1:
        sys.stderr.write("python -m tests.figures FILE [--write], with FILE from pytest --figures FILE\n")
        return 2
    written = page(added_up(Path(files[0]).read_text().splitlines()), _commit())
    if "--write" in arguments:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(written)
    else:
        sys.stdout.write(written)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
