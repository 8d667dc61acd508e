"""Coming rules: a node that does not know them stops with words when the boundary is final, never earlier."""

from __future__ import annotations

from attrs import evolve

from guts_core.chain import compose
from guts_core.chain.block import Block, tx_root
from guts_core.chain.genesis import chain_id
from guts_core.chain.header import RULES, block_hash
from guts_core.chain.ledger import Ledger
from guts_core.codec import from_bytes, to_bytes
from guts_core.forge.params import Params
from guts_core.identity import Ed25519Verifier
from guts_core.simplex.ports import Verdict
from tests.core.chain.chain_world import MINUTE, Network, a_genesis, creation, flush, salt

EPOCH_MS = 10_000


def a_network(rules: int, epoch: int = 1, signers: int = 3) -> Network:
    """Epochs of ten seconds, and a decision of the operators that is final."""
    network = Network(a_genesis(params=Params(epoch_ms=EPOCH_MS)))
    operators = [(network.operator(index).id, network.operator(index).key) for index in range(signers)]
    signed = compose.set_rules(
        chain_id(network.genesis), rules, epoch, operators, network.now + MINUTE, salt("decision")
    )
    network.submit(signed)
    network.step()
    assert (network.status(signed).error is None) == (signers > 2)
    return network


def test_a_proposal_across_the_boundary_stops_nobody() -> None:
    """One hostile leader with a fast clock must not send a whole network home."""
    network = a_network(rules=1)
    network.pass_time(EPOCH_MS)

    parent, proposal, body = network.propose()

    assert network.verify(parent, proposal, body) == [Verdict.VALID] * 2
    assert [ledger.stopped for ledger in network.ledgers] == [None, None]
    network.finalize(proposal, body)
    assert all("rules 1 began with epoch 1" in (ledger.stopped or "") for ledger in network.ledgers)


def test_it_goes_on_until_the_boundary() -> None:
    """Eight more seconds belong to the old rules."""
    network = a_network(rules=1)

    for _ in range(8):
        network.step()
        assert network.ledgers[0].stopped is None
    network.step()

    assert network.ledgers[0].head.time == network.genesis.time + EPOCH_MS
    assert network.ledgers[0].stopped is not None
    assert network.ledgers[0].propose(network.ledgers[0].final_point(), 99, network.instant) is None


def test_children_of_the_boundary_are_empty_and_never_enter_the_chain() -> None:
    """They only carry its finality: all nodes stop at the same height, however they learned it."""
    network = a_network(rules=1)
    network.pass_time(EPOCH_MS)
    network.submit(network.by_key(network.operator(0), creation("late")), to=0)
    base, boundary, boundary_body = network.propose(1)
    network.verify(base, boundary, boundary_body)

    _, child, child_body = network.propose(0, parent=boundary)
    assert from_bytes(Block, child_body).items == ()
    assert network.verify(boundary, child, child_body) == [Verdict.VALID] * 2
    for ledger in network.ledgers:
        ledger.finalize(boundary, boundary_body, None)
        ledger.finalize(child, child_body, None)

    assert [ledger.head.block_hash for ledger in network.ledgers] == [boundary.block_hash] * 2
    assert [commit.height for commit in flush(network.ledgers[0], network.stores[0])] == [2]


def test_a_transaction_after_the_boundary_makes_its_block_invalid() -> None:
    """Old rules have no say in the new epoch."""
    network = a_network(rules=1)
    signed = network.by_key(network.operator(0), creation("late"))
    network.pass_time(EPOCH_MS)
    base, boundary, boundary_body = network.propose(1)
    network.verify(base, boundary, boundary_body)
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


def test_a_stopped_node_is_still_stopped_after_a_restart() -> None:
    """Starting it again is the first thing that anyone will try."""
    network = a_network(rules=1)
    network.pass_time(EPOCH_MS)
    network.step()

    again = Ledger(network.genesis, network.stores[0], Ed25519Verifier())

    assert again.stopped == network.ledgers[0].stopped
    assert again.stopped is not None


def test_rules_that_this_build_knows_stop_nobody() -> None:
    """Deciding on the rules in force again is how a change is called off."""
    network = a_network(rules=RULES)
    network.pass_time(EPOCH_MS)

    network.step()
    network.step()

    assert network.ledgers[0].stopped is None


def test_half_of_the_operators_decide_nothing() -> None:
    """More than two thirds must sign; a refused decision is on the record and without effect."""
    network = a_network(rules=1, signers=2)
    network.pass_time(EPOCH_MS)

    network.step()
    network.step()

    assert network.ledgers[0].stopped is None
