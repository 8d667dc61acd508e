"""
Texts that ride beside the chain, as this node holds them: one file each, read when it is shown.

State holds a commitment and says whether its text is to be shown; the file has the words. They are read
from the disk each time, so that an erased text stays nowhere, not in a cache either.
"""

from __future__ import annotations

import os
from pathlib import Path

from guts_core.chain.commit import TextName
from guts_core.chain.texts import file_of, read_text
from guts_core.chain.transaction import Text
from guts_core.errors import Unavailable
from guts_core.forge import queries
from guts_core.forge.records import Repository, TextState
from guts_core.names import RepoId

from .reader import Snapshot

_SALT_BYTES = 32


class TextAbsent(Unavailable):
    """Every node is to hold this text, and this one is still fetching it."""

    code = "text-absent"


def commit_to(words: str | None) -> Text | None:
    """
    A new text to commit to, with a salt of its own; None where there are no words.

    Its ``commitment`` goes into the action; the text itself goes along: ``site.act(caller, (action,), (text,))``.
    When that is answered, the text is on this node's disk and shown (``shapes.repository``).
    """
    return Text(os.urandom(_SALT_BYTES), words) if words else None


class Texts:
    """The texts below one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, repo: RepoId, commitment: bytes) -> str | None:
        """The words, None when they are not here or damaged. The state is asked before."""
        try:
            data = (self._directory / file_of(TextName(repo, commitment))).read_bytes()
        except OSError:
            return None
        found = read_text(data, commitment)
        return None if found is None else found.text

    def description(self, snapshot: Snapshot, repository: Repository) -> str | None:
        """The repository's description; None when there is none, it was erased, or it is not here yet."""
        if repository.description is None:
            return None
        record = queries.text(snapshot, repository.id, repository.description)
        if record is None or record.state is not TextState.PRESENT:
            return None
        return self.read(repository.id, repository.description)
