"""Lists in pages, as GitHub gives them: ``page``, ``per_page``, and a ``Link`` header to the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TypeVar
from urllib.parse import urlencode

from attrs import frozen
from quart import request

from guts_http.problems import BadRequest
from guts_http.routing import Asked

T = TypeVar("T")

# GitHub's own bounds.
PER_PAGE, PER_PAGE_MAX = 30, 100
PAGE_MAX = 1_000


@frozen
class Page:
    """Which part of a list is wanted."""

    number: int = 1
    size: int = PER_PAGE

    @property
    def first(self) -> int:
        """How many come before it."""
        return (self.number - 1) * self.size

    def of(self, items: Iterable[T]) -> tuple[list[T], bool]:
        """This page of a list, and whether something follows it."""
        found = list(islice(items, self.first, self.first + self.size + 1))
        return found[: self.size], len(found) > self.size


def asked_page() -> Page:
    """The page that the query asks for; BadRequest for what is no number."""
    return Page(asked_number("page", 1, PAGE_MAX), min(asked_number("per_page", PER_PAGE, 10**9), PER_PAGE_MAX))


def asked_number(name: str, default: int, most: int) -> int:
    """A number of the query from 1 to ``most``; BadRequest."""
    found = optional_number(name, most)
    return default if found is None else found


def optional_number(name: str, most: int) -> int | None:
    """The same where it may be left out."""
    text = request.args.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16 and 1 <= int(text) <= most):
        raise BadRequest(f"{name} is a whole number from 1 to {most}")
    return int(text)


def links(
    asked: Asked,
    path: str,
    page: Page,
    *,
    more: bool,
    total: int | None = None,
    query: Mapping[str, str | None] | None = None,
) -> dict[str, str]:
    """
    The Link header by which clients find the other pages, and ask for them with the same ``query``.

    ``total`` is how many there are in all, where that is known without counting for long: by the number
    of its last page clients tell the length of a list.
    """
    kept = {name: value for name, value in (query or {}).items() if value is not None}

    def link(number: int, relation: str) -> str:
        url = f"{asked.base_url}{path}?{urlencode({**kept, 'per_page': page.size, 'page': number})}"
        return f'<{url}>; rel="{relation}"'

    found = []
    if more:
        found.append(link(page.number + 1, "next"))
        if total is not None:
            found.append(link(min(-(-total // page.size), PAGE_MAX), "last"))
    if page.number > 1:
        found += [link(1, "first"), link(page.number - 1, "prev")]
    return {"Link": ", ".join(found)} if found else {}
