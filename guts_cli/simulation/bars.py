"""Progress of long simulations: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from guts_cli.progress import is_watched
from guts_core.sim.campaign import Campaign
from guts_core.sim.scripted_twins import Played
from guts_core.sim.shrink import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

# A terminal is redrawn as often as an eye follows.
_REDRAWN_PER_SECOND = 4


@contextmanager
def soaking(seeds: int | None = None, seconds: float | None = None) -> Iterator[Callable[[Campaign], None]]:
    """A function to tell the campaign to: how far it is, by seeds or by time."""
    if not is_watched():
        yield lambda _campaign: None
        return
    began = monotonic()
    with _bar("{task.fields[seeds]} seeds, {task.fields[rate]:,} events/s{task.fields[broken]}") as bar:
        task = bar.add_task("simulating", total=seeds or seconds, seeds=0, rate=0, broken="")

        def told(campaign: Campaign) -> None:
            passed = monotonic() - began
            bar.update(
                task,
                completed=campaign.seeds if seeds else passed,
                seeds=campaign.seeds,
                rate=round(campaign.events / passed),
                broken=f", {len(campaign.failures)} BROKEN" if campaign.failures else "",
            )

        yield told


@contextmanager
def playing(cases: int) -> Iterator[Callable[[Played], None]]:
    """A function to tell how many scripts of twins were played."""
    if not is_watched():
        yield lambda _played: None
        return
    with _bar("{task.completed} of {task.total} scripts, {task.fields[convicted]} convict{task.fields[broken]}") as bar:
        task = bar.add_task("twins", total=cases, convicted=0, broken="")

        def told(played: Played) -> None:
            broken = f", {len(played.failures)} BROKEN" if played.failures else ""
            bar.update(task, completed=played.cases, convicted=played.convicted, broken=broken)

        yield told


@contextmanager
def shrinking() -> Iterator[Progress]:
    """A function to tell each step to."""
    if not is_watched():
        yield lambda *_: None
        return
    with _bar("{task.fields[left]} things left, {task.fields[length]:.2f} s long, {task.completed} runs") as bar:
        task = bar.add_task("shrinking", total=None, left=0, length=0.0)

        def told(step: str, runs: int, left: int, length_us: int) -> None:
            bar.update(task, description=f"shrinking: {step}", completed=runs, left=left, length=length_us / 1e6)

        yield told


def _bar(words: str) -> Bar:
    from rich.console import Console  # noqa: PLC0415 -- a tenth of a second to load, for terminals only
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 -- see above

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn(words))
    return Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=_REDRAWN_PER_SECOND)
