"""Committed pages of the state tree in memory, above the database."""

from __future__ import annotations

import threading
from collections.abc import Mapping

# The upper pages of the state tree, 2 KB each on average: at a million records all above the lowest. As many as the
# tree keeps ready for use, which are the same bytes.
CACHED_PAGES_MAX = 8000


class PageCache:
    """
    The newest committed pages of the state tree, for the thread that reads, kept true by the one that commits.

    A page read from the database while a commit ended may be the one before: it is learned only if no
    commit came in between.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pages: dict[bytes, bytes] = {}
        self.commits = 0

    def get(self, path: bytes) -> bytes | None:
        """A page, if it is here."""
        with self._lock:
            found = self._pages.pop(path, None)
            if found is not None:
                self._pages[path] = found
            return found

    def learn(self, path: bytes, page: bytes, commits: int) -> None:
        """A page was read from the database, after so many commits."""
        with self._lock:
            if commits == self.commits:
                self._keep(path, page)

    def committed(self, pages: Mapping[bytes, bytes | None]) -> None:
        """A commit that changed these pages is durable."""
        with self._lock:
            self.commits += 1
            for path, page in pages.items():
                self._pages.pop(path, None)
                if page is not None:
                    self._keep(path, page)

    def _keep(self, path: bytes, page: bytes) -> None:
        self._pages[path] = page
        if len(self._pages) > CACHED_PAGES_MAX:
            del self._pages[next(iter(self._pages))]
