"""
Push: the client's bytes through the sans-I/O machine to the node, and the node's report back.

The answer begins when the request has been read, since stock git speaks first and listens after;
from then on the person hears progress, and proxies hear a keep-alive every few seconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import trio
from attrs import frozen

from guts_core.errors import GutsError, LimitExceeded, Refused, Unavailable
from guts_core.forge import queries
from guts_core.git.advertisement import receive_pack_info_refs
from guts_core.git.pkt_line import BadPacket, Band, packet
from guts_core.git.push_options import PushOptions, read_options
from guts_core.git.receive_pack import (
    CommandsReceived,
    Event,
    FormLimits,
    PackBytes,
    ReceivePack,
    RefCommand,
    RefResult,
    progress,
    report_status,
)
from guts_core.git.refs import REF_NAME_BYTES_MAX
from guts_core.names import RefName, RepoId
from guts_core.node.port import OpenPush, PackData, PackEnd, Progress, PushReport
from guts_core.node.push_parts import COMMANDS_AT_ONCE_MAX, MoreCommands, PushCommand, RefReport, RefReports
from guts_http.middleware import Receive, Send
from guts_http.port import Conversation, open_conversation
from guts_http.problems import BadRequest
from guts_http.site import Site

from . import answers
from .body import Body, ClientGone
from .routes import GitRequest, Target

_ADVERTISEMENT = "application/x-git-receive-pack-advertisement"
_REQUEST = b"application/x-git-receive-pack-request"
_RESULT = "application/x-git-receive-pack-result"
KEEPALIVE = packet(bytes((Band.DATA,)))
_TOO_LONG = f"the name of a ref is at most {REF_NAME_BYTES_MAX} bytes long; push it under a shorter one"


async def advertise(site: Site, repo: RepoId | None, send: Send) -> None:
    """Answer ``GET info/refs``; a repository that the push will create has no refs."""
    body = receive_pack_info_refs({}) if repo is None else await trio.to_thread.run_sync(_advertised, site, repo)
    await answers.whole(send, _ADVERTISEMENT, body)


def _advertised(site: Site, repo: RepoId) -> bytes:
    with site.reader.snapshot() as snapshot:
        return receive_pack_info_refs({RefName(ref.name): ref.oid for ref in queries.refs(snapshot, repo)})


async def push(site: Site, target: Target, request: GitRequest, scope: Any, receive: Receive, send: Send) -> None:
    """Answer ``POST git-receive-pack``."""
    headers = dict(scope["headers"])
    if headers.get(b"content-type") != _REQUEST:
        raise BadRequest(f"the content type of a push is {_REQUEST.decode()}")
    body = Body(receive, headers.get(b"content-encoding"), site.settings.pack_bytes_max)
    incoming = _Incoming(body, site.settings.push_form)
    try:
        asked = await incoming.commands()
    except Refused as refusal:
        so_far = incoming.so_far
        # Stock git shows nothing of an answer of the 400s. What is no protocol at all, or asked for no report, gets it.
        if isinstance(refusal, BadPacket) or not so_far.capabilities.report_status:
            raise
        await _Answer(send, so_far).refuse_all(str(refusal))
        return
    if not asked.commands:
        # git asks whether it may push before it sends a large pack in chunks.
        await answers.whole(send, _RESULT, b"")
        return
    answer = _Answer(send, asked)
    try:
        options = read_options(asked.push_options, creates=target.repository is None)
        parts = _parts(asked)
        async with open_conversation(site.port, _opening(site, target, request, asked, options, parts)) as conversation:
            pushing = _Pushing(conversation, incoming, answer, site.settings.keepalive_seconds)
            report = await pushing.run(receive, parts[1:])
    except GutsError as error:
        await answer.refuse(str(error))
    else:
        await answer.tell(b"".join(progress(f"guts: {remark}") for remark in options.remarks))
        await answer.finish(report)


def _parts(asked: CommandsReceived) -> list[tuple[PushCommand, ...]]:
    """The commands that the node can be told of, as many at once as it takes; LimitExceeded when none is left."""
    told = [PushCommand(command.ref, command.old, command.new) for command in asked.commands if not _too_long(command)]
    if not told or (asked.capabilities.atomic and len(told) < len(asked.commands)):
        raise LimitExceeded(_TOO_LONG)
    return [tuple(told[at : at + COMMANDS_AT_ONCE_MAX]) for at in range(0, len(told), COMMANDS_AT_ONCE_MAX)]


def _too_long(command: RefCommand) -> bool:
    return len(command.ref.encode()) > REF_NAME_BYTES_MAX


def _opening(
    site: Site,
    target: Target,
    request: GitRequest,
    asked: CommandsReceived,
    options: PushOptions,
    parts: list[tuple[PushCommand, ...]],
) -> OpenPush:
    assert target.caller.seed is not None
    return OpenPush(
        seed=target.caller.seed,
        repo=None if target.repository is None else target.repository.id,
        name=request.name,
        private=options.private,
        atomic=asked.capabilities.atomic,
        commands=parts[0],
        wait_ms=site.settings.wait_ms,
    )


@frozen
class Report:
    """What the node said: of the pack, and of each ref that it was told of."""

    unpack_error: str | None
    refs: Mapping[str, str | None]


class _Incoming:
    """The request: its commands first, then the bytes of the pack."""

    def __init__(self, body: Body, limits: FormLimits) -> None:
        self._body = body
        self._machine = ReceivePack(limits)
        self._ready: list[Event] = []

    @property
    def so_far(self) -> CommandsReceived:
        """What was understood of a request that was refused."""
        return self._machine.so_far

    async def commands(self) -> CommandsReceived:
        """What the push is to do; raises Invalid or LimitExceeded with words."""
        while not self._ready:
            await self._take()
        first = self._ready.pop(0)
        assert isinstance(first, CommandsReceived)
        return first

    async def next_of_pack(self) -> bytes | None:
        """The next bytes of the pack, None at its end."""
        while not self._ready:
            await self._take()
        event = self._ready.pop(0)
        return event.data if isinstance(event, PackBytes) else None

    async def _take(self) -> None:
        try:
            self._ready += self._machine.receive(await anext(self._body))
        except StopAsyncIteration:
            self._ready += self._machine.finish()


class _Answer:
    """What the client reads: progress and keep-alives while it waits, the report at the end."""

    def __init__(self, send: Send, asked: CommandsReceived) -> None:
        self._send = send
        self._asked = asked
        self._begun = False
        self._one_at_a_time = trio.Lock()

    async def tell(self, band_packets: bytes) -> None:
        """Side-band packets, where the client understands them."""
        if self._asked.capabilities.side_band and band_packets:
            await self._more(band_packets)

    async def finish(self, report: Report) -> None:
        """In the order of the commands; what the node was not told of is too long for it."""
        results = [RefResult(one.ref, report.refs.get(one.ref, _TOO_LONG)) for one in self._asked.commands]
        await self._end(report_status(report.unpack_error, results, self._asked.capabilities))

    async def refuse(self, words: str) -> None:
        """Nothing was done, for a reason that stands beside every ref: stock git shows that best."""
        results = [RefResult(command.ref, words) for command in self._asked.commands]
        await self.tell(progress(f"guts: {words}"))
        await self._end(report_status(None, results, self._asked.capabilities))

    async def refuse_all(self, words: str) -> None:
        """The request itself will not do: not all that it names may have been read."""
        results = [RefResult(command.ref, words) for command in self._asked.commands]
        await self._end(report_status(words, results, self._asked.capabilities))

    async def _end(self, data: bytes) -> None:
        await self._more(data)
        await answers.end(self._send)

    async def _more(self, data: bytes) -> None:
        async with self._one_at_a_time:
            if not self._begun:
                self._begun = True
                await answers.start(self._send, _RESULT)
            await answers.more(self._send, data)


class _Pushing:
    """The pack to the node, its words to the client; what ends it is the report, or an error."""

    def __init__(self, conversation: Conversation, incoming: _Incoming, answer: _Answer, keepalive: float) -> None:
        self._conversation = conversation
        self._incoming = incoming
        self._answer = answer
        self._keepalive = keepalive
        self._refs: list[RefReport] = []
        self._report: Report | None = None
        self._failure: GutsError | ClientGone | None = None

    async def run(self, receive: Receive, more: list[tuple[PushCommand, ...]]) -> Report:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._until, self._hear, nursery.cancel_scope)
            if await self._sent(more):
                nursery.start_soon(self._keep_alive)
                nursery.start_soon(self._until, partial(_client_gone, receive), nursery.cancel_scope)
            elif self._failure is not None:
                nursery.cancel_scope.cancel()
        if self._report is not None:
            return self._report
        assert self._failure is not None
        raise self._failure

    async def _sent(self, more: list[tuple[PushCommand, ...]]) -> bool:
        """Whether the rest of the commands and all of the pack went to the node."""
        try:
            for commands in more:
                await self._conversation.say(MoreCommands(commands))
            while (data := await self._incoming.next_of_pack()) is not None:
                await self._conversation.say(PackData(data))
            await self._conversation.say(PackEnd())
        except Unavailable:
            return False  # the node closed first: what it said before tells why
        except (GutsError, ClientGone) as failure:
            self._failure = failure
            return False
        return True

    async def _until(self, work: Callable[[], Awaitable[None]], all_of_it: trio.CancelScope) -> None:
        try:
            await work()
        except (GutsError, ClientGone) as failure:
            self._failure = self._failure or failure
        all_of_it.cancel()

    async def _hear(self) -> None:
        while self._report is None:
            reply = await self._conversation.hear()
            if isinstance(reply, Progress):
                await self._answer.tell(progress(reply.text))
                continue
            assert isinstance(reply, RefReports | PushReport)
            self._refs += reply.refs
            if isinstance(reply, PushReport):
                self._report = Report(reply.unpack_error, {one.ref: one.error for one in self._refs})

    async def _keep_alive(self) -> None:
        while True:
            await self._answer.tell(KEEPALIVE)
            await trio.sleep(self._keepalive)


async def _client_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientGone
