"""A keyring for tests: ``keyring`` is told of it by ``PYTHON_KEYRING_BACKEND``; its entries lie in one file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import ClassVar

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

FILE = "GUTS_TEST_KEYRING"


class FileKeyring(KeyringBackend):
    """One file of entries, as ``FILE`` names it; a directory there is a keyring that is locked."""

    priority: ClassVar[float] = 5

    def get_password(self, service: str, username: str) -> str | None:
        """What an entry holds."""
        return self._entries().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        """Make or replace an entry."""
        self._path.write_text(json.dumps(self._entries() | {f"{service}/{username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        """Take an entry out; keyrings complain about one that is not there."""
        entries = self._entries()
        if entries.pop(f"{service}/{username}", None) is None:
            raise PasswordDeleteError("there is no such entry")
        self._path.write_text(json.dumps(entries))

    @property
    def _path(self) -> Path:
        return Path(os.environ[FILE])

    def _entries(self) -> dict[str, str]:
        if self._path.is_dir():
            raise KeyringLocked("it is locked")
        found: dict[str, str] = json.loads(self._path.read_text()) if self._path.exists() else {}
        return found
