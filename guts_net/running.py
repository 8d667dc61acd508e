"""
A node in a thread of its own, for programs that know nothing of trio: plain scripts, asyncio, notebooks.

Its methods block; an asyncio program calls them by ``asyncio.to_thread``. A trio program needs none of
this: ``open_node`` is what runs here too.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import trio
from attrs import frozen

from guts_core.chain.compose import LIFETIME_MS, by_account, sign_with_account_key
from guts_core.chain.genesis import Genesis, chain_id
from guts_core.chain.transaction import SignedTransaction, Text
from guts_core.codec import to_bytes
from guts_core.errors import GutsError, Unavailable
from guts_core.forge.actions import Action
from guts_core.names import ChainId
from guts_core.node.codes import error_with
from guts_core.node.port import REPLIES, AskStatus, Outcome, Phase, PortError, Status, SubmitTransaction
from guts_core.state.view import View

from .conversation import Conversation
from .founding import Founder, found_alone, founder_of, is_founded
from .handle import RunningNode
from .runtime import open_node
from .settings import NodeSettings

T = TypeVar("T")
# How long a caller waits for finality unless it says otherwise.
WAIT_SECONDS = 30.0
SALT_BYTES = 32
# What runs beside the node and ends with it, such as ``guts_http.doors("127.0.0.1:0")``: it is given the
# node and the path of its database, and says by ``started`` what ``NodeInThread.doors`` shall be.
Doors: TypeAlias = Callable[..., Awaitable[None]]


@frozen
class NodeInThread:
    """A node that runs until its ``with`` block ends. Any thread but its own may call it."""

    directory: Path
    _thread: _NodeThread

    @property
    def doors(self) -> Any:
        """What was started beside the node said where it is."""
        return self._thread.doors_at

    @property
    def genesis(self) -> Genesis:
        """What its network began with."""
        with self._thread.still_running() as running:
            return running.genesis

    @property
    def chain_id(self) -> ChainId:
        """The hash that names its network."""
        return chain_id(self.genesis)

    @property
    def founder(self) -> Founder:
        """The account of a network that ``running_node`` founded; Invalid on any other."""
        return founder_of(self.directory)

    def status(self) -> Status:
        """What the node does now."""
        found = self._ask(AskStatus())
        assert isinstance(found, Status)
        return found

    def act(self, *actions: Action, texts: Sequence[Text] = (), wait_seconds: float = WAIT_SECONDS) -> Outcome:
        """Actions of the founder in one transaction, signed with its account key; returns when they are final."""
        founder = self.founder
        expires = self.status().time + LIFETIME_MS
        body = by_account(self.chain_id, founder.account, actions, expires, os.urandom(SALT_BYTES))
        return self.submit(sign_with_account_key(body, founder.key), texts, wait_seconds)

    def submit(
        self, signed: SignedTransaction, texts: Sequence[Text] = (), wait_seconds: float = WAIT_SECONDS
    ) -> Outcome:
        """The final outcome of a signed transaction; raises what it was refused with, Unavailable if not final yet."""
        outcome = self._ask(SubmitTransaction(to_bytes(signed), tuple(texts), round(wait_seconds * 1000)))
        assert isinstance(outcome, Outcome)
        if outcome.error is not None:
            raise error_with(outcome.error, outcome.message or outcome.error)
        if outcome.phase is not Phase.FINAL:
            raise Unavailable(f"transaction {outcome.tx_id.hex()} is {outcome.phase.name.lower()}, not final")
        return outcome

    def read(self, reader: Callable[[View], T]) -> T:
        """What a function finds in the committed state, all of one height (``guts_core.forge.queries`` has many)."""
        with self._thread.still_running() as running:
            return trio.from_thread.run_sync(running.read, reader, trio_token=self._thread.trio_token)

    def _ask(self, request: object) -> object:
        with self._thread.still_running():
            return trio.from_thread.run(self._thread.converse, request, trio_token=self._thread.trio_token)


class _NodeThread(threading.Thread):
    """Runs trio with the node in it."""

    def __init__(self, settings: NodeSettings, doors: Doors | None) -> None:
        super().__init__(name=f"node {settings.directory.name}")
        self.doors_at: Any = None
        self.failure: BaseException | None = None
        self.started = threading.Event()  # or failed
        self._settings, self._doors = settings, doors
        self._node: RunningNode | None = None
        self._ending: trio.Event | None = None
        self.trio_token: trio.lowlevel.TrioToken | None = None

    @contextmanager
    def still_running(self) -> Iterator[RunningNode]:
        """The node, to be called in the block; Unavailable when it has ended, or ends meanwhile."""
        if self._node is None:
            raise self._gone()
        try:
            yield self._node
        except (trio.RunFinishedError, trio.Cancelled):
            raise self._gone() from None

    def _gone(self) -> Unavailable:
        return Unavailable(f"the node in {self._settings.directory} does not run any more")

    def run(self) -> None:
        """The thread's life."""
        try:
            trio.run(self._serve)
        except BaseException as error:  # noqa: BLE001 -- it travels to the thread that waits for us
            self.failure = error
        finally:
            self._node = None
            self.started.set()

    def end(self) -> None:
        """Stop the node in order and wait until it has."""
        if self.trio_token is not None and self._ending is not None:
            with suppress(trio.RunFinishedError):
                self.trio_token.run_sync_soon(self._ending.set)
        self.join()

    async def _serve(self) -> None:
        self._ending, self.trio_token = trio.Event(), trio.lowlevel.current_trio_token()
        async with open_node(self._settings) as node, trio.open_nursery() as nursery:
            if self._doors is not None:
                self.doors_at = await nursery.start(self._doors, node, self._settings.directory / "chain.db")
            self._node = node
            self.started.set()
            await self._ending.wait()
            nursery.cancel_scope.cancel()

    async def converse(self, request: object) -> object:
        """One conversation of the port: a request and its answer."""
        assert self._node is not None
        async with await self._node.open() as stream:
            conversation = Conversation(stream)
            await conversation.say(request)
            reply = await conversation.hear(REPLIES)
        if isinstance(reply, PortError):
            raise error_with(reply.code, reply.message)
        return reply


@contextmanager
def running_node(directory: Path | str, *, account: str = "me", doors: Doors | None = None) -> Iterator[NodeInThread]:
    """
    The node in a directory, in a thread of its own, for as long as the block lasts.

    An empty or missing directory becomes a network of one, with an account of that name, whose key lies
    in ``keys/``. ``doors`` run beside it and end with it: ``guts_http.doors(bind)`` serves git and the API.
    Raises what kept the node from starting, or ended it: Conflict where another process uses the
    directory, Corrupt, Invalid.
    """
    path = Path(directory).resolve()
    if not is_founded(path):
        found_alone(path, account)
    thread = _NodeThread(NodeSettings(path, path / "genesis.json", log_path=path / "node.log"), doors)
    thread.start()
    try:
        thread.started.wait()
        if thread.failure is None:
            yield NodeInThread(path, thread)
    finally:
        thread.end()
        if thread.failure is not None:
            raise _first_of(thread.failure)


def _first_of(error: BaseException) -> BaseException:
    """Of several errors the first of ours, or simply the first."""
    while isinstance(error, BaseExceptionGroup):
        error = next((one for one in error.exceptions if isinstance(one, GutsError)), error.exceptions[0])
    return error
