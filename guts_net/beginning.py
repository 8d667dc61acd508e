"""What comes before a node starts: a snapshot, where it wants one (``state_sync``)."""

from __future__ import annotations

import os

from guts_core.chain.genesis_json import genesis_from_json
from guts_core.discovery import hints_of
from guts_core.names import NodeId

from .logs import Log
from .peers.events import PeerAddress
from .protocols import Disk, Transport
from .settings import NodeSettings, read_key
from .state_sync import Joiner, OnProgress, Synced, is_wanted


async def begin(
    settings: NodeSettings, disk: Disk, transport: Transport, log: Log, on_progress: OnProgress | None = None
) -> Synced | None:
    """Join from a snapshot if this node's directory says so; returns when the database is in place."""
    if not is_wanted(settings.directory):
        return None
    file = genesis_from_json(settings.genesis.read_text())
    node_key = read_key(settings.directory, "node")
    found = hints_of(dict(file.addresses) | (settings.peer_addresses or {}), settings.bootstrap)
    found.pop(NodeId(node_key.public_key), None)
    # Whoever they are, nothing is believed but what genesis proves: any number will do to tell them apart.
    peers = {number: PeerAddress(node, node.hex()[:8], where) for number, (node, where) in enumerate(found.items())}
    log.info("state_sync_begins", peers=len(peers))
    joiner = Joiner(
        settings.directory,
        file.genesis,
        node_key,
        peers,
        disk=disk,
        transport=transport,
        entropy=os.urandom,
        limits=settings.peers,
        log=log,
        on_progress=on_progress or (lambda _progress: None),
    )
    synced = await joiner.run()
    if synced is None:
        log.info("state_sync_needless")
    return synced
