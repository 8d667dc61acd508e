"""
What the helper does not do itself, done by git's own helper for HTTP at the same node: shallow and partial
fetches, packs that are not handed out, and pushes. Neither side notices the other.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO

from guts_cli.git import Helper
from guts_core.errors import Unavailable

from .known import Mirror

# Names of local refs are bytes: what is no text passes through.
AS_THEY_ARE = "surrogateescape"


class Relay:
    """A running ``git remote-http``."""

    def __init__(self, hears: IO[str], says: IO[str]) -> None:
        self._hears, self._says = hears, says

    def option(self, name: str, value: str) -> str:
        """Its answer: ok, unsupported, or error and why."""
        self._tell(f"option {name} {value}\n")
        return self._line()

    def batch(self, lines: Iterable[str]) -> Iterator[str]:
        """Its lines in answer to fetches or pushes, up to the empty one."""
        self._tell("".join(f"{line}\n" for line in lines) + "\n")
        while line := self._line():
            yield line

    def _tell(self, words: str) -> None:
        try:
            self._hears.write(words)
            self._hears.flush()
        except BrokenPipeError:
            raise _ended() from None

    def _line(self) -> str:
        line = self._says.readline()
        if not line:
            raise _ended()
        return line.rstrip("\n")


@contextmanager
def open_relay(mirror: Mirror, url: str, remote: str, options: Iterable[tuple[str, str]]) -> Iterator[Relay]:
    """Git's helper at a node, told the same options in the same order: some are lists."""
    scheme = mirror.url.partition(":")[0]
    # Version 2 would have git itself speak to the node, which the helper that git started cannot pass on.
    settings = ["protocol.version=1"]
    if mirror.token is not None:
        settings += Helper(mirror.url, mirror.credentials).once()
    flags = [part for setting in settings for part in ("-c", setting)]
    command = ["git", *flags, f"remote-{scheme}", remote, url]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, errors=AS_THEY_ARE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            relay = Relay(child.stdin, child.stdout)
            for name, value in options:
                relay.option(name, value)
            yield relay
        except KeyboardInterrupt:
            child.terminate()
            raise
        finally:
            child.stdin.close()
            child.stdout.close()


def _ended() -> Unavailable:
    return Unavailable("git's own transfer ended early; what it said stands above")
