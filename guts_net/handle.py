"""A node that runs, as whoever started it holds it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeVar

import trio

from guts_core.chain.genesis import Genesis
from guts_core.node.node import Node
from guts_core.state.view import View

from .peers.links import PeerNetwork
from .port_server import PortServer
from .settings import NodeSettings
from .store import ChainDatabase

T = TypeVar("T")


class RunningNode:
    """A started node: ask its status, open its port."""

    def __init__(
        self,
        settings: NodeSettings,
        genesis: Genesis,
        node: Node,
        network: PeerNetwork,
        server: PortServer,
        database: ChainDatabase,
        nursery: trio.Nursery,
    ) -> None:
        self.settings, self.genesis = settings, genesis
        self.p2p = ""  # where others reach it
        self._node, self._network, self._server, self._nursery = node, network, server, nursery
        self._database = database

    async def open(self) -> trio.abc.Stream:
        """A new conversation of the port, over a socket pair: kernel buffers are its back-pressure."""
        ours, theirs = socket.socketpair()
        self._nursery.start_soon(self._server.converse, _stream(ours))
        return _stream(theirs)

    @property
    def height(self) -> int:
        """The last block on its disk."""
        return self._database.height()

    @property
    def connected(self) -> frozenset[int]:
        """Validators, by seat, whose connection stands."""
        return self._network.connected

    def read(self, reader: Callable[[View], T]) -> T:
        """What a function finds in the committed state, all of one height. It may not await, and should be quick."""
        with self._database.snapshot():
            return reader(self._database)


def _stream(raw: socket.socket) -> trio.SocketStream:
    return trio.SocketStream(trio.socket.from_stdlib_socket(raw))
