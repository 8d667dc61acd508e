"""``/api/guts/v1/blocks``: committed blocks, what stands in them, and the certificates that prove them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import trio

from guts_core.chain.block import Block
from guts_core.chain.commit import StoredBlock
from guts_core.chain.pruned import pruned
from guts_core.chain.receipt import Receipt
from guts_core.chain.transaction import Item, transaction_id
from guts_core.codec import from_bytes
from guts_core.errors import Corrupt, NotFound
from guts_core.forge import queries
from guts_core.forge.mentions import is_about_public
from guts_core.names import AccountId
from guts_core.simplex.messages import Certificate
from guts_http.problems import BadRequest
from guts_http.reader import Snapshot
from guts_http.routing import HEIGHT, Access, Asked, Reply, Routes

from .paging import PER_PAGE, PER_PAGE_MAX, asked_number, optional_number
from .shapes import exact_time_text

T = TypeVar("T")

routes = Routes()
_PATH = "/api/guts/v1/blocks"
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
HEIGHT_MAX = 10**15
# A list ends early where its blocks hold many transactions: each costs an encoding and a look-up.
TRANSACTIONS_MAX = 2_000


@routes.serves(_PATH, Access.PUBLIC)
async def list_blocks(asked: Asked) -> Reply:
    """The newest blocks, or those below a height."""
    limit = min(asked_number("limit", PER_PAGE, 10**9), PER_PAGE_MAX)
    before = optional_number("before", HEIGHT_MAX)
    shown, height = await _read(asked, partial(_blocks, before=before, limit=limit))
    return Reply(shown, headers={HEIGHT: str(height), **_links(asked, shown, before, limit)})


@routes.serves(f"{_PATH}/<height>", Access.PUBLIC)
async def get_block(asked: Asked, height: str) -> Reply:
    """A committed block by height."""
    if not (height.isascii() and height.isdigit() and len(height) <= 15):
        raise BadRequest("a height is a whole number")
    shown, top = await _read(asked, partial(_block_at, height=int(height)))
    return Reply(shown, headers={HEIGHT: str(top)})


@routes.serves(f"{_PATH}/hash/<block_hash>", Access.PUBLIC)
async def get_block_of_hash(asked: Asked, block_hash: str) -> Reply:
    """A committed block by the hash of its header."""
    if not _HASH.fullmatch(block_hash):
        raise BadRequest("a block's hash is 64 of 0-9 and a-f")
    shown, top = await _read(asked, partial(_block_of, block_hash=bytes.fromhex(block_hash)))
    return Reply(shown, headers={HEIGHT: str(top)})


async def _read(asked: Asked, read: Callable[[Snapshot], T]) -> tuple[T, int]:
    """What a snapshot says, read beside the loop: a full block takes a fraction of a second."""

    def in_thread() -> tuple[T, int]:
        with asked.site.reader.snapshot() as snapshot:
            return read(snapshot), snapshot.height

    return await trio.to_thread.run_sync(in_thread)


def _block_at(snapshot: Snapshot, height: int) -> dict[str, Any]:
    stored = snapshot.block(height)
    if stored is None and 0 < height < snapshot.first_block():
        raise pruned(height, snapshot.first_block())
    if stored is None:
        words = "genesis is a file, not a block" if height == 0 else f"the newest block here is {snapshot.height}"
        raise NotFound(f"there is no block {height}: {words}")
    return _shown(snapshot, stored, from_bytes(Block, stored.body), {})


def _block_of(snapshot: Snapshot, block_hash: bytes) -> dict[str, Any]:
    stored = snapshot.block_of_hash(block_hash)
    if stored is None:
        raise NotFound(f"there is no block {block_hash.hex()} here; the newest is {snapshot.height}")
    return _shown(snapshot, stored, from_bytes(Block, stored.body), {})


def _blocks(snapshot: Snapshot, before: int | None, limit: int) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    transactions, names = 0, dict[AccountId, str | None]()
    top = snapshot.height if before is None else min(before - 1, snapshot.height)
    lowest = snapshot.first_block()
    for height in range(top, max(lowest - 1, top - limit), -1):
        stored = snapshot.block(height)
        if stored is None:
            raise Corrupt(f"block {height} is not stored, and {top} is")
        block = from_bytes(Block, stored.body)
        transactions += len(block.items)
        if shown and transactions > TRANSACTIONS_MAX:
            break
        shown.append(_shown(snapshot, stored, block, names))
    return shown


def _links(asked: Asked, shown: list[dict[str, Any]], before: int | None, limit: int) -> dict[str, str]:
    """Older blocks are the next page; pages stand still while blocks come, since heights name them."""
    url, found = f"{asked.base_url}{_PATH}?limit={limit}", []
    lowest = shown[-1]["height"] if shown else 1
    if lowest > 1:
        found += [f'<{url}&before={lowest}>; rel="next"', f'<{url}&before={min(limit, lowest - 1) + 1}>; rel="last"']
    if before is not None:
        found.append(f'<{url}>; rel="first"')
    return {"Link": ", ".join(found)} if found else {}


def _shown(snapshot: Snapshot, stored: StoredBlock, block: Block, names: dict[AccountId, str | None]) -> dict[str, Any]:
    header = block.header
    return {
        "hash": stored.block_hash.hex(),
        "height": header.height,
        "state_root": header.state_root.hex(),
        "time": exact_time_text(header.time),
        "transactions": [_transaction(snapshot, item, names) for item in block.items],
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
        "certificate": _certificate(snapshot.certified_from(stored.height)),
    }


def _transaction(snapshot: Snapshot, item: Item, names: dict[AccountId, str | None]) -> dict[str, Any]:
    """A transaction by its id: who wanted something, where everybody may know, and whether it came to be."""
    body = item.signed.body
    tx_id = transaction_id(body)
    stored = snapshot.receipt(tx_id)
    if stored is None:
        raise Corrupt(f"transaction {tx_id.hex()} stands in a block and has no receipt")
    is_public = is_about_public(snapshot, body.actions, body.author, body.chain_id)
    author = _name(snapshot, body.author, names) if is_public else None
    return {"id": tx_id.hex(), "author": author, "error": from_bytes(Receipt, stored.receipt).error}


def _name(snapshot: Snapshot, author: AccountId, names: dict[AccountId, str | None]) -> str | None:
    """An account's name, looked up once an answer."""
    if author not in names:
        account = queries.account(snapshot, author)
        names[author] = None if account is None else account.name
    return names[author]


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
