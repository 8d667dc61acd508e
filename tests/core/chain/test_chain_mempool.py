"""The mempool: no account takes all the room, nor all the turns (the latter in ``test_chain_turns``)."""

from __future__ import annotations

import pytest
from attrs import evolve

from guts_core.chain.admission import Candidate, candidate_of
from guts_core.chain.block import Block
from guts_core.chain.ledger import Ledger
from guts_core.chain.memory import MemoryStore
from guts_core.chain.mempool import (
    CROWD_TRANSACTIONS,
    MEMPOOL_BYTES_MAX,
    MEMPOOL_TRANSACTIONS_MAX,
    PATIENCE_US,
    PAYER_SHARE,
    Busy,
    Mempool,
)
from guts_core.chain.transaction import TEXT_BYTES_MAX, Text
from guts_core.codec import from_bytes
from guts_core.errors import LimitExceeded
from guts_core.forge.actions import ProposeDecision
from guts_core.forge.decisions import EndEpoch
from guts_core.identity import Ed25519Verifier
from guts_core.names import AccountId, TxId
from tests.core.chain.chain_world import MAIN, TIME, Network, a_push, creation, oid, repo_id, salt

ALICE, BOB = AccountId(b"a" * 32), AccountId(b"b" * 32)


def in_turn(pool: Mempool) -> list[Candidate]:
    """All that could be proposed."""
    return list(pool.turns([], 1 << 20))


def candidates(network: Network, count: int, expires: int | None = None) -> list[Candidate]:
    """So many different transactions."""
    operator = network.operator(0)
    signed = [network.by_key(operator, creation(f"repo-{at}"), expires=expires) for at in range(count)]
    return [candidate_of(network.item(one), network.ledgers[0].network) for one in signed]


def test_the_limits_are_those_of_the_specification() -> None:
    """64 MiB, 50,000 transactions, 5 % an account."""
    assert (MEMPOOL_BYTES_MAX, MEMPOOL_TRANSACTIONS_MAX, 100 // PAYER_SHARE) == (64 << 20, 50_000, 5)


def test_what_came_first_is_proposed_first() -> None:
    """Of one account, in order; the same one twice is one."""
    network = Network()
    pool = Mempool()
    waiting = candidates(network, 5)

    for at, candidate in enumerate((*waiting, waiting[0])):
        pool.add(candidate, ALICE, at)
    pool.discard(waiting[1].tx_id)
    pool.discard(waiting[1].tx_id)

    assert in_turn(pool) == [waiting[0], *waiting[2:]]
    assert pool.oldest_ready() == 0
    assert len(pool) == 4
    assert pool.bytes == sum(candidate.size for candidate in pool)


def test_one_account_may_hold_a_twentieth() -> None:
    """A flood by one leaves room for all others, in number and in bytes."""
    network = Network()
    waiting = candidates(network, 10)
    by_number = Mempool(transactions_max=4 * PAYER_SHARE)
    by_bytes = Mempool(bytes_max=sum(candidate.size for candidate in waiting[:4]) * PAYER_SHARE)

    for pool in (by_number, by_bytes):
        for candidate in waiting[:4]:
            pool.add(candidate, ALICE, 0)
        with pytest.raises(LimitExceeded, match="this account"):
            pool.add(waiting[4], ALICE, 0)
        pool.add(waiting[4], BOB, 0)
        pool.discard(waiting[0].tx_id)
        pool.add(waiting[5], ALICE, 0)
        assert len(pool) == 5


def test_where_blocks_are_full_whoever_waits_for_long_brings_nothing_more() -> None:
    """What an account has in front of it is its own; others are let in, and all are where there is no crowd."""
    (filler,) = candidates(Network(), 1)
    pool = Mempool()
    for at in range(CROWD_TRANSACTIONS):
        name = at.to_bytes(32, "big")
        pool.require_calm(ALICE, PATIENCE_US + 1)
        pool.add(evolve(filler, tx_id=TxId(name)), ALICE if at % 2 else AccountId(name), 0)

    pool.require_calm(ALICE, PATIENCE_US)
    with pytest.raises(Busy, match="this account"):
        pool.require_calm(ALICE, PATIENCE_US + 1)
    pool.require_calm(BOB, PATIENCE_US + 1)
    pool.discard(TxId(bytes(32)))
    pool.require_calm(ALICE, PATIENCE_US + 1)


def test_a_full_mempool_says_so() -> None:
    """The edges answer 429 with this; nothing that waits is thrown out for it."""
    network = Network()
    waiting = candidates(network, PAYER_SHARE + 1)
    pool = Mempool(transactions_max=PAYER_SHARE)
    for at, candidate in enumerate(waiting[:-1]):
        pool.add(candidate, AccountId(bytes((at,)) * 32), 0)

    with pytest.raises(LimitExceeded, match="this node"):
        pool.add(waiting[-1], ALICE, 0)

    assert len(pool) == PAYER_SHARE


def test_from_four_fifths_on_a_node_refuses_its_own_clients() -> None:
    """The rest is for what clients of other nodes were promised; what operators decide is taken from anybody."""
    network = Network()
    limit = candidates(network, 1)[0].size * 5 * PAYER_SHARE
    pools = Mempool(transactions_max=5 * PAYER_SHARE), Mempool(bytes_max=limit)
    own = [ledger_with(network, pool) for pool in pools]
    waiting = candidates(network, 4 * PAYER_SHARE + 1)
    for pool, ledger in zip(pools, own, strict=True):
        for at, candidate in enumerate(waiting[:-2]):
            pool.add(candidate, AccountId(bytes((at // 4,)) * 32), at)
        ledger.admit(waiting[-2].item, network.instant, is_own=True)

        with pytest.raises(Busy, match="this node"):
            ledger.admit(waiting[-1].item, network.instant, is_own=True)
        ledger.admit(waiting[0].item, network.instant, is_own=True)  # it waits already
        ends = network.by_key(network.operator(0), ProposeDecision(EndEpoch(), now=False))
        ledger.admit(network.item(ends), network.instant, is_own=True)
        ledger.admit(waiting[-1].item, network.instant)
        assert len(pool) == len(waiting) + 1


def ledger_with(network: Network, pool: Mempool) -> Ledger:
    """One more of the same network."""
    return Ledger(network.genesis, MemoryStore(), Ed25519Verifier(), pool)


def test_a_refused_transaction_leaves_no_account_behind() -> None:
    """Else a flood of strangers would fill the table of loads."""
    network = Network()
    one, other = candidates(network, 2)
    pool = Mempool(transactions_max=PAYER_SHARE)
    pool.add(one, ALICE, 0)

    with pytest.raises(LimitExceeded):
        pool.add(other, ALICE, 0)
    pool.discard(one.tx_id)

    assert pool.bytes == 0
    pool.add(other, ALICE, 0)


def test_the_expired_leave_and_the_rest_stays() -> None:
    """A transaction may stand in a block of exactly the time at which it expires."""
    network = Network()
    early, late = candidates(network, 2, TIME + 5), candidates(network, 3, TIME + 6)[2:]
    pool = Mempool()
    for candidate in (*late, *early):
        pool.add(candidate, ALICE, 0)
    pool.discard(early[0].tx_id)

    assert pool.drop_expired(TIME + 5) == []
    assert pool.drop_expired(TIME + 6) == [early[1].tx_id]
    assert list(pool) == late
    assert pool.drop_expired(TIME + 7) == [late[0].tx_id]
    assert (len(pool), pool.bytes, in_turn(pool)) == (0, 0, [])


def test_a_push_waits_apart_until_its_witness_is_set() -> None:
    """Its place in the queue is where it became proposable, and its witness counts in the bytes."""
    network = Network()
    operator = network.operator(0)
    repo = repo_id(network.genesis, operator, "repo")
    signed = network.by_key(operator, creation("repo"), a_push(repo, MAIN, None, oid("one")))
    push = candidate_of(network.item(signed), network.ledgers[0].network)
    plain = candidates(network, 1)[0]
    pool = Mempool()
    pool.add(push, ALICE, 0)
    assert not pool.has_ready
    pool.add(plain, ALICE, 0)

    with_witness = push.with_witness(network.witness(push.tx_id))
    pool.set_ready(with_witness)

    assert in_turn(pool) == [plain, with_witness]
    assert pool.bytes == plain.size + with_witness.size
    pool.set_ready(push.with_witness(network.witness(push.tx_id, removals=1)))
    assert len(in_turn(pool)) == 2
    pool.discard(push.tx_id)
    pool.discard(plain.tx_id)
    assert pool.bytes == 0


def test_a_block_takes_what_fits_and_the_rest_goes_into_the_next() -> None:
    """The byte cap counts texts; a smaller one of another account still comes along, one of the same waits its turn."""
    network = Network()
    operator = network.operator(0)
    texts = [Text(salt(str(at)), "x" * (TEXT_BYTES_MAX - at)) for at in range(6)]
    large = [network.by_key(operator, creation(f"repo-{at}", text)) for at, text in enumerate(texts)]
    for signed, text in zip(large, texts, strict=True):
        network.submit(signed, text)
    small, other = (network.by_key(person, creation("small")) for person in (operator, network.operator(1)))
    network.submit(small)
    network.submit(other)

    for _ in range(3):
        network.step()

    body = network.bodies[0][1]
    assert len(body) <= network.genesis.params.block_bytes_max
    assert sorted(len(item.texts) for item in from_bytes(Block, body).items) == [0, 1, 1, 1]

    assert [network.status(signed).height for signed in large] == [1, 1, 1, 2, 2, 2]
    assert [network.status(signed).height for signed in (other, small)] == [1, 2]
    assert not network.ledgers[0].has_work(network.ledgers[0].final_point())


def test_the_ledger_uses_the_mempool_it_is_given() -> None:
    """An empty mempool is false in a boolean context, and still the one that was meant."""
    pool = Mempool(transactions_max=PAYER_SHARE)
    network = Network()

    ledger = Ledger(network.genesis, MemoryStore(), Ed25519Verifier(), pool)

    assert ledger.mempool is pool


def test_a_body_that_differs_in_salt_is_another_transaction() -> None:
    """So a client may say the same thing twice on purpose."""
    network = Network()
    candidate = candidates(network, 1)[0]
    other = evolve(candidate.item, signed=network.by_key(network.operator(0), *candidate.body.actions))

    assert candidate_of(other, network.ledgers[0].network).tx_id != candidate.tx_id
