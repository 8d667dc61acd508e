"""
Texts beside blocks (``architecture.md`` 3): proposed with them, voted for with them, stored without.

The header binds a text through the commitment in an action, so a body says the same block with all of
its texts, with some, or with none. What a body may carry is a subset of what its transactions commit
to, each once: anything else is not the block that its hash names. Only a voter needs all of them.
Execution reads none. What the state lists after a block, a node keeps as a file of its own: a file can
be taken away without a trace, and the free space of a database cannot.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import Malformed
from guts_core.forge.records import TextRecord, TextState
from guts_core.names import RepoId
from guts_core.state.keys import SCOPE_BYTES, Kind, Scope

from .block import Block
from .commit import ListedText, TextName
from .transaction import Text

# Below a node's directory.
DIRECTORY = "texts"
_DIGITS = 64


def without_texts(body: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """A body as it is stored and supplied, and the canonical texts that it carried, by commitment."""
    block = from_bytes(Block, body)
    found = {text.commitment: to_bytes(text) for item in block.items for text in item.texts}
    if not found:
        return body, {}
    return to_bytes(evolve(block, items=tuple(evolve(item, texts=()) for item in block.items))), found


def texts_written(
    writes: Mapping[bytes, bytes | None], held: Mapping[bytes, bytes]
) -> tuple[tuple[ListedText, ...], tuple[TextName, ...]]:
    """What a block's writes say of texts: those that are to be held from now on, and those that were erased."""
    listed, erased = [], []
    for key, value in writes.items():
        if value is None or key[0] != Scope.REPOSITORY or key[SCOPE_BYTES] != Kind.TEXT:
            continue
        record = from_bytes(TextRecord, value)
        name = TextName(RepoId(record.repo), record.commitment)
        if record.state is TextState.ERASED:
            erased.append(name)
        else:
            listed.append(ListedText(name, held.get(record.commitment)))
    return tuple(listed), tuple(erased)


def file_of(name: TextName) -> str:
    """
    Where a node keeps a text, below its directory of texts: ``ab/abcd...-<repository>``.

    The repository is part of the name: the same words committed to in two are erased in each by its own.
    """
    commitment = name.commitment.hex()
    return f"{commitment[:2]}/{commitment}-{name.repo.hex()}"


def name_in(file_name: str) -> TextName | None:
    """The text that a file of this name holds, without its directory; None for any other file."""
    commitment, dash, repo = file_name.partition("-")
    if not dash or len(commitment) != _DIGITS or len(repo) != _DIGITS:
        return None
    try:
        found = TextName(RepoId(bytes.fromhex(repo)), bytes.fromhex(commitment))
    except ValueError:
        return None
    return found if file_of(found).endswith(f"/{file_name}") else None


def read_text(data: bytes, commitment: bytes) -> Text | None:
    """The text in these bytes, if it is the one that was committed to; None for any others."""
    try:
        text = from_bytes(Text, data)
    except Malformed:
        return None
    return text if text.commitment == commitment else None
