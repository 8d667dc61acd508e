"""A violation for people: one row a process, time to the right, the order that was found as far as it goes."""

from __future__ import annotations

from html import escape

from .history import Operation
from .violation import Violation

_COLUMNS = 48
# Of a page: wide enough for a hundred operations to be told apart.
_PIXELS = 1600
_STYLE = (
    "body{font:13px sans-serif}.row{position:relative;height:28px;border-bottom:1px solid #ddd}"
    ".op{position:absolute;height:22px;overflow:hidden;white-space:nowrap;background:#cfe8cf;border:1px solid #7a7}"
    ".left{background:#f6c6c6;border-color:#b55}.op:hover{overflow:visible;z-index:1}"
)


class _Scale:
    """Times to columns."""

    def __init__(self, operations: tuple[Operation, ...], columns: int) -> None:
        times = [one.invoked for one in operations] + [one.completed or one.invoked for one in operations] or [0]
        self._first, self._span, self._columns = min(times), max(max(times) - min(times), 1), columns

    def at(self, time: int | None) -> int:
        """Where a moment lies; an unknown end lies at the edge."""
        return self._columns if time is None else (time - self._first) * self._columns // self._span


def text_timeline(violation: Violation) -> str:
    """Lines of text: a bar for each operation, and the number it has in the longest order that fits."""
    operations = violation.operations
    if not operations:
        return f"{violation}\n"
    scale = _Scale(operations, _COLUMNS)
    ranks = _ranks(violation)
    width = max(len(one.process) for one in operations)
    lines = [str(violation)]
    for one in sorted(operations, key=lambda one: (one.invoked, one.number)):
        start, end = scale.at(one.invoked), scale.at(one.completed)
        bar = " " * start + ("[" + "=" * max(end - start - 1, 0) + ("]" if one.completed is not None else ">"))
        lines.append(f"{one.process:<{width}} {bar:<{_COLUMNS + 2}} {ranks.get(one.number, '-'):>4} {one.words()}")
    return "\n".join(lines) + "\n"


def html_timeline(violation: Violation) -> str:
    """A page that needs nothing else: what fits is green, the rest is red."""
    scale, ranks = _Scale(violation.operations, _PIXELS), _ranks(violation)
    rows: dict[str, list[str]] = {}
    for one in violation.operations:
        rows.setdefault(one.process, []).append(_box(one, scale, ranks.get(one.number)))
    body = "".join(
        f'<div>{escape(process)}</div><div class="row">{"".join(boxes)}</div>' for process, boxes in rows.items()
    )
    title = escape(str(violation))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<p>{title}</p>{body}</html>\n"
    )


def _box(one: Operation, scale: _Scale, rank: int | None) -> str:
    start, words = scale.at(one.invoked), escape(one.words())
    size = max(scale.at(one.completed) - start, 8)
    number = "" if rank is None else f"{rank}. "
    kind = "op left" if rank is None else "op"
    return f'<div class="{kind}" style="left:{start}px;width:{size}px" title="{words}">{number}{words}</div>'


def _ranks(violation: Violation) -> dict[int, int]:
    return {one.number: rank for rank, one in enumerate(violation.order, 1)}
