"""
Where settings come from, in rising precedence: defaults, ``config.toml``, environment, flags.

All of it is judged before anything is refused, so that a person mends a file once and not mistake by
mistake; each problem names its place and what is allowed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from attrs import field, frozen

from guts_cli.outcomes import Misconfigured
from guts_core.errors import Invalid

from .kinds import Value
from .sections import SECTIONS, SETTINGS, Config

CONFIG_FILE = "config.toml"
DEFAULT = "default"
# How settings were written before they had sections.
_MOVED = {
    "name": "node.name",
    "log_level": "node.log_level",
    "private_read_grace_seconds": "node.private_read_grace_seconds",
}
_VARIABLE = re.compile(rf"GUTS_({'|'.join(SECTIONS).upper()})_(.*)")
_TABLE_LINE = re.compile(r"""\s*\[\s*["']?([\w-]+)["']?\s*\]""")
_KEY_LINE = re.compile(r"""\s*["']?([\w-]+)["']?\s*(?:\.\s*["']?([\w-]+)["']?\s*)?=""")


@frozen
class Given:
    """A setting as somebody gave it; ``is_text`` when it did not come from TOML."""

    key: str
    value: object
    origin: str
    is_text: bool = True


@frozen
class Loaded:
    """A whole configuration, and where each setting that is not a default comes from."""

    config: Config
    origins: Mapping[str, str] = field(factory=dict)

    def origin(self, key: str) -> str:
        """Where a setting comes from."""
        return self.origins.get(key, DEFAULT)


class BadConfiguration(Misconfigured):
    """Everything that is wrong with the settings, a line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def load(path: Path | None, environment: Mapping[str, str], flags: Sequence[Given] = ()) -> Loaded:
    """The settings from all sources; a file that is not there is no error. Raises BadConfiguration."""
    problems: list[str] = []
    given = [*_in_file(path, problems), *_in_environment(environment), *flags]
    values: dict[str, Value] = {}
    origins: dict[str, str] = {}
    for one in given:
        try:
            values[one.key] = _value(one)
            origins[one.key] = one.origin
        except Invalid as error:
            problems.append(f"{one.origin}: {error}")
    if problems:
        raise BadConfiguration(problems)
    return Loaded(Config.of(values), origins)


def set_flag(text: str, option: str = "--set") -> Given:
    """What ``SECTION.KEY=VALUE`` gives; raises Misconfigured for other texts."""
    key, equals, value = text.partition("=")
    if not equals:
        raise Misconfigured(f"{option} {text!r} is not SECTION.KEY=VALUE, such as limits.fetches=8")
    return Given(key.strip(), value.strip(), f"{option} {key.strip()}")


def _value(given: Given) -> Value:
    found = SETTINGS.get(given.key)
    if found is None:
        raise Invalid(_unknown(given.key))
    try:
        if given.is_text:
            assert isinstance(given.value, str)
            return found.kind.parse(given.value)
        return found.kind.read(given.value)
    except Invalid as error:
        raise Invalid(f"{given.key}: {error}") from None


def _unknown(key: str) -> str:
    section, _, name = key.partition(".")
    if section not in SECTIONS:
        return f"unknown section {section!r}; there are {', '.join(SECTIONS)}"
    near = get_close_matches(key, SETTINGS, n=1)
    names = ", ".join(one.name for one in SETTINGS.values() if one.section == section)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"unknown setting {name!r}; {hint}[{section}] knows {names}"


def _in_environment(environment: Mapping[str, str]) -> Iterator[Given]:
    for variable in sorted(environment):
        matched = _VARIABLE.fullmatch(variable)
        if matched:
            key = f"{matched[1]}.{matched[2]}".lower()
            yield Given(key, environment[variable], f"environment variable {variable}")


def _in_file(path: Path | None, problems: list[str]) -> Iterator[Given]:
    if path is None or not path.exists():
        return
    try:
        text = path.read_bytes().decode()
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{path}: {error}")
        return
    lines = _lines(text)
    for section, content in found.items():
        where = f"{path}, line {lines.get(section, 1)}"
        if section in SECTIONS and isinstance(content, dict):
            for name, value in content.items():
                key = f"{section}.{name}"
                line = lines.get(key, lines.get(section, 1))
                yield Given(key, value, f"{path}, line {line}", is_text=False)
        else:
            problems.append(f"{where}: {_misplaced(section, content)}")


def _misplaced(name: str, content: object) -> str:
    """What to write instead of something that is no section."""
    if name in _MOVED:
        section, _, key = _MOVED[name].partition(".")
        return f"{name!r} stands in a section now: write it below a line [{section}], as {key} = ..."
    if name in ("http", "p2p") and isinstance(content, str):
        return f"{name!r} is a section now: write [{name}] and below it listen = {content!r}"
    if name in SECTIONS:
        return f"{name!r} is a section: write [{name}] and its settings below"
    if isinstance(content, dict):
        return _unknown(name)
    return f"{name!r} stands in no section; there are {', '.join(SECTIONS)}"


def _lines(text: str) -> dict[str, int]:
    """The line on which each section begins, and each key in it. Best effort: for words only."""
    lines: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if table := _TABLE_LINE.match(line):
            section = table[1]
            lines.setdefault(section, number)
        elif key := _KEY_LINE.match(line):
            parts = [part for part in (section, key[1], key[2]) if part]
            lines.setdefault(parts[0], number)
            lines.setdefault(".".join(parts), number)
    return lines
