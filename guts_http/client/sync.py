"""The synchronous client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

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


def _calling(make: Callable[P, Call[T]]) -> Callable[Concatenate[Client, P], T]:
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._run(perform(make(*args, **kwargs), self._where.patience))

    return described(method, make)


def _listing(make: Callable[P, Listing[T]]) -> Callable[Concatenate[Client, P], Iterator[T]]:
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._pages(make(*args, **kwargs))

    return described(method, make, "Iterator[{}]")


def _waiting(make: Callable[P, Wait]) -> Callable[Concatenate[Client, P], Transaction]:
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Transaction:
        return self._run(wait(make(*args, **kwargs)))

    return described(method, make)


class Client:
    """One node's API; made by ``open_client``."""

    def __init__(self, where: Address, http: httpx.Client) -> None:
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

    def is_ready(self) -> bool:
        """Whether the node says, at once, that it is fit to be asked."""
        try:
            return self._send(Send("GET", "/readyz", {}), CONNECT_SECONDS).status == 200
        except Unreachable:
            return False

    def is_started(self) -> bool:
        """Whether the node says, at once, that it has started; it may still be catching up, or miss the others."""
        try:
            return self._send(Send("GET", "/startupz", {}), CONNECT_SECONDS).status == 200
        except Unreachable:
            return False

    def _pages(self, listing: Listing[T]) -> Iterator[T]:
        path: str | None = None
        while True:
            found, path = self._run(page(listing, path, self._where.patience))
            yield from found
            if path is None:
                return

    def _run(self, talk: Talk[T]) -> T:
        answer: Answer | None = None
        try:
            step = next(talk)
            while True:
                try:
                    answer = self._do(step)
                except Unreachable as error:
                    step = talk.throw(error)
                else:
                    step = talk.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    def _do(self, step: Send | Pause) -> Answer | None:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        return self._send(step)

    def _send(self, step: Send, seconds: float | None = None) -> Answer:
        body = Collected()
        with failed(self.base):
            limits = timeouts(seconds) if seconds is not None else self._http.timeout
            with self._http.stream(
                step.method, step.path, content=step.body, headers=dict(step.headers), timeout=limits
            ) as reply:
                body.begin(reply)
                for piece in reply.iter_raw():
                    body.add(piece)
                    if body.is_too_much:
                        break
        return body.answer()


@contextmanager
def open_client(
    base: str,
    token: str | None = None,
    *,
    verify: str | Path | ssl.SSLContext | None = None,
    seconds: float = TIMEOUT_SECONDS,
) -> Iterator[Client]:
    """
    A client of the node at this URL.

    ``verify`` is a file of CA certificates, or a context (else SSL_CERT_FILE, else the usual ones), ``seconds`` how
    long one answer may take. Proxies of the environment are not used: whoever names a node means it.
    """
    where = address(base, token, verify, seconds)
    import httpx  # noqa: PLC0415 -- a tenth of a second to load, which help and completion need not pay

    with httpx.Client(**opened(where)) as http:
        yield Client(where, http)
