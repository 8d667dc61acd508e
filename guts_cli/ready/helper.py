"""
The conversation with git (gitremote-helpers): refs as they are proven, packs as they stand ready.

git says one command a line; answers go to standard output, words for people to standard error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import IO

from attrs import define, field

from guts_cli.outcomes import Missing, Usage, failure_of
from guts_cli.target import Target, parse_target
from guts_core.errors import PeerFault, Refused, Unavailable

from .known import Known, Mirror, a_healthy_one, prove
from .local import Repository, open_repository
from .packs import Plan, install, plan
from .relay import open_relay
from .words import say

SCHEME = "guts://"
CAPABILITIES = ("fetch", "option", "push", "check-connectivity")
# What makes a fetch less than everything: git's own protocol does it.
PARTIAL = frozenset(("depth", "deepen-since", "deepen-not", "deepen-relative", "filter", "refetch", "update-shallow"))
# What git tells every helper, and what changes nothing here; the relay hears all of it.
KNOWN = PARTIAL | {
    "verbosity", "progress", "cloning", "check-connectivity", "followtags", "from-promisor", "no-dependents",
    "atomic", "dry-run", "force", "push-option", "force-if-includes", "cas",
}  # fmt: skip
_MEBIBYTE = 1 << 20


@define
class Helper:
    """One run of ``git-remote-guts``."""

    remote: str
    target: Target
    hears: IO[str]
    says: IO[str]
    _options: dict[str, str] = field(factory=dict)
    _known: Known | None = None

    def run(self) -> None:
        """Until git has said all; raises what ends the conversation."""
        for line in self._lines():
            command, _, rest = line.partition(" ")
            match command:
                case "capabilities":
                    self._tell(*CAPABILITIES, "")
                case "option":
                    self._tell(self._option(*rest.split(" ", 1)))
                case "list":
                    self._list(is_for_push=rest == "for-push")
                case "fetch":
                    self._fetch([line, *self._batch()])
                case "push":
                    self._push([line, *self._batch()])
                case "":
                    return
                case _:
                    raise Usage(f"git asks for {command!r}, which this helper does not know", "git --version")

    # ---- what git says ----

    def _lines(self) -> Iterator[str]:
        while line := self.hears.readline():
            yield line.rstrip("\n")

    def _batch(self) -> Iterator[str]:
        """The rest of a batch, which an empty line ends."""
        for line in self._lines():
            if not line:
                return
            yield line

    def _tell(self, *lines: str) -> None:
        self.says.write("".join(f"{line}\n" for line in lines))
        self.says.flush()

    def _option(self, name: str, value: str = "true") -> str:
        if name not in KNOWN:
            return "unsupported"
        self._options[name] = value
        return "ok"

    # ---- refs ----

    def _list(self, *, is_for_push: bool) -> None:
        try:
            known = self._prove()
        except Missing:
            if not is_for_push:
                raise
            self._tell("")  # a push creates it
            return
        names = {ref.name for ref in known.refs}
        head = known.repository.default_branch
        self._tell(
            *(f"{ref.oid.hex()} {ref.name}" for ref in known.refs), *([f"@{head} HEAD"] if head in names else []), ""
        )

    def _prove(self) -> Known:
        if self._known is None:
            self._known = prove(self.target, open_repository().network)
            if int(self._options.get("verbosity", "1")) > 0:
                final = self._known.final
                say(f"{len(self._known.refs)} refs proven at height {final.height}, {final.words}")
        return self._known

    # ---- fetch ----

    def _fetch(self, wanted: list[str]) -> None:
        known, local = self._prove(), open_repository()
        ready = None if PARTIAL & self._options.keys() else plan(known, local)
        if ready is None or not self._is_ready_made(known, local, ready):
            self._relayed(known.mirror, wanted)

    def _is_ready_made(self, known: Known, local: Repository, ready: Plan) -> bool:
        """Whether it was fetched; where packs went away meanwhile, git's own protocol does it."""
        if not ready.missing:
            self._tell("")
            return True
        self._progress(f"{len(ready.missing)} packs, {ready.size / _MEBIBYTE:.1f} MiB, from {len(ready.mirrors)} nodes")
        try:
            keep = install(known, ready, local, indexing=local.indexes_itself)
        except Unavailable as error:
            say(f"{error}; fetching by git's own protocol")
            return False
        # What was attested is closed; whoever would rather see for themselves has git walk it.
        is_whole = self._options.get("check-connectivity") == "true" and not local.indexes_itself
        self._tell(f"lock {keep}", *(["connectivity-ok"] if is_whole else []), "")
        return True

    def _progress(self, words: str) -> None:
        if self._options.get("progress", "false") == "true":
            say(words)

    def _relayed(self, mirror: Mirror, wanted: list[str]) -> None:
        with open_relay(mirror, self.target.url(mirror.url), self.remote, self._options) as relay:
            self._tell(*relay.batch(wanted), "")

    # ---- push ----

    def _push(self, commands: list[str]) -> None:
        mirror = self._known.mirror if self._known else a_healthy_one(open_repository().network)
        self._relayed(mirror, commands)


def main() -> None:
    """Entry point of the ``git-remote-guts`` script."""
    sys.modules["httpx._main"] = None  # type: ignore[assignment]  # as the guts command does
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """One conversation over standard input and output; the exit code."""
    try:
        remote, url = _named(arguments)
        Helper(remote, _target(url), sys.stdin, sys.stdout).run()
    except (BrokenPipeError, KeyboardInterrupt):
        return 1  # git went away, or goes: it says on the terminal why
    except (Refused, PeerFault, Unavailable) as error:
        failure = failure_of(error)
        say(failure.message)
        if failure.next:
            say(f"next: {failure.next}")
        return 1
    return 0


def _named(arguments: list[str]) -> tuple[str, str]:
    if len(arguments) != 2 or arguments[0].startswith("--"):
        raise Usage("git runs this: git clone guts://OWNER/NAME", "guts clone --help")
    return arguments[0], arguments[1]


def _target(url: str) -> Target:
    found = parse_target(url.removeprefix(SCHEME).rstrip("/"))
    if not url.startswith(SCHEME) or found.base is not None:
        raise Usage(f"{url[:200]!r} is no repository: write guts://OWNER/NAME", "guts clone --help")
    return found
