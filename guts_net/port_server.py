"""The node's side of the port: one task per conversation, one request each."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import trio

from guts_core.chain.compose import LIFETIME_MS
from guts_core.chain.transaction import SignedTransaction
from guts_core.codec import from_bytes
from guts_core.errors import GutsError, Malformed, NotFound, Unavailable
from guts_core.forge import queries
from guts_core.names import Oid, RefName, RepoId, TxId
from guts_core.node.pack_list import LISTED_PACKS_MAX, ListedPack, OpenPacks, PackList
from guts_core.node.port import (
    LEASE_ENDS,
    REQUESTS,
    Act,
    AskFigures,
    AskMempool,
    AskProof,
    AskStatus,
    AskTransaction,
    Figures,
    OpenFetch,
    OpenPush,
    PortError,
    Projection,
    Status,
    SubmitTransaction,
)
from guts_core.node.whereabouts import AskPlaces, Places

from . import listing
from .conversation import Conversation
from .disk import NO_ROOM
from .logs import Log
from .packs import UNKNOWN, CleanLists, PackStore
from .proving import Prover
from .push import PushGateway
from .store import ChainDatabase
from .submission import Submissions

# Conversations open at once; each holds a socket pair and at most a frame.
CONVERSATIONS_MAX = 2_048
FULL_WORDS = "this node serves too many requests at once; try again in a moment"
# Reading needs a little: the refs of a new generation are laid out for git (F13).
NO_ROOM_WORDS = "this node's disk is full, down to what reading needs: make room there, or ask another node"
# A quorum may agree on a push some milliseconds before this node's own copy of its pack is here: who asks just then
# waits. A pack that nobody near has keeps nobody longer than this.
LATE_PACK_SECONDS = 5.0
# From the first look to the second, and at most between two: two thousand who wait must not keep the database busy.
LATE_PACK_LOOKS = (0.02, 0.5)
# A refusal is a few bytes, which a socket takes at once; whoever does not read it has gone.
REFUSE_SECONDS = 1.0


class PortServer:
    """Answers conversations; refusals travel as PortError, cancellation as a closed stream."""

    def __init__(
        self,
        database: ChainDatabase,
        settled: Callable[[], Awaitable[None]],
        packs: PackStore,
        submissions: Submissions,
        pushes: PushGateway,
        clean: CleanLists,
        prover: Prover,
        suspect: Callable[[bytes], None],
        status: Callable[[], Status],
        figures: Callable[[], Figures],
        places: Callable[[], Places],
        log: Log,
    ) -> None:
        self._database, self._settled = database, settled
        self._packs, self._submissions = packs, submissions
        self._pushes, self._prover, self._status, self._log = pushes, prover, status, log
        self._clean = clean
        self._suspect, self._figures, self._places = suspect, figures, places
        self._open = 0

    async def converse(self, stream: trio.abc.Stream) -> None:
        """Serve one conversation to its end. Never raises for what the other side did."""
        if self._open >= CONVERSATIONS_MAX:
            await self._refuse(stream)
            return
        self._open += 1
        try:
            async with stream:
                await self._serve(Conversation(stream))
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.EndOfChannel):
            return  # the asker went away: what was ordered stays ordered, what was not is dropped
        except Exception as error:
            self._log.error("conversation_failed", error)
            if any(isinstance(one, OSError) and one.errno == errno.EIO for one in _leaves(error)):
                raise  # F11: the kernel forgets what it failed to write; only a new process knows what is there
        finally:
            self._open -= 1

    @staticmethod
    async def _refuse(stream: trio.abc.Stream) -> None:
        with trio.move_on_after(REFUSE_SECONDS):
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await Conversation(stream).say(PortError(Unavailable.code, FULL_WORDS))
        await trio.aclose_forcefully(stream)

    async def _serve(self, conversation: Conversation) -> None:
        try:
            await self._answer(conversation, await conversation.hear(REQUESTS))
        except GutsError as error:
            await conversation.say(PortError(error.code, str(error)))
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            await conversation.say(PortError(Unavailable.code, NO_ROOM_WORDS))

    async def _answer(self, conversation: Conversation, request: object) -> None:
        match request:
            case AskStatus():
                await conversation.say(self._status())
            case AskFigures():
                await conversation.say(self._figures())
            case AskPlaces():
                await conversation.say(self._places())
            case Act():
                acting = self._submissions.acting(request.seed)
                signed = self._submissions.compose(acting, request.actions, LIFETIME_MS)
                await conversation.say(await self._submissions.submit(signed, request.texts, request.wait_ms))
            case SubmitTransaction():
                await self._submit(conversation, request)
            case AskTransaction():
                await conversation.say(self._submissions.outcome(TxId(request.tx_id)))
            case AskMempool():
                await conversation.say(self._submissions.waiting())
            case OpenPush():
                if request.repo is not None:
                    await self._packs_come(request.repo)
                await self._pushes.serve(conversation, request)
            case AskProof():
                await self._settled()
                await self._prover.answer(conversation, request)
            case OpenFetch():
                await self._lease(conversation, request)
            case OpenPacks():
                await self._list_packs(conversation, request)
            case _:
                raise Malformed(f"{type(request).__name__} is no request")

    async def _submit(self, conversation: Conversation, request: SubmitTransaction) -> None:
        signed = from_bytes(SignedTransaction, request.signed)
        await conversation.say(await self._submissions.submit(signed, request.texts, request.wait_ms))

    async def _lease(self, conversation: Conversation, request: OpenFetch) -> None:
        """
        Of what is committed: its packs are linked, or known to be missing, and the doors judged by the same.

        What is final and still on its way to disk is shown a moment later, whole.
        """
        await self._settled()
        await self._packs_come(request.repo)
        with self._database.snapshot():
            repository = queries.repository(self._database, request.repo)
            if repository is None:
                raise NotFound("there is no such repository")
            head = RefName(repository.default_branch)
            # Of a generation that is laid out already the refs are not read again: 10,000 take 50 ms.
            is_there = self._packs.is_projected(request.repo, repository.generation, head)
            refs = None if is_there else self._refs(request.repo)
            packs = [pack.digest for pack in queries.packs(self._database, request.repo)]
        if not all(self._packs.is_linked(request.repo, digest) for digest in packs):
            raise Unavailable("this node is still fetching packs of this repository; try another node")
        async with self._packs.projected(request.repo, repository.generation, refs, head) as path:
            await conversation.say(Projection(str(path), repository.generation))
            await conversation.hear(LEASE_ENDS)  # or its end, which ends the task
        for digest in packs:
            self._suspect(digest)

    async def _packs_come(self, repo: RepoId) -> None:
        """Wait until no pack of the repository is missing any more, or for ``LATE_PACK_SECONDS``."""
        pause, longest = LATE_PACK_LOOKS
        with trio.move_on_after(LATE_PACK_SECONDS):
            while self._database.lacks_packs(repo):
                await trio.sleep(pause)
                pause = min(2 * pause, longest)

    def _refs(self, repo: RepoId) -> dict[RefName, Oid]:
        return {RefName(name.decode()): oid for name, oid in queries.ref_values(self._database, repo)}

    async def _list_packs(self, conversation: Conversation, request: OpenPacks) -> None:
        """The verdict first: it may take a while, and the list must be of its generation."""
        await self._settled()
        verdict = await self._clean.verdict(request.repo, request.wait_ms / 1000)
        found = listing.packs(self._database, request.repo)
        if found is None:
            raise NotFound("there is no such repository")
        height, generation, listed = found
        unclean = verdict.reason if verdict.generation == generation else UNKNOWN
        packs = listed if len(listed) <= LISTED_PACKS_MAX else ()
        self._packs.hold(pack.digest for pack in packs)
        shown = tuple(
            ListedPack(pack.seq, pack.digest, pack.idx_digest, pack.size, pack.objects, self._packs.has(pack.digest))
            for pack in packs
        )
        await conversation.say(PackList(height, generation, str(self._packs.layout.packs), shown, unclean))
        await conversation.hear(LEASE_ENDS)  # or its end, which ends the task
        for pack in packs:
            self._suspect(pack.digest)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
