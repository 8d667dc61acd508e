"""
Commits and objects of one repository, read by git children over the leased projected directory.

Each question is one child with bounded output, memory and time, and one request's children together have
a bounded time. Nothing a user wrote reaches a child as an option: ids are hexadecimal digits, and text
stands behind ``=`` or ``--``.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress

import trio
from attrs import frozen

from guts_core.errors import GutsError, Unavailable
from guts_core.git.command import git_argv, git_environment
from guts_core.git.commits import CommitObject, parse_commit
from guts_core.git.reading.limits import COMMIT_BYTES_KEPT
from guts_core.names import Oid
from guts_http.asker import Asker

from .upload_pack import Lease, lease
from .wants import NotOurRef, check_wants

# A walk through a million commits with a path takes git this long; nobody waits longer for a page.
READ_SECONDS = 20.0
# A commit of a few MB is loaded whole by git; what needs more than this was made to hurt.
CHILD_MEMORY_BYTES_MAX = 1 << 30
# Ids of a page, or of as many commits as are counted; candidates of seven digits in a history of ten million.
OUTPUT_BYTES_MAX = 1 << 20
# Counting further than this costs more than the page itself; of a longer history the length is not told.
COUNTED_MAX = 2_000
# To have more objects begin with the same seven digits one must have searched for them.
CANDIDATES_MAX = 1_000
_PIPE_BYTES = 64 * 1024
_READ_BYTES = 64 * 1024
_OID_CHARS = 40


@frozen
class Filter:
    """Which commits of a history are wanted; None: all."""

    path: str | None = None
    author: str | None = None
    since: int | None = None  # seconds since 1970, as until
    until: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every commit is wanted."""
        return self == Filter()

    def arguments(self) -> list[str]:
        """What git is told before the tip."""
        found = [] if self.author is None else [f"--author={self.author}", "--fixed-strings", "--regexp-ignore-case"]
        found += [] if self.since is None else [f"--max-age={self.since}"]
        return found + ([] if self.until is None else [f"--min-age={self.until}"])

    def paths(self) -> list[str]:
        """What git is told behind it."""
        return ["--"] if self.path is None else ["--", self.path]


@frozen
class End:
    """An object that is no tag, and its kind: commit, tree or blob."""

    oid: Oid
    kind: str


@frozen
class Part:
    """Some commits of a history: whether more follow, and how many there are where that is cheap to know."""

    oids: list[Oid]
    more: bool
    total: int | None


class Reading:
    """One repository at one generation."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    async def history(self, tip: Oid, wanted: Filter, first: int, count: int) -> Part:
        """``count`` commits of a history after its ``first`` ones, the newest first."""
        counted = wanted.is_empty and first + count < COUNTED_MAX
        skip, most = (0, COUNTED_MAX + 1) if counted else (first, count + 1)
        bounds = [f"--skip={skip}", f"--max-count={most}", *wanted.arguments()]
        said = await self._ask(
            "--literal-pathspecs", "rev-list", *bounds, "--end-of-options", tip.hex(), *wanted.paths()
        )
        oids = [Oid(bytes.fromhex(line)) for line in said.decode("ascii").split()]
        part = oids[first : first + count] if counted else oids[:count]
        more = len(oids) > (first + count if counted else count)
        return Part(part, more, len(oids) if counted and len(oids) <= COUNTED_MAX else None)

    async def commits(self, oids: Sequence[Oid]) -> list[CommitObject]:
        """These commits; of enormous ones the beginning."""
        if not oids:
            return []
        async with self._child("cat-file", "--batch") as process:
            await _tell(process, _lines(oids))
            return await _read_commits(process, len(oids))

    async def ends(self, oids: Sequence[Oid]) -> list[End]:
        """Where each object leads: to itself, or through tag objects."""
        lines = b"".join(b"%b^{}\n" % oid.hex().encode() for oid in oids)
        said = await self._ask("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=lines)
        return [_end_of(line) for line in said.decode("ascii").splitlines()]

    async def kinds(self, oids: Sequence[Oid]) -> list[str]:
        """What each object is: commit, tag, tree or blob."""
        said = await self._ask("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=_lines(oids))
        return [_end_of(line).kind for line in said.decode("ascii").splitlines()]

    async def visible_commits(self, digits: str) -> list[Oid]:
        """
        The commits whose ids begin with these digits and that a ref reaches.

        Others are as if they were not there: they were overwritten, deleted, or never shown (C14).
        """
        said = await self._ask("rev-parse", f"--disambiguate={digits}")
        candidates = [Oid(bytes.fromhex(line)) for line in said.decode("ascii").split()][:CANDIDATES_MAX]
        answer = await self._ask("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=_lines(candidates))
        kinds = dict(line.split(" ", 1) for line in answer.decode("ascii").splitlines())
        return [oid for oid in candidates if kinds.get(oid.hex()) == "commit" and await self._is_visible(oid)]

    async def _is_visible(self, oid: Oid) -> bool:
        try:
            await check_wants(self._directory, (oid,))
        except NotOurRef:
            return False
        return True

    async def _ask(self, *arguments: str, stdin: bytes = b"") -> bytes:
        async with self._child(*arguments) as process:
            await _tell(process, stdin)
            return await _read_all(process)

    @asynccontextmanager
    async def _child(self, *arguments: str) -> AsyncIterator[trio.Process]:
        """A child that ends with the block."""
        environment = git_environment(os.environ.get("PATH", os.defpath)) | {"GIT_DIR": self._directory}
        process = await trio.lowlevel.open_process(
            git_argv(*arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            cwd=self._directory,
        )
        try:
            if sys.platform == "linux":
                with suppress(ProcessLookupError):
                    resource.prlimit(process.pid, resource.RLIMIT_DATA, (CHILD_MEMORY_BYTES_MAX,) * 2)
            yield process
        finally:
            await _end(process)


@asynccontextmanager
async def reading(asker: Asker) -> AsyncIterator[Reading]:
    """The repository's objects, for one request; raises as ``leased_for_reading`` does."""
    async with leased_for_reading(asker) as leased:
        yield Reading(leased.directory)


@asynccontextmanager
async def leased_for_reading(asker: Asker) -> AsyncIterator[Lease]:
    """
    A repository's directory for one request, in a turn of those who read and within the time of one.

    Whether they may read it is asked when the turn is had, and once more when all is read: no byte of it has left yet.
    Raises Unavailable for a private one past the read grace, while packs are missing, and for what takes too long.
    """
    async with asker.site.git_reads.one(asker.client):
        await asker.check()
        with trio.move_on_after(READ_SECONDS) as time:
            async with lease(asker.site, asker.repo) as leased:
                try:
                    yield leased
                except GutsError:
                    await asker.check()  # what is wrong with a request tells of what is there as well
                    raise
        if time.cancelled_caught:
            raise Unavailable(f"reading this took longer than {READ_SECONDS:g} s; ask for less of it, or clone")
        await asker.check()


class _Output:
    """What a child says, in lines and in runs of a known length."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdout is not None
        self._stdout = process.stdout
        self._held = bytearray()

    async def line(self) -> bytes:
        """The next line without its end."""
        while b"\n" not in self._held:
            await self._more()
        line, _, rest = bytes(self._held).partition(b"\n")
        self._held = bytearray(rest)
        return line

    async def run(self, size: int, keep: int) -> bytes:
        """The next ``size`` bytes, of which the first ``keep`` are kept."""
        kept = bytearray()
        while size:
            if not self._held:
                await self._more()
            piece = self._held[:size]
            del self._held[: len(piece)]
            size -= len(piece)
            kept += piece[: max(0, keep - len(kept))]
        return bytes(kept)

    async def _more(self) -> None:
        data = await self._stdout.receive_some(_READ_BYTES)
        if not data:
            raise _incomplete()
        self._held += data


async def _read_commits(process: trio.Process, count: int) -> list[CommitObject]:
    output, found = _Output(process), []
    for _ in range(count):
        words = (await output.line()).split(b" ")
        if len(words) != 3:  # "... missing"
            raise _incomplete()
        size = int(words[2])
        found.append(parse_commit(await output.run(size, COMMIT_BYTES_KEPT)))
        await output.run(1, 0)  # the line end behind each object
    return found


async def _read_all(process: trio.Process) -> bytes:
    assert process.stdout is not None
    said = bytearray()
    while data := await process.stdout.receive_some(_READ_BYTES):
        said += data
        if len(said) > OUTPUT_BYTES_MAX:
            raise Unavailable("the answer of git is too long to be read")
    if await process.wait() != 0:
        raise _incomplete()
    return bytes(said)


async def _tell(process: trio.Process, stdin: bytes) -> None:
    """All at once: it fits into a pipe, so nobody waits for the other."""
    assert process.stdin is not None
    assert len(stdin) <= _PIPE_BYTES
    with suppress(trio.BrokenResourceError):  # a child that fails early does not read on
        async with process.stdin as pipe:
            await pipe.send_all(stdin)


async def _end(process: trio.Process) -> None:
    if process.returncode is None:
        process.kill()
    with trio.CancelScope(shield=True):
        await process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                await pipe.aclose()


def _end_of(line: str) -> End:
    oid, _, kind = line.partition(" ")
    if kind == "missing" or len(oid) != _OID_CHARS:
        raise _incomplete()
    return End(Oid(bytes.fromhex(oid)), kind)


def _incomplete() -> Unavailable:
    return Unavailable("the history of this repository is not complete on this node yet; try another node")


def _lines(oids: Iterable[Oid]) -> bytes:
    return b"".join(oid.hex().encode() + b"\n" for oid in oids)
