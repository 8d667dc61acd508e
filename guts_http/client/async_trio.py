"""The client for trio programs: the same calls, awaited."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from . import calls, council, joining, packs
from .address import CONNECT_SECONDS, TIMEOUT_SECONDS, Address, address
from .calls import Call, Listing, Wait
from .described import described
from .errors import Unreachable
from .exchange import Answer, Pause, Send, Talk, page, perform, wait
from .http import Collected, failed, opened, timeouts
from .results import Transaction

if TYPE_CHECKING:
    import ssl

    import httpx

P = ParamSpec("P")
T = TypeVar("T")


def _calling(make: Callable[P, Call[T]]) -> Callable[Concatenate[TrioClient, P], Coroutine[Any, Any, T]]:
    async def method(self: TrioClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(perform(make(*args, **kwargs), self._where.patience))

    return described(method, make)


def _listing(make: Callable[P, Listing[T]]) -> Callable[Concatenate[TrioClient, P], AsyncIterator[T]]:
    def method(self: TrioClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return self._pages(make(*args, **kwargs))

    return described(method, make, "AsyncIterator[{}]")


def _waiting(make: Callable[P, Wait]) -> Callable[Concatenate[TrioClient, P], Coroutine[Any, Any, Transaction]]:
    async def method(self: TrioClient, /, *args: P.args, **kwargs: P.kwargs) -> Transaction:
        return await self._run(wait(make(*args, **kwargs)))

    return described(method, make)


class TrioClient:
    """One node's API; made by ``open_trio_client``."""

    def __init__(self, where: Address, http: httpx.AsyncClient) -> None:
        self._where, self._http = where, http

    @property
    def base(self) -> str:
        """The node's URL."""
        return self._where.base

    status = _calling(calls.status)
    validators = _calling(calls.validators)
    epoch = _calling(council.epoch)
    decision = _calling(council.decision)
    decisions = _listing(council.decisions)
    followers = _calling(council.followers)
    genesis = _calling(joining.genesis)
    places = _calling(joining.places)
    evidence = _calling(council.evidence)
    account = _calling(calls.account)
    block = _calling(calls.block)
    blocks = _listing(calls.blocks)
    mempool = _calling(calls.mempool)
    proof = _calling(calls.proof)
    transaction = _calling(calls.transaction)
    submit = _calling(calls.submit)
    wait_final = _waiting(calls.wait_final)
    user = _calling(calls.user)
    my_repositories = _listing(calls.my_repositories)
    repository = _calling(calls.repository)
    create_repository = _calling(calls.create_repository)
    edit_repository = _calling(calls.edit_repository)
    delete_repository = _calling(calls.delete_repository)
    restore_repository = _calling(calls.restore_repository)
    collaborators = _listing(calls.collaborators)
    set_collaborator = _calling(calls.set_collaborator)
    remove_collaborator = _calling(calls.remove_collaborator)
    branches = _listing(calls.branches)
    branch = _calling(calls.branch)
    tags = _listing(calls.tags)
    commits = _listing(calls.commits)
    commit = _calling(calls.commit)
    ref = _calling(calls.ref)
    matching_refs = _listing(calls.matching_refs)
    ref_log = _listing(calls.ref_log)
    packs = _calling(packs.packs)
    texts = _listing(calls.texts)
    text = _calling(calls.text)
    erase_text = _calling(calls.erase_text)
    deleted_repositories = _listing(calls.deleted_repositories)
    tokens = _listing(calls.tokens)
    end_token = _calling(calls.end_token)
    keys = _calling(calls.keys)

    async def is_ready(self) -> bool:
        """Whether the node says, at once, that it is fit to be asked."""
        try:
            return (await self._send(Send("GET", "/readyz", {}), CONNECT_SECONDS)).status == 200
        except Unreachable:
            return False

    async def is_started(self) -> bool:
        """Whether the node says, at once, that it has started; it may still be catching up, or miss the others."""
        try:
            return (await self._send(Send("GET", "/startupz", {}), CONNECT_SECONDS)).status == 200
        except Unreachable:
            return False

    async def _pages(self, listing: Listing[T]) -> AsyncIterator[T]:
        path: str | None = None
        while True:
            found, path = await self._run(page(listing, path, self._where.patience))
            for each in found:
                yield each
            if path is None:
                return

    async def _run(self, talk: Talk[T]) -> T:
        answer: Answer | None = None
        try:
            step = next(talk)
            while True:
                try:
                    answer = await self._do(step)
                except Unreachable as error:
                    step = talk.throw(error)
                else:
                    step = talk.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _do(self, step: Send | Pause) -> Answer | None:
        if isinstance(step, Pause):
            import trio  # noqa: PLC0415 -- loaded already where this client runs

            await trio.sleep(step.seconds)
            return None
        return await self._send(step)

    async def _send(self, step: Send, seconds: float | None = None) -> Answer:
        body = Collected()
        try:
            await self._collect(step, timeouts(seconds) if seconds is not None else self._http.timeout, body)
        except Unreachable:
            if not body.is_too_much:
                raise
        return body.answer()

    async def _collect(self, step: Send, limits: httpx.Timeout, body: Collected) -> None:
        with failed(self.base):
            async with self._http.stream(
                step.method, step.path, content=step.body, headers=dict(step.headers), timeout=limits
            ) as reply:
                body.begin(reply)
                async for piece in reply.aiter_raw():
                    body.add(piece)
                    if body.is_too_much:
                        # Leaving the loop would leave six generators behind; the closed connection ends them.
                        await reply.aclose()


@asynccontextmanager
async def open_trio_client(
    base: str,
    token: str | None = None,
    *,
    verify: str | Path | ssl.SSLContext | None = None,
    seconds: float = TIMEOUT_SECONDS,
) -> AsyncIterator[TrioClient]:
    """``open_client`` for trio programs."""
    where = address(base, token, verify, seconds)
    import httpx  # noqa: PLC0415 -- a tenth of a second to load, which help and completion need not pay

    async with httpx.AsyncClient(**opened(where)) as http:
        yield TrioClient(where, http)
