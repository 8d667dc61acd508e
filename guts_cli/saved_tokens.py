"""
Tokens that were saved for an account: in the system's keyring where there is one, otherwise in a file of ``GUTS_HOME``.

The keyring is the one of the package ``keyring`` (the extra of that name). A backend that writes passwords in the
clear, or keeps none, counts as no keyring: a file that its owner alone can read does as much, and is seen.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from .home import Home

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

Answer = TypeVar("Answer")

# In a keyring, an entry for each account of each network.
_SERVICE = "guts {chain_id}"
# What keyring says of a backend that a person would choose; below it stand those that fail and that keep nothing.
_PRIORITY_LEAST = 1
# Its plain files, whatever they say of themselves.
_IN_THE_CLEAR = "keyrings.alt"


def given_token() -> str | None:
    """The environment's, which goes before any that was saved."""
    return os.environ.get("GUTS_TOKEN") or None


def kept_token(home: Home, chain_id: str, account: str) -> str | None:
    """The token of an account on a network, if one was saved."""
    return keyring_token(chain_id, account) or home.token(chain_id, account)


def save_token(home: Home, chain_id: str, account: str, token: str) -> Path:
    """Into the file; an older one in the keyring goes, which would be found before it. Where the file is."""
    path = home.keep_token(chain_id, account, token)
    if keyring_token(chain_id, account) is not None:
        forget_in_keyring(chain_id, account)
    return path


def forget_refused(chain_id: str, account: str, token: str) -> None:
    """What a node refused goes from the keyring; another that lies there since then stays, and so does the file."""
    if keyring_token(chain_id, account) == token:
        forget_in_keyring(chain_id, account)


def has_keyring() -> bool:
    """Whether something can be kept in one now."""
    return _asked(lambda _: True) or False


def keyring_token(chain_id: str, account: str) -> str | None:
    """What the keyring has; None where it is locked, too."""
    return _asked(lambda keyring: keyring.get_password(_SERVICE.format(chain_id=chain_id), account))


def keep_in_keyring(chain_id: str, account: str, token: str) -> None:
    """From then on it is found there, if there is a keyring."""
    _asked(lambda keyring: keyring.set_password(_SERVICE.format(chain_id=chain_id), account, token))


def forget_in_keyring(chain_id: str, account: str) -> None:
    """Take an entry out."""
    _asked(lambda keyring: keyring.delete_password(_SERVICE.format(chain_id=chain_id), account))


def _asked(question: Callable[[KeyringBackend], Answer]) -> Answer | None:
    """What the keyring says; None where there is none, or where it fails, which is told."""
    try:
        keyring = _keyring()
        return None if keyring is None else question(keyring)
    except Exception as error:  # noqa: BLE001 -- whatever the system's own library raises; the file does without it
        sys.stderr.write(f"guts: the keyring does not answer ({error}); the saved file is used\n")
        return None


def _keyring() -> KeyringBackend | None:
    """The keyring that this machine has; None where there is no safe one."""
    if find_spec("keyring") is None:
        return None
    import keyring  # noqa: PLC0415 -- a fifth of a second, where it is installed

    backend = keyring.get_keyring()
    parts = list(getattr(backend, "backends", ())) or [backend]
    is_safe = backend.priority >= _PRIORITY_LEAST and not any(
        type(part).__module__.startswith(_IN_THE_CLEAR) for part in parts
    )
    return backend if is_safe else None
