"""
A history like that of a real project, the same bytes every time: about 100,000 objects.

Directories three deep, text that changes by a few lines, a picture now and then, topic branches that are merged,
annotated tags and branches of releases. ``git fast-import`` reads it, and ``git repack`` makes its one pack.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import define, field

COMMITS = 14_300
# Of a hundred commits: so many begin a topic, add a file, bring a picture.
_TOPIC, _NEW_FILE, _PICTURE = 4, 12, 3
_TOPIC_COMMITS = (1, 6)
_TAG_EVERY, _RELEASE_EVERY = 250, 2_500
_TOP, _MIDDLE, _LOW = 14, 9, 5  # directories in each other
_LINES = (30, 260)
_LINES_CHANGED = (1, 8)
_PICTURE_BYTES = (4_000, 90_000)
_WORDS = 3_000
_START = 1_500_000_000
_SECONDS = 1_800
MAIN = b"refs/heads/main"

# What a commit changes: a path and the mark of its new content.
Changes = dict[bytes, int]


@define
class _Topic:
    """A branch that will be merged: its tip, all that it changed, and how many commits it will still have."""

    tip: int
    left: int
    changed: Changes = field(factory=dict)


def write(path: Path, commits: int = COMMITS) -> None:
    """A packed bare repository."""
    git = ["git", "-C", str(path)]
    path.mkdir(parents=True)
    subprocess.run([*git, "init", "-q", "--bare", "-b", "main", "."], check=True)
    with subprocess.Popen([*git, "fast-import", "--quiet", "--done"], stdin=subprocess.PIPE) as reader:
        assert reader.stdin is not None
        reader.stdin.writelines(_Project(random.Random(commits)).stream(commits))
    assert reader.returncode == 0, "git fast-import reads it"
    subprocess.run([*git, "repack", "-adfq"], check=True)


class _Project:
    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._words = [
            bytes(dice.choices(b"abcdefghijklmnopqrstuvwxyz_", k=dice.randint(2, 11))) for _ in range(_WORDS)
        ]
        self._files: dict[bytes, list[bytes]] = {}
        self._paths: list[bytes] = []
        self._mark = 0
        self._commits = 0

    def stream(self, commits: int) -> Iterator[bytes]:
        """What ``git fast-import`` reads."""
        topics: list[_Topic] = []
        main = 0
        while self._commits < commits:
            if topics and self._dice.random() < 0.3:
                topic = self._dice.choice(topics)
                yield from self._on_topic(topic)
                if not topic.left:
                    topics.remove(topic)
                    yield from self._commit(MAIN, (main, topic.tip), topic.changed)
                    main = self._mark
                continue
            yield from self._work(MAIN, main)
            main = self._mark
            if self._dice.randrange(100) < _TOPIC:
                topics.append(_Topic(main, self._dice.randint(*_TOPIC_COMMITS)))
            yield from self._releases(main)
        yield b"done\n"

    def _on_topic(self, topic: _Topic) -> Iterator[bytes]:
        changes: Changes = {}
        yield from self._changes(changes)
        # A branch that nobody names later: the merge keeps what it had.
        yield from self._commit(b"refs/heads/topic", (topic.tip,), changes)
        topic.tip, topic.left = self._mark, topic.left - 1
        topic.changed |= changes

    def _work(self, ref: bytes, parent: int) -> Iterator[bytes]:
        changes: Changes = {}
        yield from self._changes(changes)
        yield from self._commit(ref, (parent,) if parent else (), changes)

    def _releases(self, main: int) -> Iterator[bytes]:
        if self._commits % _TAG_EVERY == 0:
            number = self._commits // _TAG_EVERY
            yield b"tag v0.%d\nfrom :%d\ntagger %s\ndata 7\nrelease\n" % (number, main, self._who())
        if self._commits % _RELEASE_EVERY == 0:
            yield from self._work(b"refs/heads/release-%d" % (self._commits // _RELEASE_EVERY), main)

    def _changes(self, changes: Changes) -> Iterator[bytes]:
        for _ in range(self._dice.choice((1, 1, 1, 2, 3))):
            chance = self._dice.randrange(100)
            if chance < _PICTURE:
                path, content = self._path(b"png"), self._dice.randbytes(self._dice.randint(*_PICTURE_BYTES))
            elif chance < _PICTURE + _NEW_FILE or not self._paths:
                path = self._path(b"py")
                content = self._new(path)
            else:
                # Files changed lately are those that change again.
                path = self._paths[-1 - int(self._dice.random() ** 2 * len(self._paths))]
                content = self._changed(path)
            self._mark += 1
            changes[path] = self._mark
            yield b"blob\nmark :%d\ndata %d\n%s\n" % (self._mark, len(content), content)

    def _commit(self, ref: bytes, parents: Sequence[int], changes: Changes) -> Iterator[bytes]:
        self._mark += 1
        self._commits += 1
        message = b" ".join(self._dice.choices(self._words, k=9))
        yield b"commit %s\nmark :%d\ncommitter %s\ndata %d\n%s\n" % (
            ref,
            self._mark,
            self._who(),
            len(message),
            message,
        )
        for word, parent in zip((b"from", b"merge"), parents, strict=False):
            yield b"%s :%d\n" % (word, parent)
        for path, mark in changes.items():
            yield b"M 100644 :%d %s\n" % (mark, path)

    def _who(self) -> bytes:
        when = _START + _SECONDS * self._commits
        return b"A U Thor %d <author%d@example.test> %d +0000" % (number := self._dice.randrange(40), number, when)

    def _path(self, kind: bytes) -> bytes:
        parts = [b"part%02d" % self._dice.randrange(_TOP)]
        parts += [b"room%d" % self._dice.randrange(_MIDDLE)] * (self._dice.random() < 0.8)
        parts += [b"corner%d" % self._dice.randrange(_LOW)] * (self._dice.random() < 0.4)
        return b"/".join([*parts, b"%s_%d.%s" % (self._dice.choice(self._words), self._mark, kind)])

    def _new(self, path: bytes) -> bytes:
        self._paths.append(path)
        self._files[path] = [self._line() for _ in range(self._dice.randint(*_LINES))]
        return b"".join(self._files[path])

    def _changed(self, path: bytes) -> bytes:
        lines = self._files[path]
        at, count = self._dice.randrange(len(lines)), self._dice.randint(*_LINES_CHANGED)
        lines[at : at + count] = [self._line() for _ in range(count)]
        return b"".join(lines)

    def _line(self) -> bytes:
        indent = b"    " * self._dice.randrange(4)
        return indent + b" ".join(self._dice.choices(self._words, k=self._dice.randint(1, 9))) + b"\n"
