"""
Version 2 of git's protocol, answered here as far as the replicated state goes.

Refs, their HEAD and who may see them are read from one snapshot; only what has to be packed is handed to a child,
after it is known that every object asked for is reached by a ref that is shown (``reliability.md`` C14).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import trio
from attrs import frozen

from guts_core.forge import queries
from guts_core.git.fetch_arguments import Fetch, places, resolve
from guts_core.git.ls_refs import HEAD, Head, LsRefs, ls_refs_answer
from guts_core.git.object_info import ObjectInfo, object_info_answer
from guts_core.git.pkt_line import FLUSH
from guts_core.git.protocol_v2 import BundleUri, Request, RequestReader, advertisement
from guts_core.git.v2_arguments import ArgumentRefused, refusal
from guts_core.git.wanted_refs import WantedRefs
from guts_core.names import Oid, RefName
from guts_http.asker import Asker
from guts_http.leaving import while_there
from guts_http.middleware import Receive, Send
from guts_http.site import Site
from guts_http.turns import Turn, Turns

from . import answers
from .body import Body
from .flights import Flight, Flights, Question, Source
from .listings import Listing, Listings, listing_of
from .peeling import Peeled, sizes
from .room import DIRECTORY, Rooms
from .upload_pack import ADVERTISEMENT, RESULT, Child, Lease, failure, git_protocol, lease, spawn
from .wants import NotOurRef, check_wants, head_of, refs_of
from .whole_pack import WholePacks

VERSION = "version=2"
# Of a request that has this much at most many are read at once: a clone says a few lines, or one for each ref.
SMALL_REQUEST_BYTES = 64 * 1024
# With so many prefixes or fewer each is looked up by itself, with more the refs are read through once.
PREFIXES_LOOKED_UP_MAX = 32


@frozen
class _Seen:
    """What a snapshot shows of a repository's refs: at least those that are asked for."""

    listing: Listing
    head: Head
    refs: list[tuple[bytes, Oid]]

    def ids(self) -> set[Oid]:
        """Every object that is named."""
        return {oid for _, oid in self.refs} | ({self.head.oid} if self.head.oid is not None else set())


class ProtocolV2:
    """What the requests of one node share: turns, flights, and what is known of tags."""

    def __init__(self, site: Site, fetches: Turns) -> None:
        self._site = site
        self._fetches = fetches
        self._large = site.turns(site.settings.fetches_max, "large requests")
        most = site.settings.shared_answers_bytes_max
        rooms = Rooms(site.reader.directory / DIRECTORY, most, site.is_low_on_space, shares=site.shares)
        self._flights = Flights(rooms)
        self._listings = Listings()
        self._whole = WholePacks(site)
        self._peeled = Peeled(site.git_reads, site.settings.queue_seconds)

    async def advertise(self, send: Send) -> None:
        """Answer ``GET info/refs``: the same for every repository."""
        await answers.whole(send, ADVERTISEMENT, advertisement())

    async def answer(self, asker: Asker, body: Body, receive: Receive, send: Send) -> None:
        """Answer ``POST git-upload-pack``."""
        try:
            async with self._read(asker, body) as asked, while_there(receive):
                await asker.check()
                if isinstance(asked, Fetch) and not asked.asks_nothing:
                    await self._fetch(asker, asked, send)
                else:
                    answer = await self._short(asker, asked)
                    await asker.check()
                    await answers.whole(send, RESULT, answer)
        except ArgumentRefused as refused:
            await answers.whole(send, RESULT, refusal(str(refused)))

    async def _short(self, asker: Asker, asked: Request) -> bytes:
        """An answer that is made whole before it is sent."""
        match asked:
            case LsRefs():
                return await self._ls_refs(asker, asked)
            case ObjectInfo():
                return await self._object_info(asker, asked)
            case BundleUri():
                return FLUSH
        return b""

    @asynccontextmanager
    async def _read(self, asker: Asker, body: Body) -> AsyncIterator[Request]:
        """The request; a large one holds a turn of its own until it is answered."""
        reader, seen = RequestReader(), 0
        async with AsyncExitStack() as held:
            async for piece in body:
                if seen <= SMALL_REQUEST_BYTES < seen + len(piece):
                    await held.enter_async_context(self._large.one(asker.client))
                seen += len(piece)
                reader.receive(piece)
            yield reader.finish()

    async def _ls_refs(self, asker: Asker, asked: LsRefs) -> bytes:
        async with lease(self._site, asker.repo) as leased:
            found = await trio.to_thread.run_sync(self._look, asker, asked)
            if isinstance(found, bytes):
                return found
            peeled = await self._peeled.of(leased.directory, found.ids(), asker.client) if asked.peel else {}
        answer = await trio.to_thread.run_sync(ls_refs_answer, asked, found.head, found.refs, peeled)
        self._listings.put(found.listing, answer)
        return answer

    def _look(self, asker: Asker, asked: LsRefs) -> _Seen | bytes:
        """HEAD and the refs that are asked for, as the principal sees them in one snapshot; or an answer at hand."""
        with self._site.reader.snapshot() as snapshot:
            repository = asker.readable(snapshot)
            listing = listing_of(repository, asked)
            if (kept := self._listings.get(listing)) is not None:
                return kept
            found = queries.ref(snapshot, asker.repo, repository.default_branch)
            head = Head(repository.default_branch.encode(), None if found is None else found.oid)
            refs = [one for start in _starts(asked) for one in queries.ref_values(snapshot, asker.repo, start)]
            return _Seen(listing, head, refs)

    async def _object_info(self, asker: Asker, asked: ObjectInfo) -> bytes:
        if not asked.oids or not asked.size:
            return object_info_answer(asked, {})
        async with self._fetches.one(asker.client), lease(self._site, asker.repo) as leased:
            return object_info_answer(asked, await sizes(leased.directory, frozenset(asked.oids)))

    async def _fetch(self, asker: Asker, asked: Fetch, send: Send) -> None:
        async with lease(self._site, asker.repo) as leased:
            resolved = await trio.to_thread.run_sync(_resolved, leased.directory, asked)
            async with self._whole.found(asker.repo, resolved.told, leased) as whole:
                if whole is None:
                    await self._pack(asker, asked, resolved, leased, send)
                else:
                    await self._whole.stream(whole, asker, resolved.section().head(), send)

    async def _pack(self, asker: Asker, asked: Fetch, resolved: _Resolved, leased: Lease, send: Send) -> None:
        async def start(held: AsyncExitStack) -> Source:
            return await _started(leased.directory, resolved, held)

        question = Question(leased.directory, asked.to_bytes())
        async with self._flights.join(question, start, asker.client) as flight:
            refused = await _refused(flight, self._fetches.of(asker.client))
            await asker.check()  # others began this one perhaps, and a turn may have been waited for
            if refused is None:
                await _copy(flight, leased, send)
            else:
                await answers.whole(send, RESULT, refused)


def speaks_it(scope: object) -> bool:
    """Whether a client asks for this version."""
    return git_protocol(scope) == VERSION


class _Answering:
    """A child whose answer tells of the refs that were wanted by name."""

    def __init__(self, child: Child, wanted: WantedRefs) -> None:
        self._child, self._wanted = child, wanted
        self.last_words = child.last_words

    async def read(self) -> bytes:
        """The next bytes, b"" at the end."""
        while data := await self._child.read():
            if given := self._wanted.receive(data):
                return given
        return b""


@frozen
class _Resolved:
    """A fetch without names: where wanted refs stand, and what a child is told."""

    wanted: tuple[tuple[str, Oid], ...]
    told: Fetch

    def section(self) -> WantedRefs:
        """What tells of the refs that were wanted by name."""
        return WantedRefs(self.wanted, sideband_all="sideband-all" in self.told.flags)


async def _started(directory: str, resolved: _Resolved, held: AsyncExitStack) -> Source:
    """A child that was told what is asked, once that is known to be seen by who asks."""
    await check_wants(directory, resolved.told.wants)
    child = await spawn(directory, VERSION)
    held.push_async_callback(child.kill)
    await child.hear(resolved.told.to_bytes())
    await child.stdin.aclose()
    return _Answering(child, resolved.section())


def _resolved(directory: str, asked: Fetch) -> _Resolved:
    """The ids of wanted refs, and full names for what is left out; raises ArgumentRefused."""
    if not asked.want_refs and not asked.deepen_nots:
        return _Resolved((), asked)
    head = head_of(directory)
    refs = refs_of(directory, {head, *asked.want_refs}.union(*map(places, asked.deepen_nots)))
    wanted = tuple((name, _wanted(head if name == HEAD.decode() else name, refs)) for name in asked.want_refs)
    left_out = (resolve(name, refs) for name in asked.deepen_nots)
    return _Resolved(wanted, asked.resolved((oid for _, oid in wanted), left_out))


def _wanted(name: str, refs: Mapping[RefName, Oid]) -> Oid:
    found = refs.get(RefName(name))
    if found is None:
        raise ArgumentRefused(f"unknown ref {name!a}")
    return found


async def _copy(flight: Flight, leased: Lease, send: Send) -> None:
    """The answer from its start, at the pace of this client."""
    at = 0
    while data := await flight.read(at):
        if not at:
            await answers.start(send, RESULT)
        at += len(data)
        await answers.more(send, data)
    if not at:
        raise await failure(flight.complaint, leased)
    # Bytes that are not what was written once fail a checksum of git's before they leave: it ends in the middle.
    await leased.judge(flight.complaint)
    await answers.end(send)


async def _refused(flight: Flight, turn: Turn) -> bytes | None:
    """Begin it; what its client is told when it is not to be."""
    try:
        await flight.begin(turn)
    except (ArgumentRefused, NotOurRef) as refused:
        return refusal(str(refused))
    return None


def _starts(asked: LsRefs) -> tuple[bytes, ...]:
    """What the names of the refs to read start with, in order; what is not asked for falls out later."""
    return asked.prefixes if 0 < len(asked.prefixes) <= PREFIXES_LOOKED_UP_MAX else (b"",)
