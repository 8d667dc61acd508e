"""``/api/guts/v1``: the network as this node sees it: status, mempool, validators, accounts."""

from __future__ import annotations

from typing import Any

from guts_core.errors import NotFound
from guts_core.forge import queries
from guts_core.node.port import AskMempool, PeerStatus, Status, Waiting, WaitingList
from guts_core.version import VERSION
from guts_http.port import ask
from guts_http.reader import Snapshot
from guts_http.routing import Access, Asked, Reply, Routes

from .governance import epoch_of
from .shapes import exact_time_text

routes = Routes()


@routes.serves("/api/guts/v1/status", Access.PUBLIC)
async def get_status(asked: Asked) -> Reply:
    """What this node knows and does."""
    return Reply(await status_values(asked))


async def status_values(asked: Asked) -> dict[str, Any]:
    """The fields of the status; height, roots and ``final`` are of one snapshot."""
    status = await asked.site.status()
    with asked.site.reader.snapshot() as snapshot:
        committed = {
            "chain_id": asked.site.reader.chain_id.hex(),
            "height": snapshot.height,
            "state_root": snapshot.state_root.hex(),
            "block_hash": snapshot.block_hash.hex(),
            "final": exact_time_text(snapshot.time),
            "missing_packs": snapshot.missing_packs(),
            "missing_texts": snapshot.missing_texts(),
            "role": _role(snapshot, status.node_id),
            "rules": queries.epoch(snapshot).rules,
        }
    return {
        **committed,
        "view": status.view,
        "epoch": status.epoch,
        "validators": status.validators,
        "quorum": status.quorum,
        "peers": status.peers,
        "time": exact_time_text(status.time),
        "fault_model": asked.site.reader.genesis.fault_model.name.lower(),
        "version": VERSION,
        "network": asked.site.reader.genesis.name,
        "node": status.node_id.hex(),
        "validator_index": status.validator_index,
        "mempool": status.mempool,
        "private_reads": status.private_reads,
        "halted": status.halted,
        "disk_free": status.disk_free,
        "disk_reserve": status.disk_reserve,
        "started": status.started,
        "uptime_seconds": status.uptime_ms // 1000,
        "behind": status.behind,
        "led": status.led,
        "missed": status.missed,
        "damage": status.damage,
        "outlook": status.outlook.name.lower(),
        "held_back": status.held_back,
        "packs_damaged": status.packs_damaged,
        "connections": [_connection(status, one) for one in status.peer_statuses],
    }


def _role(snapshot: Snapshot, node_key: bytes) -> str:
    """What the state knows the node as; a stranger is one that follows where anybody may."""
    found = queries.node_of_key(snapshot, node_key)
    return "stranger" if found is None else found.role.name.lower()


def _connection(status: Status, one: PeerStatus) -> dict[str, Any]:
    return {
        "index": one.index,
        "name": one.name,
        "connected": one.connected,
        "round_trip_us": one.round_trip_us,
        "clock_ms": None if one.clock is None else one.clock - status.clock,
        "led": one.led,
        "missed": one.missed,
    }


@routes.serves("/api/guts/v1/mempool", Access.PUBLIC)
async def get_mempool(asked: Asked) -> Reply:
    """What waits at this node for a block; of what concerns a private repository only the ids."""
    found = await ask(asked.site.port, AskMempool())
    assert isinstance(found, WaitingList)
    with asked.site.reader.snapshot() as snapshot:
        oldest = [_waiting(snapshot, one) for one in found.oldest]
    return Reply({"count": found.count, "bytes": found.size, "transactions": oldest})


def _waiting(snapshot: Snapshot, one: Waiting) -> dict[str, Any]:
    author = None if one.author is None else queries.account(snapshot, one.author)
    return {
        "id": one.tx_id.hex(),
        "author": None if author is None else author.name,
        "size": one.size,
        "age_ms": one.age_ms,
    }


@routes.reads("/api/guts/v1/validators", Access.PUBLIC)
def list_validators(asked: Asked, snapshot: Snapshot) -> Reply:
    """The validators of this epoch, in voting order."""
    shown = []
    for index, seat in enumerate(epoch_of(asked, snapshot).seats):
        operator = queries.account(snapshot, seat.operator)
        shown.append(
            {
                "index": index,
                "number": seat.number,
                "name": seat.name,
                "node_id": seat.node_key.hex(),
                "vote_key": seat.vote_key.hex(),
                "operator": None if operator is None else operator.name,
            }
        )
    return Reply(shown)


@routes.reads("/api/guts/v1/accounts/<name>", Access.PUBLIC)
def get_account(_asked: Asked, snapshot: Snapshot, name: str) -> Reply:
    """An account by name: what a client needs to sign for it and to check what it signed."""
    account = queries.account_by_name(snapshot, name)
    if account is None:
        raise NotFound(f"there is no account {name[:60]!a}")
    return Reply(
        {
            "name": account.name,
            "id": account.id.hex(),
            "number": account.number,
            "keys": [key.hex() for key in account.keys],
            "created": exact_time_text(account.created),
            "is_operator": account.is_operator,
        }
    )
