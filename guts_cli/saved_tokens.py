"""
Tokens that were saved for an account: in the system's keyring where there is one, otherwise in a file of ``GUTS_HOME``.

The keyring is the one of the package ``keyring`` (the extra of that name). A backend that writes passwords in the
clear, or keeps none, counts as no keyring: a file that its owner alone can read does as much, and is seen.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from .home import Home

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

# In a keyring, an entry for each account of each network.
_SERVICE = "guts {chain_id}"
# What keyring says of a backend that a person would choose; below it stand those that fail and that keep nothing.
_PRIORITY_LEAST = 1
# Its plain files, whatever they say of themselves.
_IN_THE_CLEAR = "keyrings.alt"


def kept_token(home: Home, chain_id: str, account: str) -> str | None:
    """The token of an account on a network, if one was saved."""
    return keyring_token(chain_id, account) or home.token(chain_id, account)


def keyring_token(chain_id: str, account: str) -> str | None:
    """What the keyring has; None where it is locked, too."""
    keyring = _keyring()
    if keyring is None:
        return None
    from keyring.errors import KeyringError  # noqa: PLC0415 -- there is one

    try:
        return keyring.get_password(_SERVICE.format(chain_id=chain_id), account)
    except KeyringError as error:
        _tell(error)
        return None


def keep_in_keyring(chain_id: str, account: str, token: str) -> bool:
    """Whether it is kept there now."""
    keyring = _keyring()
    if keyring is None:
        return False
    from keyring.errors import KeyringError  # noqa: PLC0415 -- there is one

    try:
        keyring.set_password(_SERVICE.format(chain_id=chain_id), account, token)
    except KeyringError as error:
        _tell(error)
        return False
    return True


def forget_in_keyring(chain_id: str, account: str) -> None:
    """Take an entry out; none is no error."""
    keyring = _keyring()
    if keyring is None:
        return
    from keyring.errors import KeyringError  # noqa: PLC0415 -- there is one

    try:
        keyring.delete_password(_SERVICE.format(chain_id=chain_id), account)
    except KeyringError as error:
        _tell(error)


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


def _tell(error: Exception) -> None:
    sys.stderr.write(f"guts: the keyring does not answer ({error}); the saved file is used\n")
