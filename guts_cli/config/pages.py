"""The commented ``config.toml`` and the reference page, both made from the sections."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Collection, Iterator

from .kinds import toml_of
from .sections import SECTIONS, SETTINGS, Config, Setting

_WIDTH = 100
_HEAD = """\
# A guts node. What is commented out is the default of this build. Environment variables
# (GUTS_HTTP_LISTEN for [http] listen) and flags of `guts node run` override what stands here.
# `guts node config --show` tells what holds, and why.
"""
_PAGE_HEAD = """\
# Configuration

Made from the code by `python -m guts_cli.config.reference --write`; a test compares them.

A setting comes from, in rising precedence: its default, `config.toml` in the node's directory, the
environment variable `GUTS_<SECTION>_<KEY>`, a flag of `guts node run` (`--set SECTION.KEY=VALUE` for
any, and names of their own for the usual ones). Lists are separated by commas in variables and flags.
Unknown settings and wrong values are refused, all at once, with their places (exit code 2).
`guts node config --show` prints every value and where it comes from.

Other variables of Guts are not settings of a node: `GUTS_HOME`, `GUTS_NODE`, `GUTS_ACCOUNT`,
`GUTS_TOKEN` (see [cli.md](cli.md)). What bounds a network and cannot be set is in [limits.md](limits.md).
"""


def config_text(config: Config, written: Collection[str] = ()) -> str:
    """A whole file: settings that differ from the default, and those of ``written``, hold; others are shown."""
    return _HEAD + "\n".join(_section_lines(config, written)) + "\n"


def _section_lines(config: Config, written: Collection[str]) -> Iterator[str]:
    for section, cls in SECTIONS.items():
        yield f"\n[{section}]  # {(inspect.getdoc(cls) or '').splitlines()[0]}"
        for one in _settings_of(section):
            yield from _comment(one)
            value = config.get(one.key)
            holds = value != one.default or one.key in written
            yield f"{'' if holds else '# '}{one.name} = {toml_of(value)}"


def _comment(one: Setting) -> Iterator[str]:
    yield from textwrap.wrap(
        f"{one.reason} Allowed: {one.kind.words}.", _WIDTH, initial_indent="## ", subsequent_indent="## "
    )


def _settings_of(section: str) -> list[Setting]:
    return [one for one in SETTINGS.values() if one.section == section]


def configuration_page() -> str:
    """``docs/reference/configuration.md``."""
    return _PAGE_HEAD + "".join(_section_of_page(section, cls) for section, cls in SECTIONS.items())


def _section_of_page(section: str, cls: type[object]) -> str:
    rows = [
        f"| `{one.name}` | `{toml_of(one.default)}` | {one.kind.words} | {one.reason} |"
        for one in _settings_of(section)
    ]
    head = f"\n## [{section}]\n\n{(inspect.getdoc(cls) or '').splitlines()[0]}\n\n"
    return head + "| key | default | allowed | reason |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
