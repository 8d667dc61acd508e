"""Plant every mistake, print the table, and write its page: ``python -m tests.mutants [--write]``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from .campaigns import CAMPAIGNS
from .table import MUTANTS, SEEDS, Caught, Mutant, hunted

PAGE = Path(__file__).parents[2] / "docs/explanation/mutants.md"
_HEAD = """# Planted mistakes

A simulator that never finds anything is either watching correct code or watching nothing. So the mistakes that
implementations of agreement really make are planted here one at a time, each by the smallest change to the real
code, and the seeds of the test run must notice every one of them. The code is in `tests/mutants`; a mistake that
survives fails the tests, and so does this page when a row is missing. The unmodified code passes the same seeds.

| mistake | seeds of | promises it may break | first seed | seeds needed | what was said |
|---|---|---|--:|--:|---|
"""
_FOOT = """
The promises are those of the ledger that watches each run ([the simulator](simulator.md)): I1 to I4 are broken by a
node at the moment of the mistake, I5 to I8 when the damage is done; I9 is "once", I10 pushes and packs, I11 bounds,
I13 erased words, L1 and L2 progress; *node* is an honest node that halts or that another honest one refuses.
J13 is a node that joins with the state its network agreed on, K05 that a flood of one account keeps no other one out.

First seed, seeds needed and the words are those of the day on which the page was written
(`python -m tests.mutants --write`); they change when the simulator draws otherwise, the other columns do not.
"""
_COLUMNS = r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|"
_WORDS_MOST = 90


def rows(mutant: Mutant, caught: list[Caught | None]) -> list[str]:
    """One for each campaign; the mistake's name in the first."""
    out = []
    for at, (hunt, one) in enumerate(zip(mutant.hunts, caught, strict=True)):
        name = mutant.name if at == 0 else "″"
        seed, needed, said = ("-", "-", "**survived**") if one is None else (one.seed, one.needed, _short(one.problem))
        out.append(f"| {name} | {CAMPAIGNS[hunt.campaign]} | {', '.join(hunt.promises)} | {seed} | {needed} | {said} |")
    return out


def _short(problem: str) -> str:
    plain = problem.replace("|", "/")
    return plain if len(plain) <= _WORDS_MOST else plain[:_WORDS_MOST].rsplit(" ", 1)[0] + " ..."


def names_on(page: str) -> list[str]:
    """The mistakes on a page, in order."""
    return [found[1] for found in re.finditer(_COLUMNS, page, re.MULTILINE) if found[1] not in {"″", "mistake"}]


def promises_on(page: str) -> list[tuple[str, ...]]:
    """Of each mistake on a page, the campaigns and promises beside it."""
    out: list[tuple[str, ...]] = []
    for found in re.finditer(_COLUMNS, page, re.MULTILINE):
        said = f"{found[2]}: {found[3]}"
        if found[1] == "″":
            out[-1] += (said,)
        elif found[1] != "mistake":
            out.append((said,))
    return out


def main() -> int:
    """Exit code 1 when one survives."""
    lines, survivors = [], 0
    for mutant in MUTANTS:
        caught = hunted(mutant)
        survivors += not all(caught)
        lines += rows(mutant, caught)
        sys.stdout.write("\n".join([*lines[-len(caught) :], ""]))
        sys.stdout.flush()
    bounds = ", ".join(f"{count} of {CAMPAIGNS[campaign]}" for campaign, count in SEEDS.items())
    sys.stdout.write(f"{len(MUTANTS)} mistakes planted, {survivors} survived; seeds at most: {bounds}\n")
    if "--write" in sys.argv:
        PAGE.write_text(_HEAD + "\n".join(lines) + "\n" + _FOOT)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
