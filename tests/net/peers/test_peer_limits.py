"""Buckets, waits and queues: small rules that hold the others up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guts_core.codec import encode, kinds
from guts_core.errors import PeerFault
from guts_core.link.frames import Lane, split_pieces
from guts_net.peers.limits import (
    BACKOFF_FIRST_SECONDS,
    BACKOFF_MOST_SECONDS,
    OTHER,
    RATES,
    TRANSACTIONS,
    VOTES,
    Allowance,
    Backoff,
    Rate,
    TokenBucket,
    kind_in,
)
from guts_net.peers.outbox import BOUNDS, WRITE_BYTES, Outbox, OutboxFull, Urgency


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(Rate(per_second=10, burst=5), now=0.0)

    assert [bucket.take(0.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [bucket.take(0.2) for _ in range(3)] == [True, True, False]
    assert [bucket.take(100.0) for _ in range(6)] == [True] * 5 + [False]
    assert bucket.refused == 1


def test_one_class_does_not_eat_the_share_of_another() -> None:
    """A flood of transactions leaves room for votes."""
    allowance = Allowance(now=0.0)
    transaction, vote = encode((kinds.SUBMIT, 0)), encode((kinds.VOTE, 0))
    for _ in range(TRANSACTIONS.burst):
        assert allowance.permits(transaction, 0.0)

    assert not allowance.permits(transaction, 0.0)
    assert all(allowance.permits(vote, 0.0) for _ in range(VOTES.burst))


def test_whoever_goes_on_for_a_whole_burst_more_is_at_fault() -> None:
    allowance = Allowance(now=0.0)
    for _ in range(2 * OTHER.burst):
        allowance.permits(b"?", 0.0)

    with pytest.raises(PeerFault, match="messages a second"):
        allowance.permits(b"?", 0.0)


@given(kind=st.integers(min_value=0, max_value=255), fields=st.integers(min_value=1, max_value=20))
def test_the_kind_is_read_as_the_codec_wrote_it(kind: int, fields: int) -> None:
    assert kind_in(encode((kind, *range(fields)))) == kind


@given(data=st.binary(max_size=6))
def test_the_kind_of_anything_else_is_none_or_some_other(data: bytes) -> None:
    """Never an error: decoding decides about such bytes."""
    assert 0 <= kind_in(data) <= 255


def test_every_simplex_message_has_a_rate_of_its_own() -> None:
    assert {kinds.VOTE, kinds.CERTIFICATE, kinds.PROPOSE, kinds.FETCH, kinds.SUPPLY} <= RATES.keys()


@pytest.mark.parametrize(("byte", "share"), [(b"\x00", 0.5), (b"\xff", 1.0)])
def test_waits_double_up_to_the_most_with_jitter(byte: bytes, share: float) -> None:
    backoff = Backoff(lambda size: byte * size)
    waits = [backoff.next_seconds() for _ in range(10)]
    backoff.reset()

    assert waits[0] == pytest.approx(BACKOFF_FIRST_SECONDS * share, rel=1e-4) == backoff.next_seconds()
    assert waits[3] == pytest.approx(8 * BACKOFF_FIRST_SECONDS * share, rel=1e-4)
    assert waits[-1] == pytest.approx(BACKOFF_MOST_SECONDS * share, rel=1e-4)


def taken(outbox: Outbox) -> list[bytes]:
    """The messages of the next frame."""
    return [data for _, data in split_pieces(outbox.take())]


@pytest.mark.parametrize("urgency", [Urgency.PROPOSAL, Urgency.CATCH_UP, Urgency.TRANSACTION])
def test_what_may_be_lost_loses_its_oldest(urgency: Urgency) -> None:
    outbox, most = Outbox(), BOUNDS[urgency].messages
    dropped = sum(outbox.put(number.to_bytes(4, "big"), urgency) for number in range(most + 10))

    assert dropped == 10
    assert taken(outbox)[0] == (10).to_bytes(4, "big")


def test_votes_are_never_dropped_silently() -> None:
    outbox = Outbox()
    for _ in range(BOUNDS[Urgency.VOTE].messages):
        outbox.put(b"vote", Urgency.VOTE)

    with pytest.raises(OutboxFull, match="4096 votes"):
        outbox.put(b"one more", Urgency.VOTE)
    assert len(taken(outbox)) == BOUNDS[Urgency.VOTE].messages


def test_a_frame_is_short_enough_for_a_vote_to_come_soon() -> None:
    """What waits behind goes into the next frame, and a vote put meanwhile goes first."""
    outbox = Outbox()
    for _ in range(4):
        outbox.put(bytes(WRITE_BYTES // 2 - 100), Urgency.CATCH_UP)
    first = taken(outbox)
    outbox.put(b"vote", Urgency.VOTE)
    second = taken(outbox)

    assert len(first) == 2
    assert second[0] == b"vote"


def test_a_message_larger_than_a_write_goes_alone() -> None:
    outbox = Outbox()
    for _ in range(2):
        outbox.put(bytes(2 * WRITE_BYTES), Urgency.PROPOSAL)

    assert len(taken(outbox)) == len(taken(outbox)) == 1


def test_a_flood_of_pings_gets_one_answer() -> None:
    outbox = Outbox()
    for number in range(100):
        outbox.put_piece(Lane.PONG, bytes([number]))

    assert split_pieces(outbox.take()) == [(Lane.PONG, b"\x63")]


async def test_the_writer_is_woken_and_the_server_waits_for_it() -> None:
    outbox = Outbox()
    await outbox.wait_emptied()
    outbox.put(b"a", Urgency.VOTE)
    await outbox.wait_filled()

    assert not outbox._emptied.is_set()
    assert taken(outbox) == [b"a"]
    assert not outbox._filled.is_set()
    await outbox.wait_emptied()
