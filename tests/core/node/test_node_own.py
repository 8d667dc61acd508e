"""What clients brought is said again to peers that may have refused it: ever more rarely, and less so in a queue."""

from __future__ import annotations

from attrs import evolve

from guts_core.chain.mempool import QUEUE_TRANSACTIONS
from guts_core.forge.actions import Action, ProposeDecision
from guts_core.forge.decisions import EndEpoch
from guts_core.names import AccountId, TxId
from guts_core.node.events import Ticked
from guts_core.node.messages import Submit
from tests.core.chain.chain_world import MINUTE, creation
from tests.core.node.node_world import World


def said_again(action: Action, queue: int) -> list[int]:
    """After how many retries a gateway without a quorum, where so many wait, says again what it was brought."""
    world = World()
    world.cut = {1, 2, 3}
    ledger = world.seats[0].node.ledger
    own = world.submit(0, world.signed(action, expires=world.now + 50 * MINUTE))
    candidate = ledger.mempool.get(own)
    assert candidate is not None
    for at in range(queue):
        name = at.to_bytes(32, "big")
        ledger.mempool.add(evolve(candidate, tx_id=TxId(name)), AccountId(name), 0)
    times, said = [], len(world.seats[0].said_of(Submit))
    for retries in range(1, 40):
        world.now += world.genesis.params.retry_ms
        world.tell(0, Ticked())
        before, said = said, len(world.seats[0].said_of(Submit))
        times += [retries] * (said - before)
    return times


def test_where_little_waits_the_pauses_double() -> None:
    """Few bytes, and each peer may have been a block behind."""
    assert said_again(creation("mine"), QUEUE_TRANSACTIONS - 2) == [1, 3, 7, 15, 31]


def test_in_a_queue_what_waits_is_said_again_once_soon_and_then_after_the_longest_pauses() -> None:
    """Every node is busy with full blocks; whoever was a block behind, or missed it, hears of it all the same."""
    assert said_again(creation("mine"), QUEUE_TRANSACTIONS) == [1, 31]


def test_what_is_urgent_waits_in_no_queue() -> None:
    """What operators decide is said again as if nothing else waited."""
    assert said_again(ProposeDecision(EndEpoch(), now=True), QUEUE_TRANSACTIONS) == [1, 3, 7, 15, 31]
