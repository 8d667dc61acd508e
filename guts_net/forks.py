"""
A fork that this node saw is written down (F42): it stays ended until people have decided.

The file holds the sentence and both certificates, each a canonical record in hexadecimal: with the genesis
they prove to anybody which validators signed both. Removing it is how an operator says that it was dealt with.
"""

from __future__ import annotations

from pathlib import Path

from guts_core.errors import ForkSeen

from .protocols import Disk

FILE = "fork.seen"
_PUBLIC_MODE = 0o644


def refuse(directory: Path) -> None:
    """Raise ForkSeen, in the words in which the node ended, as long as the file is there."""
    words = told(directory)
    if words is not None:
        raise ForkSeen(words)


def told(directory: Path) -> str | None:
    """The sentence with which the node in a directory ended, if it saw a fork that nobody has dealt with."""
    path = directory / FILE
    try:
        first = path.read_text("utf-8", "replace").partition("\n")[0]
    except FileNotFoundError:
        return None
    return _sentence(first or "two quorums contradict each other", path)


def keep(fork: ForkSeen, held: bytes | None, directory: Path, disk: Disk) -> ForkSeen:
    """
    Write it down; the error to end with.

    ``held`` is the newest certificate of the database: of a contradiction to what is final it is the other one.
    """
    path = directory / FILE
    others = () if held is None or held in fork.certificates else (held,)
    certificates = (*fork.certificates, *others)[:2]
    if not path.exists():  # the first one that was seen is what people have to look at
        text = "\n".join((str(fork), *(one.hex() for one in certificates), ""))
        try:
            disk.write_file(path, text.encode(), _PUBLIC_MODE)
        except OSError as error:
            return ForkSeen(f"{fork}; this could not be written to {path}: {error}", certificates)
    return ForkSeen(_sentence(str(fork), path), certificates)


def _sentence(words: str, path: Path) -> str:
    return f"{words}; both certificates are in {path}: remove that file when you have decided, and start it then"
