"""
The matrix of clients as a page, ``docs/reference/clients.md``: ``python -m tests.compat.clients.table [--write]``.

What is said here is what ``tests/compat/test_clients.py`` finds: a client that can less, or more, fails there.
"""

from __future__ import annotations

import re
import sys

from attrs import frozen

from .programs import PREPARE, TREE
from .trials import ROWS

PAGE = TREE / "docs/reference/clients.md"


@frozen
class Known:
    """A client as it was tried: ``protocol`` is what it asks for when it clones, None where it asks for nothing."""

    name: str
    version: str
    origin: str
    protocol: str | None
    note: str


@frozen
class Lack:
    """Something that a client does not do: what its user reads, and why that is."""

    words: str
    why: str


KNOWN = (
    Known("git v0", "2.39.5", "Debian 12", None, "`git -c protocol.version=0`"),
    Known("git v1", "2.39.5", "Debian 12", "version=1", "`git -c protocol.version=1`"),
    Known("git v2", "2.39.5", "Debian 12", "version=2", "as it comes"),
    Known("dulwich", "1.2.21", "PyPI", "version=2", "Python"),
    Known("libgit2", "1.9.7", "PyPI, in pygit2 1.21.0", None, "C; many desktop programs and bindings"),
    Known("JGit", "4.11.9", "Debian 12", None, "Java, of 2019; Eclipse, Gerrit, Jenkins have newer ones"),
    Known("go-git", "5.4.2", "Debian 12", None, "Go, of 2021"),
    Known("isomorphic-git", "1.44.11", "npm", None, "JavaScript; lists refs in version 2"),
)
# What comes with the distribution may be newer where the tests run than it was here.
OF_THE_DISTRIBUTION = ("git v0", "git v1", "git v2", "JGit", "go-git")

_PARTIAL = "partial clone (`blob:none`)"
_OPTION, _ATOMIC = "a push option (`-o private`)", "an atomic push"
_SHA_256 = "a SHA-256 repository is refused with words"
_BY_ITSELF = "the client fails by itself when its repository is SHA-256 and the other is not, in words that say less"
LACKS: dict[tuple[str, str], Lack] = {
    ("libgit2", _PARTIAL): Lack("no partial clone", "no partial clones"),
    ("JGit", _PARTIAL): Lack("no partial clone", "no partial clones"),
    ("go-git", _PARTIAL): Lack("no partial clone", "no partial clones"),
    ("isomorphic-git", _PARTIAL): Lack("no partial clone", "no partial clones"),
    ("JGit", "shallow clone, and a push from it"): Lack("no shallow clone", "no shallow clones in this version"),
    ("go-git", "clone an empty repository and push to it"): Lack(
        "remote repository is empty", '"remote repository is empty", and no clone is left: begin with `git init`'
    ),
    ("go-git", _OPTION): Lack("no push options", "no push options"),
    ("isomorphic-git", _OPTION): Lack("no push options", "no push options"),
    ("libgit2", _ATOMIC): Lack("no atomic push", "no atomic pushes"),
    ("go-git", _ATOMIC): Lack("no atomic push", "no atomic pushes"),
    ("isomorphic-git", _ATOMIC): Lack("no atomic push", "no atomic pushes; each ref is a push"),
    ("dulwich", _SHA_256): Lack("Invalid object name", _BY_ITSELF),
    ("go-git", _SHA_256): Lack("object not found", _BY_ITSELF),
    ("isomorphic-git", _SHA_256): Lack("Could not find", _BY_ITSELF),
}

_HEAD = """# Git clients

Made by `python -m tests.compat.clients.table --write` from what `tests/compat/test_clients.py` finds: each cell is a
test that clones, fetches or pushes at a node, so a client that does less than this page says, or more, fails it.
What a node needs of git itself is 2.39 or newer, whatever its users have.

## Which

"Asks for" is the protocol version that a client asks for when it clones; a push is version 0 or 1 in every client,
because git has no other. Those of Debian 12 may be newer where you are; the others are those that the tests pin.

"""
_WHAT = """
## What they do

"""
_WHY = """
What they do not do is theirs, not the node's:

"""
_TAIL = """
## What their users read

A token goes where a password is asked for, with the account's name or `x-access-token` as user. A wrong one is status
401 in every client, in words of the client's own. A branch that somebody else moved meanwhile is noticed by the client
before it sends anything; what only the node can know (a reserved ref, a limit, a right that lacks) comes back for each
ref in the node's words, which every client here shows.

git 2.39 says "unexpected capabilities^{}" when a SHA-256 repository is pushed to where nothing is yet, at any server
of SHA-1 repositories; where there is a branch already it names the reason. Repositories here are SHA-1.

To try them yourself: `{PREPARE}`, then `make test ARGS=tests/compat/test_clients.py`.
"""


def page() -> str:
    """All of it."""
    return _HEAD + _which() + _WHAT + _cells() + _WHY + _reasons() + _TAIL.replace("{PREPARE}", PREPARE)


def _which() -> str:
    rows = [f"| {one.name} | {one.version} | {one.origin} | {_asks(one)} | {one.note} |\n" for one in KNOWN]
    return "| client | version | from | asks for | |\n|---|---|---|---|---|\n" + "".join(rows)


def _asks(one: Known) -> str:
    return (one.protocol or "version=0").removeprefix("version=")


def _cells() -> str:
    names = [one.name for one in KNOWN]
    head = f"| | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n"
    return head + "".join(f"| {row} | {' | '.join(_cell(name, row) for name in names)} |\n" for row in ROWS)


def _cell(name: str, row: str) -> str:
    return "no" if (name, row) in LACKS else "yes"


def _reasons() -> str:
    """By what is lacking, and who lacks it."""
    found: dict[str, list[str]] = {}
    for (name, row), lack in LACKS.items():
        found.setdefault(f"{row}: {{}}: {lack.why}", []).append(name)
    return "".join(f"* {text.format(', '.join(names))}\n" for text, names in found.items())


def numbers(version: str) -> tuple[int, ...]:
    """A version to compare."""
    return tuple(map(int, re.findall(r"\d+", version)))


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page())
    sys.stdout.write(page())
