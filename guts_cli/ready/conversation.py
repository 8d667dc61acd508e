"""
The conversation with git (gitremote-helpers): refs as they are proven, packs as they stand ready.

git says one command a line; answers go to standard output, words for people to standard error.
"""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import IO, NoReturn

from attrs import define, field

from guts_cli.outcomes import EXIT_INTERRUPTED, Missing, Usage, failure_of
from guts_cli.target import Target, parse_target
from guts_core.errors import GutsError, Unavailable

from .begun import forget
from .known import Known, Mirror, a_healthy_one, prove
from .local import Repository, known_network, open_repository
from .packs import Interrupted, Otherwise, Plan, install, plan
from .relay import AS_THEY_ARE, open_relay
from .stages import stage
from .words import say

SCHEME = "guts://"
CAPABILITIES = ("fetch", "option", "push", "check-connectivity")
# What makes a fetch less than everything, or everything again: git's own protocol does it. The last one says that git
# fetches, by itself and often, what a partial clone lacks.
LAZY = "from-promisor"
PARTIAL = frozenset(
    ("depth", "deepen-since", "deepen-not", "deepen-relative", "filter", "refetch", "update-shallow", LAZY)
)
# What git tells every helper, and what changes nothing here; the relay hears all of it.
KNOWN = PARTIAL | {
    "verbosity", "progress", "cloning", "check-connectivity", "followtags", "no-dependents",
    "atomic", "dry-run", "force", "push-option", "force-if-includes", "cas",
}  # fmt: skip
_MEBIBYTE = 1 << 20


@define
class Conversation:
    """One run of ``git-remote-guts``."""

    remote: str
    target: Target
    hears: IO[str]
    says: IO[str]
    _options: list[tuple[str, str]] = field(factory=list)
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
        self._options.append((name, value))  # all of them: push options, leases and others are lists
        return "ok"

    def _said(self, name: str) -> str | None:
        """What git said last of something that is no list."""
        return next((value for said, value in reversed(self._options) if said == name), None)

    @property
    def _is_quiet(self) -> bool:
        """By ``-q``, which git says before it fetches, after it asked for refs; or since it fetches by itself."""
        return (self._said("verbosity") or "1").startswith(("-", "0")) or self._said(LAZY) is not None

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
            with stage("proof"):
                self._known = prove(self.target, known_network())
        return self._known

    # ---- fetch ----

    def _fetch(self, wanted: list[str]) -> None:
        known, local = self._prove(), open_repository()
        if not self._is_quiet:
            say(f"{len(known.refs)} refs proven at height {known.final.height}, {known.final.words}")
        ready = self._planned(known, local)
        why = ready.reason if isinstance(ready, Otherwise) else self._why_not_made(known, local, ready)
        if why is not None:
            if not self._is_quiet:
                say(f"fetching by git's own protocol: {why}")
            self._relayed(known.mirror, wanted)
            if isinstance(ready, Plan):
                forget(local.packs)

    def _planned(self, known: Known, local: Repository) -> Plan | Otherwise:
        if PARTIAL & {name for name, _ in self._options}:
            return Otherwise("a part of the history is wanted, and packs are whole")
        return plan(known, local)

    def _why_not_made(self, known: Known, local: Repository, ready: Plan) -> str | None:
        """None where it was fetched; where packs went away meanwhile, git's own protocol does it."""
        if not ready.missing:
            self._tell("")
            return None
        self._progress(f"{len(ready.missing)} packs, {ready.size / _MEBIBYTE:.1f} MiB, from {len(ready.mirrors)} nodes")
        try:
            keep = install(known, ready, local, indexing=local.indexes_itself)
        except Unavailable as error:
            return str(error)
        # What was attested is closed; whoever would rather see for themselves has git walk it.
        is_whole = self._said("check-connectivity") == "true" and not local.indexes_itself
        self._tell(f"lock {keep}", *(["connectivity-ok"] if is_whole else []), "")
        return None

    def _progress(self, words: str) -> None:
        if self._said("progress") == "true":
            say(words)

    def _relayed(self, mirror: Mirror, wanted: list[str]) -> None:
        with open_relay(mirror, self.target.url(mirror.url), self.remote, self._options) as relay:
            self._tell(*relay.batch(wanted), "")

    def how_to_go_on(self, kept: int) -> str:
        """After Ctrl-C."""
        if self._said("cloning") == "true":
            again = f"git init NAME && cd NAME && git remote add origin {SCHEME}{self.target.full_name} && git fetch"
            return f"stopped; git removes what a clone began. This goes on from where it was, run again: {again}"
        return f"stopped; {kept / _MEBIBYTE:.1f} MiB are kept, and the same fetch goes on from there"

    # ---- push ----

    def _push(self, commands: list[str]) -> None:
        mirror = self._known.mirror if self._known else a_healthy_one(known_network())
        self._relayed(mirror, commands)


def main() -> None:
    """Entry point of the ``git-remote-guts`` script."""
    for name in _NOT_LOADED:
        sys.modules[name] = None  # type: ignore[assignment]  # what imports it goes on without
    for number in _ENDS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it: the clone outlives the terminal
            signal.signal(number, _stop)
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=AS_THEY_ARE)
    sys.exit(run(sys.argv[1:]))


# Of httpx: its own command, other event loops and protocols, a tenth of a second which no clone has use for.
_NOT_LOADED = ("httpx._main", "trio", "anyio", "h2")
# The terminal's, and git's own when it ends first: it passes on to its children what ended it.
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    """Once: the terminal signals this process and git, and git signals it again while it is putting things away."""
    for number in _ENDS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def run(arguments: list[str]) -> int:
    """One conversation over standard input and output; the exit code."""
    conversation: Conversation | None = None
    try:
        remote, url = _named(arguments)
        conversation = Conversation(remote, _target(url), sys.stdin, sys.stdout)
        conversation.run()
    except BrokenPipeError:
        return 1  # git went away: it says on the terminal why
    except KeyboardInterrupt as stopped:
        if conversation is not None and isinstance(stopped, Interrupted):
            say(conversation.how_to_go_on(stopped.kept))
        return EXIT_INTERRUPTED
    except (GutsError, OSError, MemoryError) as error:
        failure = failure_of(error)
        say(failure.message)
        if failure.next:
            say(f"next: {failure.next}")
        return failure.exit_code
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
