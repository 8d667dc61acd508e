"""The reference page of the command line, read as what it promises to programs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
# In an example: an object whose names depend on what happened.
FREE = "..."


def sections() -> dict[str, str]:
    """The text below each command's heading, by the words that lead to the command."""
    parts = re.split(r"^(?:## .*|### `(guts [^`]*)`)$", PAGE.read_text(), flags=re.MULTILINE)
    return {words.strip(): text for words, text in zip(parts[1::2], parts[2::2], strict=True) if words}


def example(words: str) -> Any:
    """The first object shown for a command, or for the command whose answer it is."""
    same = re.search(r"^The answer is that of\s`(guts [^`]*)`", sections()[words], re.MULTILINE)
    if same is not None:
        return example(same[1])
    found = re.search(r"^```json\n(.*?)^```$", sections()[words], re.MULTILINE | re.DOTALL)
    assert found is not None, f"docs/reference/cli.md shows no answer of {words}"
    return json.loads(found[1])


def differences(shown: Any, said: Any, path: str = "") -> list[str]:
    """Where an answer has other names than the example; what is null on either side may be anything."""
    if shown is None or said is None:
        return []
    if isinstance(shown, dict) and isinstance(said, dict):
        if FREE in shown:
            return []
        wrong = [f"{path}.{name} is not documented" for name in said if name not in shown]
        wrong += [f"{path}.{name} is missing" for name in shown if name not in said]
        return wrong + [
            d for name in shown.keys() & said.keys() for d in differences(shown[name], said[name], f"{path}.{name}")
        ]
    if isinstance(shown, list) and isinstance(said, list):
        return [d for each in said for d in differences(shown[0], each, f"{path}[]")]
    return [] if _kind(shown) == _kind(said) else [f"{path} is {_kind(said)}, documented as {_kind(shown)}"]


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    return "a number" if isinstance(value, int | float) else type(value).__name__
