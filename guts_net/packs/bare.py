"""
Bare git directories, made by hand: the little that git needs to take one for a repository.

Refs live in the replicated state, so these have none of their own. ``git init`` would cost a child
process and copy hooks.
"""

from __future__ import annotations

import os
from pathlib import Path

from guts_net.protocols import Disk

CONFIG = b"[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
NO_HEAD = b"ref: refs/heads/main\n"


def make_scratch(disk: Disk, git_dir: Path, *, head: bytes = NO_HEAD, objects: Path | None = None) -> None:
    """A git directory that need not survive a power cut; ``objects`` is where else it finds objects."""
    disk.make_directory(git_dir / "objects" / "pack")
    disk.make_directory(git_dir / "objects" / "info")
    disk.make_directory(git_dir / "refs")
    write(disk, git_dir / "HEAD", head)
    write(disk, git_dir / "config", CONFIG)
    if objects is not None:
        # Relative, so that a data directory can be moved, and so that no odd path needs quoting.
        relative = os.path.relpath(objects, git_dir / "objects")
        write(disk, git_dir / "objects" / "info" / "alternates", os.fsencode(relative) + b"\n")


def make_durable(disk: Disk, git_dir: Path) -> None:
    """A repository's git directory, made whole however far an earlier life came with it."""
    if (git_dir / "config").exists() and (git_dir / "objects" / "pack").is_dir():
        return  # the config is written last
    disk.make_directory(git_dir / "objects" / "pack")
    disk.make_directory(git_dir / "objects" / "info")
    disk.make_directory(git_dir / "refs")
    disk.write_file(git_dir / "HEAD", NO_HEAD)
    disk.write_file(git_dir / "config", CONFIG)


def write(disk: Disk, path: Path, data: bytes) -> None:
    """A new file of a scratch directory, not synced."""
    file = disk.create(path)
    try:
        file.write(data)
    finally:
        file.close()
