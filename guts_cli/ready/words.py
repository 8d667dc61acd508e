"""What the helper says to the person: git keeps standard output, and shows standard error as it is."""

from __future__ import annotations

import sys


def say(words: str) -> None:
    """One line."""
    sys.stderr.write(f"guts: {words}\n")
    sys.stderr.flush()
