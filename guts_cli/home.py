"""
What the ``guts`` command remembers for its user: ``GUTS_HOME``, by default ``~/.guts``.

``contexts.json`` names networks (chain id, nodes, account); ``keys/`` holds account keys and
``tokens/`` the tokens that were saved, one private file each.
"""

from __future__ import annotations

import os
from pathlib import Path

from attrs import evolve, field, frozen

from guts_core.errors import NotFound

from .keys import AccountKey, read_account_key, write_account_key
from .outcomes import Misconfigured
from .private_files import read_private, read_record, remove_private, write_private, write_record

# Enough of a 64-digit id to tell a person's accounts apart in file names.
SHORT_ID_CHARS = 12
# Beside an account's key file: the one that is to follow it, and those that it followed.
NEXT, RETIRED = ".next", ".retired-"
# More than somebody types; the file is read at every press of the tab key.
REPOSITORIES_SEEN_MAX = 500


@frozen
class Context:
    """A network as this user sees it: where its nodes are and whom to act as."""

    name: str
    chain_id: str
    nodes: tuple[str, ...]
    account: str | None = None  # the id, in hex, of a key in this home


@frozen
class Contexts:
    """The file ``contexts.json``."""

    current: str | None = None
    contexts: dict[str, Context] = field(factory=dict)


@frozen
class Seen:
    """A file in ``seen/``: what a shell completes."""

    repositories: tuple[str, ...] = ()


@frozen
class Home:
    """One user's directory of contexts, keys and tokens."""

    path: Path

    @property
    def _contexts_path(self) -> Path:
        return self.path / "contexts.json"

    def contexts(self) -> Contexts:
        """All that is remembered; nothing yet is no error."""
        if not self._contexts_path.exists():
            return Contexts()
        return read_record(self._contexts_path, Contexts)

    def current(self) -> Context | None:
        """The network that commands talk to unless told otherwise."""
        known = self.contexts()
        return known.contexts.get(known.current) if known.current else None

    def remember(self, context: Context) -> None:
        """Add or replace a context and make it the current one."""
        known = self.contexts()
        contexts = {**known.contexts, context.name: context}
        write_record(self._contexts_path, evolve(known, current=context.name, contexts=contexts))

    def forget(self, name: str) -> None:
        """Remove a context; its keys and tokens stay."""
        known = self.contexts()
        contexts = {other: context for other, context in known.contexts.items() if other != name}
        current = known.current if known.current in contexts else None
        write_record(self._contexts_path, Contexts(current, contexts))

    def _seen_path(self, chain_id: str) -> Path:
        return self.path / "seen" / f"{chain_id[:SHORT_ID_CHARS]}.json"

    def repositories(self, chain_id: str) -> tuple[str, ...]:
        """Names of repositories that commands met on a network, the latest first: what a shell completes."""
        path = self._seen_path(chain_id)
        return read_record(path, Seen).repositories if path.exists() else ()

    def remember_repository(self, chain_id: str, *names: str) -> None:
        """Add repositories that were met, so that a shell can complete them."""
        known = self.repositories(chain_id)
        now = tuple(dict.fromkeys((*names, *known)))[:REPOSITORIES_SEEN_MAX]
        if now != known:
            write_record(self._seen_path(chain_id), Seen(now))

    def _key_path(self, key: AccountKey) -> Path:
        return self.path / "keys" / f"{key.name}-{key.id[:SHORT_ID_CHARS]}.json"

    def keep_key(self, key: AccountKey) -> Path:
        """Store an account's key."""
        path = self._key_path(key)
        write_account_key(path, key)
        return path

    def next_key(self, key: AccountKey) -> AccountKey | None:
        """The key that is to follow this one, while a rotation is under way."""
        path = self._key_path(key).with_suffix(NEXT)
        return read_account_key(path) if path.exists() else None

    def keep_next_key(self, key: AccountKey) -> Path:
        """Store the key that is to follow, before anybody hears of it."""
        path = self._key_path(key).with_suffix(NEXT)
        write_account_key(path, key)
        return path

    def forget_next_key(self, key: AccountKey) -> None:
        """The rotation is over: the key stands in its place, or was refused."""
        remove_private(self._key_path(key).with_suffix(NEXT))

    def retire_key(self, key: AccountKey) -> Path:
        """Store a key that signs no more, beside the one that does."""
        path = self._key_path(key).with_suffix(f"{RETIRED}{key.pair.public_key.hex()[:SHORT_ID_CHARS]}")
        write_account_key(path, key)
        return path

    def retired_keys(self) -> list[AccountKey]:
        """Keys that signed once."""
        return [read_account_key(path) for path in sorted((self.path / "keys").glob(f"*{RETIRED}*"))]

    def all_keys(self) -> list[AccountKey]:
        """Every account key here, by file name."""
        return [read_account_key(path) for path in sorted((self.path / "keys").glob("*.json"))]

    def key_by_id(self, account: str) -> AccountKey:
        """The key of one account."""
        for key in self.all_keys():
            if key.id == account:
                return key
        raise NotFound(f"no key of account {account[:SHORT_ID_CHARS]} in {self.path / 'keys'}")

    def keys_by_name(self, name: str) -> list[AccountKey]:
        """Keys of accounts with this name; accounts of different networks may share one."""
        return [key for key in self.all_keys() if key.name == name]

    def token_path(self, chain_id: str, account: str) -> Path:
        """Where a stored token is; git's credential helper reads it there."""
        return self.path / "tokens" / f"{chain_id[:SHORT_ID_CHARS]}-{account[:SHORT_ID_CHARS]}"

    def keep_token(self, chain_id: str, account: str, token: str) -> Path:
        """Store a token for the CLI's own use."""
        path = self.token_path(chain_id, account)
        write_private(path, token + "\n")
        return path

    def token(self, chain_id: str, account: str) -> str | None:
        """The stored token of an account on a network."""
        path = self.token_path(chain_id, account)
        return read_private(path).strip() if path.exists() else None


def user_home() -> Home:
    """The home of whoever runs the command."""
    configured = os.environ.get("GUTS_HOME")
    if configured == "":
        raise Misconfigured("GUTS_HOME is set but empty", "unset GUTS_HOME")
    return Home(Path(configured) if configured else Path.home() / ".guts")
