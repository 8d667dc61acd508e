"""Coming rules: a node that does not know them stops with words when the boundary is final, never earlier."""

from __future__ import annotations

from guts_core.chain.ledger import Ledger
from guts_core.forge.actions import ProposeDecision, VoteDecision
from guts_core.forge.decisions import ChangeRules
from guts_core.forge.params import Params
from guts_core.identity import Ed25519Verifier
from guts_core.simplex.ports import Verdict
from tests.core.chain.chain_world import Network, a_genesis

EPOCH_MS = 10_000


def a_network(rules: int, voters: int = 3) -> Network:
    """Epochs of ten seconds, nodes that know rules 0 only, and a decision that is final after a second."""
    network = Network(a_genesis(params=Params(epoch_ms=EPOCH_MS)), rules_known=(0,))
    network.submit(network.by_key(network.operator(0), ProposeDecision(ChangeRules(rules, 0), now=False)))
    for index in range(1, voters):
        network.submit(network.by_key(network.operator(index), VoteDecision(1, approve=True)))
    network.step()
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


def test_a_stopped_node_is_still_stopped_after_a_restart() -> None:
    """Starting it again is the first thing that anyone will try; another build goes on."""
    network = a_network(rules=1)
    network.pass_time(EPOCH_MS)
    network.step()

    again = Ledger(network.genesis, network.stores[0], Ed25519Verifier(), rules_known=(0,))
    newer = Ledger(network.genesis, network.stores[0], Ed25519Verifier())

    assert again.stopped == network.ledgers[0].stopped
    assert again.stopped is not None
    assert newer.stopped is None
    assert (newer.network.epoch, newer.network.rules) == (1, 1)


def test_half_of_the_operators_decide_nothing() -> None:
    """More than two thirds must approve."""
    network = a_network(rules=1, voters=2)
    network.pass_time(EPOCH_MS)

    network.step()
    network.step()

    assert network.ledgers[0].stopped is None
