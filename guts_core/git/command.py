"""
How Guts starts git: one fixed environment and one fixed list of settings, for both floors that do.

Nothing of the operator's or a user's configuration, and no ``GIT_*`` variable, reaches a child
(``reliability.md`` B03, B05; ``dependencies.md`` 14). Both functions only compute: who starts the
child bounds its time, output and number.
"""

from __future__ import annotations

import re

from guts_core.errors import Unavailable

# merge-tree --write-tree, --no-rev-index, the gitattributes checks of fsck: Debian 12's version has all.
GIT_VERSION_LEAST = (2, 39)

_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",  # B03: replace refs would show other objects than those signed for
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_FLUSH": "0",  # a list of many lines comes in large pieces, not line by line: each wakes whoever reads it
    "GIT_ALLOW_PROTOCOL": "none",  # a server-side child never talks to anyone
    "HOME": "/nonexistent",
    "LC_ALL": "C",  # we read what git says
}
_SETTINGS = (
    "safe.directory=*",  # the data directory is ours by its lock, not by its owner
    "core.hooksPath=/dev/null",
    "core.protectHFS=true",  # A09: refused on every platform, since some clone has that disk
    "core.protectNTFS=true",
    "core.fsync=none",  # the Disk door syncs, in an order that tests can see
    "core.bigFileThreshold=64m",  # larger files are streamed, not held in memory (C01)
    "gc.auto=0",
    "maintenance.auto=false",
    "pack.writeReverseIndex=false",
    "protocol.allow=never",
)
_VERSION = re.compile(rb"git version (\d+)\.(\d+)")


def git_environment(search_path: str) -> dict[str, str]:
    """The whole environment of a git child; ``search_path`` is the parent's PATH."""
    return {**_ENVIRONMENT, "PATH": search_path}


def git_argv(*arguments: str) -> list[str]:
    """``git`` with our settings and these arguments."""
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    return ["git", *settings, *arguments]


def check_git_version(answer: bytes) -> tuple[int, int]:
    """The version from what ``git version`` printed; raises Unavailable with words for one too old."""
    match = _VERSION.match(answer)
    least = ".".join(map(str, GIT_VERSION_LEAST))
    if match is None:
        raise Unavailable(f"`git version` answered {answer[:60].decode('ascii', 'replace')!a}; git {least} is needed")
    version = int(match[1]), int(match[2])
    if version < GIT_VERSION_LEAST:
        raise Unavailable(f"git {version[0]}.{version[1]} is too old: git {least} or later is needed")
    return version
