"""A history of about 12 MB and 30,000 objects, the same bytes every time: near flask's in both numbers."""

from __future__ import annotations

import random
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

COMMITS, COMMITS_LARGE = 6_000, 50_000
DIRECTORIES, FILES = 40, 20
# Random text: what compresses it is that most lines of a file are those of its last version, so packs hold deltas.
LINES, LINES_CHANGED, LINE_BYTES = 80, 28, 60
_START = 1_700_000_000


def write(path: Path, commits: int = COMMITS) -> None:
    """A packed bare repository with one branch, main."""
    git = ["git", "-C", str(path)]
    path.mkdir(parents=True)
    subprocess.run([*git, "init", "-q", "--bare", "-b", "main", "."], check=True)
    with subprocess.Popen([*git, "fast-import", "--quiet", "--done"], stdin=subprocess.PIPE) as reader:
        assert reader.stdin is not None
        reader.stdin.writelines(_stream(commits))
    assert reader.returncode == 0, "git fast-import reads it"
    subprocess.run([*git, "repack", "-adfq"], check=True)


def write_large(path: Path) -> None:
    """The same of 100 MB and 250,000 objects."""
    write(path, COMMITS_LARGE)


def _stream(commits: int) -> Iterator[bytes]:
    dice = random.Random(12)
    files: dict[bytes, list[bytes]] = {}
    for number in range(commits):
        place = b"src/dir%02d/file%02d.txt" % (dice.randrange(DIRECTORIES), dice.randrange(FILES))
        lines = files.setdefault(place, [_line(dice) for _ in range(LINES)])
        first = dice.randrange(LINES - LINES_CHANGED)
        lines[first : first + LINES_CHANGED] = [_line(dice) for _ in range(LINES_CHANGED)]
        text, message = b"".join(lines), b"change %04d" % number
        yield b"commit refs/heads/main\ncommitter A U Thor <author@example.test> %d +0000\n" % (_START + 60 * number)
        yield b"data %d\n%s\n" % (len(message), message)
        yield b"M 100644 inline %s\ndata %d\n%s\n" % (place, len(text), text)
    yield b"done\n"


def _line(dice: random.Random) -> bytes:
    return b64encode(dice.randbytes(LINE_BYTES * 3 // 4)) + b"\n"
