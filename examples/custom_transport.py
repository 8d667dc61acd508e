"""
Four validators that talk over Unix sockets: a transport is whatever carries bytes in order. Nodes
authenticate and seal what they say themselves.   python examples/custom_transport.py
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import trio

from guts_core.chain.genesis_json import genesis_from_json
from guts_net import NodeSettings, open_node
from guts_net.founding import found_network

NODES = 4


class UnixTransport:
    """``guts_net.protocols.Transport``: an address is the path of a socket."""

    async def connect(self, address: str) -> trio.abc.Stream:
        """A stream; OSError where nobody listens."""
        return await trio.open_unix_socket(address)

    async def listen(self, address: str) -> Sequence[trio.abc.Listener[trio.abc.Stream]]:
        """One listener."""
        socket = trio.socket.socket(trio.socket.AF_UNIX)
        await socket.bind(address)
        socket.listen()
        return [trio.SocketListener(socket)]

    def address_of(self, listener: trio.abc.Listener[trio.abc.Stream]) -> str:
        """Its path."""
        return str(listener.socket.getsockname()) if isinstance(listener, trio.SocketListener) else ""


async def main(place: Path) -> None:
    """Found a network and run it until the last node has met the others."""
    found_network(place, NODES)
    seats = genesis_from_json((place / "genesis.json").read_text()).genesis.validators
    addresses = {seat.node_key.hex(): f"{place}/{seat.name}.sock" for seat in seats}
    async with AsyncExitStack() as stack:
        for index, address in enumerate(addresses.values()):
            log = place / f"node{index}.log"
            settings = NodeSettings(place / log.stem, place / "genesis.json", address, addresses, log_path=log)
            node = await stack.enter_async_context(open_node(settings, transport=UnixTransport()))
        while len(node.connected) < NODES - 1:  # noqa: ASYNC110 -- a node has no event for it
            await trio.sleep(0.05)
        print(f"{Path(node.p2p).name}: connected to {len(node.connected)} others over Unix sockets")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        trio.run(main, Path(scratch))
