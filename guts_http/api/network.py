"""``/api/guts/v1``: the network as this node sees it: status, blocks, validators, accounts."""

from __future__ import annotations

from typing import Any

from guts_core.chain.block import Block
from guts_core.chain.commit import StoredBlock
from guts_core.chain.header import RULES
from guts_core.codec import from_bytes
from guts_core.errors import NotFound
from guts_core.forge import queries
from guts_core.simplex.messages import Certificate
from guts_core.version import VERSION
from guts_http.problems import BadRequest
from guts_http.reader import Snapshot
from guts_http.routing import Access, Asked, Reply, Routes

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
        "rules": RULES,
        "network": asked.site.reader.genesis.name,
        "node": status.node_id.hex(),
        "validator_index": status.validator_index,
        "mempool": status.mempool,
        "private_reads": status.private_reads,
        "halted": status.halted,
        "connections": [
            {"index": one.index, "name": one.name, "connected": one.connected, "round_trip_us": one.round_trip_us}
            for one in status.peer_statuses
        ],
    }


@routes.reads("/api/guts/v1/blocks/<height>", Access.PUBLIC)
def get_block(_asked: Asked, snapshot: Snapshot, height: str) -> Reply:
    """A committed block's header, and the certificate nearest above that proves it."""
    if not (height.isascii() and height.isdigit() and len(height) <= 15):
        raise BadRequest("a height is a whole number")
    stored = snapshot.block(int(height))
    if stored is None:
        words = "genesis is a file, not a block" if int(height) == 0 else f"the newest block here is {snapshot.height}"
        raise NotFound(f"there is no block {int(height)}: {words}")
    certified = snapshot.certified_from(stored.height)
    return Reply(_block(stored, certified))


def _block(stored: StoredBlock, certified: StoredBlock | None) -> dict[str, Any]:
    block = from_bytes(Block, stored.body)
    header = block.header
    return {
        "hash": stored.block_hash.hex(),
        "height": header.height,
        "state_root": header.state_root.hex(),
        "time": exact_time_text(header.time),
        "transactions": len(block.items),
        "header": {
            "rules": header.rules,
            "chain_id": header.chain_id.hex(),
            "epoch": header.epoch,
            "height": header.height,
            "view": header.view,
            "parent_view": header.parent_view,
            "parent_hash": header.parent_hash.hex(),
            "time": header.time,
            "tx_root": header.tx_root.hex(),
            "state_root": header.state_root.hex(),
            "receipts_root": header.receipts_root.hex(),
            "history_root": header.history_root.hex(),
            "next_validators": header.next_validators.hex(),
        },
        "certificate": _certificate(certified),
    }


def _certificate(certified: StoredBlock | None) -> dict[str, Any] | None:
    """The certificate of this block, or of the nearest later one: finality covers all ancestors."""
    if certified is None or certified.certificate is None:
        return None
    certificate = from_bytes(Certificate, certified.certificate)
    signers = [i for i in range(8 * len(certificate.signers)) if certificate.signers[i // 8] >> (i % 8) & 1]
    return {
        "height": certified.height,
        "block_hash": certified.block_hash.hex(),
        "view": certificate.view,
        "epoch": certificate.epoch,
        "kind": certificate.kind.name.lower(),
        "signers": signers,
        "signatures": [signature.hex() for signature in certificate.signatures],
        "bytes": certified.certificate.hex(),
    }


@routes.reads("/api/guts/v1/validators", Access.PUBLIC)
def list_validators(asked: Asked, snapshot: Snapshot) -> Reply:
    """The validators of this epoch, in voting order."""
    shown = []
    for index, seat in enumerate(asked.site.reader.genesis.validators):
        operator = queries.account(snapshot, seat.operator)
        shown.append(
            {
                "index": index,
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
