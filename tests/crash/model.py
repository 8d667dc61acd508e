"""
A disk as a value: what is durable, what is not yet, and what a power cut may leave of the latter.

Per file the model holds durable bytes and the changes since the last sync; per folder durable names and
those that changed since. A sync of a file says nothing of its name, and one of a folder nothing of what is
in the files: POSIX promises no more, and so no more is relied on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from enum import Enum
from hashlib import sha256
from pathlib import Path
from random import Random

from attrs import define, field, frozen

# What a disk writes whole, at least.
SECTOR_BYTES = 512
ROOT = 0


class Mode(Enum):
    """What a power cut leaves of all that was not synced."""

    KEPT = "kept"
    DROPPED = "dropped"
    TORN = "torn"  # all but a part of the last write
    REORDERED = "reordered"  # some changes and not others, in no order but that of syncs


@define
class Change:
    """Bytes of a file that no sync has made durable: a write, or a cut where ``data`` is None."""

    order: int
    at: int
    data: bytes | None

    def on(self, content: bytearray) -> None:
        """Do it."""
        if self.data is None:
            del content[self.at :]
            content.extend(bytes(self.at - len(content)))
            return
        content.extend(bytes(max(0, self.at - len(content))))
        content[self.at : self.at + len(self.data)] = self.data


@define
class File:
    """One file, by whatever names."""

    durable: bytes = b""
    changes: list[Change] = field(factory=list)
    mode: int = 0o600

    def content(self, keep: Callable[[Change], Change | None] = lambda change: change) -> bytes:
        """The bytes with those changes that are kept, as they are kept."""
        if not self.changes:
            return self.durable
        content = bytearray(self.durable)
        for change in self.changes:
            if (kept := keep(change)) is not None:
                kept.on(content)
        return bytes(content)


@define
class Folder:
    """One folder: names to numbers of nodes, as everybody sees them and as they are durable."""

    live: dict[str, int] = field(factory=dict)
    durable: dict[str, int] = field(factory=dict)


@define(eq=False)
class NameChange:
    """A name that no sync has made durable: what it stands for now, None when it is gone."""

    order: int
    folder: int
    name: str
    node: int | None
    after: NameChange | None = None  # of a file that moved: it does not leave a folder before it is in the other
    is_durable: bool = False

    def is_kept(self, keep: Callable[[int], bool]) -> bool:
        """Whether it is, given which orders are: a move within one folder happens at once."""
        if self.after is None or self.after.is_durable:
            return keep(self.order)
        return keep(self.after.order) and (self.after.folder == self.folder or keep(self.order))


@frozen
class Tree:
    """Files and folders as a power cut leaves them; names of one file share its number."""

    names: dict[str, int]  # relative paths; folders before what is in them
    contents: dict[int, bytes | None]  # None: a folder
    modes: dict[int, int]

    def lay(self, root: Path) -> None:
        """Onto a real disk, where nothing stands yet."""
        root.mkdir(parents=True)
        first: dict[int, Path] = {}
        for name, node in self.names.items():
            path, content = root / name, self.contents[node]
            if content is None:
                path.mkdir()
            elif node in first:
                os.link(first[node], path)
            else:
                path.write_bytes(content)
                path.chmod(self.modes[node])
                first[node] = path

    def digest(self) -> bytes:
        """Equal for equal trees."""
        state = sha256()
        seen: dict[int, int] = {}
        for name, node in sorted(self.names.items()):
            content = self.contents[node]
            number = seen.setdefault(node, len(seen))
            state.update(f"{name}\0{number}\0{'-' if content is None else len(content)}\0".encode())
            state.update(content or b"")
        return state.digest()


class DiskModel:
    """All files below one root. Operations are told after they were done; paths are relative to the root."""

    def __init__(self) -> None:
        self.nodes: list[File | Folder] = [Folder()]
        self._names: list[NameChange] = []
        self._order = 0

    @classmethod
    def of(cls, root: Path) -> DiskModel:
        """What stands there, all of it durable."""
        model = cls()
        seen: dict[tuple[int, int], int] = {}
        for path in sorted(root.rglob("*")):
            facts, relative = path.lstat(), path.relative_to(root)
            node = seen.get((facts.st_dev, facts.st_ino))
            if node is None:
                made = Folder() if path.is_dir() else File(path.read_bytes(), mode=facts.st_mode & 0o777)
                node = model._add(made)
                seen[facts.st_dev, facts.st_ino] = node
            folder = model.folder(relative.parent)
            folder.live[path.name] = folder.durable[path.name] = node
        return model

    # ---- looking ----

    def find(self, path: Path) -> int | None:
        """The number of what stands at a path now."""
        node = ROOT
        for part in path.parts:
            folder = self.nodes[node]
            if not isinstance(folder, Folder) or part not in folder.live:
                return None
            node = folder.live[part]
        return node

    def folder(self, path: Path) -> Folder:
        """The folder that stands there."""
        node = self.find(path)
        assert node is not None, f"{path} was made beside the door"
        folder = self.nodes[node]
        assert isinstance(folder, Folder)
        return folder

    def file(self, node: int) -> File:
        """The file with a number."""
        file = self.nodes[node]
        assert isinstance(file, File)
        return file

    # ---- what is done ----

    def create(self, path: Path, mode: int = 0o600) -> int:
        """A new file of no bytes."""
        node = self._add(File(mode=mode))
        self._name(path, node)
        return node

    def write(self, node: int, at: int, data: bytes) -> None:
        """Bytes at a place of a file."""
        self._order += 1
        self.file(node).changes.append(Change(self._order, at, data))

    def cut(self, node: int, size: int) -> None:
        """A file ends here now."""
        self._order += 1
        self.file(node).changes.append(Change(self._order, size, None))

    def sync(self, node: int) -> None:
        """All bytes of a file are durable; its name is another matter."""
        file = self.file(node)
        file.durable, file.changes = file.content(), []

    def sync_folder(self, path: Path) -> None:
        """All names in a folder are durable."""
        number = self.find(path)
        for change in [change for change in self._names if change.folder == number]:
            self._make_durable(change)
        self._names = [change for change in self._names if not change.is_durable]

    def make_folder(self, path: Path) -> None:
        """A folder, with those above it; one that stands is no change."""
        for above in (*reversed(path.parents), path):
            if above.parts and self.find(above) is None:
                self._name(above, self._add(Folder()))

    def rename(self, source: Path, target: Path) -> None:
        """At once within one folder; into another one it may be under both names, never under none."""
        node = self.find(source)
        assert node is not None
        arrival = self._name(target, node)
        self._name(source, None, after=arrival)

    def link(self, source: Path, target: Path) -> None:
        """A second name."""
        node = self.find(source)
        assert node is not None
        self._name(target, node)

    def unlink(self, path: Path) -> None:
        """A name less; none is no change."""
        if self.find(path) is not None:
            self._name(path, None)

    def remove_tree(self, path: Path) -> None:
        """All names below, the deepest first, and the one of the folder."""
        node = self.find(path)
        if node is None:
            return
        found = self.nodes[node]
        if isinstance(found, Folder):
            for name in list(found.live):
                self.remove_tree(path / name)
        self.unlink(path)

    def _add(self, made: File | Folder) -> int:
        self.nodes.append(made)
        return len(self.nodes) - 1

    def _name(self, path: Path, node: int | None, after: NameChange | None = None) -> NameChange:
        number = self.find(path.parent)
        assert number is not None, f"{path.parent} was made beside the door"
        live = self.folder(path.parent).live
        if after is None or after.folder != number:  # a move within one folder is one change
            self._order += 1
        change = NameChange(self._order, number, path.name, node, after)
        if node is None:
            live.pop(path.name, None)
        else:
            live[path.name] = node
        self._names.append(change)
        return change

    def _make_durable(self, change: NameChange) -> None:
        """With all that was done to this name before; and what is gone here for good is in the other folder."""
        if change.is_durable:
            return
        if change.after is not None:
            self._make_durable(change.after)
        folder = self.nodes[change.folder]
        assert isinstance(folder, Folder)
        for earlier in self._names:
            if (earlier.folder, earlier.name) == (change.folder, change.name) and earlier.order <= change.order:
                earlier.is_durable = True
        if change.node is None:
            folder.durable.pop(change.name, None)
        else:
            folder.durable[change.name] = change.node

    # ---- the cut ----

    def crash(self, mode: Mode, variant: int = 0) -> Tree:
        """What stands there when the power is back."""
        if mode is Mode.KEPT:
            return self._tree(lambda change: change, lambda _: True)
        if mode is Mode.DROPPED:
            return self._tree(lambda _: None, lambda _: False)
        if mode is Mode.TORN:
            return self._tree(self._torn(variant), lambda _: True)
        return self._reordered(variant)

    def _torn(self, variant: int) -> Callable[[Change], Change | None]:
        last = max((c.order for f in self._files() for c in f.changes if c.data), default=0)

        def tear(change: Change) -> Change | None:
            if change.order != last or not change.data:
                return change
            size = len(change.data)
            sizes = (size // 2, size // 2 // SECTOR_BYTES * SECTOR_BYTES, size - 1, 1, size * 7 // 8)
            return Change(change.order, change.at, change.data[: sizes[variant % len(sizes)]])

        return tear

    def _reordered(self, variant: int) -> Tree:
        """First the extremes: names before bytes, bytes before names, only the newest change, all but the oldest."""
        if variant == 0:  # files are as long as they were to be, and hold nothing
            return self._tree(lambda c: Change(c.order, c.at, c.data and bytes(len(c.data))), lambda _: True)
        if variant == 1:
            return self._tree(lambda change: change, lambda _: False)
        orders = sorted([c.order for f in self._files() for c in f.changes] + [change.order for change in self._names])
        if variant == 2:
            kept = set(orders[-1:])
        elif variant == 3:
            kept = set(orders[1:])
        else:
            dice = Random(variant * 1_000_003 + self._order)  # noqa: S311  # reproducible on purpose
            kept = {order for order in orders if dice.random() < 0.5}
        return self._tree(lambda change: change if change.order in kept else None, kept.__contains__)

    def _files(self) -> Iterator[File]:
        return (node for node in self.nodes if isinstance(node, File))

    def _tree(self, keep: Callable[[Change], Change | None], keep_name: Callable[[int], bool]) -> Tree:
        names = {at: dict(node.durable) for at, node in enumerate(self.nodes) if isinstance(node, Folder)}
        for change in self._names:
            if change.is_kept(keep_name):
                if change.node is None:
                    names[change.folder].pop(change.name, None)
                else:
                    names[change.folder][change.name] = change.node
        tree = Tree({}, {}, {})
        self._walk(ROOT, "", names, keep, tree)
        return tree

    def _walk(
        self, at: int, path: str, names: dict[int, dict[str, int]], keep: Callable[[Change], Change | None], tree: Tree
    ) -> None:
        for name, number in sorted(names[at].items()):
            node, below = self.nodes[number], f"{path}{name}"
            tree.names[below] = number
            if isinstance(node, Folder):
                tree.contents[number] = None
                self._walk(number, f"{below}/", names, keep, tree)
            elif number not in tree.contents:
                tree.contents[number], tree.modes[number] = node.content(keep), node.mode
