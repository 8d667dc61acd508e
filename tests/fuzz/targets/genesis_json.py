"""Genesis, draft and entry files."""

from __future__ import annotations

from guts_core.chain.genesis_json import draft_from_json, entry_from_json, genesis_from_json, to_json
from guts_core.errors import GutsError, Invalid


def fuzz(data: bytes) -> None:
    """Invalid with words, or a file that is written and read as the same one, with the same chain id."""
    for read in (genesis_from_json, draft_from_json, entry_from_json):
        try:
            file = read(data)
        except Invalid as refusal:
            words = str(refusal)
            assert words
            continue
        except GutsError as wrong:
            raise AssertionError(f"not for the reader of a file: {wrong!r}") from wrong
        assert read(to_json(file)) == file
