"""
Pages of the reference that are made from the code: ``python -m guts_cli.config.reference [--write]``.

Without ``--write``, says which differ and exits 1.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from guts_cli.metrics_page import metrics_page
from guts_net.packs.fsck_levels import fsck_page

from .limits import limits_page
from .pages import configuration_page

PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/configuration.md": configuration_page,
    "docs/reference/fsck.md": fsck_page,
    "docs/reference/limits.md": limits_page,
    "docs/reference/metrics.md": metrics_page,
}


def main(arguments: list[str], tree: Path) -> int:
    """Compare the pages of a tree with the code, or write them; the exit code."""
    different = [
        name for name, page in PAGES.items() if not (tree / name).exists() or (tree / name).read_text() != page()
    ]
    if "--write" in arguments:
        for name in different:
            (tree / name).write_text(PAGES[name]())
        return 0
    for name in different:
        sys.stdout.write(f"{name} is not what the code says; --write writes it\n")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path.cwd()))
