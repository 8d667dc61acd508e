"""
Fetch and clone in versions 0 and 1 of the protocol, and the child that packs for all: ``git upload-pack``
over the projected directory of one generation.

The directory is leased from the node for as long as the child runs, so a clone never sees half of an
atomic push (``architecture.md`` 5). The child gets nothing of our environment, is one of a bounded
number, and ends with its client.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import trio

from guts_core.errors import Unavailable
from guts_core.git.advertisement import service_header
from guts_core.git.command import git_argv, git_environment
from guts_core.git.fetch_request import FetchRequest
from guts_core.git.pkt_line import packet
from guts_core.names import Oid, RepoId
from guts_core.node.port import GitFailed, OpenFetch, Projection
from guts_http.asker import Asker
from guts_http.leaving import while_there
from guts_http.middleware import Receive, Send
from guts_http.port import Conversation, open_conversation
from guts_http.problems import BadRequest
from guts_http.site import Site

from . import answers
from .body import Body, ClientGone
from .wants import NotOurRef, check_wants

READ_BYTES = 64 * 1024
STDERR_BYTES_KEPT = 2_000
# Its answer has ended, and with it nearly always the child; one that lives on has no more to say.
LAST_WORDS_SECONDS = 1.0
# A child that complains while it answers nothing is heard so often: a full pipe would hold it up.
LISTEN_SECONDS = 1.0
# Pieces of a request that wait for the child: a question of usual length is read to its end, one of 16 MiB is not.
PIECES_AHEAD = 4
# What git says of bytes that are not what was written once; of what a client asks it speaks otherwise.
_DAMAGE = re.compile(rb"packed object|packfile|inflate|corrupt|unable to read|bad object|index file")
# Counting the objects of a large history prints nothing for minutes when the client asked for quiet.
SILENCE_SECONDS = 600
_SETTINGS = (
    "uploadpack.allowFilter=true",
    "uploadpack.allowAnySHA1InWant=false",
    "uploadpack.allowRefInWant=false",  # see guts_core/git/wanted_refs.py
    "uploadpack.allowSidebandAll=true",
    "uploadpack.keepAlive=5",
    # Filters by name: `sparse:oid` reads a blob that nobody checked, and deep tree filters visit a tree
    # once for each depth it stands at, which a tree bomb multiplies (C04, C14).
    "uploadpackfilter.allow=false",
    "uploadpackfilter.blob:none.allow=true",
    "uploadpackfilter.blob:limit.allow=true",
    "uploadpackfilter.object:type.allow=true",
    "uploadpackfilter.tree.allow=true",
    "uploadpackfilter.tree.maxDepth=0",
)
_PROTOCOL = re.compile(rb"version=[012]")
ADVERTISEMENT = "application/x-git-upload-pack-advertisement"
RESULT = "application/x-git-upload-pack-result"
_REQUEST = b"application/x-git-upload-pack-request"


class Child:
    """A running ``git upload-pack``."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert isinstance(process.stderr, trio.lowlevel.FdStream)
        self._process = process
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr
        self._said = b""

    async def read(self) -> bytes:
        """The next bytes of the answer, b"" at the end. Cancelled, it has taken none."""
        with trio.fail_after(SILENCE_SECONDS):
            while True:
                self._listen()
                with trio.move_on_after(LISTEN_SECONDS):
                    return bytes(await self.stdout.receive_some(READ_BYTES))

    async def hear(self, data: bytes) -> None:
        """Tell the child something; one that has heard enough closes its end, and its answer says why."""
        with suppress(trio.BrokenResourceError):
            await self.stdin.send_all(data)

    def _listen(self) -> None:
        """Take what the child complains of, so that it never waits for us; the beginning is kept."""
        with suppress(BlockingIOError):
            while data := os.read(self.stderr.fileno(), READ_BYTES):
                self._keep(data)

    def _keep(self, data: bytes) -> None:
        self._said = (self._said + data)[:STDERR_BYTES_KEPT]

    async def last_words(self) -> bytes:
        """The beginning of what it complained of, once its answer has ended."""
        with trio.move_on_after(LAST_WORDS_SECONDS):
            while data := await self.stderr.receive_some(READ_BYTES):
                self._keep(bytes(data))
        return self._said

    async def kill(self) -> None:
        """End it, and what it started."""
        with trio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
            for pipe in (self.stdin, self.stdout, self.stderr):
                await pipe.aclose()


async def advertise(asker: Asker, scope: Any, receive: Receive, send: Send) -> None:
    """Answer ``GET info/refs``."""
    async with (
        while_there(receive),
        lease(asker.site, asker.repo) as leased,
        _child(leased.directory, git_protocol(scope), "--http-backend-info-refs") as child,
    ):
        await child.stdin.aclose()
        first = await child.read()
        if not first:
            raise await failure(await child.last_words(), leased)
        await asker.check()
        await answers.start(send, ADVERTISEMENT)
        await answers.more(send, service_header("git-upload-pack") + first)
        while data := await child.read():
            await answers.more(send, data)
        await answers.end(send)


async def fetch(asker: Asker, scope: Any, receive: Receive, send: Send) -> None:
    """Answer ``POST git-upload-pack``: both directions stream, the client's end ends the child."""
    asked = _Asked(body_of(asker.site, scope, receive))
    await asked.read_wants()
    await asker.check()
    to_child, pieces = trio.open_memory_channel[bytes](PIECES_AHEAD)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_listen, asked, receive, to_child, nursery.cancel_scope)
        await _serve(asker, asked, git_protocol(scope), pieces, send)
        nursery.cancel_scope.cancel()


async def _serve(
    asker: Asker, asked: _Asked, protocol: str | None, pieces: trio.MemoryReceiveChannel[bytes], send: Send
) -> None:
    async with lease(asker.site, asker.repo) as leased:
        try:
            await check_wants(leased.directory, asked.wants)
        except NotOurRef as refused:
            await asker.check()
            await answers.whole(send, RESULT, packet(f"ERR {refused}\n".encode()))
            return
        async with _child(leased.directory, protocol) as child, trio.open_nursery() as nursery:
            nursery.start_soon(_tell, child, pieces)
            await _answer(child, asker, leased, send)
            nursery.cancel_scope.cancel()


def body_of(site: Site, scope: Any, receive: Receive) -> Body:
    """The body of a request to fetch; BadRequest for another kind of body."""
    headers = dict(scope["headers"])
    if headers.get(b"content-type") != _REQUEST:
        raise BadRequest(f"the content type of a fetch is {_REQUEST.decode()}")
    return Body(receive, headers.get(b"content-encoding"), site.settings.fetch_request_bytes_max)


class _Asked:
    """The request, held back until all that it wants is known; then it passes on as it comes."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._request = FetchRequest()
        self._held: list[bytes] = []

    @property
    def wants(self) -> frozenset[Oid]:
        return frozenset(self._request.wants)

    async def read_wants(self) -> None:
        """Read as far as wants go; raises BadPacket or LimitExceeded."""
        while not self._request.is_decided and (piece := await self._next()) is not None:
            self._held.append(piece)

    async def pieces_to(self, channel: trio.MemorySendChannel[bytes]) -> None:
        """Hand on all of it."""
        async with channel:
            for held in self._held:
                await channel.send(held)
            while (piece := await self._next()) is not None:
                await channel.send(piece)

    async def _next(self) -> bytes | None:
        piece = await anext(self._body, None)
        if piece is None:
            self._request.finish()
        else:
            self._request.receive(piece)
        return piece


async def _listen(
    asked: _Asked, receive: Receive, channel: trio.MemorySendChannel[bytes], whole: trio.CancelScope
) -> None:
    """Read ahead of the child, so that a client is heard to leave also while its wants are looked for."""
    with suppress(ClientGone):
        await asked.pieces_to(channel)
        while (await receive())["type"] != "http.disconnect":
            pass
    whole.cancel()


async def _tell(child: Child, pieces: trio.MemoryReceiveChannel[bytes]) -> None:
    async for piece in pieces:
        await child.hear(piece)
    await child.stdin.aclose()


async def _answer(child: Child, asker: Asker, leased: Lease, send: Send) -> None:
    first = await child.read()
    if not first:
        raise await failure(await child.last_words(), leased)
    await asker.check()
    await answers.start(send, RESULT)
    await answers.more(send, first)
    while data := await child.read():
        await answers.more(send, data)
    # Bytes that are not what was written once fail a checksum of git's before they leave: it ends in the middle.
    await leased.judge(await child.last_words())
    await answers.end(send)


class Lease:
    """The directory that shows the refs of one generation; it stays until the lease ends."""

    def __init__(self, conversation: Conversation, directory: str, generation: int) -> None:
        self.directory, self.generation = directory, generation
        self._conversation = conversation

    async def judge(self, complaint: bytes) -> None:
        """Have the node look at its packs when git complained of damage in them, not of its client (F09)."""
        if _DAMAGE.search(complaint):
            await self._conversation.say(GitFailed())


@asynccontextmanager
async def lease(site: Site, repo: RepoId) -> AsyncIterator[Lease]:
    """A lease on a repository's present refs."""
    async with open_conversation(site.port, OpenFetch(repo)) as conversation:
        leased = await conversation.hear()
        assert isinstance(leased, Projection)
        yield Lease(conversation, leased.path, leased.generation)


@asynccontextmanager
async def _child(directory: str, protocol: str | None, *flags: str) -> AsyncIterator[Child]:
    child = await spawn(directory, protocol, *flags)
    try:
        yield child
    finally:
        await child.kill()


async def spawn(directory: str, protocol: str | None, *flags: str) -> Child:
    """A child over this git directory, to be killed by whoever asked for it."""
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    environment = git_environment(os.environ.get("PATH", os.defpath))
    if protocol is not None:
        environment["GIT_PROTOCOL"] = protocol
    process = await trio.lowlevel.open_process(
        git_argv(*settings, "upload-pack", "--stateless-rpc", "--strict", *flags, directory),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,  # so that what it starts ends with it
    )
    return Child(process)


def git_protocol(scope: Any) -> str | None:
    """The protocol version a client asks for; what is not exactly one is not passed on (B03)."""
    asked = dict(scope["headers"]).get(b"git-protocol", b"")
    return asked.decode("ascii") if _PROTOCOL.fullmatch(asked) else None


async def failure(said: bytes, leased: Lease) -> Unavailable:
    """Why a child that complained like this answered nothing."""
    await leased.judge(said)
    words = said.decode("utf-8", "replace").strip().splitlines()
    told = [line for line in words if "/" not in line]  # never a path of this machine
    return Unavailable(f"git upload-pack failed: {told[-1] if told else 'it said nothing of use'}")
