"""What one peer is heard a second: excess is dropped and counted, and everybody else is served meanwhile."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from guts_core.codec import to_bytes
from guts_core.simplex.bounds import SUPPLY_BYTES_MAX
from guts_core.simplex.budget import RATES, Budget, Sort
from guts_core.simplex.messages import Certificate, Fetch, Propose, SuppliedBlock, Supply
from tests.core.simplex.simplex_world import F, N, World, X

SECOND = 1_000_000
MIB = 1 << 20


@given(
    st.sampled_from(list(RATES)),
    st.lists(st.tuples(st.integers(0, SECOND // 4), st.integers(0, MIB)), max_size=40),
)
def test_no_peer_is_heard_more_than_its_rate_and_one_second_at_once(sort: Sort, said: list[tuple[int, int]]) -> None:
    budget, rate, now, size, count = Budget(), RATES[sort], 0, 0, 0
    for passed, weight in said:
        now += passed
        if budget.take(1, sort, now, weight):
            size, count = size + weight, count + 1
        assert count * SECOND <= rate.messages * (SECOND + now)
        assert size * SECOND <= rate.size * (SECOND + now)
    assert budget.dropped[sort] == len(said) - count


def test_what_was_spent_comes_back_with_time_and_others_have_their_own() -> None:
    budget, rate = Budget(), RATES[Sort.QUESTION]
    assert all(budget.take(1, Sort.QUESTION, 0) for _ in range(rate.messages))
    assert not budget.take(1, Sort.QUESTION, 0)
    assert budget.take(2, Sort.QUESTION, 0)
    assert budget.take(1, Sort.CERTIFICATE, 0)

    assert budget.take(1, Sort.QUESTION, SECOND // rate.messages)
    assert not budget.take(1, Sort.QUESTION, SECOND // rate.messages)
    budget.forget(1)
    assert budget.take(1, Sort.QUESTION, SECOND // rate.messages)
    assert budget.dropped == {Sort.QUESTION: 2}


def test_a_rate_is_more_than_any_honest_leader_needs_in_a_second() -> None:
    """Sixteen future views may be offered at once, each of the largest size; and twice that is no excess."""
    rate = RATES[Sort.PROPOSAL]
    assert rate.size >= 2 * 16 * SUPPLY_BYTES_MAX
    assert rate.messages >= 2 * 16


def flood_of(world: World, count: int) -> list[Certificate | Propose | Supply | Fetch]:
    """Well formed and well signed, again and again."""
    block = world.block(3, word=b"flood")
    answer = Supply((), (SuppliedBlock(block.proposal, block.body),))
    return [world.certificate(X, 900), block, answer, Fetch(0, 0, ())] * count


def test_a_flood_is_dropped_and_counted_and_the_others_are_served_meanwhile() -> None:
    """Peer 3 says all it can in one instant; what the others say between has its usual answer."""
    world = World(me=0)
    rates = {sort: rate.messages for sort, rate in RATES.items()}
    count = max(rates.values()) + 100
    for message in flood_of(world, 1)[:1]:
        world.hear(3, message)
    assert world.engine.view == 901  # a genuine certificate is believed, whoever brings it
    for message in flood_of(world, 1)[1:] * count:
        world.hear(3, message)
    for message in flood_of(world, 1)[:1] * count:
        world.hear(3, message)
    assert world.engine.dropped == {
        "questions": count - rates[Sort.QUESTION],
        "certificates": 1 + count - rates[Sort.CERTIFICATE],
        "proposals": count - rates[Sort.PROPOSAL],
        "answers": count - 1,  # one was asked for, at the start
    }

    world.said.clear()
    world.hear(2, Fetch(0, 0, ()))
    assert [type(message) for message in world.messages(to=2)] == [Supply]
    block = world.block(901)
    world.hear(1, world.justified(block))
    world.hear(2, world.certificate(N, 901, block.proposal))
    world.hear(1, world.certificate(F, 901, block.proposal))

    assert world.engine.final == block.proposal


def test_a_dropped_certificate_is_heard_a_second_later() -> None:
    world = World()
    for _ in range(RATES[Sort.CERTIFICATE].messages):
        world.hear(3, world.certificate(X, 1))
    world.hear(3, world.certificate(X, 2))
    assert world.engine.view == 2

    world.wait(SECOND)
    world.hear(3, world.certificate(X, 2))

    assert world.engine.view == 3


def test_proposals_are_weighed_too() -> None:
    """Few of them, each as large as may be."""
    world = World(me=0)
    heavy = world.block(3, word=bytes(MIB - 1000))
    count = RATES[Sort.PROPOSAL].size // len(heavy.body) + 10
    world.hear(3, *(heavy,) * count)

    assert world.engine.dropped["proposals"] == 10


def test_an_answer_to_nothing_is_known_by_its_first_bytes() -> None:
    """What comes after them is not looked at, so it costs nobody the time to decode it."""
    world = World()
    block = world.block(1)
    answer = to_bytes(Supply((world.certificate(X, 1),), (SuppliedBlock(block.proposal, block.body),)))
    assert not world.engine.is_unasked(1, answer)  # the question at the start
    world.hear(1, Supply((), ()))

    assert world.engine.is_unasked(1, answer)
    assert world.engine.is_unasked(1, answer[:3])
    assert not world.engine.is_unasked(1, to_bytes(Fetch(0, 0, ())))
    assert world.engine.dropped["answers"] == 2


def test_an_answer_larger_than_any_is_not_heard_and_a_good_one_still_is() -> None:
    world = World(me=0)
    blocks = [world.block(view, word=bytes(SUPPLY_BYTES_MAX // 2)) for view in (1, 2)]
    large = Supply((), tuple(SuppliedBlock(block.proposal, block.body) for block in blocks))
    world.hear(1, large)
    assert world.engine.dropped["answers"] == 1

    world.hear(1, Supply((world.certificate(X, 1),), ()))

    assert world.engine.view == 2
