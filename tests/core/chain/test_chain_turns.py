"""Whose transaction a leader proposes next, and how much at once."""

from __future__ import annotations

from guts_core.chain.block import Block
from guts_core.chain.block_cap import (
    FLOOR_BYTES,
    ITEMS_FIRST,
    ITEMS_LEAST,
    OFFERED_MAX,
    STEP_BYTES,
    BlockCap,
)
from guts_core.chain.judge import PROPOSED_ITEMS_MAX
from guts_core.chain.transaction import TEXT_BYTES_MAX, SignedTransaction, Text, transaction_id
from guts_core.chain.turns import ITEM_BYTES_LEAST, QUANTUM_BYTES, URGENT_SHARE
from guts_core.codec import from_bytes
from guts_core.forge.actions import ProposeDecision, ReportEvidence, VoteDecision
from guts_core.forge.decisions import EndEpoch
from guts_core.forge.params import TRANSACTION_BYTES_MAX, Params
from guts_core.names import BlockHash, TxId
from tests.core.chain.chain_world import Network, Person, a_genesis, creation, salt
from tests.core.chain.test_chain_governance import a_report

MOST = Params().block_bytes_max


def large(network: Network, person: Person, count: int) -> list[SignedTransaction]:
    """Transactions that wait, three of which fill a block."""
    found = []
    for at in range(count):
        text = Text(salt(f"{person.name} {at}"), "x" * TEXT_BYTES_MAX)
        found.append(network.by_key(person, creation(f"{person.name}-{at}", text)))
        network.submit(found[-1], text)
    return found


def held(body: bytes) -> list[TxId]:
    """The transactions of a block, in order."""
    return [transaction_id(item.signed.body) for item in from_bytes(Block, body).items]


def lost_view(network: Network, leader: int = 0) -> None:
    """A leader's block does not become final, and the next one's, of another leader, does."""
    network.propose(leader)
    network.step(1 - leader)


# ---- turns ----


def test_who_floods_delays_nobody() -> None:
    """What another account sends after two blocks full of them stands in the next block."""
    network = Network()
    flooder, other = network.operator(0), network.operator(1)
    large(network, flooder, 6)
    late = network.by_key(other, creation("late"))
    network.submit(late)

    network.step()

    assert network.status(late).height == 1


def test_who_makes_many_accounts_has_the_turns_of_one() -> None:
    """The sponsor pays for a new account, and waits for it."""
    network = Network()
    sponsor, other = network.operator(0), network.operator(1)
    signed = [network.registration(f"new-{at}", sponsor) for at in range(40)]
    for one in signed:
        network.submit(one)
    late = [network.by_key(other, creation(f"late-{at}")) for at in range(4)]
    for one in late:
        network.submit(one)

    _, _, body = network.propose()

    order = held(body)
    turn = QUANTUM_BYTES // ITEM_BYTES_LEAST
    assert order[:turn] == [transaction_id(one.body) for one in signed[:turn]]
    assert order[turn : turn + len(late)] == [transaction_id(one.body) for one in late]
    assert len(order) == len(signed) + len(late)


def test_evidence_and_governance_come_first() -> None:
    """However much waits before them; of people who are no operators nothing is urgent."""
    network = Network()
    alice = network.a_person("alice")
    operator = network.operator(1)
    large(network, network.operator(0), 3)
    vain = network.by_key(alice, VoteDecision(1, approve=True))
    decision = network.by_key(operator, ProposeDecision(EndEpoch(), now=False))
    report = a_report(network)
    for signed in (vain, decision, report):
        network.submit(signed)

    _, _, body = network.propose()

    assert isinstance(report.body.actions[0], ReportEvidence)
    assert set(held(body)[:2]) == {transaction_id(decision.body), transaction_id(report.body)}
    assert transaction_id(vain.body) in held(body)[2:]


def test_governance_takes_a_quarter_of_a_block_at_most() -> None:
    """An operator who floods with it stops nobody."""
    network = Network(size=1)
    operator, other = network.operator(0), network.operator(1)
    share = ITEMS_FIRST // URGENT_SHARE
    for _ in range(share + 5):
        network.submit(network.by_key(operator, VoteDecision(1, approve=True)))
    late = network.by_key(other, creation("late"))
    network.submit(late)

    _, _, body = network.propose()

    assert held(body)[share:] == [transaction_id(late.body)]


def test_a_small_transaction_counts_as_the_part_of_a_block_that_it_takes() -> None:
    """A block is full with so many transactions or so many bytes."""
    assert PROPOSED_ITEMS_MAX <= MOST // ITEM_BYTES_LEAST < 2 * PROPOSED_ITEMS_MAX


# ---- the cap ----


def test_a_leader_whose_block_is_lost_proposes_half_as_much_and_a_little_more_after_each_that_is_final() -> None:
    """Never less than some transactions, never more than the network allows; others keep theirs."""
    network = Network()
    first, second = network.ledgers
    assert first.block_cap == MOST

    lost_view(network)
    assert (first.block_cap, second.block_cap) == (MOST // 2, MOST)
    for _ in range(4):
        lost_view(network)

    assert (first.block_cap, second.block_cap) == (FLOOR_BYTES, MOST)
    for ended in range(1, 70):
        network.step()
        assert first.block_cap == min(MOST, FLOOR_BYTES + ended * STEP_BYTES)


def test_a_leader_learns_of_a_lost_block_when_agreement_has_passed_it() -> None:
    """Not only when another one is final: where none is, blocks have to become smaller first of all."""
    cap, params = BlockCap(), Params()
    lost, open_one = BlockHash(salt("lost")), BlockHash(salt("open"))
    most = cap.bytes(params)
    cap.offered(1, lost, most // 2, 0)
    cap.offered(2, open_one, most // 2, 0)

    cap.passed(2, {open_one}, params)
    assert cap.bytes(params) == most // 4  # half of what was lost
    cap.passed(3, {open_one}, params)
    assert cap.bytes(params) == most // 4
    cap.settled(2, open_one, params)

    assert cap.bytes(params) == most // 4 + STEP_BYTES


def test_the_more_views_in_a_row_were_lost_the_less_is_proposed_by_whoever_is_next() -> None:
    """One of them tells of its leader only."""
    cap, params = BlockCap(), Params()
    most = cap.bytes(params)

    assert [cap.bytes(params, lost) for lost in range(4)] == [most, most, most // 2, most // 4]
    assert [cap.items(lost) for lost in range(4)] == [ITEMS_FIRST, ITEMS_FIRST, ITEMS_FIRST // 2, ITEMS_FIRST // 4]
    assert cap.bytes(params, 100) == FLOOR_BYTES
    assert cap.items(100) == ITEMS_LEAST


def test_blocks_grow_only_where_those_before_were_quick() -> None:
    """Twice as many as in one that took a delta; and a leader's own limit slowly where its block took more than two."""
    cap, params, name = BlockCap(), Params(delta_ms=200), BlockHash(salt("own"))
    for view, took_us in ((1, 200_000), (2, 200_001)):
        cap.heard(view, 0)
        cap.settled(view, name, params, ITEMS_FIRST * view, took_us)
        assert cap.items() == 2 * ITEMS_FIRST
    cap.offered(3, BlockHash(salt("lost")), 0, 0)
    cap.passed(4, set(), params)
    least = cap.bytes(params)
    for view, took_us, quarters in ((4, 400_001, 1), (5, 600_000, 2), (6, 600_001, 2), (7, 400_000, 6)):
        cap.offered(view, name, 0, 0)
        cap.settled(view, name, params, 0, took_us)
        assert cap.bytes(params) == least + quarters * STEP_BYTES // 4


def test_where_links_take_as_long_as_they_may_no_loss_lasts() -> None:
    """Three hops of almost a delta make a block final: what was lost is won back, if slowly."""
    cap, params, name = BlockCap(), Params(), BlockHash(salt("own"))
    for view in range(12):
        cap.offered(view, BlockHash(salt("lost")), 0, 0)
        cap.passed(view + 1, set(), params)
    assert cap.bytes(params) == FLOOR_BYTES
    needed = 4 * (MOST - FLOOR_BYTES) // STEP_BYTES

    for view in range(12, 12 + needed):
        assert cap.bytes(params) < MOST
        cap.offered(view, name, 0, 0)
        cap.settled(view, name, params, 0, 2_900 * params.delta_ms)

    assert cap.bytes(params) == MOST


def test_who_catches_up_does_not_take_what_it_hears_late_for_quick() -> None:
    """It was told of blocks that it never saw being made: how long those took it cannot say."""
    cap, params = BlockCap(), Params()

    cap.settled(1, BlockHash(salt("told")), params, 4 * ITEMS_FIRST, 0)

    assert cap.items() == 4 * ITEMS_FIRST


def test_views_that_an_epoch_begins_with_are_lost_like_others() -> None:
    """Its views go on from those before it, and its first block is made by whoever needs fewer of them."""
    network = Network(a_genesis(params=Params(epoch_ms=10_000)))
    network.pass_time(10_000)
    network.step()
    assert network.ledgers[0].network.epoch == 1
    operator = network.operator(0)
    for at in range(ITEMS_FIRST):
        network.submit(network.by_key(operator, creation(f"small-{at}")))
    network.view += 2

    _, _, body = network.propose()

    assert len(held(body)) == ITEMS_FIRST // 2


def test_a_smaller_cap_binds_the_leader_and_nobody_else() -> None:
    """Blocks of others are judged by what the network allows."""
    network = Network()
    lost_view(network)
    large(network, network.operator(0), 3)

    parent, proposal, body = network.propose()
    assert len(held(body)) == 1
    assert len(body) <= network.ledgers[0].block_cap
    _, proposal, body = network.propose(1)
    assert len(held(body)) == 3
    network.verify(parent, proposal, body)
    network.finalize(proposal, body)

    assert not network.ledgers[0].mempool.has_ready


def test_a_smaller_cap_counts_small_transactions_as_turns_do() -> None:
    """Executing many takes as long as carrying much."""
    network = Network()
    for _ in range(5):
        lost_view(network)
    operator = network.operator(0)
    for at in range(70):
        network.submit(network.by_key(operator, creation(f"small-{at}")))

    _, _, body = network.propose()

    assert len(held(body)) == FLOOR_BYTES // ITEM_BYTES_LEAST


def test_what_is_larger_than_the_cap_stands_alone() -> None:
    """With its texts a transaction may be as large as a block of the network: it is not left behind for ever."""
    network = Network()
    lost_view(network)
    operator = network.operator(0)
    texts = [Text(salt(str(at)), "x" * TEXT_BYTES_MAX) for at in range(3)]
    whole = network.by_key(operator, *(creation(f"whole-{at}", text) for at, text in enumerate(texts)))
    network.submit(whole, *texts)
    small = network.by_key(operator, creation("small"))
    network.submit(small)

    network.step()
    network.step()

    assert network.status(whole).height == 2
    assert network.status(small).height == 3


def test_the_cap_keeps_within_what_an_epoch_allows_and_its_book_within_bounds() -> None:
    """Parameters may change; what never came to an end is forgotten."""
    cap, small = BlockCap(), Params(block_bytes_max=TRANSACTION_BYTES_MAX + (16 << 10))
    for view in range(2 * OFFERED_MAX):
        cap.offered(view, BlockHash(bytes(32)))
    assert len(cap._offered) == len(cap._heard) == OFFERED_MAX

    cap.settled(2 * OFFERED_MAX, BlockHash(salt("another")), Params())

    assert cap.bytes(Params()) == FLOOR_BYTES
    assert FLOOR_BYTES < BlockCap().bytes(small) == small.block_bytes_max
    assert not cap._offered
