"""``guts sim twins``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from time import perf_counter

import click
from attrs import frozen

from guts_cli.outcomes import EXIT_OK, Said, Usage, show
from guts_cli.shape import command, wants_json
from guts_cli.simulation.bars import playing
from guts_cli.simulation.seeds import each
from guts_cli.simulation.words import script_data, script_text, scripts_data, scripts_text
from guts_core.sim.scripted_twins import Outcome, Played, case_of, play

EXIT_BROKEN = 1
CASES = 1_000
# A case takes a few milliseconds: less than to send it to another process.
_BATCH = 50


@frozen
class Batch:
    """Cases that one process plays in a row."""

    first: int
    after: int

    def run(self) -> list[Outcome]:
        """Do it."""
        return [play(case_of(number)) for number in range(self.first, self.after)]


@command()
@click.option("--case", type=click.IntRange(min=0), help="One script, told view by view.")
@click.option("--cases", type=click.IntRange(min=1), help=f"So many scripts.  [default: {CASES}]")
@click.option("--first", type=click.IntRange(min=0), default=0, show_default=True, help="The first of them.")
@click.option("--jobs", type=click.IntRange(min=1), help="Processes.  [default: one a core]")
def twins(*, case: int | None, cases: int | None, first: int, jobs: int | None) -> int:
    """Play scripts in which one of four validators runs twice, as after a careless restore.

    Nobody lies: both processes are unmodified and share a key. A script says who is twinned, who leads each of the
    first views, and how the five processes are split in each: who hears whom. No two honest nodes may ever part, and
    afterwards blocks must become final. Exit code 1 when a script breaks a promise; each is its number, on every
    machine.
    """
    if case is not None and (cases is not None or first):
        raise Usage("--case plays one script: it goes without --cases and --first", f"guts sim twins --case {case}")
    if case is not None:
        return _one(case)
    return _many(first, cases or CASES, jobs or os.cpu_count() or 1)


def _one(number: int) -> int:
    outcome = play(case_of(number))
    show(Said(script_data(outcome), script_text(outcome), f"guts sim twins --case {number + 1}"), wants_json())
    return EXIT_OK if outcome.problem is None else EXIT_BROKEN


def _many(first: int, cases: int, jobs: int) -> int:
    began, played = perf_counter(), Played()
    with playing(cases) as told:
        results = each(_batches(first, first + cases), jobs)
        try:
            for outcomes in results:
                played.add(outcomes)
                told(played)
        except KeyboardInterrupt:
            pass  # what was found so far is worth showing
        finally:
            results.close()
    seconds = perf_counter() - began
    following = f"guts sim twins --first {first + cases} --cases {cases}"
    if played.failures:
        following = f"guts sim twins --case {played.failures[0].case.number}"
    show(Said(scripts_data(played, seconds, jobs), scripts_text(played, seconds, jobs), following), wants_json())
    return EXIT_BROKEN if played.failures else EXIT_OK


def _batches(first: int, after: int) -> Iterator[Batch]:
    for number in range(first, after, _BATCH):
        yield Batch(number, min(number + _BATCH, after))
