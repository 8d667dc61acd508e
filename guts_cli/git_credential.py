"""
``git-credential-guts``: git's own way to ask for a password, for the nodes of networks that are known here.

``git config --global credential.helper guts`` has git run it for every address; it answers for nodes of contexts and
for nobody else. What a person typed and a node took is kept in the keyring; a token that a node does not take is
forgotten there. The file that ``guts token create --save`` wrote is only read: it may be the one copy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from guts_core.errors import GutsError, Invalid
from guts_core.identity import key_of

from .asked_by_git import ANY_USER, Asked, contexts_of, places, read_asked, token_among
from .home import Home, user_home
from .saved_tokens import forget_refused, given_token, has_keyring, keep_in_keyring, kept_token

MAKE_ONE = "guts token create --scope repo --gateway all --save"
# Git's attributes are a few lines, of which the longest are what a server said to authenticate with.
ASKED_BYTES_MAX = 1 << 18
# Under the name that fits everybody a node takes any account's token, which is not to become another account's.
_NOBODYS = (
    "guts: whose token was typed is unknown, and it is not kept\n"
    "next: type the name of your account as the user, and it is\n"
)
_USAGE = "usage: git-credential-guts get | store | erase, with git's name=value lines on standard input"


def run(arguments: Sequence[str]) -> int:
    """One operation; 0 also where nothing is known, so that git asks the next helper."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write(f"{_USAGE}\nnext: git config --global credential.helper guts\n")
        return 2
    operation = _OPERATIONS.get(arguments[0])
    if operation is None:  # one that git has learned since
        return 0
    try:
        asked = read_asked(sys.stdin.buffer.read(ASKED_BYTES_MAX).decode("utf-8", "replace").split("\n"))
        operation(user_home(), asked)
    except GutsError as error:
        sys.stderr.write(f"guts: {error}\n")
        return 1
    return 0


def main() -> NoReturn:
    """Entry point of the ``git-credential-guts`` script."""
    sys.exit(run(sys.argv[1:]))


def _get(home: Home, asked: Asked) -> None:
    if not contexts_of(home, asked):
        return
    token = given_token() or token_among(home, places(home, asked))
    if token is None:
        sys.stderr.write(f"guts: no token for {asked.host} is saved here\nnext: {MAKE_ONE}\n")
        return
    sys.stdout.write(f"username={asked.username or ANY_USER}\npassword={token}\n")


def _store(home: Home, asked: Asked) -> None:
    """Git tells it of whatever worked, what came from here included."""
    if asked.password is None or asked.password == given_token() or not _is_token(asked.password):
        return
    where = places(home, asked)
    if not where or asked.password in (kept_token(home, place.chain_id, place.account) for place in where):
        return
    if asked.username not in (None, ANY_USER):
        keep_in_keyring(where[0].chain_id, where[0].account, asked.password)
    elif has_keyring():
        sys.stderr.write(_NOBODYS)


def _erase(home: Home, asked: Asked) -> None:
    """What a node refused; another token that lies in the same place stays."""
    where = places(home, asked)
    if asked.password is None or asked.password not in (given_token(), token_among(home, where)):
        return
    for place in where:
        forget_refused(place.chain_id, place.account, asked.password)
    sys.stderr.write(f"guts: {asked.host} does not accept the token\nnext: {MAKE_ONE}\n")


_OPERATIONS: dict[str, Callable[[Home, Asked], None]] = {"get": _get, "store": _store, "erase": _erase}


def _is_token(text: str) -> bool:
    """Another password is not ours to keep."""
    try:
        key_of(text)
    except Invalid:
        return False
    return True
