"""The pages as a whole: every link leads somewhere, and every page is found from the index."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
INDEX = TREE / "docs/README.md"
KINDS = ("tutorial", "how-to", "reference", "explanation")
# Read where they are written, not linked: one file for each change that is not released yet.
UNLINKED = TREE / "docs/changes"
TOP = tuple(sorted(TREE.glob("*.md")))
PAGES = (*TOP, *sorted(path for path in (TREE / "docs").rglob("*.md") if UNLINKED not in path.parents))
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def links(page: Path) -> Iterator[str]:
    """Where the page leads to, in this tree."""
    text = _FENCED.sub("", page.read_text())
    return (found[1] for found in _LINK.finditer(text) if "://" not in found[1])


def anchors(page: Path) -> set[str]:
    """The names that headings get where the pages are shown."""
    headings = (found[1] for found in _HEADING.finditer(_FENCED.sub("", page.read_text())))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def target_of(page: Path, link: str) -> tuple[Path, str]:
    """The file and the anchor that a link means."""
    path, _, anchor = link.partition("#")
    return ((page.parent / path).resolve() if path else page), anchor


def dead_links(page: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    dead = []
    for link in links(page):
        target, anchor = target_of(page, link)
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TREE)))
def test_no_link_is_dead(page: Path) -> None:
    """Whoever follows one is in the middle of something."""
    assert dead_links(page) == []


def test_every_page_is_found_from_the_index() -> None:
    """A page nobody is led to is a page nobody reads."""
    found, waiting = {INDEX}, [INDEX]
    while waiting:
        page = waiting.pop()
        for target in {target_of(page, link)[0] for link in links(page)} - found:
            if target.suffix == ".md" and target.exists():
                found.add(target)
                waiting.append(target)

    assert [str(page.relative_to(TREE)) for page in PAGES if page not in found] == []


def test_the_index_has_the_pages_by_their_kind() -> None:
    """To learn, to do, to look up, to understand: each page is of one kind, and stands in the index itself."""
    listed = {target_of(INDEX, link)[0] for link in links(INDEX)}
    missing = [
        str(page.relative_to(TREE))
        for kind in KINDS
        for page in INDEX.parent.glob(f"{kind}/*.md")
        if page not in listed
    ]
    kinds = {page.parent.name for page in INDEX.parent.glob("*/*.md")} - {"changes", "contributing", "quality"}

    assert missing == []
    assert kinds == set(KINDS)


def test_a_dead_link_is_noticed(tmp_path: Path) -> None:
    """The check itself: a file, an anchor and a fence."""
    (tmp_path / "other.md").write_text("# Two words, `said`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "# Top\n[a](other.md) [b](other.md#two-words-said) [c](#top)\n[d](gone.md) [e](other.md#one) [f](#bottom)\n"
        "```\n[g](fenced.md)\n```\n[h](https://example.org/x.md)\n"
    )

    assert dead_links(page) == ["gone.md", "other.md#one", "#bottom"]
