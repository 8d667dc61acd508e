"""
Does what a disk gives back hang together with what the network agreed on? (F07, F10)

SQLite does not notice a flipped bit in a value. The state root commits to every record and the hash of a
header to its block, so everything stored can be held against a root that a quorum signed:

* a page of the state tree against its own hashes and the links to the pages below it,
* a record against the leaf at its place,
* a block and its receipts against the header, and the header against the hash it is stored under.

Induction does the rest: pages that each fit and a root page that fits the newest header are the whole tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from guts_core.codec import from_bytes
from guts_core.errors import Corrupt, Malformed
from guts_core.names import BlockHash, Root
from guts_core.state.keys import KEY_PREFIX_BYTES, tree_key
from guts_core.state.nodes import EMPTY_ROOT, TREE_KEY_BITS, value_hash
from guts_core.state.pages import build, seal
from guts_core.state.stored import ITEMS_MAX, ROOT_PATH, Item, Page, decode, path_of
from guts_core.state.tree import GetPage
from guts_core.state.view import Pair

from .block import Block, header_of, tx_root
from .commit import StoredBlock
from .header import block_hash
from .receipt import Receipt, receipts_root


def audit_page(path: bytes, raw: bytes, get_page: GetPage) -> None:
    """Raises Corrupt unless the page is exactly what its items make, and fits the pages below it."""
    page = decode(path, raw)
    items = page.items()
    if _made_of(items, path) != raw:
        raise Corrupt(f"page {path.hex() or 'root'} of the state tree does not fit its own hashes")
    if path != ROOT_PATH and (len(items) < 2 or path_of(*page.top_item()[:2]) != path):
        raise Corrupt(f"page {path.hex()} of the state tree stands at another's place")
    for prefix, bits, hashed in items:
        if bits != TREE_KEY_BITS:
            _child(get_page, prefix, bits, hashed)


def leaves_in(path: bytes, raw: bytes) -> int:
    """How many records have their leaf in this page."""
    return sum(1 for bits in decode(path, raw).bits if bits == TREE_KEY_BITS)


def audit_root(root: Root, get_page: GetPage) -> None:
    """Raises Corrupt unless the root page is that of this state root."""
    raw = get_page(ROOT_PATH)
    found = EMPTY_ROOT if raw is None else decode(ROOT_PATH, raw).root()
    if found != root:
        raise Corrupt(f"the state tree has root {found.hex()[:16]}, the newest block says {root.hex()[:16]}")


def audit_records(records: Iterable[Pair], get_page: GetPage) -> None:
    """Raises Corrupt, naming the record, unless each is what the leaf at its place says."""
    pages: dict[bytes, Page] = {}
    for key, value in records:
        if len(key) < KEY_PREFIX_BYTES or _leaf(tree_key(key), get_page, pages) != value_hash(value):
            raise Corrupt(f"record {key.hex()[:96]} is not what the state root commits to")


def audit_block(stored: StoredBlock, receipts: Sequence[bytes]) -> None:
    """Raises Corrupt unless the block is the one of its hash, with its transactions and these receipts."""
    try:
        block = from_bytes(Block, stored.body)
        done = [from_bytes(Receipt, receipt) for receipt in receipts]
    except Malformed as error:
        raise Corrupt(f"block {stored.height} does not read: {error}") from error
    header = block.header
    if block_hash(header) != stored.block_hash or header.height != stored.height:
        raise Corrupt(f"block {stored.height} is not the one of its hash")
    if tx_root(block.items) != header.tx_root:
        raise Corrupt(f"block {stored.height} has other transactions than its header says")
    if receipts_root(done) != header.receipts_root:
        raise Corrupt(f"the receipts of block {stored.height} are not those its header says")


def parent_of(stored: StoredBlock) -> BlockHash:
    """The hash that the block below an audited one must be stored under."""
    return BlockHash(header_of(stored.body).parent_hash)


def _made_of(items: Sequence[Item], path: bytes) -> bytes | None:
    """The page that exactly these items make; None when no page holds such items: a prefix is as long as its bits."""
    if len(items) > ITEMS_MAX or any(len(prefix) != -(-bits // 8) for prefix, bits, _ in items):
        return None
    try:
        return seal(build(items, None, ()), path)
    except IndexError:  # neighbours share more than their keys are long
        return None


def _child(get_page: GetPage, prefix: bytes, bits: int, hashed: bytes) -> Page:
    path = path_of(prefix, bits)
    raw = get_page(path)
    if raw is None:
        raise Corrupt(f"page {path.hex()} of the state tree is missing")
    page = decode(path, raw)
    if page.root() != hashed:
        raise Corrupt(f"page {path.hex()} of the state tree is not the one its parent names")
    return page


def _leaf(place: bytes, get_page: GetPage, pages: dict[bytes, Page]) -> bytes | None:
    """What the tree says of this place; pages on the way are decoded once."""
    path = ROOT_PATH
    while True:
        page = pages.get(path)
        if page is None:
            raw = get_page(path)
            if raw is None:
                return None
            page = pages[path] = decode(path, raw)
        at, below, _ = page.find(place, int.from_bytes(place, "big"))
        if at < 0:
            return None
        if not below:
            return page.hashed(at)
        path = below
