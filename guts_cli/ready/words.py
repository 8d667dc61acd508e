"""What the helper says to the person: git keeps standard output, and shows standard error as it is."""

from __future__ import annotations

import sys

from guts_cli.outcomes import printable


def say(words: str) -> None:
    """One line; what came from elsewhere addresses no terminal."""
    sys.stderr.write(f"guts: {printable(words)}\n")
    sys.stderr.flush()
