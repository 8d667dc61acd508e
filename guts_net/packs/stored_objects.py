"""
Objects out of a repository's stored packs, for ``guts_core.git.reading``.

The packs that stand there at opening are read, those of alternates too, and stay open until the reader is
forgotten: libgit2 shares one open pack among all who read it. Whoever holds a lease keeps the directory.
"""

from __future__ import annotations

from pathlib import Path

import pygit2

from guts_core.git.reading.odb import OdbObjects


def stored_objects(git_dir: Path) -> OdbObjects:
    """What a bare git directory, a scratch one or a projection shows; Corrupt and MissingObject when it is read."""
    return OdbObjects(pygit2.Odb(str(git_dir / "objects")))
