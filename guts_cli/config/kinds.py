"""
What a setting may hold: how it is read from TOML and from plain text, and how its range is told.

``read`` takes what a TOML file gives, ``parse`` what an environment variable or a flag gives; both
raise Invalid with what is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_network
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

from attrs import frozen

from guts_core.errors import Invalid

Value: TypeAlias = int | float | bool | str | tuple[str, ...]

AUTO = "auto"
# Longer texts of a mistaken file are not repeated whole.
SHOWN_CHARS = 60


class Kind(Protocol):
    """One sort of value."""

    @property
    def words(self) -> str:
        """What is allowed, as it is told to people."""

    def read(self, value: object) -> Value:
        """The value of a setting, or Invalid."""

    def parse(self, text: str) -> Value:
        """The same from plain text."""


@frozen
class Whole:
    """A whole number in a range; where ``may_be_auto``, the node may be left to choose."""

    least: int
    most: int
    unit: str = ""
    may_be_auto: bool = False

    @property
    def words(self) -> str:
        """What is allowed."""
        numbers = f"a whole number from {self.least} to {self.most}" + (f" ({self.unit})" if self.unit else "")
        return f'{numbers}, or "{AUTO}"' if self.may_be_auto else numbers

    def read(self, value: object) -> Value:
        """The number, or Invalid."""
        if self.may_be_auto and value == AUTO:
            return AUTO
        if type(value) is not int or not self.least <= value <= self.most:
            raise _wrong(value, self)
        return value

    def parse(self, text: str) -> Value:
        """The same from digits."""
        digits = text.removeprefix("-")
        return self.read(int(text) if digits.isdecimal() and digits.isascii() and len(digits) < 20 else text)


@frozen
class Seconds:
    """A time; fractions are allowed."""

    least: float
    most: float
    unit: str = "seconds"

    @property
    def words(self) -> str:
        """What is allowed."""
        return f"a number from {self.least:g} to {self.most:g} ({self.unit})"

    def read(self, value: object) -> Value:
        """The number, or Invalid."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.least <= value <= self.most:
            raise _wrong(value, self)
        return float(value)

    def parse(self, text: str) -> Value:
        """The same from digits."""
        with suppress(ValueError):
            return self.read(float(text))
        raise _wrong(text, self)


@frozen
class YesNo:
    """true or false."""

    unit: str = ""

    @property
    def words(self) -> str:
        """What is allowed."""
        return "true or false"

    def read(self, value: object) -> Value:
        """The answer, or Invalid."""
        if not isinstance(value, bool):
            raise _wrong(value, self)
        return value

    def parse(self, text: str) -> Value:
        """The same from ``true`` or ``false``."""
        return self.read({"true": True, "false": False}.get(text, text))


@frozen
class Words:
    """A text that ``check`` accepts; where ``may_be_empty``, an empty one stands for none."""

    words: str
    check: Callable[[str], object]
    may_be_empty: bool = False
    unit: str = ""

    def read(self, value: object) -> Value:
        """The text, or Invalid."""
        if not isinstance(value, str):
            raise Invalid(f"{_shown(value)} is not text in quotes: it is {self.words}")
        if value or not self.may_be_empty:
            self.check(value)
        return value

    def parse(self, text: str) -> Value:
        """The same."""
        return self.read(text)


@frozen
class ListOf:
    """Texts that ``check`` accepts, each; in plain text separated by commas."""

    words: str
    check: Callable[[str], object]
    unit: str = ""

    def read(self, value: object) -> Value:
        """The texts, or Invalid."""
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise _wrong(value, self)
        for one in value:
            self.check(one)
        return tuple(value)

    def parse(self, text: str) -> Value:
        """The same from one text."""
        return self.read([part.strip() for part in text.split(",") if part.strip()])


def one_of(*allowed: str) -> Words:
    """One of a few words."""

    def check(text: str) -> None:
        if text not in allowed:
            raise Invalid(f"{_shown(text)} is not one of {', '.join(allowed)}")

    return Words("one of " + ", ".join(allowed), check)


def an_origin(text: str) -> None:
    """Invalid unless the text is a base URL."""
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        whole = False
    if not whole or parts.username or parts.query or parts.fragment or not text.isascii() or not text.isprintable():
        raise Invalid(f"{_shown(text)} is not a URL such as https://git.example.org")


def a_path(text: str) -> None:
    """Invalid for a text that no path can be."""
    if "\0" in text:
        raise Invalid(f"{_shown(text)} is not a path")


def a_network(text: str) -> None:
    """Invalid unless the text is an address or a range of addresses."""
    try:
        ip_network(text)
    except ValueError:
        raise Invalid(f"{_shown(text)} is no address or range such as 10.0.0.0/8") from None


def toml_of(value: Value) -> str:
    """A value as it stands in a TOML file."""
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_of(one) for one in value) + "]"
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False)


def _wrong(value: object, kind: Kind) -> Invalid:
    return Invalid(f"{_shown(value)} is not {kind.words}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + "…"
