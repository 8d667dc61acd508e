"""What ``devnet start`` shows while it stays: a calm table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .devnet import NodeState
from .home import user_home
from .network import Network

if TYPE_CHECKING:
    from rich.table import Table

Tell = Callable[[list[NodeState]], None]
HEADINGS = ("node", "address", "pid", "height", "peers")


@contextmanager
def open_view() -> Iterator[Tell]:
    """A function to tell the nodes' state to."""
    if not sys.stdout.isatty():
        yield PlainView().tell
        return
    from rich.live import Live  # noqa: PLC0415 -- a tenth of a second to load, for terminals only

    with Live(auto_refresh=False) as live:
        yield lambda states: live.update(_table(states), refresh=True)


def _table(states: list[NodeState]) -> Table:
    from rich.table import Table  # noqa: PLC0415 -- see open_view

    table = Table(*HEADINGS, box=None, pad_edge=False)
    for state in states:
        table.add_row(*_cells(state))
    return table


def _cells(state: NodeState) -> tuple[str, str, str, str, str]:
    index, url = str(state.seat.index), state.seat.url
    if state.pid is None:
        return index, url, "", "stopped", ""
    if state.status is None:
        return index, url, str(state.pid), "no answer", ""
    return index, url, str(state.pid), str(state.height), str(state.peers)


class PlainView:
    """One line for a node when something about it changed."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[str, str, str, str, str]] = {}

    def tell(self, states: list[NodeState]) -> None:
        """Print the nodes that changed."""
        for state in states:
            cells = _cells(state)
            if self._last.get(state.seat.index) != cells:
                self._last[state.seat.index] = cells
                index, url, _, height, peers = cells
                click.echo(f"node {index}  {url}  height {height}" + (f"  peers {peers}" if peers else ""))


def plain_table(states: list[NodeState]) -> str:
    """The table as text."""
    rows = [HEADINGS, *(_cells(state) for state in states)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def commands_to_try(network: Network) -> str:
    """What to type in another terminal; the token stays in its file."""
    first, last = network.file.seats[0], network.file.seats[-1]
    owner = network.file.account
    helper = shlex.quote(helper_for_git(network))
    setting = _settings_line(network)
    before = f"in another terminal:\n\n  {setting}\n\nthen" if setting else "try"
    return f"""\
{before}, in any git repository (the first push creates the repository):

  guts push {owner}/hello
  guts clone {owner}/hello

or with git alone, to and from any node:

  git -c credential.helper={helper} \\
    push {first.url}/{owner}/hello.git HEAD:main
  git clone {last.url}/{owner}/hello.git
"""


def helper_for_git(network: Network) -> str:
    """What git is told: a path, or where a shell would read that as several words, a line for its shell."""
    path = str(network.credential_helper.resolve())
    quoted = shlex.quote(path)
    return path if quoted == path else f"!{quoted}"


def _settings_line(network: Network) -> str:
    """What a shell needs to find this program and this network; empty when it finds them already."""
    settings = []
    if network.path.resolve() != user_home().path.resolve():
        settings.append(f"GUTS_HOME={shlex.quote(str(network.path.resolve()))}")
    program = Path(sys.argv[0]).absolute()
    if shutil.which("guts") is None and program.name == "guts":
        settings.append(f"PATH={shlex.quote(str(program.parent))}:$PATH")
    return f"export {' '.join(settings)}" if settings else ""
