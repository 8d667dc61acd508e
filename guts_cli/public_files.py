"""Small files that anyone may read: genesis files, settings, pins. Whoever writes one loads nothing of a node."""

from __future__ import annotations

from pathlib import Path

from guts_net.disk import LocalDisk, make_lasting_directory

PUBLIC_MODE, PUBLIC_DIRECTORY_MODE = 0o644, 0o755


def write_public(path: Path, text: str) -> None:
    """Replace a file that anyone may read."""
    disk = LocalDisk()
    make_lasting_directory(disk, path.parent, PUBLIC_DIRECTORY_MODE)
    disk.write_file(path, text.encode(), PUBLIC_MODE)
