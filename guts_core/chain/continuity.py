"""
What a ledger writes for each final block, and how it stands up again from what was written.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from guts_core.codec import from_bytes, to_bytes
from guts_core.errors import Corrupt, Malformed
from guts_core.forge import epochs
from guts_core.names import BlockHash, ChainId, Root
from guts_core.simplex.messages import Certificate, Proposal, SuppliedBlock
from guts_core.simplex.ports import End

from .admission import Network
from .block import Block, header_of
from .branches import Executed
from .commit import ChainStore, Commit, ReceiptRow, StoredBlock
from .execution import admitted_packs
from .foundation import found_state
from .genesis import Genesis, genesis_hash
from .header import EPOCH
from .history import EMPTY, History
from .indexed import deletions
from .texts import texts_written, without_texts
from .trail import EpochStep, proposal_of

# Names in a commit's ``meta``.
STATE_ROOT, HISTORY, CHAIN_ID = "state_root", "history", "chain_id"


def genesis_proposal(chain: ChainId) -> Proposal:
    """What stands where block 1 looks for its parent: view 0, with the chain id as its hash."""
    return Proposal(
        epoch=EPOCH, view=0, parent_view=0, parent_hash=BlockHash(bytes(32)), block_hash=genesis_hash(chain)
    )


def commit_of(
    block: Executed, below: Iterable[Executed], body: bytes, certificate: Certificate | None, end: End | None
) -> Commit:
    """All that a final block changes; ``below`` is genesis, while the store has not seen it."""
    records: dict[bytes, bytes | None] = {}
    pages: dict[bytes, bytes | None] = {}
    for part in (*below, block):
        records |= part.writes
        pages |= part.pages
    stored, held = without_texts(body) if block.commits_to_texts else (body, {})
    texts, erased = texts_written(block.writes, held)
    expiries = block.expiries
    return Commit(
        height=block.height,
        block_hash=block.block_hash,
        proposal=to_bytes(block.proposal),
        body=stored,
        certificate=None if certificate is None else to_bytes(certificate),
        time=block.time,
        records=records,
        pages=pages,
        receipts=tuple(
            ReceiptRow(tx_id, index, to_bytes(receipt), expiries[tx_id])
            for index, (tx_id, receipt) in enumerate(zip(expiries, block.receipts, strict=True))
        ),
        packs=admitted_packs(block.receipts),
        ref_moves=block.ref_moves,
        deletions=deletions(block.time, block.receipts),
        texts=texts,
        erased=erased,
        meta={STATE_ROOT: block.state_root, HISTORY: block.history.to_bytes(), CHAIN_ID: block.network.chain_id},
        step=None if end is None else _step(block, body, end),
    )


def _step(block: Executed, body: bytes, end: End) -> tuple[int, bytes]:
    children = tuple(header_of(child.body) for child in reversed(end.blocks))
    step = EpochStep(header_of(body), children, end.certificate, block.after.seats)
    return block.network.epoch, to_bytes(step)


def end_of(step: bytes) -> End:
    """Why the last block of an epoch is final, from how its end is kept."""
    try:
        kept = from_bytes(EpochStep, step)
    except Malformed as error:
        raise Corrupt(f"the end of an epoch does not read: {error}") from error
    blocks = [SuppliedBlock(proposal_of(child), to_bytes(Block(child, ()))) for child in reversed(kept.children)]
    return End(tuple(blocks), kept.certificate)


class OtherChain(Corrupt):
    """Nothing is damaged: the database is of another network than the genesis file."""

    code = "other-chain"


def restore(genesis: Genesis, network: Network, store: ChainStore) -> Executed:
    """The last committed block, or genesis; raises Corrupt when the store does not hang together."""
    chain = store.meta(CHAIN_ID)
    if chain is not None and chain != network.chain_id:
        raise OtherChain(
            f"the stored chain is {chain.hex()[:16]}, the genesis file is of {network.chain_id.hex()[:16]}"
        )
    height = store.height()
    if height == 0:
        return _at_genesis(genesis, network)
    stored = store.block_at(height)
    if stored is None:
        raise Corrupt(f"block {height}, the last one committed, is not stored")
    return _at_block(stored, network, store)


def _at_genesis(genesis: Genesis, network: Network) -> Executed:
    foundation = found_state(genesis)
    return Executed(
        proposal=genesis_proposal(network.chain_id),
        height=0,
        time=genesis.time,
        state_root=foundation.state_root,
        history=EMPTY.append(genesis_hash(network.chain_id)),
        network=network,
        writes=foundation.records,
        pages=foundation.pages,
    )


def _at_block(stored: StoredBlock, network: Network, store: ChainStore) -> Executed:
    try:
        proposal = from_bytes(Proposal, stored.proposal)
        header = from_bytes(Block, stored.body).header
    except Malformed as error:
        raise Corrupt(f"block {stored.height} cannot be read back: {error}") from error
    root, peaks = store.meta(STATE_ROOT), store.meta(HISTORY)
    if root != header.state_root:
        told = "nothing" if root is None else root.hex()
        raise Corrupt(f"block {stored.height} has state root {header.state_root.hex()}, the store says {told}")
    history = History.from_bytes(peaks or b"")
    if history.count != stored.height + 1:
        raise Corrupt(f"the stored history has {history.count} headers at height {stored.height}")
    # Above the last block of an epoch nothing of that epoch is built any more: it is final.
    after = network.at(epochs.current(store))
    return Executed(
        proposal=proposal,
        height=stored.height,
        time=header.time,
        state_root=Root(header.state_root),
        history=history,
        network=evolve(after, epoch=header.epoch),
        turned=after if after.epoch > header.epoch else None,
        is_committed=True,
    )
