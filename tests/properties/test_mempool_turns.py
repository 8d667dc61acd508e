"""
Whose transaction is next, in every tiny case: nobody starves, nobody gets much more than others, order is kept.

Leaders build on blocks that are not final, some of those blocks never become final, and accounts send what they like.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache

from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st

from guts_core.chain.admission import Candidate, candidate_of
from guts_core.chain.mempool import Mempool
from guts_core.chain.turns import QUANTUM_BYTES, cost_of
from guts_core.names import AccountId, TxId
from tests.core.chain.chain_world import Network, creation

ACCOUNTS = tuple(AccountId(bytes((number,)) * 32) for number in range(4))
FLOODERS, LATE = ACCOUNTS[:3], ACCOUNTS[3]
SIZES = (300, 5_000, QUANTUM_BYTES, 3 * QUANTUM_BYTES)
SMALL = SIZES[:2]
LARGEST = max(SIZES)
ROOM = 4 * QUANTUM_BYTES
# What a leader puts into the rest of a block, after the next one did not fit, is less than that one.
APART = QUANTUM_BYTES + 2 * LARGEST


@cache
def _any() -> Candidate:
    network = Network(size=1)
    return candidate_of(network.item(network.by_key(network.operator(0), creation("any"))), network.ledgers[0].network)


@define
class Leaders:
    """Nodes that know the same transactions, one after another; what they propose is final a block or two later."""

    pool: Mempool = field(factory=Mempool)
    chain: list[Candidate] = field(factory=list)
    open: list[list[Candidate]] = field(factory=list)
    sent: dict[TxId, AccountId] = field(factory=dict)

    def send(self, account: AccountId, size: int) -> TxId:
        """One more transaction."""
        tx_id = TxId(len(self.sent).to_bytes(32, "big"))
        self.sent[tx_id] = account
        self.pool.add(evolve(_any(), tx_id=tx_id, size=size), account, len(self.sent))
        return tx_id

    def flood(self, sizes: Sequence[int]) -> None:
        """Everybody who floods has some blocks' worth waiting."""
        for account, size in zip(FLOODERS, sizes, strict=True):
            waiting = sum(self.sent[candidate.tx_id] == account for candidate in self.pool)
            for _ in range(waiting, 4 * ROOM // max(size, 1024)):
                self.send(account, size)

    def lead(self) -> None:
        """Propose as ``Judge`` does: what fits, in turn."""
        room, block = ROOM, list[Candidate]()
        turns = self.pool.turns([[candidate.tx_id for candidate in block] for block in self.open], ROOM)
        for candidate in turns:
            if cost_of(candidate) > room:
                turns.pass_over()
                continue
            block.append(candidate)
            room -= cost_of(candidate)
        self.open.append(block)

    def finalize(self) -> None:
        """The oldest block that may be final is."""
        block = self.open.pop(0)
        self.chain += block
        self.pool.final([candidate.tx_id for candidate in block])

    def given(self, since: int = 0) -> Counter[AccountId]:
        """What the chain from a length on gave to each."""
        total = Counter[AccountId]()
        for candidate in self.chain[since:]:
            total[self.sent[candidate.tx_id]] += cost_of(candidate)
        return total


# Whether the newest block is lost, and how many may be open at once.
fates = st.lists(st.tuples(st.booleans(), st.integers(0, 2)), min_size=12, max_size=12)
sizes = st.tuples(*[st.sampled_from(SIZES)] * len(FLOODERS))


def play(leaders: Leaders, fate: tuple[bool, int]) -> None:
    """One view, and what becomes of its block."""
    is_lost, lag = fate
    leaders.lead()
    if is_lost:
        leaders.open.pop()
    while len(leaders.open) > lag:
        leaders.finalize()


@settings(max_examples=60, deadline=None)
@given(sizes, fates)
def test_accounts_that_flood_are_given_the_same_within_a_quantum_and_two_transactions(
    sizes: tuple[int, ...], views: list[tuple[bool, int]]
) -> None:
    """Over any number of blocks, whoever sends small or large ones, and whatever becomes of blocks."""
    leaders = Leaders()
    for fate in views:
        leaders.flood(sizes)
        play(leaders, fate)
        given = leaders.given()
        shares = [given[account] for account in FLOODERS]

        assert max(shares) - min(shares) <= APART


@settings(max_examples=60, deadline=None)
@given(sizes, st.sampled_from(SIZES), st.integers(0, 6))
def test_whoever_comes_late_waits_for_a_quantum_and_two_transactions_of_each_other(
    sizes: tuple[int, ...], size: int, before: int
) -> None:
    """However much the others have waiting, and however large the one transaction is."""
    leaders = Leaders()
    for _ in range(before):
        leaders.flood(sizes)
        play(leaders, (False, 1))
    while leaders.open:
        leaders.finalize()
    start = len(leaders.chain)
    wanted = leaders.send(LATE, size)
    most = APART + max(size, 1024)

    for _ in range(1 + len(FLOODERS) * most // (ROOM - LARGEST)):
        leaders.flood(sizes)
        play(leaders, (False, 0))
        if any(candidate.tx_id == wanted for candidate in leaders.chain):
            break

    place = next(at for at, candidate in enumerate(leaders.chain) if candidate.tx_id == wanted)
    leaders.chain = leaders.chain[:place]
    given = leaders.given(start)
    assert max(given[account] for account in FLOODERS) <= most


@settings(max_examples=20, deadline=None)
@given(st.tuples(*[st.sampled_from(SMALL)] * len(FLOODERS)), st.sampled_from(SMALL), st.integers(0, 12))
def test_whoever_comes_late_makes_up_for_nothing(sizes: tuple[int, ...], size: int, before: int) -> None:
    """From then on it is given what the others are: that it sent nothing until now gives it no claim."""
    leaders = Leaders()
    for _ in range(before):
        leaders.flood(sizes)
        play(leaders, (False, 0))
    start = len(leaders.chain)
    apart = QUANTUM_BYTES + 2 * max(SMALL)
    for _ in range(4):
        leaders.flood(sizes)
        for _ in range(ROOM // 1024):
            leaders.send(LATE, size)
        play(leaders, (False, 0))
        given = leaders.given(start)

        # Where the others stood when it came was as far apart, and the round was under way.
        assert abs(given[LATE] - min(given[account] for account in FLOODERS)) <= 2 * apart + QUANTUM_BYTES


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ACCOUNTS), st.sampled_from(SIZES)), max_size=24), fates)
def test_each_account_keeps_its_order_and_nothing_stays_behind(
    wishes: list[tuple[AccountId, int]], views: list[tuple[bool, int]]
) -> None:
    """What comes while blocks are under way included; nothing stands in the chain twice."""
    leaders = Leaders()
    for at, fate in enumerate(views):
        for account, size in wishes[2 * at : 2 * at + 2]:
            leaders.send(account, size)
        play(leaders, fate)
    while leaders.pool.has_ready:
        play(leaders, (False, 0))

    for account in ACCOUNTS:
        mine = [candidate.tx_id for candidate in leaders.chain if leaders.sent[candidate.tx_id] == account]
        assert mine == [tx_id for tx_id, sender in leaders.sent.items() if sender == account]
