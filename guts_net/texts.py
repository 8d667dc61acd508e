"""
Texts on this disk: one file each below ``texts/``, because a file can be taken away without a trace.

A text is written and synced before the commit of the block that lists it, and its file is gone before
the commit of the block that erases it is reported. What a crash leaves between the two is put right at
the next start, from what the committed state says. A text that is listed and not here has a row in
``missing_texts`` and is asked of peers (``TextRepairer``).

Nothing here logs a text, and no error message holds one.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path

import trio

from guts_core.chain.commit import ListedText, TextName
from guts_core.chain.texts import DIRECTORY, file_of, name_in, read_text
from guts_core.errors import GutsError
from guts_core.forge import queries
from guts_core.forge.params import RESTORE_MS
from guts_core.forge.records import TextState
from guts_core.names import RepoId

from .logs import Log
from .peers.links import PeerNetwork
from .protocols import Disk
from .repair import AskingOrder, Rounds
from .space import is_full
from .store import ChainDatabase

# Fetched from peers at once, and noted in one commit: a link answers four at a time.
BATCH_TEXTS = 16
# As the scrubber looks at all else.
ROUND_SECONDS = 24 * 3600.0
# Read again and compared, between two looks at whether the node ends: a few milliseconds.
CHECKED_AT_ONCE = 64


class TextStore:
    """The files. Methods without ``async`` block; whoever follows a change of state holds ``changing``."""

    def __init__(self, directory: Path, disk: Disk, database: ChainDatabase, time: Callable[[], int]) -> None:
        """``time`` is that of the newest final block."""
        self._root, self._disk, self._database, self._time = directory / DIRECTORY, disk, database, time
        self._log = Log("texts")
        self.wake: Callable[[], None] = lambda: None  # whoever fetches what is lacking hears of it
        # From what the state says of a text until its file is as the state says.
        self.changing = trio.Lock()

    def path(self, name: TextName) -> Path:
        """Where a text lies, if it is here."""
        return self._root / file_of(name)

    def keep(self, texts: Iterable[ListedText]) -> frozenset[TextName]:
        """Make texts durable that a block lists; the names of those that neither came with it nor are here."""
        missing = []
        for text in texts:
            if text.data is not None:
                self.write(text.name, text.data)
            elif self.read(text.name) is None:
                missing.append(text.name)
        return frozenset(missing)

    def write(self, name: TextName, data: bytes) -> None:
        """One text, whole and durable."""
        path = self.path(name)
        if not path.parent.exists():
            self._disk.make_directory(path.parent)
            self._disk.sync_directory(self._root)
            self._disk.sync_directory(self._root.parent)
        self._disk.write_file(path, data)

    def read(self, name: TextName) -> bytes | None:
        """The canonical text, compared with its commitment; None when it is not here or damaged."""
        try:
            data = self.path(name).read_bytes()
        except OSError:
            return None
        return data if read_text(data, name.commitment) is not None else None

    def lacking(self, names: Iterable[TextName]) -> list[TextName]:
        """Those that are not here, or not whole."""
        return [name for name in names if self.read(name) is None]

    def forget(self, names: Iterable[TextName]) -> None:
        """Take files away, and their names out of their directories, durably."""
        for path in [self.path(name) for name in names]:
            if path.exists():
                self._disk.unlink(path)
                self._disk.sync_directory(path.parent)

    def sweep(self) -> int:
        """
        At start: take away what the state does not list, note what it lists and is not here; how many were taken.

        What does not stand there as a text of a name is what a crash left of writing one.
        """
        listed = set(self.listed())
        kept: set[TextName] = set()
        swept = 0
        for path in sorted(self._root.glob("*/*")):
            name = name_in(path.name)
            if name in listed and path == self.path(name):
                kept.add(name)
                continue
            self._disk.unlink(path)
            self._disk.sync_directory(path.parent)
            swept += 1
        self._database.add_missing_texts(sorted(listed - kept, key=file_of))
        return swept

    async def serve(self, repo: RepoId, commitment: bytes) -> bytes | None:
        """A text for a peer; None when the state does not say that it is to be held, or it is not here whole."""
        name = TextName(repo, commitment)
        if not self.is_listed(name):
            return None
        data = await trio.to_thread.run_sync(self.read, name)
        if data is None:
            await self.note_lack([name])
        return data

    def listed(self) -> list[TextName]:
        """Every text that is to be here."""
        return list(self._database.listed_texts(self._time()))

    def is_listed(self, name: TextName) -> bool:
        """Whether the committed state says that every node is to hold it."""
        record = queries.text(self._database, name.repo, name.commitment)
        repository = queries.repository_even_deleted(self._database, name.repo)
        if record is None or repository is None or record.state is not TextState.PRESENT:
            return False
        return repository.deleted is None or repository.deleted > self._time() - RESTORE_MS

    async def note_lack(self, names: Iterable[TextName]) -> None:
        """Ask peers for texts that turned out not to be here, or not to be what they were."""
        async with self.changing:
            lacking = [name for name in names if self.is_listed(name)]
            if not lacking:
                return
            self._log.error("texts_lacking", count=len(lacking), commitment=lacking[0].commitment.hex())
            try:
                await trio.to_thread.run_sync(self._database.add_missing_texts, lacking)
            except sqlite3.OperationalError as error:
                if not is_full(error):  # on a full disk whoever misses them next notes it (F13)
                    raise
            self.wake()


class TextRepairer:
    """Reads all texts after the start and each day, and fetches from peers what is listed and not here."""

    def __init__(self, database: ChainDatabase, texts: TextStore, network: PeerNetwork, log: Log) -> None:
        self._database, self._texts, self._network, self._log = database, texts, network, log
        self._rounds = Rounds(self._batches, self._repair)
        texts.wake = self.wake
        self._order = AskingOrder()
        self._said: dict[TextName, str] = {}  # why a text is still missing, as the log has it

    def wake(self) -> None:
        """Rows may have come."""
        self._rounds.wake()

    async def run(self) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._rounds.run)
            nursery.start_soon(self._check_all)

    async def _check_all(self) -> None:
        """A file that a disk lost or changed is found now and every day, not when somebody asks for it (F09)."""
        while True:
            try:
                names = await trio.to_thread.run_sync(self._texts.listed)
            except sqlite3.OperationalError as error:  # short of files, say: tomorrow is another day
                self._log.warning("texts_not_checked", reason=str(error))
                names = []
            for at in range(0, len(names), CHECKED_AT_ONCE):
                lacking = await trio.to_thread.run_sync(self._texts.lacking, names[at : at + CHECKED_AT_ONCE])
                if lacking:
                    await self._texts.note_lack(lacking)
            await trio.sleep(ROUND_SECONDS)

    def _batches(self) -> list[tuple[TextName, ...]]:
        names = self._database.list_missing_texts()
        return [tuple(names[at : at + BATCH_TEXTS]) for at in range(0, len(names), BATCH_TEXTS)]

    async def _repair(self, batch: tuple[TextName, ...]) -> bool:
        found: dict[TextName, bytes] = {}
        async with trio.open_nursery() as nursery:
            for name in batch:
                nursery.start_soon(self._fetch, name, found)
        async with self._texts.changing:
            # One that was erased while peers were asked has no row any more, and must not come back.
            wanted = set(self._database.list_missing_texts())
            here = {name: data for name, data in found.items() if name in wanted}
            if here:
                await trio.to_thread.run_sync(self._note_here, here)
        for name in here:
            self._said.pop(name, None)
            self._log.info("text_repaired", commitment=name.commitment.hex())
        return bool(here)

    def _note_here(self, here: dict[TextName, bytes]) -> None:
        for name, data in here.items():
            self._texts.write(name, data)
        self._database.remove_missing_texts(here)

    async def _fetch(self, name: TextName, found: dict[TextName, bytes]) -> None:
        """From one peer, or the next; what is not the text is no text."""
        data = await trio.to_thread.run_sync(self._texts.read, name)
        why = "no validator is connected"
        for peer in self._order.of(self._network.connected):
            if data is not None:
                break
            try:
                data = await self._network.fetch_text(peer, name.repo, name.commitment)
            except GutsError as error:
                why = str(error)
            else:
                why = f"validator {peer} does not hold it"
                if data is not None and read_text(data, name.commitment) is None:
                    data, why = None, f"validator {peer} gave another one"
            if data is None:
                self._order.failed(peer)
        if data is not None:
            found[name] = data
        elif self._said.get(name) != why:
            self._said[name] = why
            self._log.warning("text_still_missing", commitment=name.commitment.hex(), reason=why)
