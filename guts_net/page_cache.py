"""Committed pages of the state tree, as the thread of the core reads them: in memory, below that in the database."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping

from guts_core.chain import schema

# 2 KB each on average: at a million records all pages above the lowest, and some of those.
ASKED_AGAIN_MAX = 6000
# A block of a hundred keys brings a hundred lowest pages, so a page has some twenty such blocks to be asked for again.
ASKED_ONCE_MAX = 2000


class PageCache:
    """
    The newest committed pages of the state tree, for the thread that reads, kept true by the one that commits.

    A lowest page of a large tree is read, written, and not looked at for a thousand blocks, while those above it
    are: what was found here when it was asked for is not pushed out by what was not.

    A page read from the database while a commit ended may be the one before: it is learned only if no
    commit came in between.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._once: dict[bytes, bytes] = {}
        self._again: dict[bytes, bytes] = {}
        self.commits = 0

    def get(self, path: bytes) -> bytes | None:
        """A page, if it is here."""
        with self._lock:
            found = self._again.pop(path, None) or self._once.pop(path, None)
            if found is not None:
                _keep(self._again, path, found, ASKED_AGAIN_MAX)
            return found

    def learn(self, path: bytes, page: bytes, commits: int) -> None:
        """A page was read from the database, after so many commits."""
        with self._lock:
            if commits == self.commits:
                _keep(self._once, path, page, ASKED_ONCE_MAX)

    def committed(self, pages: Mapping[bytes, bytes | None]) -> None:
        """A commit that changed these pages is durable."""
        with self._lock:
            self.commits += 1
            for path, page in pages.items():
                if page is None:
                    self._again.pop(path, None)
                    self._once.pop(path, None)
                elif path in self._again:
                    self._again[path] = page
                else:
                    self._once.pop(path, None)
                    _keep(self._once, path, page, ASKED_ONCE_MAX)


def _keep(pages: dict[bytes, bytes], path: bytes, page: bytes, most: int) -> None:
    """As the newest, in place of the one that has been there longest."""
    pages[path] = page
    if len(pages) > most:
        del pages[next(iter(pages))]


class StoredPages:
    """
    Pages by the connection that writes, unless it is busy.

    A commit empties what SQLite caches of the other one, and the row that is read now is most often the one that
    is written next. One transaction spans all reads up to the next write, which ends it: nobody else writes, so it
    shows what is newest.
    """

    def __init__(self, reader: sqlite3.Connection, writer: sqlite3.Connection, writing: threading.Lock) -> None:
        self._reader, self._writer, self._writing = reader, writer, writing
        self.cache = PageCache()
        self.is_snapshot = False  # the reader is in a transaction of its own, of which pages are asked for

    def page(self, path: bytes) -> bytes | None:
        """As Store.page."""
        if self.is_snapshot:  # what is remembered may be newer
            return _page(self._reader, path)
        known = self.cache.get(path)
        if known is not None:
            return known
        commits = self.cache.commits
        found = self._newest(path)
        if found is not None:
            self.cache.learn(path, found, commits)
        return found

    def _newest(self, path: bytes) -> bytes | None:
        if not self._writing.acquire(blocking=False):
            return _page(self._reader, path)
        try:
            if not self._writer.in_transaction:
                self._writer.execute("BEGIN")
            return _page(self._writer, path)
        finally:
            self._writing.release()


def _page(connection: sqlite3.Connection, path: bytes) -> bytes | None:
    row = connection.execute(schema.GET_PAGE, (path,)).fetchone()
    return None if row is None else row[0]
