"""
A space-time diagram in text: a column for each node, time downwards, a line for each message.

Written for somebody who meets the simulator for the first time: what the signs mean stands above, in words
what was to go wrong, and in the margin which lines belong to the view that broke a promise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import define, frozen

from .plan_words import words_of
from .story import WISH, Leg, Moment, Story

# How much of a run is shown unless more is asked for: a failure and what led to it.
VIEWS = 4
_CELL_MAX, _CELL_MIN, _LINE = 24, 13, 112
_OVERVIEW = 72
_VIEW = re.compile(r"view (\d+)")
_SIGNS = {"crash": "X", "start": "^", "final": "#", "refuse": "!"}
_LEGEND = """\
  o propose 7      a node says something: here it proposes a block for view 7
  > 12             it arrives 12 ms later (two numbers: twice)      x    it is lost or cut off
  >12 down         it arrives at a node that is down                .    the node is down
  X ^ #            the node crashes, starts again, has a final block     *    a line of the view that failed"""


@frozen
class Shown:
    """What part of a run is wanted."""

    views: int | None = VIEWS  # the last ones; None: all


@define
class _Page:
    """Widths, and which node is down when."""

    story: Story
    cell: int
    down: dict[int, list[tuple[int, int]]]

    def is_down(self, node: int, time: int) -> bool:
        """Whether the process is not there."""
        return any(since < time <= until for since, until in self.down[node])


def diagram(story: Story, shown: Shown | None = None) -> str:
    """The whole text."""
    count = story.scenario.nodes
    page = _Page(story, max(_CELL_MIN, min(_CELL_MAX, _LINE // count)), story.down())
    wanted = shown or Shown()
    lines = [*_head(page), "", *_overview(page), "", _LEGEND, "", *_columns(page), *_rows(page, wanted), *_foot(page)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


# ---- above ----


def _head(page: _Page) -> Iterator[str]:
    run, report = page.story.scenario, page.story.report
    problem = report.problem if report else None
    sort = "whole nodes" if run.whole else "validators"
    yield f"{run.nodes} {sort}, quorum for {run.fault_model.name.lower()} faults; seed {run.seed}"
    yield f"what broke:      {problem or 'nothing: every promise held'}"
    for index, name in sorted(run.villains.items()):
        yield f"who lies:        node {index}: {name}"
    for number, words in enumerate([*words_of(run.plan), *_odd_deliveries(page.story)] or ["nothing"]):
        yield f"{'what goes wrong:' if number == 0 else '':16} {words}"


def _odd_deliveries(story: Story) -> list[str]:
    """How many messages met with something, in the whole run."""
    legs = [leg for moment in story.moments for leg in moment.legs]
    lost = sum(leg.delay is None for leg in legs)
    late = sum(leg.delay is not None and leg.delay > story.scenario.plan.delay_us[1] for leg in legs)
    return [f"{count} messages are {what}" for count, what in ((lost, "lost or cut off"), (late, "late")) if count]


def _overview(page: _Page) -> Iterator[str]:
    """The whole run, one line a node."""
    story, end = page.story, max(page.story.end, 1)
    yield f"the whole run ({end / 1e6:.2f} s); # a block is final, X a crash, . down"
    for node in range(story.scenario.nodes):
        line = ["." if page.is_down(node, (at * end + end // 2) // _OVERVIEW) else "-" for at in range(_OVERVIEW)]
        for moment in story.moments:
            if moment.node == node and moment.sort in {"crash", "final"}:
                at = min(moment.time * _OVERVIEW // end, _OVERVIEW - 1)
                line[at] = "X" if moment.sort == "crash" or line[at] == "X" else "#"
        yield f"  {_name(page, node, 22):22} {''.join(line)}"


def _columns(page: _Page) -> Iterator[str]:
    names = "".join(f"{_name(page, node, page.cell - 1):{page.cell}}" for node in range(page.story.scenario.nodes))
    yield f"{'time':>10}   {names}"
    yield _bare(page, 0)


def _name(page: _Page, node: int, width: int) -> str:
    villain = page.story.scenario.villains.get(node)
    return f"node {node}{f' ({villain})' if villain else ''}"[:width]


def _bare(page: _Page, time: int) -> str:
    return " " * 13 + "".join(_grid(page, time))


def _grid(page: _Page, time: int) -> list[str]:
    """The nodes' lines with nothing on them."""
    grid = [" "] * (page.cell * page.story.scenario.nodes)
    for node in range(page.story.scenario.nodes):
        grid[node * page.cell] = "." if page.is_down(node, time) else "|"
    return grid


# ---- the moments ----


def _rows(page: _Page, shown: Shown) -> Iterator[str]:
    story, failing, cuts = page.story, _failing_view(page.story), _cuts(page.story)
    before, view, skipped = 0, 0, 0
    for moment, is_wanted in zip(story.moments, _wanted(story, shown), strict=True):
        if not is_wanted:
            skipped += 1
            continue
        if skipped:
            yield f"{'...':>10}   {skipped} moment{'s' if skipped > 1 else ''} not shown"
        yield from (f"{_ms(time)}   {words}" for time, words in cuts if before < time <= moment.time)
        if moment.view is not None and moment.view > view and moment.node not in story.scenario.villains:
            view = moment.view
            yield f"{'':12} {f' view {view} ':-^{page.cell * story.scenario.nodes}}"
        mark = "*" if moment.view is not None and moment.view == failing else " "
        yield f"{_ms(moment.time)} {mark} {_row(page, moment)}"
        before, skipped = moment.time, 0


def _wanted(story: Story, shown: Shown) -> list[bool]:
    """The last views but for what clients want, and of what came before: crashes, and the view that failed later."""
    if shown.views is None:
        return [True] * len(story.moments)
    failing = _failing_view(story)
    first = story.view_before(story.end) - shown.views + 1
    start = next((at for at, moment in enumerate(story.moments) if (moment.view or 0) >= first), 0)
    return [
        (at >= start and moment.words != WISH)
        or moment.sort == "crash"
        or (moment.sort == "start" and moment.time > 0)
        or (moment.view is not None and moment.view == failing)
        for at, moment in enumerate(story.moments)
    ]


def _failing_view(story: Story) -> int | None:
    """The view that a problem names; without one nothing is marked."""
    found = _VIEW.search((story.report.problem if story.report else None) or "")
    return int(found[1]) if found else None


def _cuts(story: Story) -> list[tuple[int, str]]:
    found = []
    for cut in story.scenario.plan.partitions:
        left = ", ".join(map(str, sorted(cut.left)))
        way = "nobody hears" if cut.one_way else "there is no way between the others and"
        found += [(cut.since, f"====  {way} {left}  ===="), (cut.until, f"====  {left}: heard again  ====")]
    return sorted(found)


def _row(page: _Page, moment: Moment) -> str:
    grid = _grid(page, moment.time)
    by_receiver: dict[int, list[Leg]] = {}
    for leg in moment.legs:
        by_receiver.setdefault(leg.receiver, []).append(leg)
    _draw_lines(page, grid, moment.node, by_receiver)
    for receiver, legs in by_receiver.items():
        _write(grid, receiver * page.cell, _arrival(page, moment, receiver, legs), page.cell - 2)
    _write(grid, moment.node * page.cell, f"{_SIGNS.get(moment.sort, 'o')} {moment.words}", page.cell - 1)
    return "".join(grid)


def _draw_lines(page: _Page, grid: list[str], sender: int, receivers: dict[int, list[Leg]]) -> None:
    """A line from the sender to its farthest receiver on either side, through the nodes between."""
    start = sender * page.cell
    right, left = max(receivers, default=sender), min(receivers, default=sender)
    for at in range(min(start, left * page.cell) + 1, max(start, right * page.cell)):
        if at % page.cell:
            grid[at] = "-"


def _arrival(page: _Page, moment: Moment, receiver: int, legs: list[Leg]) -> str:
    delays = sorted(leg.delay for leg in legs if leg.delay is not None)
    if not delays:
        return "x"
    sign = ">" if receiver > moment.node else "<"
    fell = " down" if page.is_down(receiver, moment.time + delays[0]) else ""
    return f"{sign}{','.join(_short(delay) for delay in delays)}{fell}"


def _write(grid: list[str], at: int, text: str, most: int) -> None:
    shown = text[:most]
    if at + len(shown) < len(grid) and grid[at + len(shown)] == "-":
        shown += " "
    grid[at : at + len(shown)] = shown


def _ms(time: int) -> str:
    return f"{time / 1000:10.1f}"


def _short(delay: int) -> str:
    return f"{delay / 1000:.0f}" if delay >= 10_000 else f"{delay / 1000:.1f}"


def _foot(page: _Page) -> Iterator[str]:
    report = page.story.report
    if report is not None and report.problem is not None:
        yield _bare(page, page.story.end)
        yield f"{_ms(page.story.end)} * BROKEN  {report.problem}"
