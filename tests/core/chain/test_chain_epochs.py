"""The end of an epoch in the chain: which block it is, what stands above it, and what the next one changes."""

from __future__ import annotations

from attrs import evolve

from guts_core.chain.block import Block, header_of, tx_root
from guts_core.chain.header import block_hash, validators_hash
from guts_core.chain.ledger import Ledger
from guts_core.chain.trail import EpochStep
from guts_core.codec import from_bytes, to_bytes
from guts_core.forge import epochs
from guts_core.forge.params import Params
from guts_core.identity import Ed25519Verifier
from guts_core.simplex.messages import Proposal
from guts_core.simplex.ports import Verdict
from tests.core.chain.chain_world import Network, a_genesis, creation, finalize, flush

EPOCH_MS = 10_000


def at_the_end() -> tuple[Network, Proposal, Proposal, bytes]:
    """A network whose next block is the last of epoch 0: that block, built and judged by both, not final."""
    network = Network(a_genesis(params=Params(epoch_ms=EPOCH_MS)))
    network.step()
    network.pass_time(EPOCH_MS)
    base, boundary, body = network.propose(1)
    assert network.verify(base, boundary, body) == [Verdict.VALID] * 2
    return network, base, boundary, body


def test_the_first_block_whose_time_passes_the_length_is_the_last() -> None:
    """Its own header is of the old epoch, and says who signs in the new one."""
    network, _, boundary, body = at_the_end()
    header, seats = header_of(body), network.genesis.validators

    assert header.epoch == 0
    assert header.next_validators == validators_hash(seats, 1)
    assert network.ledgers[0].is_last(boundary.block_hash)
    network.finalize(boundary, body)
    current = epochs.current(network.ledgers[0].view())
    assert (current.number, current.since) == (1, header.time)


def test_block_one_of_the_next_epoch_stands_on_the_boundary() -> None:
    network, _, boundary, body = at_the_end()
    network.finalize(boundary, body)
    signed = network.by_key(network.operator(0), creation("new"))
    network.submit(signed)

    network.step()

    last, last_body = network.bodies[-1]
    assert (last.epoch, last.parent_hash) == (1, boundary.block_hash)
    assert header_of(last_body).next_validators == validators_hash(network.genesis.validators, 1)
    assert network.status(signed).error is None


def test_children_are_empty_and_never_enter_the_chain() -> None:
    """They only carry finality: all nodes stand at the same block, however they learned that it is final."""
    network, _, boundary, body = at_the_end()
    network.submit(network.by_key(network.operator(0), creation("late")), to=0)

    _, child, child_body = network.propose(0, parent=boundary)
    assert network.verify(boundary, child, child_body) == [Verdict.VALID] * 2
    _, grandchild, grandchild_body = network.propose(0, parent=child)
    assert network.verify(child, grandchild, grandchild_body) == [Verdict.VALID] * 2
    block = from_bytes(Block, child_body)
    assert (block.items, child.epoch, grandchild.epoch) == ((), 0, 0)
    assert block.header.state_root == header_of(body).state_root
    assert not network.ledgers[0].is_last(child.block_hash)
    finalize(network.ledgers[0], boundary, body)
    finalize(network.ledgers[1], boundary, body, (child, child_body), (grandchild, grandchild_body))

    assert [ledger.head.block_hash for ledger in network.ledgers] == [boundary.block_hash] * 2
    for ledger, store in zip(network.ledgers, network.stores, strict=True):
        assert [commit.height for commit in flush(ledger, store)] == [2]
    kept = from_bytes(EpochStep, network.stores[1].epoch_end(0) or b"")
    assert [block_hash(header) for header in kept.children] == [child.block_hash, grandchild.block_hash]
    end = network.ledgers[1].epoch_end(0)
    assert end is not None
    assert [(one.proposal, one.body) for one in end.blocks] == [(grandchild, grandchild_body), (child, child_body)]


def test_a_transaction_above_the_boundary_makes_its_block_invalid() -> None:
    """The old validators have no say in the new epoch."""
    network, _, boundary, _ = at_the_end()
    signed = network.by_key(network.operator(0), creation("late"))
    _, child, child_body = network.propose(0, parent=boundary)
    block = from_bytes(Block, child_body)
    items = (network.item(signed),)
    header = evolve(block.header, tx_root=tx_root(items))
    forged = evolve(child, block_hash=block_hash(header))

    verdict = network.ledgers[0].verify(
        boundary, forged, to_bytes(evolve(block, header=header, items=items)), network.instant
    )

    assert verdict is Verdict.INVALID
    assert "last block of an epoch" in (network.ledgers[0].why_invalid or "")


def test_a_block_of_the_next_epoch_on_a_child_is_invalid() -> None:
    """Children are no part of the chain: nothing of the new epoch may stand on one."""
    network, _, boundary, _ = at_the_end()
    _, child, _ = network.propose(0, parent=boundary)
    _, above, body = network.propose(0, parent=child)
    block = from_bytes(Block, body)
    header = evolve(block.header, epoch=1, next_validators=validators_hash(network.genesis.validators, 1))
    forged = evolve(above, epoch=1, block_hash=block_hash(header))

    verdict = network.ledgers[0].verify(child, forged, to_bytes(evolve(block, header=header)), network.instant)

    assert verdict is Verdict.INVALID


def test_a_restarted_ledger_stands_in_the_new_epoch() -> None:
    network, _, boundary, body = at_the_end()
    network.finalize(boundary, body)

    again = Ledger(network.genesis, network.stores[0], Ed25519Verifier())

    assert again.network == network.ledgers[0].network
    assert again.network.epoch == 1
    assert again.final_certificate() is None  # that of the boundary is of the old epoch
    assert again.epoch_end(0) == network.ledgers[0].epoch_end(0)
    built = again.propose(again.final_point(), 9, network.instant)
    assert built is not None
    assert header_of(built[1]).epoch == 1
